//! The rows that follow from an event: which calls it opened, and which it closed and how.
//!
//! Pure. Whatever ends a turn closes its calls, so rows are made by comparing what was open before
//! the event with what is open after it, and no way of ending can be forgotten.

use std::collections::BTreeMap;

use craton_core::agent::event::{Call, Event, Outcome, ToolReturned};
use craton_core::agent::state::{Progress, Turn};
use craton_core::agent::tool::Effect;
use store::Batch;

use super::row::{self, LedgerRow, State};
use crate::record::RunRecord;
use crate::run::innermost;

/// A call under way that may change something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    path: Vec<String>,
    agents: Vec<String>,
    step: u32,
    ordinal: u32,
    call: Call,
    /// Who has it, if not the tool itself.
    fallback: Option<String>,
    /// Its reply was lost, and a person is waited for.
    doubt: Option<String>,
}

/// Those of a turn and of the turns nested in it.
pub(crate) fn open_effects(turn: &Turn) -> Vec<Opened> {
    let mut found = Vec::new();
    collect(turn, &mut (Vec::new(), Vec::new()), &mut found);
    found
}

fn collect(turn: &Turn, place: &mut (Vec<String>, Vec<String>), found: &mut Vec<Opened>) {
    for (ordinal, used) in (0..).zip(&turn.uses) {
        let (doubt, fallback) = match &used.progress {
            Progress::Asked => (None, None),
            Progress::Pending(deferred) => (deferred.doubt.clone(), deferred.fallback.clone()),
            Progress::New | Progress::Closed(..) => continue,
        };
        let changes = used.call.as_ref().filter(|call| call.effect != Effect::Read);
        found.extend(changes.map(|call| Opened {
            path: place.0.clone(),
            agents: place.1.clone(),
            step: turn.steps,
            ordinal,
            call: call.clone(),
            fallback: fallback.map(|fallback| fallback.function),
            doubt,
        }));
    }
    for (id, member) in &turn.team.members {
        place.0.push(id.clone());
        place.1.push(member.collaborator.clone());
        collect(&member.turn, place, found);
        place.0.pop();
        place.1.pop();
    }
}

/// The rows that an event changes: `before` is what was open before it, `after` the turn with it.
pub(crate) fn rows_after(
    record: &RunRecord,
    before: &[Opened],
    after: &Turn,
    (at, event): (i64, &Event),
) -> Vec<LedgerRow> {
    let open = open_effects(after);
    let mut rows = Vec::new();
    for one in &open {
        if !before.contains(one) {
            rows.push(one.row(record, at));
        }
    }
    for one in before {
        if !open.iter().any(|still| still.call.key == one.call.key) {
            rows.push(one.closed(record, at, event));
        }
    }
    rows
}

/// Why nobody will hear what became of a call.
const TURN_ENDED: &str = "the turn ended while the call was under way";

impl Opened {
    fn row(&self, record: &RunRecord, at: i64) -> LedgerRow {
        let (arguments, arguments_digest) = row::arguments(&self.call);
        let state = if self.doubt.is_some() { State::Ambiguous } else { State::Intended };
        LedgerRow {
            key: self.call.key.clone(),
            run: record.run.clone(),
            agent_id: record.agent_id.clone(),
            session_id: record.session_id.clone(),
            path: self.agents.clone(),
            step: self.step,
            ordinal: self.ordinal,
            tool: self.call.tool.clone(),
            function: self.fallback.as_ref().unwrap_or(&self.call.target).clone(),
            arguments,
            arguments_digest,
            effect: self.call.effect,
            state,
            attempts: None,
            at: self.call.at,
            send_by: self.call.send_by,
            changed_at: at,
            message: self.doubt.as_deref().map(row::short),
            ruling: None,
            result: None,
            undo: None,
        }
    }

    fn closed(&self, record: &RunRecord, at: i64, event: &Event) -> LedgerRow {
        let mut row = self.row(record, at);
        let (path, event) = innermost(event);
        let returned = match event {
            Event::ToolReturned(returned)
                if path == self.path && returned.tool_use_id == self.call.tool_use_id =>
            {
                Some(returned)
            }
            _ => None,
        };
        (row.state, row.message) = match returned {
            Some(returned) => became(returned),
            None => (State::Ambiguous, Some(TURN_ENDED.to_owned())),
        };
        // Whoever found out did not see the attempts.
        let heard = returned.filter(|returned| returned.ruling.is_none());
        row.attempts = heard.map(|returned| returned.conduct.attempts);
        if let Some(fallback) = returned.and_then(|returned| returned.conduct.fallback.as_ref()) {
            row.function.clone_from(&fallback.function);
        }
        if let Some(returned) = returned.filter(|returned| returned.ruling.is_some()) {
            row.ruling = returned.ruling.clone();
            row.result = match &returned.outcome {
                Outcome::Answered { body, .. } => Some(row::short(body)),
                _ => None,
            };
        }
        row
    }
}

fn became(returned: &ToolReturned) -> (State, Option<String>) {
    let (state, message) = match &returned.outcome {
        Outcome::Answered { .. } => (State::Done, None),
        Outcome::Reprompt { body } => (State::Failed, Some(body)),
        Outcome::Error { message } | Outcome::Failure { message } => (State::Failed, Some(message)),
        Outcome::Unknown { message } => (State::Ambiguous, Some(message)),
    };
    let state = if returned.ruling.is_some() { State::Resolved } else { state };
    (state, message.map(|text| row::short(text)))
}

/// Writes rows beside the events that they follow from; of two of one call the last counts.
pub(crate) fn write(batch: &mut Batch, rows: impl Iterator<Item = LedgerRow>) {
    let rows: BTreeMap<String, LedgerRow> = rows.map(|row| (row.id(), row)).collect();
    for (id, row) in &rows {
        batch.put(id, row);
    }
}
