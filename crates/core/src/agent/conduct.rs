//! What was ruled while a model was asked; it enters the run with the outcome, so that replay asks
//! no limit and no breaker.

use serde::{Deserialize, Serialize};

/// How a call of a model was performed: limits, breakers, fallbacks and repeats on its way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelConduct {
    /// How often a provider was asked; 0 where an earlier answer served, and in old journals.
    pub attempts: u32,
    /// Models that were asked in vain before the one that answered, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Passed>,
    /// How long the call waited for room.
    #[serde(skip_serializing_if = "is_zero")]
    pub waited_millis: u64,
    /// The answer of an earlier, equal call.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub cached: bool,
    /// It was asked a second time because the first reply was slow to begin.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub hedged: bool,
}

impl ModelConduct {
    /// Whether it was more than one attempt that nothing held up.
    pub fn is_worth_telling(&self) -> bool {
        *self != ModelConduct { attempts: 1, ..ModelConduct::default() } && !self.is_plain()
    }

    pub(super) fn is_plain(&self) -> bool {
        *self == ModelConduct::default()
    }
}

/// A model of a fallback chain that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passed {
    pub model: String,
    pub reason: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
