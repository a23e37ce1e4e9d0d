//! An amount of work that is foreseen: tokens, money and time, which add up and never overflow.

use craton_core::cost::Money;

/// Work of a turn, or of a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Input and output together.
    pub(super) tokens: u64,
    /// `None` once a model without a price is in it.
    pub(super) models: Option<Money>,
    /// Calls of tools at their rate: with models, what budgets hold back.
    pub(super) tools: Money,
    /// What stands on the bill and in no budget: seconds of functions, parsers, memory.
    pub(super) beside: Money,
    pub(super) millis: u64,
}

impl Work {
    pub(super) const NONE: Work = Work {
        tokens: 0,
        models: Some(Money::ZERO),
        tools: Money::ZERO,
        beside: Money::ZERO,
        millis: 0,
    };

    pub(super) fn and(self, other: Work) -> Work {
        Work {
            tokens: self.tokens.saturating_add(other.tokens),
            models: self.models.zip(other.models).map(|(one, two)| one + two),
            tools: self.tools + other.tools,
            beside: self.beside + other.beside,
            millis: self.millis.saturating_add(other.millis),
        }
    }

    pub(super) fn times(self, count: u64) -> Work {
        Work {
            tokens: self.tokens.saturating_mul(count),
            models: self.models.map(|money| money.times(count)),
            tools: self.tools.times(count),
            beside: self.beside.times(count),
            millis: self.millis.saturating_mul(count),
        }
    }

    /// No less than either, in each of its parts.
    pub(super) fn max(self, other: Work) -> Work {
        Work {
            tokens: self.tokens.max(other.tokens),
            models: self.models.zip(other.models).map(|(one, two)| one.max(two)),
            tools: self.tools.max(other.tools),
            beside: self.beside.max(other.beside),
            millis: self.millis.max(other.millis),
        }
    }

    pub(super) fn cost(&self) -> Option<Money> {
        self.models.map(|models| models + self.tools + self.beside)
    }
}
