//! Decides the next move of an agent turn.
//!
//! The engine feeds events in and performs the intents that come out. [`decide`] runs only at the
//! tip of a turn, so recovery applies the past without deciding it again. The same events always
//! give the same decisions.

pub mod ask_user;
mod budget;
mod hand_off;
mod permit;
mod route;
mod stages;
mod summary;
mod team;
mod tools;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::config::AgentConfig;
use crate::agent::event::{Ask, Call, Cause, Event, Intent, Purpose};
use crate::agent::limits::Limits;
use crate::agent::state::{Member, Progress, Turn, Use};
use crate::agent::team::Messenger;
use crate::agent::tool::{self, Tool};
use crate::budget::rule::Ruling;
use crate::policy::ToolPolicy;
use crate::route::Known;
use ask_user::ASK_USER;
use stages::Templates;

pub use budget::halt;
pub use route::{spread, wishes};
pub use stages::Unfit;

/// A configuration ready to run: the tools are compiled from its schemas once.
#[derive(Debug)]
pub struct Agent {
    pub config: AgentConfig,
    pub tools: Vec<Tool>,
    /// The tools as the model is told of them, in the same order at every step.
    pub model_tools: Arc<[wire::converse::Tool]>,
    /// How a supervisor reaches its collaborators.
    pub messenger: Option<Messenger>,
    /// Those that can be reached, by `collaboratorName`.
    pub members: BTreeMap<String, Arc<Agent>>,
    /// Whether its data, or that of anybody in its team, is for local models only.
    pub restricted: bool,
    /// The agent's own templates, parsed once.
    templates: Templates,
}

impl Agent {
    /// An agent whose collaborators, if it has any, cannot be reached.
    pub fn new(config: AgentConfig) -> Result<Self, Unfit> {
        Agent::with_members(config, BTreeMap::new())
    }

    pub fn with_members(
        config: AgentConfig,
        members: BTreeMap<String, Arc<Agent>>,
    ) -> Result<Self, Unfit> {
        let tools = tool::compile(&config.groups)?;
        let messenger = Messenger::compile(config.collaboration, &config.collaborators, &tools)?;
        let mut model_tools: Vec<_> = tools.iter().map(for_model).collect();
        if config.user_input {
            if let Some(tool) = tools.iter().find(|tool| tool.name == ASK_USER) {
                return Err(tool::SchemaProblem::taken(tool).into());
            }
            model_tools.push(ask_user::tool());
        }
        model_tools.extend(messenger.iter().map(Messenger::for_model));
        let (model_tools, templates) = (model_tools.into(), stages::templates(&config)?);
        let restricted = config.wishes.restricted || members.values().any(|one| one.restricted);
        Ok(Agent { config, tools, model_tools, messenger, members, restricted, templates })
    }

    /// What action groups define, as the model is told of it.
    pub fn own_tools(&self) -> &[wire::converse::Tool] {
        &self.model_tools[..self.tools.len()]
    }

    /// Whether it is the tool by which this agent asks its user.
    pub fn asks_user(&self, name: &str) -> bool {
        self.config.user_input && name == ASK_USER
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
        strict: false,
    }
}

/// What the engine rules for one decision.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub agent: &'a Agent,
    pub limits: &'a Limits,
    /// Draws a fresh id, for a hand-off that this decision may make.
    pub fresh_id: &'a (dyn Fn() -> String + Sync),
    /// What is set for a tool.
    pub policy: &'a (dyn Fn(&Tool) -> Arc<ToolPolicy> + Sync),
    /// How many tokens a model reads; `None` where the model map says it of none.
    pub window: Option<Window<'a>>,
    /// The provider that the model map names for a model id.
    pub provider: &'a (dyn Fn(&str) -> String + Sync),
    /// What routes are chosen by; `None` where the model map alone counts.
    pub route: Option<Known<'a>>,
    /// What budgets say of a call; `None` where none applies.
    pub budget: Option<Budget<'a>>,
    /// In milliseconds.
    pub now: i64,
}

/// Holds back what a call may use. Calls that are held back by one decision count for each other.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Of a model, whichever of those answers that stand in for it.
    pub model: &'a (dyn Fn(&wire::converse::Call, &[String]) -> Ruling + Sync),
    /// Of a tool that is asked so often at most.
    pub tool: &'a (dyn Fn(&Call, u32) -> Ruling + Sync),
}

/// How many tokens the model of an id reads.
pub type Window<'a> = &'a (dyn Fn(&str) -> Option<usize> + Sync);

/// What to do next. Empty while an effect is under way, and when the turn has ended.
pub fn decide(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let events = window::fit(turn, facts, route::routed(turn, facts, next(turn, facts)));
    budget::hold(turn, facts, events)
}

fn next(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let asks = turn.asking.is_some() || turn.stages.parsing.is_some();
    let waits = turn.parked.is_some() || turn.paused || turn.budget.exhausted.is_some() || asks;
    if turn.end.is_some() || waits {
        return Vec::new();
    }
    if let Some(purpose) = turn.budget.lost {
        return vec![Event::Asked(Intent::AskModel(Ask::new(purpose, turn.steps)))];
    }
    if let Some(overflow) = &turn.window.overflow {
        return window::ask_again(turn, overflow);
    }
    if turn.sums_up() {
        return stages::reading(turn, facts).map_or_else(|| summary::next(turn), |e| vec![e]);
    }
    if let Some(events) = stages::begin(turn, facts) {
        return events;
    }
    if let Some(event) = team::route(turn, facts) {
        return vec![event];
    }
    let mut events = team::members(turn, facts);
    events.extend(tools::sort_out(turn, facts));
    if !events.is_empty() || is_busy(turn) {
        return events;
    }
    if let Some(events) = hand_off::hand_off(turn, facts) {
        return events;
    }
    let asking = |used: &&Use| facts.agent.asks_user(&used.tool_use.name);
    let new = turn.uses.iter().filter(|used| used.progress == Progress::New);
    let asking: Vec<&Use> = new.filter(asking).collect();
    if !asking.is_empty() {
        return vec![ask_user::ask(&asking)];
    }
    if let Some(text) = stages::answer(turn) {
        return vec![stages::finish(turn, facts, &text).unwrap_or_else(|| answered(turn, text))];
    }
    if turn.looped {
        return vec![Event::GaveUp(Cause::ToolLoop)];
    }
    if turn.repairs > facts.limits.repairs {
        return vec![Event::GaveUp(Cause::TooManyRepairs)];
    }
    if turn.steps - turn.window.overflows >= facts.limits.model_calls {
        return vec![Event::GaveUp(Cause::TooManySteps)];
    }
    vec![Event::Asked(Intent::AskModel(Ask::new(Purpose::Plan, turn.steps + 1)))]
}

/// Whether a call or a collaborator is at work.
fn is_busy(turn: &Turn) -> bool {
    let waits = |used: &Use| match turn.team.members.get(&used.tool_use.tool_use_id) {
        Some(member) => member.turn.parked.is_some(),
        None => !matches!(used.progress, Progress::Asked | Progress::Pending(_)),
    };
    !turn.uses.iter().all(waits) || turn.team.members.values().any(Member::is_moving)
}

/// A client that hears nothing could not tell an empty answer from a lost one.
fn answered(turn: &Turn, text: String) -> Event {
    match (text.is_empty(), turn.filtered) {
        (false, _) => Event::Finished { text },
        (true, false) => Event::GaveUp(Cause::NoAnswer),
        (true, true) => Event::GaveUp(Cause::Withheld),
    }
}
