//! What the runtime decides, never what it does: pure functions over plain data.
//!
//! Nothing here waits, reads a clock, draws a random number or touches the network or the disk.

pub mod agent;
pub mod limits;
