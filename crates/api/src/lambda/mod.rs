//! AWS Lambda: functions, their code, versions and aliases, calls of them, who may call them, and their tags.
//!
//! Documents are the engine's [`engine::function::FunctionRecord`]s, which tools of agents run
//! too. `reference` finds the document that a name or ARN means, `settings` holds what only this
//! service shows.

pub(crate) mod alias;
pub(crate) mod code;
pub(crate) mod function;
pub(crate) mod invoke;
pub(crate) mod permission;
pub(crate) mod tag;
pub(crate) mod version;

mod fault;
mod limits;
mod reference;
mod settings;
mod unserved;
mod view;

#[cfg(test)]
mod tests;
