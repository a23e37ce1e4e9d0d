//! What an operator, or a function's owner, sets for a tool: how often it may take effect, how long
//! it may take, what may be asked of it.
//!
//! Plain data, read from `[tools]` of craton.toml and from a function's `craton:…` tags; a key that
//! stands in both counts as craton.toml has it. What follows from it for one call is decided here
//! as well, by pure functions; clocks and counters come in as arguments. What would make no sense is
//! refused where it is read: by [`ToolPolicy::check`] and [`ToolPolicy::take_tag`].

mod arguments;
pub mod breaker;
mod check;
mod condition;
mod fields;
pub mod looping;
pub mod rate;
mod retry;
mod tags;
#[cfg(test)]
mod tests;
pub mod timing;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::agent::tool::{Effect, Tool};

pub use arguments::{Arguments, Bounds, Otherwise};
pub use condition::Condition;

/// One tool's policy. Whatever is left out has its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolPolicy {
    /// Left out: what the schema says, else `once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// A call that takes longer is over; never above the function's own time-out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// A call that has not been sent so long after it was decided is not sent any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_within_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The function that gets the same event when this one times out or answers 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How long an answer of a `read` tool is good for the same arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_seconds: Option<u64>,
    /// What the circuit breaker answers while it is open and no earlier answer is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_response: Option<String>,
    /// What may stand in the arguments.
    #[serde(skip_serializing_if = "is_default")]
    pub arguments: Arguments,
    /// Calls for which a person decides: `amount > 500`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hand_off: Vec<Condition>,
    /// Bytes of a result that the model reads; the rest is cut, and the model is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<usize>,
    /// Calls of this tool at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// The tool of the same group that says what became of a call whose reply was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<OnUnknown>,
    /// The tool of the same group that takes a `compensable` call back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

fn is_default(arguments: &Arguments) -> bool {
    *arguments == Arguments::default()
}

/// What was set for the action of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    pub function: String,
    pub action: String,
    pub policy: ToolPolicy,
}

impl ToolPolicy {
    /// This one, and what it leaves out as another has it.
    pub fn over(&self, below: ToolPolicy) -> ToolPolicy {
        let own = self.clone();
        ToolPolicy {
            effect: own.effect.or(below.effect),
            timeout_seconds: own.timeout_seconds.or(below.timeout_seconds),
            send_within_seconds: own.send_within_seconds.or(below.send_within_seconds),
            retry: own.retry.or(below.retry),
            fallback: own.fallback.or(below.fallback),
            cache_seconds: own.cache_seconds.or(below.cache_seconds),
            static_response: own.static_response.or(below.static_response),
            arguments: own.arguments.over(below.arguments),
            hand_off: if own.hand_off.is_empty() { below.hand_off } else { own.hand_off },
            result_bytes: own.result_bytes.or(below.result_bytes),
            concurrency: own.concurrency.or(below.concurrency),
            calls_per_second: own.calls_per_second.or(below.calls_per_second),
            breaker: own.breaker.or(below.breaker),
            probe: own.probe.or(below.probe),
            on_unknown: own.on_unknown.or(below.on_unknown),
            undo: own.undo.or(below.undo),
        }
    }

    /// The same as it was set for one tool by its name.
    pub fn of_tool(&self) -> ToolPolicy {
        let hand_off = self.hand_off.iter().map(Condition::of_tool).collect();
        ToolPolicy { hand_off, ..self.clone() }
    }

    /// Why a person decides about a call with these arguments, if one does: in words for a trace.
    pub fn escalates(&self, tool: &Tool, input: &Json) -> Option<String> {
        let condition = self.hand_off.iter().find(|condition| condition.asks(tool, input));
        let met = condition.map(|condition| condition.text().to_owned());
        let hands_off = self.arguments.otherwise == Some(Otherwise::HandOff);
        met.or_else(|| hands_off.then(|| self.arguments.refusal(tool, input)).flatten())
    }

    /// What the model is told of a call that nobody makes with these arguments.
    pub fn refuses(&self, tool: &Tool, input: &Json) -> Option<String> {
        match self.arguments.otherwise.unwrap_or_default() {
            Otherwise::Refuse => self.arguments.refusal(tool, input),
            Otherwise::HandOff => None,
        }
    }
}

/// Attempts of one call. The pause before attempt n+1 is drawn from 0 to `base_seconds`·2ⁿ, at most
/// `max_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The first included.
    pub attempts: u32,
    pub base_seconds: f64,
    pub max_seconds: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 3, base_seconds: 1.0, max_seconds: 10.0 }
    }
}

/// When a tool that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// More failures than this share of the calls in the window open it.
    pub failure_share: f64,
    pub window_seconds: u64,
    /// Fewer calls in the window say nothing.
    pub least_calls: u32,
    /// How long it stays open before one call may try; doubled each time that one fails.
    pub cooldown_seconds: u64,
    /// The same tool more often than this in a row, with nothing new in its answers, is a loop.
    pub loop_calls: u32,
}

impl Breaker {
    /// More calls than all cannot fail.
    fn is_off(&self) -> bool {
        self.failure_share >= 1.0
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker {
            failure_share: 0.15,
            window_seconds: 120,
            least_calls: 20,
            cooldown_seconds: 30,
            loop_calls: 5,
        }
    }
}

/// What becomes of a call whose reply was lost, where no probe knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// The model is told not to repeat it.
    #[default]
    Close,
    /// The turn waits for a person.
    Park,
}
