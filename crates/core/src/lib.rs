//! What the runtime decides, never what it does: pure functions over plain data.
//!
//! An agent's turn is a fold of its events (`agent::state`) and a decision at its tip
//! (`agent::turn`); `agent::event` lists all that can happen. Nothing here waits, reads a clock,
//! draws a random number or touches the network or the disk.

pub mod agent;
pub mod budget;
pub mod cost;
pub mod limits;
pub mod policy;
pub mod route;
pub mod yaml;
