//! An agent turn as two pure functions over its configuration and its events.

pub mod config;
pub mod tool;
