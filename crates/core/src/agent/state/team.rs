//! Turns of collaborators, nested in the turn of their supervisor.
//!
//! One journal holds the whole tree, so that it is durable together, recovers together and is parked
//! together. A nested turn is an ordinary [`Turn`]: what happens in it comes as
//! [`Event::Within`], to any depth. Once it has ended, what it leaves (its thread of the session,
//! calls of unknown outcome, what it cost) is its supervisor's.

use std::collections::BTreeMap;

use wire::converse::{Block, Usage};

use super::{End, Progress, Turn, apply};
use crate::agent::event::{
    Call, Deferred, Delegated, Event, Outcome, ToolReturned, UnknownEffect, Within,
};
use crate::agent::history::Past;
use crate::agent::origin::{Origin, Utterance};
use crate::agent::team;
use crate::cost::Bill;

/// The name of the nested turn that works on its supervisor's whole turn; no tool use asked for it.
pub const ROUTE: &str = "route";

/// How far the choice is of a collaborator for the whole turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Routing {
    #[default]
    Open,
    /// What the classifier said.
    Said(String),
    /// A collaborator took the turn, or nobody could be chosen.
    Over,
}

/// The collaborators of a turn.
#[derive(Debug, Clone, Default)]
pub struct Team {
    /// Turns of collaborators inside this one, by the tool use that each works on.
    pub members: BTreeMap<String, Member>,
    /// What collaborators heard and said in earlier turns, by their paths below this turn's agent.
    pub threads: BTreeMap<String, Past>,
    /// What those that are done added in this turn.
    pub added: BTreeMap<String, Vec<Utterance>>,
    pub routing: Routing,
    /// The collaborator that a routing supervisor chose last in this session.
    pub routed: Option<String>,
    /// Whether the answer of the one that it chose now went out while it was made.
    pub aloud: Option<bool>,
    /// What collaborators that are done have used.
    pub spent: Spent,
}

/// A collaborator at work.
#[derive(Debug, Clone)]
pub struct Member {
    /// `collaboratorName`.
    pub collaborator: String,
    /// In milliseconds.
    pub began_at: i64,
    pub turn: Turn,
}

/// An event of the nested turn at a path.
pub fn within(path: &[String], event: Event) -> Event {
    path.iter()
        .rev()
        .fold(event, |event, id| Event::Within(Box::new(Within { tool_use_id: id.clone(), event })))
}

/// What the nested turns that are over have used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    pub usage: Usage,
    pub model_calls: u32,
    pub bill: Bill,
}

impl Turn {
    pub(super) fn delegate(&mut self, delegated: &Delegated) {
        let (id, name) = (&delegated.tool_use_id, &delegated.collaborator);
        let mut turn = Turn::default();
        let mut started = delegated.started.clone();
        started.past = self.team.threads.get(name).cloned().unwrap_or_default();
        started.history = self.team.added.get(name).cloned().unwrap_or_default();
        started.threads = threads_below(&self.team.threads, name);
        turn.team.added = threads_below(&self.team.added, name);
        if delegated.relay {
            turn.relayed = team::spoken(self.before_last());
        }
        if id != ROUTE {
            turn.asker = Origin::Model;
        }
        let mut accepted = delegated.accepted.clone();
        if let Some(own) = self.accepted.as_ref().filter(|_| id == ROUTE) {
            // The whole turn, as the user sent it; the journal holds the files once.
            accepted.files = own.files.clone();
            accepted.recall = own.recall.clone();
        }
        apply(&mut turn, &Event::Accepted(Box::new(accepted)));
        apply(&mut turn, &Event::Started(Box::new(started)));
        if let Some(used) = self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == *id) {
            used.progress = Progress::Asked;
        }
        if id == ROUTE {
            self.team.routing = Routing::Over;
            self.team.routed = Some(name.clone());
        }
        let member = Member { collaborator: name.clone(), began_at: delegated.at, turn };
        self.team.members.insert(id.clone(), member);
    }

    /// What a collaborator may read of this turn: all but the message that asks for it. That is
    /// the reply with its tool use, or the user's, which a routed collaborator gets as its own.
    fn before_last(&self) -> impl Iterator<Item = &Utterance> {
        let all = self.said_so_far().count();
        self.said_so_far().take(all.saturating_sub(1))
    }

    pub(super) fn apply_within(&mut self, tool_use_id: &str, event: &Event) {
        if let Some(member) = self.team.members.get_mut(tool_use_id) {
            apply(&mut member.turn, event);
        }
    }

    /// A collaborator has reported, or is called off: it is no member any more.
    pub(super) fn absorb(&mut self, tool_use_id: &str) {
        let Some(Member { collaborator, turn, .. }) = self.team.members.remove(tool_use_id) else {
            return;
        };
        for effect in turn.own_unknown() {
            if !self.unknown.contains(effect) {
                self.unknown.push(effect.clone());
            }
        }
        let left = turn.leaves();
        self.team.spent.usage += turn.total_usage();
        self.team.spent.bill.add(&turn.total_bill());
        self.team.spent.model_calls += turn.total_model_calls();
        for provider in turn.providers {
            if !self.providers.contains(&provider) {
                self.providers.push(provider);
            }
        }
        self.broke_off |= turn.broke_off && tool_use_id == ROUTE;
        for (path, thread) in turn.team.threads {
            self.team.threads.insert(thread_path(&collaborator, &path), thread);
        }
        for (path, thread) in turn.team.added {
            self.team.added.insert(thread_path(&collaborator, &path), thread);
        }
        // What it had to leave out stays left out.
        if let Some(thread) = self.team.threads.get_mut(&collaborator) {
            thread.forget(thread.exchanges.len().saturating_sub(turn.past.exchanges.len()));
        }
        self.team.added.insert(collaborator, left);
    }

    /// The answer of the collaborator that had the whole turn is this turn's.
    pub(super) fn take_route(&mut self, returned: &ToolReturned) {
        let Some(member) = self.team.members.get(ROUTE).filter(|_| returned.tool_use_id == ROUTE)
        else {
            return;
        };
        if let Outcome::Answered { body, .. } = &returned.outcome {
            let aloud = member.turn.team.aloud.unwrap_or(member.turn.stream);
            self.team.aloud = Some(aloud && member.turn.said.is_some());
            self.say(vec![Block::Text(body.clone())], &Origin::Model);
            self.said = Some(body.clone());
        }
    }

    /// Ends all that collaborators do here. Returns the tool uses whose calls may have changed
    /// something, which nobody knows now.
    pub(super) fn call_members_off(&mut self, reason: &str) -> Vec<String> {
        let mut doubtful = Vec::new();
        for id in self.team.members.keys().cloned().collect::<Vec<_>>() {
            if let Some(member) = self.team.members.get_mut(&id).filter(|m| m.turn.end.is_none()) {
                let known = member.turn.own_unknown().len();
                apply(&mut member.turn, &Event::Cancelled { reason: reason.to_owned() });
                if member.turn.own_unknown().len() > known {
                    doubtful.push(id.clone());
                }
            }
            self.absorb(&id);
        }
        doubtful
    }

    /// What the session holds now, for the whole tree.
    pub(super) fn inherit_all(&mut self, unknown: &[UnknownEffect]) {
        self.inherit(unknown);
        for member in self.team.members.values_mut() {
            member.turn.inherit_all(unknown);
        }
    }

    /// The nested turn at a path of tool uses; this turn itself at an empty one.
    pub fn at(&self, path: &[String]) -> Option<&Turn> {
        match path.split_first() {
            None => Some(self),
            Some((id, rest)) => self.team.members.get(id)?.turn.at(rest),
        }
    }

    /// The turns whose calls the client holds, this one first, each with its path.
    pub fn handed_turns(&self) -> Vec<(Vec<String>, &Turn)> {
        let mut turns = vec![(Vec::new(), self)];
        let nested = self.parked.iter().flat_map(|parked| &parked.members);
        for (id, member) in nested.filter_map(|id| Some((id, self.team.members.get(id)?))) {
            turns.extend(member.turn.handed_turns().into_iter().map(|(mut path, turn)| {
                path.insert(0, id.clone());
                (path, turn)
            }));
        }
        turns
    }

    /// Visits this turn and all nested ones, supervisors first, each with its path.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&[String], &'a Turn)) {
        self.walk_from(&mut Vec::new(), visit);
    }

    fn walk_from<'a>(
        &'a self,
        path: &mut Vec<String>,
        visit: &mut impl FnMut(&[String], &'a Turn),
    ) {
        visit(path, self);
        for (id, member) in &self.team.members {
            path.push(id.clone());
            member.turn.walk_from(path, visit);
            path.pop();
        }
    }

    /// The calls under way in the whole tree, each with its path.
    pub fn calls_under_way(&self) -> Vec<(Vec<String>, Call)> {
        let mut calls = Vec::new();
        self.walk(&mut |path, turn| {
            calls.extend(turn.open_calls().map(|call| (path.to_vec(), call.clone())));
        });
        calls
    }

    /// The calls of the whole tree whose tools bring their results later, each with its path.
    pub fn all_pending(&self) -> Vec<(Vec<String>, Call, Deferred)> {
        let mut calls = Vec::new();
        self.walk(&mut |path, turn| {
            let pending = turn.pending();
            calls.extend(pending.map(|(call, of)| (path.to_vec(), call.clone(), of.clone())));
        });
        calls
    }

    pub fn has_pending(&self) -> bool {
        self.pending().next().is_some()
            || self.team.members.values().any(|member| member.turn.has_pending())
    }

    /// The unknown outcomes of this turn's own calls and of its collaborators'.
    pub fn all_unknown(&self) -> Vec<&UnknownEffect> {
        let mut unknown: Vec<&UnknownEffect> = Vec::new();
        self.walk(&mut |_, turn| unknown.extend(turn.own_unknown()));
        unknown
    }

    pub fn total_usage(&self) -> Usage {
        let mut total = self.usage;
        total += self.team.spent.usage;
        for member in self.team.members.values() {
            total += member.turn.total_usage();
        }
        total
    }

    /// What the whole tree has cost.
    pub fn total_bill(&self) -> Bill {
        let mut total = self.bill.clone();
        total.add(&self.team.spent.bill);
        for member in self.team.members.values() {
            total.add(&member.turn.total_bill());
        }
        total
    }

    pub fn total_model_calls(&self) -> u32 {
        let members = self.team.members.values().map(|member| member.turn.total_model_calls());
        self.steps + self.team.spent.model_calls + members.sum::<u32>()
    }
}

impl Member {
    /// A turn that neither ended nor waits for the client.
    pub fn is_moving(&self) -> bool {
        self.turn.end.is_none() && self.turn.parked.is_none()
    }

    /// How many calls the client gets if it gets this member's.
    pub fn handed_off(&self) -> usize {
        let Some(parked) = &self.turn.parked else { return 0 };
        let nested = parked.members.iter().filter_map(|id| self.turn.team.members.get(id));
        parked.tool_uses.len() + nested.map(Member::handed_off).sum::<usize>()
    }

    /// Why a turn that is over has no answer.
    pub fn shortfall(&self) -> Option<String> {
        match self.turn.end.as_ref()? {
            End::Answered(_) => None,
            End::GaveUp(cause, _) => Some(super::failure_reason(*cause).to_owned()),
            End::Failed { message, .. } => Some(message.clone()),
            End::Cancelled(reason) => Some(format!("its turn was called off: {reason}")),
        }
    }
}

/// The name of a collaborator's thread below another's: `A`, `A>B`. No collaborator's name has the
/// sign (`collaboratorName`, API model).
fn thread_path(above: &str, collaborator: &str) -> String {
    if above.is_empty() { collaborator.to_owned() } else { format!("{above}>{collaborator}") }
}

/// The threads below a collaborator, by their paths from there.
fn threads_below<T: Clone>(
    threads: &BTreeMap<String, T>,
    collaborator: &str,
) -> BTreeMap<String, T> {
    let below = |(path, thread): (&String, &T)| {
        let rest = path.strip_prefix(collaborator)?.strip_prefix('>')?;
        Some((rest.to_owned(), thread.clone()))
    };
    threads.iter().filter_map(below).collect()
}
