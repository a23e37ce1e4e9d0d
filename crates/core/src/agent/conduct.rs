//! What was ruled while a model was asked, or a tool; it enters the run with the outcome, so that replay asks
//! no limit and no breaker.

use serde::{Deserialize, Serialize};
use wire::converse::Usage;

use crate::cost::Money;

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
    /// Attempts without a reply that their providers may bill all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wasted: Vec<Wasted>,
}

/// An attempt that began and brought no reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wasted {
    pub model: String,
    /// What its provider counted; nothing where it said nothing.
    #[serde(default)]
    pub usage: Usage,
    /// By that, or else by the bytes of the input and of what came of the answer; `None` where the
    /// model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
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

/// How a call was performed: what its tool's policy, the breaker and the cache had to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conduct {
    /// How often the tool was asked; 0 where it was not.
    pub attempts: u32,
    /// Whose answer it is, if not the tool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedFrom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The breaker, where it was not closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<String>,
    /// The bytes of a result of which the model reads the beginning only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_from: Option<usize>,
    /// How long it waited for its turn.
    #[serde(skip_serializing_if = "is_zero")]
    pub waited_millis: u64,
}

impl Default for Conduct {
    fn default() -> Self {
        Conduct {
            attempts: 1,
            served: None,
            fallback: None,
            breaker: None,
            truncated_from: None,
            waited_millis: 0,
        }
    }
}

impl Conduct {
    pub fn is_plain(&self) -> bool {
        *self == Conduct::default()
    }
}

/// An answer that the tool did not give to this call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ServedFrom {
    /// It gave it to an equal call.
    Cache { age_seconds: u64 },
    /// The same, and its time was over: the breaker was open.
    Stale { age_seconds: u64 },
    /// The policy's own words for while the breaker is open.
    Policy,
}

/// Another function that was asked in the tool's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    pub function: String,
    /// What was wrong with the tool.
    pub why: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
