//! Budgets: what may be spent, and what is held back for a call before it is made.
//!
//! Pure: the engine keeps the counters and says what stands in them. A call holds back an upper
//! bound of what it can use ([`rule::hold`]); once its outcome is known the difference goes back.
//! What nobody can know, because the process or the connection died, counts as spent.

pub mod caps;
pub mod rule;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::agent::event::Wasted;
use crate::budget::caps::Most;
use crate::cost::Money;

/// What is held back for one call, in each budget that it counts in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reserved {
    /// An upper bound: the bytes of the input and the cap of the output.
    pub tokens: u64,
    pub cost: Money,
    /// The counters that hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<String>,
    /// The most tokens that the model may answer with.
    pub output: u32,
    /// How many attempts it pays for, each of which may be billed in full; 0 in old journals is one.
    #[serde(skip_serializing_if = "is_one")]
    pub attempts: u32,
    /// A budget is near its end: the model is told to come to one too.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub wrap_up: bool,
}

/// What a cap is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    Call,
    /// A run with the turns of all its collaborators.
    Run,
    Session,
    Agent,
    User,
    Tenant,
    /// All that a tenant spends in a day of UTC.
    Day,
}

impl Scope {
    pub fn word(self) -> &'static str {
        match self {
            Scope::Call => "call",
            Scope::Run => "run",
            Scope::Session => "session",
            Scope::Agent => "agent",
            Scope::User => "user",
            Scope::Tenant => "tenant",
            Scope::Day => "day",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Tokens,
    Cost,
}

impl Unit {
    pub fn word(self) -> &'static str {
        match self {
            Unit::Tokens => "tokens",
            Unit::Cost => "cost",
        }
    }

    /// An amount as people read it: `4,000 tokens` is `4000 tokens`, money is dollars.
    pub fn show(self, amount: i64) -> String {
        match self {
            Unit::Tokens => format!("{amount} tokens"),
            Unit::Cost => Money(amount).to_string(),
        }
    }
}

/// The unit that the counter of a key counts in.
pub fn unit_of(counter: &str) -> Unit {
    if counter.ends_with("/cost") { Unit::Cost } else { Unit::Tokens }
}

fn is_one(attempts: &u32) -> bool {
    *attempts <= 1
}

impl Reserved {
    /// Nothing is held back any more; what the model was held to, and told, stays as it was.
    pub fn release(&mut self) {
        let (output, attempts, wrap_up) = (self.output, self.attempts, self.wrap_up);
        *self = Reserved { output, attempts, wrap_up, ..Reserved::default() };
    }

    /// What of it is for one attempt.
    pub fn one(&self) -> Raise {
        let attempts = self.attempts.max(1);
        let cost = Money(self.cost.0 / i64::from(attempts));
        Raise { tokens: self.tokens / u64::from(attempts), cost }
    }

    /// What attempts without a reply have used of it: what their providers counted, else all that was
    /// held back for them.
    pub fn used_by(&self, wasted: &[Wasted]) -> Raise {
        let one = self.one();
        wasted.iter().fold(Raise::default(), |sum, attempt| match attempt.usage.is_counted() {
            true => {
                let (tokens, cost) = (attempt.usage.tokens(), attempt.cost.unwrap_or(one.cost));
                sum.and(Raise { tokens, cost })
            }
            false => sum.and(one),
        })
    }

    /// How much of it is in a counter.
    pub fn amount(&self, unit: Unit) -> i64 {
        match unit {
            Unit::Tokens => i64::try_from(self.tokens).unwrap_or(i64::MAX),
            Unit::Cost => self.cost.0,
        }
    }
}

/// A budget that has no room for the next call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exhausted {
    pub scope: Scope,
    pub unit: Unit,
    /// Tokens, or picodollars.
    pub cap: i64,
    /// What is spent, and what other calls hold back now.
    pub spent: i64,
    /// The least that the call would hold back.
    pub needed: i64,
    /// The model that was to be asked.
    pub model: String,
    /// Or the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// A cap in dollars cannot be held, because nobody said what the model costs.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unpriced: bool,
}

impl Exhausted {
    fn setting(&self) -> String {
        match (self.scope, self.unit) {
            (Scope::Run, Unit::Cost) => "budgets.run, or the client's craton:max-cost".to_owned(),
            (scope, _) => format!("budgets.{}", scope.word()),
        }
    }

    /// For whoever reads the numbers.
    pub fn told(&self) -> String {
        let (scope, show) = (self.scope.word(), |amount| self.unit.show(amount));
        let (cap, needed) = (show(self.cap), show(self.needed));
        if self.unpriced {
            return format!(
                "the budget of this {scope}, {cap}, cannot be held: the price of model {} is \
                 unknown; add it to the file that `prices` names, or mark the model as local",
                self.model
            );
        }
        if self.scope == Scope::Call {
            return format!(
                "the input of some {needed} leaves no room for an answer within {cap}, the most \
                 that one call may use; shorten it, or raise budgets.call"
            );
        }
        format!(
            "the budget of this {scope}, {cap}, has no room for another {}: {} are spent \
             or held back, and the call may need {needed}; raise {}",
            self.tool.as_ref().map_or("model call".to_owned(), |tool| format!("call of {tool}")),
            show(self.spent),
            self.setting()
        )
    }
}

/// What is put on top of the caps for one run, once an operator lets it go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Raise {
    pub tokens: u64,
    pub cost: Money,
}

impl Raise {
    pub fn of(&self, unit: Unit) -> i64 {
        match unit {
            Unit::Tokens => i64::try_from(self.tokens).unwrap_or(i64::MAX),
            Unit::Cost => self.cost.0,
        }
    }

    pub fn and(self, other: Raise) -> Raise {
        let tokens = self.tokens.saturating_add(other.tokens);
        Raise { tokens, cost: self.cost + other.cost }
    }
}

/// Somebody lets a halted turn go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replenished {
    /// What the turn answers from here on.
    pub request: String,
    /// What this run may spend above its caps, besides what it was given before.
    #[serde(default)]
    pub raise: Raise,
    /// The caps that its agent's tags set by then, in place of those that it began with; `None` where
    /// nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Vec<Most>>,
}
