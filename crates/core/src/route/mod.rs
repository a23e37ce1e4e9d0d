//! Which model a step is for: the policy table, and the formula behind it.
//!
//! Pure: limits, weights and breaker states are read by the engine and come in as data; the choice
//! enters the run with its inputs and its reason. What clients and owners wish is read in [`wish`],
//! the Reasoning Complexity Index made in [`rci`], the table read in [`table`], and all of it put
//! together in [`choose`].

mod choose;
mod rci;
mod table;
mod wish;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use choose::{Known, Question, Router, choose, of_router};
pub use rci::{Inputs, Task};
pub use table::{Class, Split, Spread, Table, Target};
pub use wish::{DATA_CLASS, LATENCY, PREFIX, RESTRICTED, ROUTE, STEP, Wishes};

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
    /// The last look at an answer before it goes out.
    Verification,
}

impl StepKind {
    pub const ALL: [StepKind; 6] = [
        StepKind::Planning,
        StepKind::ToolArguments,
        StepKind::RetrievalText,
        StepKind::Summarisation,
        StepKind::Judging,
        StepKind::Verification,
    ];

    /// As tags, metadata and reasons name it.
    pub fn word(self) -> &'static str {
        match self {
            StepKind::Planning => "planning",
            StepKind::ToolArguments => "tool-arguments",
            StepKind::RetrievalText => "retrieval-text",
            StepKind::Summarisation => "summarisation",
            StepKind::Judging => "judging",
            StepKind::Verification => "verification",
        }
    }

    pub fn of_word(word: &str) -> Option<StepKind> {
        StepKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
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
    /// What the index was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// In words: the rule that decided, and what it saw.
    pub reason: String,
}
