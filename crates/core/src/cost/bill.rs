//! What a turn has cost so far: the six lines, and the share of each model.
//!
//! A fold of events, which carry their prices. It reads no price file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::converse::Usage;

use super::{Money, Stack};
use crate::agent::event::Wasted;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bill {
    pub stack: Stack,
    /// What the model line would be higher without caches; below zero where they were only written.
    pub saved: Money,
    /// Replies of models whose price nobody knows: their tokens are counted, and no money.
    pub unpriced: u32,
    /// How often tools were asked.
    pub tool_calls: u32,
    /// By the names under which their providers know them.
    pub models: BTreeMap<String, Share>,
}

/// What one model did of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Share {
    pub calls: u32,
    pub usage: Usage,
    pub cost: Money,
    pub saved: Money,
    pub unpriced: u32,
}

/// What one reply of a model cost, by the prices of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paid {
    /// `None` where the model has no price.
    pub cost: Option<Money>,
    pub saved: Money,
}

impl Share {
    /// Of one reply.
    pub fn of(usage: Usage, paid: Paid) -> Share {
        Share {
            calls: 1,
            usage,
            cost: paid.cost.unwrap_or_default(),
            saved: paid.saved,
            unpriced: u32::from(paid.cost.is_none()),
        }
    }
}

impl Bill {
    pub fn model(&mut self, model: &str, usage: &Usage, paid: Paid) {
        let share = Share::of(*usage, paid);
        self.share(model, &share);
        self.stack.model += share.cost;
        self.saved += share.saved;
        self.unpriced += share.unpriced;
    }

    /// Attempts that brought no reply. What their providers counted stands in each model's share; the
    /// turn's own usage is that of its replies.
    pub fn wasted(&mut self, wasted: &[Wasted]) {
        for one in wasted {
            self.model(&one.model, &one.usage, Paid { cost: one.cost, saved: Money::ZERO });
        }
    }

    /// Calls of a tool that came to one outcome.
    pub fn tool(&mut self, calls: u32, cost: Option<Money>) {
        self.tool_calls += calls;
        self.stack.tools += cost.unwrap_or_default();
    }

    pub fn add(&mut self, other: &Bill) {
        self.stack += other.stack;
        self.saved += other.saved;
        self.unpriced += other.unpriced;
        self.tool_calls += other.tool_calls;
        other.models.iter().for_each(|(model, share)| self.share(model, share));
    }

    fn share(&mut self, model: &str, more: &Share) {
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), Share::default());
        }
        let Some(share) = self.models.get_mut(model) else { return };
        share.calls += more.calls;
        share.usage += more.usage;
        share.cost += more.cost;
        share.saved += more.saved;
        share.unpriced += more.unpriced;
    }
}
