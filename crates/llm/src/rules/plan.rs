//! Planning: what the next step of a conversation is.
//!
//! A pure function of the call: finds the tools that the user's words want, fills their
//! arguments, and decides between calling, asking and answering.
//!
//! INVARIANTS
//! - A state-changing tool is called only when the user's own words of this turn ask for it
//!   (`asks`), or when it is the tool the client forces.
//! - An identical call is never made twice in a turn; a state-changing one that has succeeded is
//!   not made again in the conversation unless the user says "again".

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value as Json};
use wire::converse::{Call, ToolChoice};

use super::asks;
use super::choose::CLEAR;
use super::convo::{Done, Turn, turns};
use super::dates;
use super::fill::{Filled, fill};
use super::insist;
use super::rank::{Known, Toolbox};
use super::recall::{carry, facts};
use super::repeat::{repeats, siblings};
use super::schema::Role;
use super::spans::{Read, read};
use super::verbs::{self, Class};
use super::words::split_name;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Tools by their place in the call, with arguments.
    Calls(Vec<(usize, Map<String, Json>)>),
    /// Required arguments of one tool are missing.
    Ask { tool: usize, missing: Vec<usize> },
    /// Results of this turn, in order, are the answer.
    Answer,
    /// The same state-changing call succeeded before.
    AlreadyDone(usize),
    /// A tool would fit, but it changes something and was not asked for.
    NotAsked(usize),
    /// No tool fits.
    Nothing,
}

pub(super) struct Desk<'a> {
    pub(super) box_: Toolbox<'a>,
    pub(super) turns: Vec<Turn>,
    pub(super) facts: BTreeMap<String, String>,
    pub(super) today: Option<Date>,
    choice: &'a ToolChoice,
}

pub(super) struct Want {
    pub(super) tool: usize,
    pub(super) read: Read,
    /// Arguments of the call that this one varies.
    pub(super) varies: Map<String, Json>,
}

/// From this score on a tool is meant.
pub(super) const MEANT: f64 = 0.47;
/// How many pending questions are looked back through.
const QUESTIONS: usize = 3;

impl<'a> Desk<'a> {
    pub(super) fn new(call: &'a Call) -> Desk<'a> {
        let box_ = Toolbox::open(&call.tools);
        Desk {
            box_,
            turns: turns(&call.messages),
            facts: facts(&call.system),
            today: dates::today(&call.system),
            choice: &call.tool_choice,
        }
    }

    pub(super) fn plan(&self) -> Plan {
        match self.turns.len() {
            0 => Plan::Nothing,
            n => self.plan_turn(n - 1, QUESTIONS),
        }
    }

    fn plan_turn(&self, at: usize, depth: usize) -> Plan {
        let request = self.request(at, depth);
        let whole = read(&request, self.today);
        let wants = self.wants(at, &whole);
        if wants.is_empty() {
            return self.without(at, &whole);
        }
        match together(wants.iter().map(|want| self.step(at, want))) {
            Plan::Ask { .. } | Plan::AlreadyDone(_) if self.failed_last(at) => Plan::Answer,
            plan => plan,
        }
    }

    fn failed_last(&self, at: usize) -> bool {
        self.turns[at].done.last().is_some_and(|d| d.failed)
    }

    /// The request of a turn, joined with the one before if it answers a question about that.
    pub(super) fn request(&self, at: usize, depth: usize) -> String {
        let own = self.turns[at].request.clone();
        let Some(before) = at.checked_sub(1).filter(|_| depth > 0) else { return own };
        if !self.turns[before].done.is_empty() && !self.turns[before].done.iter().all(|d| !d.failed)
        {
            return own;
        }
        let text = read(&own, self.today);
        if asks::refuses(&text.tokens) {
            return own;
        }
        if self.box_.rank(&text, &[]).first().is_some_and(|(_, s)| *s >= CLEAR) {
            return own;
        }
        let Plan::Ask { tool, missing } = self.plan_turn(before, depth - 1) else { return own };
        let short = text.tokens.len() <= 8;
        let label = missing
            .first()
            .map(|m| label(&self.box_.tools[tool].params[*m].name))
            .unwrap_or_default();
        let earlier = self.request(before, depth - 1);
        let earlier = earlier.trim_end_matches(['.', '!', '?']);
        if short { format!("{earlier}, {label} {own}") } else { format!("{earlier}. {own}") }
    }

    fn wants(&self, at: usize, whole: &Read) -> Vec<Want> {
        if let Some(tool) = self.forced(at, whole) {
            return vec![Want { tool, read: whole.clone(), varies: Map::new() }];
        }
        let parts = self.parts(at, whole);
        if parts.len() > 1 {
            return parts;
        }
        let repeat = self.again(at, whole);
        let best = self.best(at, whole, MEANT).map(|tool| match &repeat {
            Some((last, input)) if *last == tool => (tool, input.clone()),
            _ => (tool, Map::new()),
        });
        let want = best.or(repeat);
        want.map(|(tool, varies)| vec![Want { tool, read: whole.clone(), varies }])
            .unwrap_or_default()
    }

    /// The tool that the client demands, as long as this turn has no result yet.
    fn forced(&self, at: usize, whole: &Read) -> Option<usize> {
        if !self.turns[at].done.is_empty() {
            return None;
        }
        match self.choice {
            ToolChoice::Auto => None,
            ToolChoice::Tool(name) => self.box_.tools.iter().position(|t| t.tool.name == *name),
            ToolChoice::Any => {
                let ranked = self.box_.rank(whole, &self.context(at, whole));
                let safe = ranked.iter().find(|(i, _)| self.allowed(at, *i, whole));
                safe.or(ranked.first()).map(|(i, _)| *i)
            }
        }
    }

    fn step(&self, at: usize, want: &Want) -> Plan {
        let known = &self.box_.tools[want.tool];
        let mut filled = fill(known, &want.read);
        for (name, value) in &want.varies {
            filled.input.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let each = self.each(at, want, &filled);
        if let Some(plan) = each {
            return plan;
        }
        let listed = siblings(known, &want.read, &filled);
        if listed.len() < 2 {
            return self.one(at, want, filled);
        }
        let with = |input| self.one(at, want, Filled { input, ..filled.clone() });
        together(listed.into_iter().map(with))
    }

    /// The next step for one thing.
    fn one(&self, at: usize, want: &Want, mut filled: Filled) -> Plan {
        let known = &self.box_.tools[want.tool];
        let turn = &self.turns[at];
        self.recall(at, known, &mut filled);
        let forced = *self.choice == ToolChoice::Any || matches!(self.choice, ToolChoice::Tool(_));
        let insists = forced && turn.done.is_empty();
        if insists {
            insist::complete(known, &turn.request, &mut filled);
        }
        if !filled.missing.is_empty() && !insists {
            let stuck = turn.done.iter().any(|d| d.tool == known.tool.name);
            if stuck {
                return Plan::Answer;
            }
            let helper = self.helper(at, want, &filled);
            return helper.unwrap_or(Plan::Ask { tool: want.tool, missing: filled.missing });
        }
        let about =
            |d: &&Done| d.tool == known.tool.name && same_ids(known, &d.input, &filled.input);
        if let Some(refused) = turn.done.iter().rev().filter(about).find(|d| d.failed) {
            return self.opened(at, want, refused);
        }
        let mut calls = vec![filled.input.clone()];
        if turn.done.is_empty() {
            calls = repeats(known, &want.read, &filled).unwrap_or(calls);
        }
        calls.retain(|input| {
            !turn
                .done
                .iter()
                .any(|d| d.tool == known.tool.name && d.input == Json::Object(input.clone()))
        });
        let before = calls.len();
        calls.retain(|input| !self.repeats(at, known, input, &want.read));
        match (calls.is_empty(), before) {
            (false, _) => Plan::Calls(calls.into_iter().map(|c| (want.tool, c)).collect()),
            (true, 0) => Plan::Answer,
            (true, _) => Plan::AlreadyDone(want.tool),
        }
    }

    /// Whether a change with these arguments has been made before and is not asked for anew.
    fn repeats(
        &self,
        at: usize,
        known: &Known<'_>,
        input: &Map<String, Json>,
        words: &Read,
    ) -> bool {
        let anew = words
            .tokens
            .iter()
            .any(|t| t.is(&["again", "another", "repeat", "anew", "retry", "twice", "once"]));
        let same = |d: &Done| {
            d.tool == known.tool.name && !d.failed && same_target(known, &d.input, input)
        };
        known.class == Class::Write
            && !anew
            && self.turns[..at].iter().flat_map(|t| &t.done).any(same)
    }

    /// A refusal that names another tool, or its words, opens that tool for the same request.
    fn opened(&self, at: usize, want: &Want, refused: &Done) -> Plan {
        let text = text_of(&refused.result);
        let said = super::schema::content(&text);
        let turn = &self.turns[at];
        let mut candidates = self.box_.tools.iter().enumerate().filter(|(i, other)| {
            let fresh = *i != want.tool && !turn.done.iter().any(|d| d.tool == other.tool.name);
            let (_, own) = verbs::own_name(&other.tool.name);
            let named = text.contains(&other.tool.name) || text.contains(own);
            let told = other.name.len() > 1
                && other.name.iter().filter(|n| !verbs::is_verb(n)).all(|n| said.contains(n))
                && other.name.iter().any(|n| {
                    !self.box_.tools[want.tool].name.contains(n)
                        && said.contains(n)
                        && !verbs::is_verb(n)
                });
            fresh && (named || told) && self.allowed(at, *i, &want.read)
        });
        let known = &self.box_.tools[want.tool];
        let Some((i, other)) = candidates.next() else { return Plan::Answer };
        let mut given = fill(other, &want.read);
        let input = refused.input.as_object().cloned().unwrap_or_default();
        carry(other, known, &input, &mut given);
        self.recall(at, other, &mut given);
        match given.missing.is_empty() {
            true => Plan::Calls(vec![(i, given.input)]),
            false => Plan::Ask { tool: i, missing: given.missing },
        }
    }

    fn without(&self, at: usize, whole: &Read) -> Plan {
        if !self.turns[at].done.is_empty() {
            return Plan::Answer;
        }
        let ranked = self.box_.rank(whole, &[]);
        let held = ranked.iter().find(|(i, s)| *s >= MEANT && !self.allowed(at, *i, whole));
        held.map_or(Plan::Nothing, |(i, _)| Plan::NotAsked(*i))
    }
}

/// Several steps as one: all calls beside each other, else the first that is more than an answer.
fn together(plans: impl Iterator<Item = Plan>) -> Plan {
    let mut calls: Vec<(usize, Map<String, Json>)> = Vec::new();
    let mut asked = None;
    for plan in plans {
        match plan {
            Plan::Calls(more) => calls.extend(more),
            Plan::Answer => {}
            other => asked = asked.or(Some(other)),
        }
    }
    dedup(&mut calls);
    if calls.is_empty() { asked.unwrap_or(Plan::Answer) } else { Plan::Calls(calls) }
}

/// Two changes of one thing: the same required ids, or the same arguments altogether.
fn same_target(known: &Known<'_>, before: &Json, now: &Map<String, Json>) -> bool {
    match ids(known).next() {
        None => *before == Json::Object(now.clone()),
        Some(_) => same_ids(known, before, now),
    }
}

fn same_ids(known: &Known<'_>, before: &Json, now: &Map<String, Json>) -> bool {
    ids(known).all(|id| before.get(id) == now.get(id))
}

fn ids<'a>(known: &'a Known<'_>) -> impl Iterator<Item = &'a str> {
    let required = known.params.iter().filter(|p| p.required && p.role == Role::Id);
    required.map(|p| p.name.as_str())
}

pub(super) fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn label(name: &str) -> String {
    split_name(name).join(" ")
}

fn dedup(calls: &mut Vec<(usize, Map<String, Json>)>) {
    let mut seen: Vec<(usize, Map<String, Json>)> = Vec::new();
    for call in calls.drain(..) {
        if !seen.contains(&call) {
            seen.push(call);
        }
    }
    *calls = seen;
}
