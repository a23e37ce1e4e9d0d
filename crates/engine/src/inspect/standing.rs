//! How a run that is not over stands: at which step, and what it waits for.

use craton_core::agent::event::Purpose;
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
    /// An operator holds it.
    Paused,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Parked => "parked",
            State::Paused => "paused",
        }
    }
}

impl Standing {
    pub(crate) fn of(turn: &Turn, model: &str, in_queue: bool, since: i64) -> Standing {
        let (state, waits_for) = if turn.paused {
            (State::Paused, format!("an operator{}", while_held(turn, model)))
        } else if let Some(parked) = &turn.parked {
            let names = turn.handed_off().iter().map(|used| used.name.as_str()).collect::<Vec<_>>();
            let what =
                format!("its client: {}, invocation {}", names.join(", "), parked.invocation_id);
            (State::Parked, what)
        } else if in_queue && turn.messages.is_empty() {
            (State::Waiting, "its session".to_owned())
        } else {
            (State::Running, awaited(turn, model).unwrap_or_else(|| "its next step".to_owned()))
        };
        Standing { state, step: steps(turn), since, waits_for }
    }
}

fn while_held(turn: &Turn, model: &str) -> String {
    awaited(turn, model).map(|what| format!(", and {what}")).unwrap_or_default()
}

fn steps(turn: &Turn) -> u32 {
    turn.steps + turn.members.values().map(|member| steps(&member.turn)).sum::<u32>()
}

fn awaited(turn: &Turn, model: &str) -> Option<String> {
    let mut what = Vec::new();
    what.extend(turn.asking.map(|purpose| format!("model {model}{}", aim(purpose))));
    what.extend(turn.open_calls().map(|call| format!("tool {}", call.tool)));
    for member in turn.members.values().filter(|member| member.turn.end.is_none()) {
        // Its model is its own agent's business.
        let inner = awaited(&member.turn, "").map(|inner| format!(" ({})", inner.trim_end()));
        what.push(format!("collaborator {}{}", member.collaborator, inner.unwrap_or_default()));
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
