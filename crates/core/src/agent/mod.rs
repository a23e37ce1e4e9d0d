//! An agent turn as two pure functions over its configuration and its events.

pub mod call;
mod conduct;
pub mod config;
pub mod digest;
pub mod event;
pub mod history;
pub mod limits;
pub mod origin;
pub mod prompt;
pub mod recall;
pub mod state;
pub mod team;
#[cfg(test)]
mod tests;
pub mod tool;
pub mod turn;
