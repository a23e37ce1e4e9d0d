//! Durable state: the only crate that speaks SQL.
//!
//! The engine and the api hand in a [`Batch`] (documents, journal rows, queue moves, timers, counters
//! and blobs of one tenant, with the preconditions they rest on) and the [`Store`] makes it durable
//! as a whole or not at all. Everything else is reads. Payloads are opaque bytes here: what an event or a document
//! means is decided above.
//!
//! Nothing here reads a clock, draws a random number or talks to the network. Times come in as
//! milliseconds since the epoch; ids come in as text.
//!
//! In reading order: the handle (`store`), what goes in (`batch`), what comes out (`row`, `record`,
//! `error`), the seam between (`backend`), and the SQLite behind it (`sqlite`). `beside` spreads one batch over two stores.

mod backend;
mod batch;
mod beside;
mod error;
mod limits;
mod record;
mod row;
mod seal;
mod sqlite;
mod store;
mod tenant;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use error::{CommitError, Conflict, Precondition, StoreError};
pub use record::{BESIDE_JOURNAL, Document, JOURNALED, Record, Versioned};
pub use row::{Entry, QueueState, Queued, Timer};
pub use store::{Page, Pending, Store};
pub use tenant::Tenant;
