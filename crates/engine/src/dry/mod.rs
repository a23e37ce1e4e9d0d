//! A turn that changes nothing: models and reading tools are asked as live, every other call is
//! answered here.
//!
//! It runs in an engine of its own, on a store that is gone with it and holds a copy of the agent
//! and of the session. So the session, its memory and the ledger are what they were, and no list shows
//! the run. What it says is marked as dry.

mod tools;

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::Event;
use craton_core::cost::Money;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;
use serde_json::Value as Json;
use store::{Batch, CommitError, Store, StoreError, Tenant};
use tokio::sync::mpsc;
use wire::converse::Usage;

use self::tools::DryTools;
pub use self::tools::{DryEffect, Source};
use crate::live::Out;
use crate::memory::Summary;
use crate::record::{Pinned, RunStatus, Session};
use crate::request::{Hearing, InvokeError, TurnRequest};
use crate::run::innermost;
use crate::steps::Step;
use crate::{Engine, Inner, Parts, memory, model, past, session, spend};

/// How long a dry run takes at most; its client waits as long. Ours.
const LONGEST: Duration = Duration::from_secs(300);
/// What a listener may lag behind. Ours.
const AHEAD: usize = 64;
/// Summaries of a memory that are copied. As many as an agent may be told of is far less.
const SUMMARIES: usize = 256;

/// What a turn would do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Always: nothing of it took effect.
    pub dry: bool,
    pub status: RunStatus,
    /// `text`, `returnControl` or `error`, as a client would have heard it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json>,
    /// What was done, step by step.
    pub plan: Vec<Step>,
    /// Calls of tools in their order: those that read were made, the others were not.
    pub effects: Vec<DryEffect>,
    pub model_calls: u32,
    /// Tokens that were really used.
    pub usage: Usage,
    /// What the calls of models cost, where prices are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

#[derive(Debug, thiserror::Error)]
pub enum DryError {
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("the dry run was not over after {} s", LONGEST.as_secs())]
    TooLong,
}

/// A dry run that has begun, in an engine of its own.
struct Begun {
    engine: Engine,
    tools: Arc<DryTools>,
    tenant: Tenant,
    hearing: Hearing,
}

impl Engine {
    /// Plays a turn without changing anything, and says what came of it.
    pub async fn dry_run(&self, request: TurnRequest) -> Result<DryRun, DryError> {
        let Begun { engine, tools, tenant, hearing } = self.begin_dry(request).await?;
        let run = hearing.run.clone();
        let heard = hearing.outs.for_each(|_| async {});
        if tokio::time::timeout(LONGEST, heard).await.is_err() {
            engine.cancel(&tenant, &run).await?;
            return Err(DryError::TooLong);
        }
        let dry = engine.told(&tenant, &run, tools.effects()).await?;
        self.pay(&engine, &tenant, &run).await?;
        Ok(dry)
    }

    /// The same as a client of InvokeAgent hears it, while it goes on. It ends as it would if nobody
    /// listened, and is paid for.
    pub async fn dry_hear(&self, request: TurnRequest) -> Result<Hearing, DryError> {
        let Begun { engine, tools: _, tenant, hearing } = self.begin_dry(request).await?;
        let Hearing { run, provider, outs } = hearing;
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let (live, id) = (self.clone(), run.clone());
        tokio::spawn(async move {
            // Whoever does not listen any more is sent nothing.
            let heard = outs.for_each(|out| sender.send(out).map(drop));
            let ended = match tokio::time::timeout(LONGEST, heard).await {
                Ok(()) => live.pay(&engine, &tenant, &id).await,
                Err(_) => {
                    let too_long = Out::internal(&DryError::TooLong.to_string());
                    // A full channel is one that nobody reads.
                    let _ = sender.try_send(too_long);
                    engine.cancel(&tenant, &id).await.map(drop).map_err(DryError::from)
                }
            };
            if let Err(error) = ended {
                tracing::warn!(run = id, %error, "a dry run has no place in the sums of the day");
            }
        });
        let outs = stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed();
        Ok(Hearing { run, provider, outs })
    }

    async fn begin_dry(&self, mut request: TurnRequest) -> Result<Begun, DryError> {
        let inner = &self.0;
        // An SDK's repeat is a dry run of its own.
        request.repeat = None;
        let tools = Arc::new(DryTools::new(self.clone()));
        let Engine(dry) = Engine::assemble(Parts {
            store: Store::memory()?,
            models: inner.models.clone(),
            tools: tools.clone(),
            buckets: inner.buckets.clone(),
            prices: inner.prices.clone(),
            clock: inner.clock.clone(),
            ids: inner.ids.clone(),
            turn: inner.turn.clone(),
            limits: inner.limits.clone(),
            sessions: inner.sessions.clone(),
            gateway: model::Config::default(),
            budgets: Default::default(),
            alerts: Default::default(),
        });
        let dry = Arc::into_inner(dry).expect("nobody else has it yet");
        // Its calls of models are real: they count in the same limits and take the same routes. The
        // caps of budgets hold for each dry run by itself.
        let (gateway, budgets) = (inner.gateway.clone(), inner.budgets.clone());
        let engine = Engine(Arc::new(Inner { gateway, budgets, ..dry }));
        self.copy_into(&engine, &request).await?;
        let tenant = request.tenant.clone();
        let hearing = engine.invoke(request).await?;
        Ok(Begun { engine, tools, tenant, hearing })
    }

    /// What models cost was really spent, and stands in the sums of the day.
    async fn pay(&self, dry: &Engine, tenant: &Tenant, run: &str) -> Result<(), DryError> {
        let Some(record) = dry.find_run(tenant, run).await? else { return Ok(()) };
        let mut batch = Batch::new(tenant, self.now());
        spend::tally(&mut batch, &record, self.now());
        self.0.store.commit(batch).await?;
        Ok(())
    }

    async fn told(
        &self,
        tenant: &Tenant,
        run: &str,
        effects: Vec<DryEffect>,
    ) -> Result<DryRun, DryError> {
        let view = self.view(tenant, run).await?;
        let view =
            view.ok_or_else(|| InvokeError::Conflict(format!("run {run} left no journal")))?;
        let costs = view.events.iter().map(|stamped| match innermost(&stamped.event).1 {
            Event::ModelSaid(said) => said.cost,
            _ => None,
        });
        let known: Vec<Money> = costs.flatten().collect();
        Ok(DryRun {
            dry: true,
            status: view.run.status,
            answer: view.answer,
            plan: view.steps,
            effects,
            model_calls: view.run.model_calls,
            usage: view.run.usage,
            cost: (!known.is_empty()).then(|| known.into_iter().sum()),
        })
    }

    /// The agent and its team, the session, and what its memory knows.
    async fn copy_into(&self, dry: &Engine, request: &TurnRequest) -> Result<(), DryError> {
        let (inner, tenant) = (&self.0, &request.tenant);
        let mut batch = Batch::new(tenant, self.now());
        let (mut wanted, mut models) = (vec![request.config.clone()], Vec::new());
        while let Some(digest) = wanted.pop() {
            let found = inner.store.get::<Pinned>(tenant, &digest).await?;
            let Some(pinned) = found.map(|found| found.value) else { continue };
            wanted.extend(pinned.config.collaborators.iter().map(|one| one.config.clone()));
            models.extend(pinned.config.models().map(str::to_owned));
            batch.put(&digest, &pinned);
        }
        model::copy(&inner.store, models, &mut batch).await?;
        let key = request.session_key();
        let mut session = session::current(inner, tenant, &key).await?.value;
        // What waits there goes on waiting, and is not called off here.
        session.parked = None;
        for past in std::iter::once(&mut session.past).chain(session.threads.values_mut()) {
            past::fill(inner, tenant, past).await?;
            past::keep(past, i64::MAX, &mut batch);
        }
        if session != Session::default() {
            batch.put(&key, &session);
        }
        if let Some(memory) = session.memory_id.as_ref().or(request.memory_id.as_ref()) {
            let prefix = memory::prefix(&request.agent_id, &request.alias_id, Some(memory));
            let known = inner.store.list_back::<Summary>(tenant, &prefix, None, SUMMARIES).await?;
            for (id, summary) in known {
                batch.put(&id, &summary.value);
            }
        }
        dry.0.store.commit(batch).await?;
        Ok(())
    }
}
