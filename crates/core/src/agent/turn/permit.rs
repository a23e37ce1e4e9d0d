//! What a tool's policy says of a call that the model asks for: how it may be repeated, whether it
//! goes round in a loop, and whether a person decides about it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Facts;
use crate::agent::config::Executor;
use crate::agent::state::{Progress, Turn, Use};
use crate::agent::tool::{self, Effect, Tool};
use crate::policy::ToolPolicy;

/// The effect class of a tool's calls.
pub(super) fn effect(tool: &Tool, policy: &ToolPolicy) -> Effect {
    match tool.executor {
        Executor::Lambda(_) => policy.effect.or(tool.effect).unwrap_or_default(),
        // Only the client knows what its own calls change.
        Executor::ReturnControl => Effect::default(),
    }
}

/// What the model is told of a call that comes once too often. Equal calls of one reply count
/// before they are made: none of them can have brought anything new. Of calls that are only near
/// each other nobody knows that before their results are in.
pub(super) fn goes_round(
    turn: &Turn,
    ordinal: usize,
    tool: &Tool,
    input: &Json,
    policy: &ToolPolicy,
) -> Option<String> {
    let effect = effect(tool, policy);
    let beside = turn.uses.iter().take(ordinal).filter(|other| {
        !matches!(other.progress, Progress::Closed(..))
            && other.tool_use.name == tool.name
            && equal(tool, &other.tool_use.input, input)
    });
    let beside = u32::try_from(beside.count()).unwrap_or(u32::MAX);
    let before = turn.rounds.so_far(&tool.name, input, effect).saturating_add(beside);
    let most = policy.breaker.unwrap_or_default().loop_calls;
    (before >= most).then(|| {
        let what = format!(
            "{} was called {before} times in a row with the same arguments, or nearly, and its \
             result did not change",
            tool.name
        );
        tool::short_error("tool_loop", &what, "it was not called again")
    })
}

fn equal(tool: &Tool, other: &Json, input: &Json) -> bool {
    let other = tool::check_arguments(tool, other);
    other.is_ok_and(|other| tool::canonical(&other) == tool::canonical(input))
}

/// Which of these tool uses a policy puts before a person, and why.
pub(super) fn escalated(handed: &[&Use], facts: &Facts<'_>) -> BTreeMap<String, String> {
    let why = |used: &&Use| {
        let tool = facts.agent.tool(&used.tool_use.name)?;
        let is_here = matches!(tool.executor, Executor::Lambda(_)) && !tool.confirm;
        let input = tool::check_arguments(tool, &used.tool_use.input).ok()?;
        let why = is_here.then(|| (facts.policy)(tool).escalates(tool, &input)).flatten()?;
        Some((used.tool_use.tool_use_id.clone(), why))
    };
    handed.iter().filter_map(why).collect()
}
