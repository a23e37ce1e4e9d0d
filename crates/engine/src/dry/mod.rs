//! A turn that changes nothing: models and reading tools are asked as live, every other call is
//! answered here.
//!
//! It runs in an engine of its own, on a store that is gone with it and holds a copy of the agent
//! and of the session. So the session, its memory and the ledger are what they were, and no list shows
//! the run. What it says is marked as dry.
//!
//! INVARIANT: its calls of models are real, so it spends as a live run does. It takes a live run's place
//! among those under way, holds back in the live counters of every budget (its store has none of its
//! own), and what it has cost stands in the sums of the day however it ends.

mod place;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use craton_core::cost::Money;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde_json::Value as Json;
use store::{Batch, CommitError, Store, StoreError, Tenant};
use tokio::sync::oneshot;
use wire::converse::Usage;

use self::place::Place;
pub(crate) use self::place::Places;
use self::tools::DryTools;
pub use self::tools::{DryEffect, Source};
use crate::live::Out;
use crate::memory::Summary;
use crate::record::{Pinned, RunStatus, Session};
use crate::request::{Hearing, InvokeError, TurnRequest};
use crate::steps::Step;
use crate::{Engine, Inner, Parts, alert, memory, model, past, session, spend};

/// How long a dry run takes at most; its client waits as long. Ours.
const LONGEST: Duration = Duration::from_secs(300);
/// How long one that is called off may take to end. Ours: it only has to write that down.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);
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
    /// What it cost, as far as prices are known: attempts in vain too, and the tools that were really
    /// called.
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
    #[error("the server is stopping; the dry run is called off")]
    Stopping,
}

/// A dry run that goes on whether or not anybody listens.
struct Begun {
    engine: Engine,
    tools: Arc<DryTools>,
    hearing: Hearing,
    /// Told once it is over and paid for.
    over: oneshot::Receiver<Result<(), DryError>>,
}

/// The same, for whoever sees to its end.
struct Watched {
    engine: Engine,
    tenant: Tenant,
    run: String,
    heard: BoxStream<'static, Out>,
    place: Place,
}

impl Engine {
    /// Plays a turn without changing anything, and says what came of it.
    pub async fn dry_run(&self, request: TurnRequest) -> Result<DryRun, DryError> {
        let tenant = request.tenant.clone();
        let Begun { engine, tools, hearing, over } = self.begin_dry(request).await?;
        over.await.unwrap_or(Err(DryError::Stopping))?;
        engine.told(&tenant, &hearing.run, tools.effects()).await
    }

    /// The same as a client of InvokeAgent hears it, while it goes on. It ends as it would if nobody
    /// listened, and is paid for.
    pub async fn dry_hear(&self, request: TurnRequest) -> Result<Hearing, DryError> {
        let Hearing { run, provider, outs } = self.begin_dry(request).await?.hearing;
        // One that is called off says why, and after that what every turn says that is called off.
        let first = |failed: &mut bool, out: Out| {
            let over = std::mem::replace(failed, matches!(out, Out::Fault { .. }));
            std::future::ready((!over).then_some(out))
        };
        Ok(Hearing { run, provider, outs: outs.scan(false, first).boxed() })
    }

    async fn begin_dry(&self, mut request: TurnRequest) -> Result<Begun, DryError> {
        // An SDK's repeat is a dry run of its own.
        request.repeat = None;
        let place = self.dry_place()?;
        let tools = Arc::new(DryTools::new(self.clone()));
        let engine = self.dry_engine(tools.clone())?;
        self.copy_into(&engine, &request).await?;
        let (tenant, asked) = (request.tenant.clone(), request.request.clone());
        let hearing = engine.invoke(request).await?;
        let heard = engine.attach(&tenant, &hearing.run, &asked).await?;
        let (told, over) = oneshot::channel();
        let (run, own) = (hearing.run.clone(), engine.clone());
        let watched = Watched { engine: own, tenant, run, heard, place };
        let live = self.clone();
        tokio::spawn(async move {
            if let Err(Err(error)) = told.send(live.see_to_its_end(watched).await) {
                tracing::warn!(%error, "a dry run that nobody waits for did not end well");
            }
        });
        Ok(Begun { engine, tools, hearing, over })
    }

    /// Its calls of models count in the same limits and budgets, and take the same routes.
    fn dry_engine(&self, tools: Arc<DryTools>) -> Result<Engine, StoreError> {
        let inner = &self.0;
        let Engine(dry) = Engine::assemble(Parts {
            store: Store::memory_counting_in(&inner.store)?,
            models: inner.models.clone(),
            tools,
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
        let (gateway, budgets) = (inner.gateway.clone(), inner.budgets.clone());
        Ok(Engine(Arc::new(Inner { gateway, budgets, ..dry })))
    }

    /// The run is timed, not its listeners: a slow one hears all of it.
    async fn see_to_its_end(&self, dry: Watched) -> Result<(), DryError> {
        let Watched { engine, tenant, run, mut heard, place } = dry;
        let ended = tokio::select! {
            () = heard.by_ref().for_each(|_| async {}) => Ok(()),
            () = tokio::time::sleep(LONGEST) => Err(DryError::TooLong),
            () = place.called_off() => Err(DryError::Stopping),
        };
        if let Err(why) = &ended {
            if let Some(live) = engine.0.live.get(&tenant, &run) {
                live.push(Out::internal(&why.to_string()));
            }
            crate::note("calling a dry run off", engine.cancel(&tenant, &run).await);
            let rest = heard.for_each(|_| async {});
            if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
                tracing::warn!(run, "a dry run goes on after it was called off");
            }
        }
        self.pay(&engine, &tenant, &run).await?;
        ended
    }

    /// What it spent stands in the sums of the day, and whom it brought near the end of a budget hears
    /// of that.
    async fn pay(&self, dry: &Engine, tenant: &Tenant, run: &str) -> Result<(), DryError> {
        let Some(record) = dry.find_run(tenant, run).await? else { return Ok(()) };
        let mut batch = Batch::new(tenant, self.now());
        spend::tally(&mut batch, &record, self.now());
        self.0.store.commit(batch).await?;
        self.0.alarms.spenders.note(tenant);
        let (who, tokens) = (alert::Who::Agent(&record.agent_id), record.usage.tokens());
        alert::used(&self.0, tenant, who, tokens);
        alert::of_dry_run(self, dry, tenant).await?;
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
        let bill = &view.run.bill;
        let unknown = bill.unpriced > 0 && bill.stack.total() == Money::ZERO;
        let cost = (!unknown).then(|| bill.stack.total());
        Ok(DryRun {
            dry: true,
            status: view.run.status,
            answer: view.answer,
            plan: view.steps,
            effects,
            model_calls: view.run.model_calls,
            usage: view.run.usage,
            cost,
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
