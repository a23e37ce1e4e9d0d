//! Which model a step is for: the policy table, and the formula behind it.
//!
//! Pure: limits, weights and breaker states are read by the engine and come in as data; the choice
//! enters the run with its inputs and its reason.

use serde::{Deserialize, Serialize};

/// What a model is asked to do, for choosing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// What comes next, and the answer.
    Planning,
    /// Arguments of a tool that is chosen already, and other extraction.
    ToolArguments,
    /// Text from what was retrieved.
    RetrievalText,
    Summarisation,
    /// Is the input fit, is the answer right?
    Judging,
}

/// Which model is asked, and why it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The id that the model map resolves.
    pub model: String,
    /// The models asked when it does not answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    pub kind: StepKind,
    /// The Reasoning Complexity Index, 0 to 100, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rci: Option<u32>,
    /// In words: the rule that decided, and what it saw.
    pub reason: String,
}
