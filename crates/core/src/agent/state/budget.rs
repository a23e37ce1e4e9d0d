//! What budgets have to do with a turn: what is held back for the call under way, and that there is
//! no room for the next.

use wire::converse::Block;

use super::Turn;
use crate::agent::event::Purpose;
use crate::agent::origin::Origin;
use crate::budget::{Exhausted, Replenished, Reserved};

#[derive(Debug, Clone, Default)]
pub struct Budget {
    /// What is held back for the last call that was asked for.
    pub reserved: Option<Reserved>,
    /// There was no room for the next call.
    pub exhausted: Option<Exhausted>,
    /// What the client heard when nothing moved any more.
    pub halted: Option<String>,
    /// A call that was lost with the process that made it.
    pub lost: Option<Purpose>,
}

impl Budget {
    pub(super) fn hold(&mut self, reserved: Option<&Reserved>) {
        *self = Budget { reserved: reserved.cloned(), ..Budget::default() };
    }
}

impl Turn {
    /// The whole tree goes on.
    pub(super) fn replenish(&mut self, replenished: &Replenished) {
        self.request.clone_from(&replenished.request);
        self.stream = false;
        self.forget_exhaustion();
    }

    fn forget_exhaustion(&mut self) {
        self.budget.exhausted = None;
        self.budget.halted = None;
        for member in self.team.members.values_mut() {
            member.turn.forget_exhaustion();
        }
    }

    pub(super) fn lose(&mut self) {
        self.budget.lost = self.asking.take();
    }

    /// What the client read of a turn that was halted and then called off stands in its history.
    pub(super) fn leave_words(&mut self) {
        if let Some(text) = self.budget.halted.take() {
            self.say(vec![Block::Text(text)], &Origin::Developer);
        }
    }

    /// The first turn of the tree for whose next call a budget has no room.
    pub fn exhaustion(&self) -> Option<&Exhausted> {
        let below = || self.team.members.values().find_map(|member| member.turn.exhaustion());
        self.budget.exhausted.as_ref().or_else(below)
    }
}
