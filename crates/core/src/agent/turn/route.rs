//! Gives each call of a model that a turn decides its route, where anything is said of routes.

use super::Facts;
use crate::agent::config::AgentConfig;
use crate::agent::event::{Ask, Event, Intent, Purpose};
use crate::agent::state::Turn;
use crate::route::{self, Question, Route, Task, Wishes};

/// The same events, with routes.
pub(super) fn routed(turn: &Turn, facts: &Facts<'_>, mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Event::Asked(Intent::AskModel(ask @ Ask { route: None, .. })) = event {
            ask.route = of(turn, facts, ask.purpose).map(Box::new);
        }
    }
    events
}

fn of(turn: &Turn, facts: &Facts<'_>, purpose: Purpose) -> Option<Route> {
    let known = facts.route?;
    let config = &facts.agent.config;
    let mut wishes = wishes(turn, config);
    wishes.restricted |= known.restricted;
    let stage = facts.agent.stage(purpose.stage());
    let own = stage.and_then(|stage| stage.model.as_deref()).unwrap_or(&config.model);
    let router = (known.router)(own);
    if !known.on && wishes.is_none() && router.is_none() {
        return None;
    }
    let task = Task {
        instruction: vec![&config.instruction],
        question: turn.accepted.iter().map(|accepted| accepted.input_text.as_str()).collect(),
        tools: &facts.agent.model_tools,
        forced: false,
        taken: turn.steps,
    };
    let session = turn.accepted.as_ref().map_or("", |accepted| accepted.session_id.as_str());
    let question = Question {
        kind: purpose.kind(),
        own,
        wishes: &wishes,
        by_table: known.on,
        inputs: task.inputs(),
        session: spread(session),
    };
    let chosen = route::choose(&question, &known);
    match (chosen, router) {
        (Some(route), Some(_)) if route.model != own => Some(route),
        (_, Some(router)) => Some(route::of_router(&router, &question, &known)),
        (chosen, None) => chosen,
    }
}

/// What the agent's tags say, and the session's attributes besides.
pub fn wishes(turn: &Turn, config: &AgentConfig) -> Wishes {
    config.wishes.and(&turn.session_attributes).and(&turn.prompt_attributes)
}

/// A number of a text that is spread evenly: FNV-1a, then the finaliser of SplitMix64.
pub fn spread(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
