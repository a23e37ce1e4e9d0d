//! What of a run's events a fork begins with: all before a step, and the outcomes of what was under
//! way then.

use craton_core::agent::event::{Event, Intent, Outcome, ToolReturned};
use craton_core::agent::state::{self, Turn};

use super::{Changes, ForkError, ToolResult};
use crate::journal::Stamped;
use crate::run::innermost;
use crate::steps::{Kind, Step};

pub(super) struct Prefix {
    pub(super) events: Vec<Stamped>,
}

impl Prefix {
    pub(super) fn before(
        run: &str,
        events: &[Stamped],
        steps: &[Step],
        step: usize,
        changes: &Changes,
    ) -> Result<Prefix, ForkError> {
        let no_step = || ForkError::NoStep { run: run.to_owned(), steps: steps.len() };
        let from = step.checked_sub(1).and_then(|at| steps.get(at..)).filter(|s| !s.is_empty());
        let from = from.ok_or_else(no_step)?;
        // Events are numbered from 1.
        let begins = |step: &Step| usize::try_from(step.event).unwrap_or(usize::MAX) - 1;
        let cut = match &changes.tool_result {
            None => begins(&from[0]),
            Some(wanted) => {
                let is_it = |s: &&Step| s.kind == Kind::Tool && is_named(&s.name, &wanted.tool);
                let missing = || ForkError::NoTool { tool: wanted.tool.clone(), step };
                begins(from.iter().find(is_it).ok_or_else(missing)?)
            }
        };
        let mut prefix = Prefix { events: events[..cut].to_vec() };
        if let Some(wanted) = &changes.tool_result {
            prefix.answer(&events[cut], wanted);
        }
        prefix.settle(&events[cut..]);
        match prefix.open() {
            Some(what) => Err(ForkError::Open(what, run.to_owned())),
            None => Ok(prefix),
        }
    }

    pub(super) fn turn(&self) -> Turn {
        Turn::replay(self.events.iter().map(|stamped| &stamped.event))
    }

    /// Calls of tools that have their outcomes here.
    pub(super) fn tool_calls(&self) -> u32 {
        let asked = |stamped: &&Stamped| {
            matches!(innermost(&stamped.event).1, Event::Asked(Intent::Call(_)))
        };
        u32::try_from(self.events.iter().filter(asked).count()).unwrap_or(u32::MAX)
    }

    /// The call, and what it is to have answered. A call that was refused has no intent, and gets the
    /// answer all the same.
    fn answer(&mut self, begun: &Stamped, wanted: &ToolResult) {
        let id = match &begun.event {
            Event::Asked(Intent::Call(call)) => {
                self.events.push(begun.clone());
                call.tool_use_id.clone()
            }
            Event::Refused(refused) => refused.tool_use_id.clone(),
            _ => return,
        };
        let body = match &wanted.result {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let outcome = Outcome::Answered {
            body,
            session_attributes: None,
            prompt_session_attributes: None,
            ignored: Vec::new(),
        };
        let event = Event::ToolReturned(ToolReturned::new(&id, outcome, 0));
        self.events.push(Stamped { at: begun.at, event });
    }

    /// Outcomes of what was under way at the step: calls, and whole turns of collaborators.
    fn settle(&mut self, later: &[Stamped]) {
        let mut turn = self.turn();
        for stamped in later {
            let belongs = match &stamped.event {
                Event::Within(within) => {
                    let member = turn.team.members.get(&within.tool_use_id);
                    member.is_some_and(|member| member.turn.end.is_none())
                }
                Event::ToolReturned(ToolReturned { tool_use_id, .. }) => {
                    turn.awaits(tool_use_id) && !turn.team.members.contains_key(tool_use_id)
                }
                Event::Deferred(deferred) => turn.awaits(&deferred.tool_use_id),
                _ => false,
            };
            if belongs {
                state::apply(&mut turn, &stamped.event);
                self.events.push(stamped.clone());
            }
        }
    }

    /// What would have to be done again.
    fn open(&self) -> Option<String> {
        let turn = self.turn();
        let call = turn.calls_under_way().into_iter().map(|(_, call)| call.tool);
        let pending = turn.all_pending().into_iter().map(|(_, call, _)| call.tool);
        let asks = |turn: &Turn| turn.asking.is_some() || turn.stages.parsing.is_some();
        let mut models = Vec::new();
        turn.walk(&mut |_, turn| models.extend(asks(turn).then(|| "a call of a model".to_owned())));
        call.chain(pending).chain(models).next()
    }
}

/// A tool by its whole name, or by the action's alone.
pub(super) fn is_named(tool: &str, wanted: &str) -> bool {
    let action = tool.rsplit("__").next();
    tool == wanted || action == Some(wanted)
}
