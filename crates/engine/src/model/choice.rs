//! Who answers a client's own call, and why he: what the answer tells beside its words.
//!
//! A turn's steps have their route in their run; a client's own call has no run, so its route comes
//! back with its answer. Nothing is decided here.

use craton_core::agent::event::Passed;
use craton_core::route::Route;

/// Whom a client's own call was led to.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) route: Box<Route>,
    /// A managed prompt router chose.
    pub(super) by_router: bool,
}

/// Who answers, and why he.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The id that the model map knows the answering model by.
    pub model: String,
    /// `None` where the model that was named was asked.
    pub route: Option<Box<Route>>,
    pub by_router: bool,
    /// The models that did not answer before it, and why.
    pub passed: Vec<Passed>,
}

impl Choice {
    pub(super) fn new(chosen: Option<Chosen>, model: String, passed: Vec<Passed>) -> Choice {
        let by_router = chosen.as_ref().is_some_and(|chosen| chosen.by_router);
        Choice { model, route: chosen.map(|chosen| chosen.route), by_router, passed }
    }
}
