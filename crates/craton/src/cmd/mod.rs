//! The verbs. Each returns what went wrong as a sentence for the person at the terminal.

pub(crate) mod trace;
pub(crate) mod up;

pub(crate) type Done = Result<(), String>;
