//! What becomes of the tool uses of a reply: called, refused, or left to the client.

use super::team::{self, Begun};
use super::{Facts, ask_user, permit};
use crate::agent::config::Executor;
use crate::agent::event::{Call, Event, Intent, Refusal, Refused, UnknownEffect};
use crate::agent::state::{Progress, Turn, Use};
use crate::agent::team::SEND_MESSAGE;
use crate::agent::tool;

/// Refuses or asks for each new tool use of the reply that an executor here performs. Empty when
/// nothing is left but what waits for somebody else.
pub(super) fn sort_out(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (ordinal, used) in turn.uses.iter().enumerate() {
        if used.progress != Progress::New {
            continue;
        }
        match examine(turn, used, ordinal, facts) {
            Verdict::Call(call) => events.push(Event::Asked(Intent::Call(call))),
            Verdict::Delegate(name, _) if begins(&events, &name) => {}
            Verdict::Delegate(_, event) => events.push(event),
            Verdict::Refuse(refused) => events.push(Event::Refused(refused)),
            Verdict::Wait => {}
        }
    }
    events
}

enum Verdict {
    Call(Call),
    Refuse(Refused),
    /// A collaborator's, by its name.
    Delegate(String, Event),
    /// The client's or the user's, or its collaborator is at work: it waits until others are done.
    Wait,
}

/// Whether a collaborator is given something to do already.
fn begins(events: &[Event], name: &str) -> bool {
    events.iter().any(|event| matches!(event, Event::Delegated(d) if d.collaborator == name))
}

fn examine(turn: &Turn, used: &Use, ordinal: usize, facts: &Facts<'_>) -> Verdict {
    let name = &used.tool_use.name;
    if facts.agent.asks_user(name) {
        return match ask_user::question(&used.tool_use.input) {
            Ok(_) => Verdict::Wait,
            Err(message) => refuse(used, Refusal::InvalidArguments, message),
        };
    }
    if name == SEND_MESSAGE && facts.agent.messenger.is_some() {
        return deliver(turn, used, ordinal, facts);
    }
    let Some(tool) = facts.agent.tool(name) else {
        let known: Vec<&str> = facts.agent.model_tools.iter().map(|t| t.name.as_str()).collect();
        let message =
            format!("unknown_tool: there is no tool {name}; the tools are {}", known.join(", "));
        return refuse(used, Refusal::UnknownTool, message);
    };
    let input = match tool::check_arguments(tool, &used.tool_use.input) {
        Ok(input) => input,
        Err(violations) => return invalid(used, &violations.join("; ")),
    };
    let policy = (facts.policy)(tool);
    if let Some(message) = permit::goes_round(turn, ordinal, tool, &input, &policy) {
        return refuse(used, Refusal::ToolLoop, message);
    }
    let Executor::Lambda(target) = &tool.executor else {
        return Verdict::Wait;
    };
    if ordinal >= facts.limits.tool_uses {
        return too_many(used, facts);
    }
    let arguments = tool::canonical(&input);
    let same = |u: &&UnknownEffect| {
        let target = u.target.is_empty() || u.target == *target;
        u.tool == *name && target && u.arguments == arguments
    };
    if turn.unknown.iter().any(|u| same(&u)) {
        let message = format!(
            "unknown_outcome: an identical call of {name} was sent before and its outcome is \
             unknown; it is not repeated, tell the user that it has to be looked at by a person"
        );
        return refuse(used, Refusal::UnknownOutcome, message);
    }
    if let Some(message) = policy.refuses(tool, &input) {
        return refuse(used, Refusal::NotPermitted, message);
    }
    let asks_first = tool.confirm || policy.escalates(tool, &input).is_some();
    if asks_first && !used.confirmed {
        return Verdict::Wait;
    }
    Verdict::Call(Call {
        tool_use_id: used.tool_use.tool_use_id.clone(),
        tool: name.clone(),
        target: target.clone(),
        key: turn.key(ordinal, name, &input),
        input,
        effect: permit::effect(tool, &policy),
        at: facts.now,
        send_by: policy.send_within_seconds.map(|seconds| send_by(facts.now, seconds)),
        reserved: None,
    })
}

fn send_by(now: i64, seconds: u64) -> i64 {
    now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// A message to a collaborator.
fn deliver(turn: &Turn, used: &Use, ordinal: usize, facts: &Facts<'_>) -> Verdict {
    let Some(messenger) = &facts.agent.messenger else { return Verdict::Wait };
    if ordinal >= facts.limits.tool_uses {
        return too_many(used, facts);
    }
    let letter = match messenger.read(&used.tool_use.input) {
        Ok(letter) => letter,
        Err(violation) => return invalid(used, &violation),
    };
    if team::busy(turn, &letter.recipient) {
        return Verdict::Wait;
    }
    let team = &facts.agent.config.collaborators;
    let Some(chosen) = team.iter().find(|one| one.name == letter.recipient) else {
        return invalid(used, &format!("recipient: {} is no collaborator", letter.recipient));
    };
    let tool_use_id = &used.tool_use.tool_use_id;
    let begun = Begun { tool_use_id, place: ordinal + 1, stream: false, text: letter.content };
    match team::delegate(turn, facts, chosen, &begun) {
        Ok(event) => Verdict::Delegate(letter.recipient, event),
        Err(message) => refuse(used, Refusal::Unavailable, message),
    }
}

fn too_many(used: &Use, facts: &Facts<'_>) -> Verdict {
    let message = format!(
        "too_many_tool_uses: one reply may use {} tools; ask for this one again in the next",
        facts.limits.tool_uses
    );
    refuse(used, Refusal::TooManyToolUses, message)
}

fn invalid(used: &Use, violations: &str) -> Verdict {
    let message = format!(
        "invalid_arguments: {violations}; the tool was not called, correct the arguments and try \
         again"
    );
    refuse(used, Refusal::InvalidArguments, message)
}

fn refuse(used: &Use, reason: Refusal, message: String) -> Verdict {
    Verdict::Refuse(Refused { tool_use_id: used.tool_use.tool_use_id.clone(), reason, message })
}
