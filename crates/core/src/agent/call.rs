//! What a model is asked: the one place that makes a call from a turn.
//!
//! The engine sends what comes out here and the trace shows it, live and from the journal alike: a
//! journal holds the recipe, and the prompt is made again from it.

use serde_json::Value as Json;
use wire::converse::{CachePoints, Call, Inference, ToolChoice};

use super::event::Purpose;
use super::history;
use super::state::Turn;
use super::turn::Agent;

/// The next call to the model: everything it needs stands in the turn and its configuration.
pub fn model_call(turn: &Turn, agent: &Agent, purpose: Purpose) -> Call {
    match purpose {
        Purpose::Plan
        | Purpose::PreProcess
        | Purpose::Route
        | Purpose::PostProcess
        | Purpose::Summarize => plan(turn, agent),
    }
}

fn plan(turn: &Turn, agent: &Agent) -> Call {
    Call {
        model: agent.config.model.clone(),
        system: turn.system.clone(),
        messages: history::merged(turn.said_so_far()),
        tools: agent.model_tools.clone(),
        tool_choice: ToolChoice::Auto,
        inference: Inference::default(),
        cache: CachePoints::default(),
        additional: Json::Null,
        stream: turn.stream,
    }
}
