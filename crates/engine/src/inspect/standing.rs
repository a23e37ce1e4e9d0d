//! How a run that is not over stands: at which step, and what it waits for.

use craton_core::agent::event::{Call, Deferred, Purpose};
use craton_core::agent::state::Turn;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub state: State,
    /// Model calls so far, those of collaborators too.
    pub step: u32,
    /// When something last happened.
    pub since: i64,
    pub waits_for: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    Running,
    /// For its session's lane.
    Waiting,
    /// For its client.
    Parked,
    /// For a tool that answers later.
    Pending,
    /// An operator holds it.
    Paused,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Parked => "parked",
            State::Pending => "pending",
            State::Paused => "paused",
        }
    }
}

impl Standing {
    pub(crate) fn of(turn: &Turn, model: &str, in_queue: bool, since: i64) -> Standing {
        let (state, waits_for) = if turn.paused {
            (State::Paused, format!("an operator{}", while_held(turn, model)))
        } else if let Some(exhausted) = turn.exhaustion().filter(|_| turn.budget.halted.is_some()) {
            (State::Parked, format!("its budget: {}", exhausted.told()))
        } else if let Some(parked) = &turn.parked {
            let turns = turn.handed_turns();
            let handed = turns.iter().flat_map(|(_, turn)| turn.handed_off());
            let names = handed.map(|used| used.name.as_str()).collect::<Vec<_>>();
            let what =
                format!("its client: {}, invocation {}", names.join(", "), parked.invocation_id);
            (State::Parked, what)
        } else if in_queue && turn.messages.is_empty() {
            (State::Waiting, "its session".to_owned())
        } else {
            let idle = || pending(turn).unwrap_or((State::Running, "its next step".to_owned()));
            awaited(turn, model).map_or_else(idle, |what| (State::Running, what))
        };
        Standing { state, step: turn.total_model_calls(), since, waits_for }
    }
}

/// Tools that took a call and bring its result later.
fn pending(turn: &Turn) -> Option<(State, String)> {
    let late = |(_, call, deferred): (_, Call, Deferred)| match deferred.doubt {
        None => format!("the late result of tool {}, token {}", call.tool, deferred.token),
        Some(_) => format!("a person: what became of tool {}, key {}", call.tool, call.key),
    };
    let what: Vec<String> = turn.all_pending().into_iter().map(late).collect();
    (!what.is_empty()).then(|| (State::Pending, what.join(", ")))
}

fn while_held(turn: &Turn, model: &str) -> String {
    awaited(turn, model).map(|what| format!(", and {what}")).unwrap_or_default()
}

fn awaited(turn: &Turn, model: &str) -> Option<String> {
    let mut what = Vec::new();
    what.extend(turn.asking.map(|purpose| format!("model {model}{}", aim(purpose))));
    what.extend(turn.open_calls().map(|call| format!("tool {}", call.tool)));
    for member in turn.team.members.values() {
        // Which model it has is its own agent's business.
        let inner = awaited(&member.turn, "its own");
        what.extend(inner.map(|inner| format!("collaborator {} ({inner})", member.collaborator)));
    }
    (!what.is_empty()).then(|| what.join(", "))
}

fn aim(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Plan => "",
        Purpose::PreProcess => " (pre-processing)",
        Purpose::Route => " (routing)",
        Purpose::PostProcess => " (post-processing)",
        Purpose::Summarize => " (summary)",
    }
}
