//! One suite, run on every backend: scripts of batches and reads whose transcript must be the same on a data
//! directory and in memory. Then a random comparison with a naive model, and what only one backend can do.

mod backends;
mod model;
mod script;
mod suite;
