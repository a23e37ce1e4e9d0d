//! What becomes of the tool uses of a reply: called, refused, or left to the client.

use super::{Facts, ask_user};
use crate::agent::config::Executor;
use crate::agent::event::{Call, Event, Intent, Refusal, Refused};
use crate::agent::state::{Progress, Turn, Use};
use crate::agent::tool;

/// Refuses or asks for each new tool use of the reply that an executor here performs. Empty when
/// nothing is left but what waits for somebody else.
pub(super) fn sort_out(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for (ordinal, used) in turn.uses.iter().enumerate() {
        if used.progress != Progress::New {
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
    /// The client's or the user's: it waits until the others are done.
    Wait,
}

fn examine(turn: &Turn, used: &Use, ordinal: usize, facts: &Facts<'_>) -> Verdict {
    let name = &used.tool_use.name;
    if facts.agent.asks_user(name) {
        return match ask_user::question(&used.tool_use.input) {
            Ok(_) => Verdict::Wait,
            Err(message) => refuse(used, Refusal::InvalidArguments, message),
        };
    }
    let Some(tool) = facts.agent.tool(name) else {
        let known: Vec<&str> = facts.agent.model_tools.iter().map(|t| t.name.as_str()).collect();
        let message =
            format!("unknown_tool: there is no tool {name}; the tools are {}", known.join(", "));
        return refuse(used, Refusal::UnknownTool, message);
    };
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
    if ordinal >= facts.limits.tool_uses {
        let message = format!(
            "too_many_tool_uses: one reply may use {} tools; ask for this one again in the next",
            facts.limits.tool_uses
        );
        return refuse(used, Refusal::TooManyToolUses, message);
    }
    let arguments = tool::canonical(&input);
    if turn.unknown.iter().any(|u| u.tool == *name && u.arguments == arguments) {
        let message = format!(
            "unknown_outcome: an identical call of {name} was sent before and its outcome is \
             unknown; it is not repeated, tell the user that it has to be looked at by a person"
        );
        return refuse(used, Refusal::UnknownOutcome, message);
    }
    if tool.confirm && !used.confirmed {
        return Verdict::Wait;
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
