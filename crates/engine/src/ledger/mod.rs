//! The ledger: one row for each call of a tool that may change something, and what became of it.
//!
//! A row follows from the events of its run ([`follow`]) and is written in the commit that makes
//! them durable, so that neither can say what the other does not. Two things happen to a row from
//! outside: somebody says what became of a call whose reply was lost ([`resolve`]), and a call that
//! can be taken back is ([`undo`]). A row lasts as long as its run's journal. Nothing here decides
//! whether a call is made.

mod follow;
mod list;
mod resolve;
mod row;
mod undo;

pub(crate) use follow::{open_effects, rows_after, write};
pub(crate) use list::rows_of;
pub use list::{EffectPage, WantedEffects};
pub(crate) use resolve::settled;
pub use resolve::{Resolution, ResolveError};
pub use row::{LedgerRow, State, Undo, UndoState};
pub use undo::UndoError;
pub(crate) use undo::{Undoing, undo_due};
