//! Decides the next move of an agent turn.
//!
//! The engine feeds events in and performs the intents that come out. [`decide`] runs only at the
//! tip of a turn, so recovery applies the past without deciding it again. The same events always
//! give the same decisions.

use std::sync::Arc;

use super::config::{AgentConfig, Executor};
use super::event::{Call, Cause, Event, Intent, Parked, Purpose, Refusal, Refused};
use super::limits::Limits;
use super::prompt;
use super::state::{Stage, Turn, Use};
use super::tool::{self, Effect, Tool};

/// A configuration ready to run: the tools are compiled from its schemas once.
#[derive(Debug)]
pub struct Agent {
    pub config: AgentConfig,
    pub tools: Vec<Tool>,
    /// The tools as the model is told of them, in the same order at every step.
    pub model_tools: Arc<[wire::converse::Tool]>,
}

impl Agent {
    pub fn new(config: AgentConfig) -> Result<Self, tool::SchemaProblem> {
        let tools = tool::compile(&config.groups)?;
        let model_tools = tools.iter().map(for_model).collect();
        Ok(Agent { config, tools, model_tools })
    }

    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

fn for_model(tool: &Tool) -> wire::converse::Tool {
    wire::converse::Tool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        schema: tool.input.clone(),
    }
}

/// What the engine rules for one decision.
pub struct Facts<'a> {
    pub agent: &'a Agent,
    pub limits: &'a Limits,
    /// Draws a fresh id, for a hand-off that this decision may make.
    pub fresh_id: &'a (dyn Fn() -> String + Sync),
    /// The effect class of a tool, after tags and configuration.
    pub effect: &'a (dyn Fn(&Tool) -> Effect + Sync),
}

/// What to do next. Empty while an effect is under way, and when the turn has ended.
pub fn decide(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    if turn.end.is_some() || turn.parked.is_some() || turn.waits_for_model {
        return Vec::new();
    }
    if turn.uses.iter().any(|u| u.stage == Stage::New && !hands_off(u, facts)) {
        return sort_out(turn, facts);
    }
    if turn.uses.iter().any(|u| u.stage == Stage::Asked) {
        return Vec::new();
    }
    let waiting: Vec<&Use> = turn.uses.iter().filter(|u| u.stage == Stage::New).collect();
    if !waiting.is_empty() {
        return hand_off(&waiting, facts);
    }
    if let Some(text) = &turn.said {
        return vec![answered(turn, prompt::answer(text))];
    }
    if turn.repairs > facts.limits.repairs {
        return vec![Event::GaveUp(Cause::TooManyRepairs)];
    }
    if turn.steps >= facts.limits.model_calls {
        return vec![Event::GaveUp(Cause::TooManySteps)];
    }
    vec![Event::Asked(Intent::AskModel { purpose: Purpose::Plan, step: turn.steps + 1 })]
}

/// A client that hears nothing could not tell an empty answer from a lost one.
fn answered(turn: &Turn, text: String) -> Event {
    match (text.is_empty(), turn.filtered) {
        (false, _) => Event::Finished { text },
        (true, false) => Event::GaveUp(Cause::NoAnswer),
        (true, true) => Event::GaveUp(Cause::Withheld),
    }
}

/// Whether a tool use is valid and belongs to the client.
fn hands_off(used: &Use, facts: &Facts<'_>) -> bool {
    facts.agent.tool(&used.tool_use.name).is_some_and(|tool| {
        tool.executor == Executor::ReturnControl
            && tool::check_arguments(tool, &used.tool_use.input).is_ok()
    })
}

/// Refuses or asks for each new tool use of the reply that an executor here performs.
fn sort_out(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for (ordinal, used) in turn.uses.iter().enumerate() {
        if used.stage != Stage::New {
            continue;
        }
        match examine(turn, used, ordinal, facts) {
            Verdict::Call(call) => events.push(Event::Asked(Intent::Call(call))),
            Verdict::Refuse(refused) => events.push(Event::Refused(refused)),
            Verdict::Wait => {}
        }
    }
    events
}

enum Verdict {
    Call(Call),
    Refuse(Refused),
    /// The client's: it waits until the others are done.
    Wait,
}

fn examine(turn: &Turn, used: &Use, ordinal: usize, facts: &Facts<'_>) -> Verdict {
    let name = &used.tool_use.name;
    let Some(tool) = facts.agent.tool(name) else {
        let known: Vec<&str> = facts.agent.tools.iter().map(|t| t.name.as_str()).collect();
        let message =
            format!("unknown_tool: there is no tool {name}; the tools are {}", known.join(", "));
        return refuse(used, Refusal::UnknownTool, message);
    };
    if ordinal >= facts.limits.tool_uses {
        let message = format!(
            "too_many_tool_uses: one reply may use {} tools; ask for this one again in the next",
            facts.limits.tool_uses
        );
        return refuse(used, Refusal::TooManyToolUses, message);
    }
    let input = match tool::check_arguments(tool, &used.tool_use.input) {
        Ok(input) => input,
        Err(violations) => {
            let message = format!(
                "invalid_arguments: {}; the tool was not called, correct the arguments and try \
                 again",
                violations.join("; ")
            );
            return refuse(used, Refusal::InvalidArguments, message);
        }
    };
    let Executor::Lambda(target) = &tool.executor else {
        return Verdict::Wait;
    };
    let arguments = tool::canonical(&input);
    if turn.unknown.iter().any(|u| u.tool == *name && u.arguments == arguments) {
        let message = format!(
            "unknown_outcome: an identical call of {name} was sent before and its outcome is \
             unknown; it is not repeated, tell the user that it has to be looked at by a person"
        );
        return refuse(used, Refusal::UnknownOutcome, message);
    }
    Verdict::Call(Call {
        tool_use_id: used.tool_use.tool_use_id.clone(),
        tool: name.clone(),
        target: target.clone(),
        key: turn.key(ordinal, name, &input),
        input,
        effect: (facts.effect)(tool),
    })
}

fn refuse(used: &Use, reason: Refusal, message: String) -> Verdict {
    Verdict::Refuse(Refused { tool_use_id: used.tool_use.tool_use_id.clone(), reason, message })
}

/// Parks the turn with the client's calls; what exceeds AWS's five goes back to the model.
fn hand_off(waiting: &[&Use], facts: &Facts<'_>) -> Vec<Event> {
    let (handed, surplus) = waiting.split_at(waiting.len().min(facts.limits.hand_offs));
    let mut events: Vec<Event> = surplus
        .iter()
        .map(|used| {
            Event::Refused(Refused {
                tool_use_id: used.tool_use.tool_use_id.clone(),
                reason: Refusal::TooManyHandOffs,
                message: format!(
                    "too_many_hand_offs: at most {} calls are handed to the client at once; ask \
                     for this one again in the next reply",
                    facts.limits.hand_offs
                ),
            })
        })
        .collect();
    events.push(Event::Parked(Parked {
        invocation_id: (facts.fresh_id)(),
        tool_uses: handed.iter().map(|u| u.tool_use.tool_use_id.clone()).collect(),
    }));
    events
}
