//! Turns of collaborators, nested in the turn of their supervisor.
//!
//! One journal holds the whole tree, so that it is durable together, recovers together and is parked
//! together. A nested turn is an ordinary [`Turn`]: what happens in it comes as
//! [`Event::Within`], to any depth.

use super::{Turn, apply};
use crate::agent::event::{Delegated, Event};

/// A collaborator at work.
#[derive(Debug, Clone)]
pub struct Member {
    /// `collaboratorName`.
    pub collaborator: String,
    pub turn: Turn,
}

impl Turn {
    pub(super) fn delegate(&mut self, delegated: &Delegated) {
        let mut turn = Turn::default();
        apply(&mut turn, &Event::Accepted(Box::new(delegated.accepted.clone())));
        apply(&mut turn, &Event::Started(Box::new(delegated.started.clone())));
        let collaborator = delegated.collaborator.clone();
        self.members.insert(delegated.tool_use_id.clone(), Member { collaborator, turn });
    }

    pub(super) fn apply_within(&mut self, tool_use_id: &str, event: &Event) {
        if let Some(member) = self.members.get_mut(tool_use_id) {
            apply(&mut member.turn, event);
        }
    }
}
