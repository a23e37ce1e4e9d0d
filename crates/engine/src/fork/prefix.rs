//! What of a run's events a fork begins with: all before a step, and the outcomes of what was under
//! way then.

use craton_core::agent::event::{Event, Intent, Outcome, ToolReturned, Within};
use craton_core::agent::state::{self, Turn};

use super::{Changes, ForkError, StepPlace, ToolResult};
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
        place: &StepPlace,
        changes: &Changes,
    ) -> Result<Prefix, ForkError> {
        let no_step = || ForkError::NoStep { run: run.to_owned(), steps: steps.len() };
        let mut step = place.find(steps).ok_or_else(no_step)?;
        if let Some(wanted) = &changes.tool_result {
            let missing = || ForkError::NoTool { tool: wanted.tool.clone(), step: place.clone() };
            step = called(steps, step.event, &wanted.tool).ok_or_else(missing)?;
        }
        // Events are numbered from 1.
        let cut = usize::try_from(step.event).unwrap_or(usize::MAX) - 1;
        let (path, _) = innermost(&events[cut].event);
        if !path.is_empty() && changes.is_of_the_agent() {
            return Err(ForkError::NoChange(place.clone()));
        }
        let mut prefix = Prefix { events: events[..cut].to_vec() };
        if let Some(wanted) = &changes.tool_result {
            prefix.answer(&events[cut], wanted);
        }
        prefix.settle(&path, &events[cut..]);
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
        let (path, inner) = innermost(&begun.event);
        let id = match inner {
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
        let returned = Event::ToolReturned(ToolReturned::new(&id, outcome, 0));
        let event = path.into_iter().rev().fold(returned, |event, tool_use_id| {
            Event::Within(Box::new(Within { tool_use_id, event }))
        });
        self.events.push(Stamped { at: begun.at, event });
    }

    /// Outcomes of what was under way at the step: calls, and whole turns of collaborators other than
    /// those on the path to the turn whose step it is.
    fn settle(&mut self, path: &[String], later: &[Stamped]) {
        let mut turn = self.turn();
        for stamped in later {
            let (of, event) = innermost(&stamped.event);
            let shared = path.iter().zip(&of).take_while(|(a, b)| a == b).count();
            let belongs = match of.get(..=shared) {
                Some(other) => below(&turn, other).is_some_and(|turn| turn.end.is_none()),
                None => below(&turn, &of).is_some_and(|turn| is_outcome(turn, event)),
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

fn below<'a>(turn: &'a Turn, path: &[String]) -> Option<&'a Turn> {
    path.iter().try_fold(turn, |turn, id| turn.team.members.get(id).map(|member| &member.turn))
}

/// Of a call that is under way; a collaborator's turn is given back by a decision.
fn is_outcome(turn: &Turn, event: &Event) -> bool {
    match event {
        Event::ToolReturned(ToolReturned { tool_use_id, .. }) => {
            turn.awaits(tool_use_id) && !turn.team.members.contains_key(tool_use_id)
        }
        Event::Deferred(deferred) => turn.awaits(&deferred.tool_use_id),
        _ => false,
    }
}

/// The first call of a tool at an event or after it, whoever of a team made it.
fn called<'a>(steps: &'a [Step], from: u64, tool: &str) -> Option<&'a Step> {
    let own = steps
        .iter()
        .filter(|step| step.event >= from && step.kind == Kind::Tool && is_named(&step.name, tool));
    let nested = steps.iter().filter_map(|step| called(&step.steps, from, tool));
    own.chain(nested).min_by_key(|step| step.event)
}

/// A tool by its whole name, or by the action's alone.
pub(super) fn is_named(tool: &str, wanted: &str) -> bool {
    let action = tool.rsplit("__").next();
    tool == wanted || action == Some(wanted)
}
