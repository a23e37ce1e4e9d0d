//! A run that begins in the middle of another, with one thing changed, and goes on live.
//!
//! What came before the step stands in the new run's journal as it happened: no model is asked for it and
//! no tool is called. A call that is made after it has a key of its own, because keys hold the run's
//! id. The fork has a session of its own, which begins with what the other's held, and leaves no
//! memory.

mod place;
mod prefix;

use std::collections::BTreeMap;

use craton_core::agent::config::{AgentConfig, Stage};
use craton_core::agent::event::{
    Accepted, Attributes, Event, Intent, Lineage, Parent, Recalled, Started,
};
use craton_core::agent::prompt;
use craton_core::agent::state::Turn;
use craton_core::agent::turn::{Agent, Unfit};
use craton_core::budget::Reserved;
use craton_core::cost::Money;
use craton_core::policy::{SetPolicy, ToolPolicy};
use llm::ModelError;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Batch, CommitError, StoreError, Tenant};

pub use self::place::StepPlace;
use self::prefix::Prefix;
use crate::journal::{self, EVENTS, Stamped};
use crate::record::{Pinned, RunRecord, RunStatus};
use crate::{Engine, lane, model, past, run, steps};

/// What is otherwise in the fork.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Changes {
    /// The agent's model id, also where its orchestration has one of its own.
    pub model: Option<String>,
    /// The agent's instruction.
    pub prompt: Option<String>,
    /// What the turn knows of earlier sessions. Empty: nothing.
    pub memory: Option<String>,
    pub tool_result: Option<ToolResult>,
    /// Policies of tools, by the tools' names.
    pub policies: BTreeMap<String, ToolPolicy>,
}

/// What a tool is to have answered, the first time it answered at the step or after.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolResult {
    pub tool: String,
    pub result: Json,
}

/// A fork that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forked {
    pub run: String,
    pub session_id: String,
    pub parent: String,
    pub step: StepPlace,
    pub reused: Reused,
}

/// What was not done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reused {
    pub events: usize,
    pub model_calls: u32,
    pub tool_calls: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    #[error("there is no run {0}")]
    NoRun(String),
    #[error("run {run} has {steps} steps; fork it at 1 to {steps} (`craton trace` numbers them)")]
    NoStep { run: String, steps: usize },
    #[error("no step of the run from {step} on is a call of {tool}")]
    NoTool { tool: String, step: StepPlace },
    #[error("step {0} is a collaborator's: only tool-result can be changed there")]
    NoChange(StepPlace),
    #[error("the agent has no tool {0} that craton calls")]
    NoPolicy(String),
    #[error("{0} of run {1} was under way before that step and has no outcome; fork it earlier")]
    Open(String, String),
    #[error("the pinned configuration {0} is missing")]
    NoConfig(String),
    #[error("{0} turns are under way, which is the limit, or the server is stopping")]
    Busy(usize),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The new run beside the one it comes from.
struct Fork {
    of: RunRecord,
    run: String,
    session_id: String,
    config: AgentConfig,
    digest: String,
    provider: String,
    /// What is set for its tools, now.
    policies: Vec<SetPolicy>,
    /// Before the fork.
    model_calls: u32,
}

impl Changes {
    /// What is the supervisor's, where a collaborator has tools, a model and words of its own.
    fn is_of_the_agent(&self) -> bool {
        let Changes { model, prompt, memory, tool_result: _, policies } = self;
        model.is_some() || prompt.is_some() || memory.is_some() || !policies.is_empty()
    }
}

impl Engine {
    /// Begins a fork at a step.
    pub async fn fork(
        &self,
        tenant: &Tenant,
        id: &str,
        step: &StepPlace,
        changes: &Changes,
    ) -> Result<Forked, ForkError> {
        let inner = &self.0;
        if self.has_room().is_err() {
            return Err(ForkError::Busy(self.under_way()));
        }
        let of = self.find_run(tenant, id).await?.ok_or_else(|| ForkError::NoRun(id.to_owned()))?;
        let no_config = || ForkError::NoConfig(of.config.clone());
        let agent = inner.agent(tenant, &of.config).await?.ok_or_else(no_config)?;
        let (events, _) = journal::load(inner, tenant, &of.run).await?;
        let steps = steps::steps(&events, &agent);
        let mut prefix = Prefix::before(&of.run, &events, &steps, step, changes)?;
        let turn = prefix.turn();
        let reused = Reused {
            events: prefix.events.len(),
            model_calls: turn.total_model_calls(),
            tool_calls: prefix.tool_calls(),
        };
        let fork = self.planned(tenant, of, &agent, changes).await?;
        let fork = Fork { model_calls: reused.model_calls, ..fork };
        let mut batch = Batch::new(tenant, self.now());
        fork.rename(&mut prefix.events, changes, &mut batch, inner.text_millis(&fork.config));
        let until = self.now() + inner.limits.parked_millis + inner.text_millis(&fork.config);
        if fork.digest != fork.of.config {
            batch.put_until(&fork.digest, &Pinned { config: fork.config.clone() }, until);
        }
        let record = fork.record(&prefix.turn(), self.now());
        batch.enqueue(&fork.run, &record.session_key(), self.now(), None);
        batch.append(&fork.run, 1, 0, EVENTS, "agent", journal::encode(&prefix.events));
        batch.put(&fork.run, &record);
        inner.store.commit(batch).await?;
        lane::claim(self).await;
        let Fork { of, run, session_id, .. } = fork;
        Ok(Forked { run, session_id, parent: of.run, step: step.clone(), reused })
    }

    async fn planned(
        &self,
        tenant: &Tenant,
        of: RunRecord,
        agent: &Agent,
        changes: &Changes,
    ) -> Result<Fork, ForkError> {
        let found = self.0.store.get::<Pinned>(tenant, &of.config).await?;
        let found = found.ok_or_else(|| ForkError::NoConfig(of.config.clone()))?;
        let config = changed(found.value.config, agent, changes)?;
        let provider = model::resolve(&self.0, tenant, &config.model).await?.provider_name;
        let pinned = Pinned { config };
        let (run, digest) = (self.fresh_id(), pinned.digest());
        // What it was compiled with fitted; what is new may not.
        let agent = Agent::with_members(pinned.config.clone(), agent.members.clone())?;
        let policies = run::policies(&self.0, tenant, &agent).await?.set();
        let session_id = format!("fork-{run}");
        let config = pinned.config;
        Ok(Fork { of, run, session_id, config, digest, provider, policies, model_calls: 0 })
    }
}

fn changed(
    mut config: AgentConfig,
    agent: &Agent,
    changes: &Changes,
) -> Result<AgentConfig, ForkError> {
    if let Some(model) = &changes.model {
        config.model.clone_from(model);
        let planning = config.stages.iter_mut().filter(|s| s.stage == Stage::Orchestration);
        planning.for_each(|stage| stage.model = None);
    }
    if let Some(prompt) = &changes.prompt {
        config.instruction.clone_from(prompt);
    }
    for (name, policy) in &changes.policies {
        let called = agent.tools.iter().find(|tool| prefix::is_named(&tool.name, name));
        let called = called.filter(|tool| crate::run::action(tool).is_some());
        let tool = called.ok_or_else(|| ForkError::NoPolicy(name.clone()))?;
        config.policies.insert(tool.name.clone(), policy.clone());
    }
    Ok(config)
}

/// INVARIANT: what the other run has paid for is on no second bill, and in no second budget.
fn unpaid(event: &mut Event) {
    match event {
        Event::Within(within) => unpaid(&mut within.event),
        Event::ModelSaid(said) => {
            (said.reused, said.cost, said.saved) = (true, Some(Money::ZERO), Money::ZERO);
            said.conduct.wasted.clear();
        }
        Event::ModelFailed(failed) => {
            failed.consumed = false;
            failed.wasted.clear();
        }
        Event::ModelOverflowed(overflowed) => overflowed.wasted.clear(),
        Event::Asked(Intent::AskModel(ask)) => {
            ask.reserved.as_deref_mut().into_iter().for_each(Reserved::release);
        }
        Event::Asked(Intent::Call(call)) => call.reserved = None,
        Event::ToolReturned(returned) => returned.cost = None,
        Event::Deferred(deferred) => deferred.cost = None,
        Event::Parsed(parsed) => parsed.cost = None,
        Event::Started(started) => started.cost = None,
        Event::Delegated(delegated) => delegated.started.cost = None,
        _ => {}
    }
}

impl Fork {
    /// Makes the events those of the new run. INVARIANT: a fork writes into no thread of another
    /// session, so what was said before is copied.
    fn rename(
        &self,
        events: &mut [Stamped],
        changes: &Changes,
        batch: &mut Batch,
        text_millis: i64,
    ) {
        let until = events.last().map_or(0, |last| last.at).saturating_add(text_millis);
        let mut attributes = None;
        for Stamped { event, .. } in events {
            unpaid(event);
            match event {
                Event::Accepted(accepted) => {
                    self.rename_accepted(accepted);
                    attributes = Some(accepted.prompt_session_attributes.clone());
                }
                Event::Started(started) => {
                    self.rename_started(started, changes, &attributes.take().unwrap_or_default());
                    started.policies.clone_from(&self.policies);
                    for past in started.pasts_mut() {
                        past::copy(past, &self.run, until, batch);
                    }
                }
                event => self.rename_nested(event),
            }
        }
    }

    fn rename_accepted(&self, accepted: &mut Accepted) {
        accepted.lineage = self.lineage(accepted.lineage.clone());
        accepted.run.clone_from(&self.run);
        accepted.session_id.clone_from(&self.session_id);
        accepted.config.clone_from(&self.digest);
        accepted.provider.clone_from(&self.provider);
        accepted.memory_id = None;
    }

    /// Model calls are what lineages count steps by.
    fn lineage(&self, of: Lineage) -> Lineage {
        let parent = Parent { run: self.of.run.clone(), step: self.model_calls };
        Lineage { parent: Some(parent), ..of }
    }

    fn rename_started(&self, started: &mut Started, changes: &Changes, attributes: &Attributes) {
        started.memory_id = None;
        if let Some(text) = &changes.memory {
            let (session_id, text) = (self.of.session_id.clone(), text.clone());
            let restricted = started.memory.iter().any(|before| before.restricted);
            let recalled = Recalled { session_id, text, restricted };
            started.memory = if recalled.text.is_empty() { Vec::new() } else { vec![recalled] };
        }
        if changes.prompt.is_some() || changes.memory.is_some() {
            let texts: Vec<String> = started.memory.iter().map(|m| m.text.clone()).collect();
            started.system = prompt::system(&self.config, attributes, &texts);
        }
    }

    /// A collaborator's run is named after the one that asked it.
    fn rename_nested(&self, event: &mut Event) {
        match event {
            Event::Within(within) => self.rename_nested(&mut within.event),
            Event::Resumed(resumed) => resumed.policies.clone_from(&self.policies),
            Event::Delegated(delegated) => {
                let accepted = &mut delegated.accepted;
                if let Some(rest) = accepted.run.strip_prefix(&self.of.run) {
                    accepted.run = format!("{}{rest}", self.run);
                }
                accepted.session_id.clone_from(&self.session_id);
            }
            _ => {}
        }
    }

    fn record(&self, turn: &Turn, now: i64) -> RunRecord {
        let begun = RunRecord {
            run: self.run.clone(),
            lineage: turn.accepted.as_ref().map(|a| a.lineage.clone()).unwrap_or_default(),
            session_id: self.session_id.clone(),
            config: self.digest.clone(),
            begun_at: now,
            providers: vec![self.provider.clone()],
            paused_at: None,
            ..self.of.clone()
        };
        begun.of(turn, RunStatus::Running, None)
    }
}
