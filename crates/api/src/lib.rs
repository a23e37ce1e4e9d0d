//! One async function per operation of AWS's, under the resource it belongs to.
//!
//! `front` has authenticated, authorised, decoded and validated a request before a function here
//! runs; what a function returns goes back encoded. Functions read documents, start or continue
//! runs in the engine, and answer. Nothing here reads HTTP, and nothing here decides what an agent
//! does next.
//!
//! In reading order: what a function gets (`cx`), what it answers (`reply`), the table of all
//! (`ops`), one folder per service, and what they share (`edit`, `model_fault`). `admin` answers
//! Craton's own door.

mod cx;
pub mod ops;
mod reply;

mod bedrock;
mod bedrock_agent;
mod bedrock_agent_runtime;
mod bedrock_runtime;
mod iam;
mod lambda;
mod sts;

pub mod admin;
pub mod page;

mod edit;
mod model_fault;
#[cfg(test)]
mod testing;

pub use cx::{Caller, Cx, Permissions, RequestInfo};
pub use ops::Handler;
pub use reply::{Events, IntoReply, Reply};
