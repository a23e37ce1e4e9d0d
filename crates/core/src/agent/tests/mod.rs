//! Turns as scripts: what happened goes in, what is decided and what the model reads come out.

mod hand_offs;
mod history;
mod interleavings;
mod journals;
mod origins;
mod policies;
mod screen;
mod script;
mod stages;
mod team;
mod turns;
mod window;
