//! Memory across sessions: what an agent's later sessions know of earlier ones with the same memory.
//!
//! A session that has a memory is followed by an [`Unsummarised`] record from its first turn on. When it
//! ends or idles out, a run of its own in the session's lane asks the model for a summary, and the
//! [`Summary`] is written with that run's end. A new session begins after the summaries that are due,
//! so that it knows what was said a moment ago. Nothing is ever made up in place of a summary that
//! could not be written: the run's journal says why, and the memory goes without.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use craton_core::agent::config::{AgentConfig, MemoryConfig, Stage};
use craton_core::agent::event::{Accepted, Attributes, Event, Lineage, Recalled, Started, Task};
use craton_core::agent::history::Past;
use craton_core::agent::state::{End, Turn};
use craton_core::agent::turn::Agent;
use craton_core::cost::Bill;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use store::{Batch, CommitError, Record, StoreError, Tenant};
use wire::converse::Usage;

use crate::budget::Book;
use crate::lane::PAGE;
use crate::live::Activation;
use crate::model::Named;
use crate::record::{RunRecord, RunStatus, Session};
use crate::run::{Counted, Run};
use crate::session::Closing;
use crate::{Engine, Inner, lane, model, past};

/// What the ids of the timers begin with that sum a session up.
const TIMERS: &str = "memory/";
/// How often a summary is tried, and the pause before the next time, by the number of those before.
const ATTEMPTS: u32 = 3;
const PAUSE_MILLIS: i64 = 60_000;
/// Runs at once that sum up what idled out: they are for nobody who waits, and must not crowd out
/// those that are.
const UNDER_WAY: usize = 16;
/// Sessions of one memory that a new one waits for.
const AWAITED: usize = 100;
/// How long a memory is kept at most, whatever an agent says. Requirement G4: two years.
const LONGEST_DAYS: u32 = 730;
const DAY_MILLIS: i64 = 24 * 3_600_000;

/// A session of which its memory has no summary yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsummarised {
    pub agent_id: String,
    pub alias_id: String,
    pub session_id: String,
    pub memory_id: String,
    /// Digest of the configuration of its last turn.
    pub config: String,
    pub past: Past,
    pub began_at: i64,
    /// When the session ends by itself; `None` while a turn is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<i64>,
    /// The run that is writing the summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Runs that failed to.
    #[serde(default)]
    pub attempts: u32,
}

impl Record for Unsummarised {
    const KIND: &'static str = "memory-session";
    const VERSION: u32 = 1;
}

/// An alias that is deleted: its memories are forgotten, and no session of it is summed up any more.
///
/// Kept for as long as a memory may be: a turn that was under way is remembered when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Gone {}

impl Record for Gone {
    const KIND: &'static str = "memory-gone";
    const VERSION: u32 = 1;
}

/// What a memory knows of one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub memory_id: String,
    /// The session that it is of.
    pub session_id: String,
    pub began_at: i64,
    pub expires_at: i64,
    pub text: String,
    /// The run that wrote it.
    pub run: String,
    /// Restricted data was said in the session.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restricted: bool,
}

impl Record for Summary {
    const KIND: &'static str = "memory-summary";
    const VERSION: u32 = 1;
}

/// What the ids of a memory's records begin with; without a memory id, those of an alias.
pub fn prefix(agent_id: &str, alias_id: &str, memory_id: Option<&str>) -> String {
    match memory_id {
        Some(memory) => format!("{agent_id}/{alias_id}/{memory}/"),
        None => format!("{agent_id}/{alias_id}/"),
    }
}

impl Unsummarised {
    /// A conversation has a record of its own, so that a session id that is used again loses nothing.
    fn id(&self) -> String {
        let conversation = self.past.thread.split('/').next().unwrap_or_default();
        let prefix = prefix(&self.agent_id, &self.alias_id, Some(&self.memory_id));
        format!("{prefix}{conversation}")
    }

    fn due(&self, now: i64) -> bool {
        self.run.is_none() && self.lapses_at.is_some_and(|at| at <= now)
    }
}

/// Has a memory follow what was said in a session.
pub(crate) fn follow(batch: &mut Batch, session: &Session, digest: &str) {
    let Some(memory_id) = session.memory_id.clone() else { return };
    if session.past.first >= session.past.end {
        return;
    }
    let open = Unsummarised {
        agent_id: session.agent_id.clone(),
        alias_id: session.alias_id.clone(),
        session_id: session.session_id.clone(),
        memory_id,
        config: digest.to_owned(),
        past: session.past.clone(),
        began_at: session.began_at,
        lapses_at: session.lapses_at,
        run: None,
        attempts: 0,
    };
    let id = open.id();
    batch.put(&id, &open);
    match session.lapses_at {
        Some(at) => batch.timer(&timer(&id), at, id.clone()),
        None => batch.clear_timer(&timer(&id)),
    };
}

fn timer(id: &str) -> String {
    format!("{TIMERS}{id}")
}

/// What a turn is told of earlier sessions, the oldest first.
pub(crate) async fn recall(
    inner: &Inner,
    tenant: &Tenant,
    config: &AgentConfig,
    (alias_id, memory_id): (&str, &str),
) -> Result<Vec<Recalled>, StoreError> {
    let Some(memory) = &config.memory else { return Ok(Vec::new()) };
    let prefix = prefix(&config.agent_id, alias_id, Some(memory_id));
    let most = usize::try_from(memory.max_recent_sessions).unwrap_or(PAGE).min(PAGE);
    let found = inner.store.list_back::<Summary>(tenant, &prefix, None, most).await?;
    let now = inner.clock.now();
    let latest = found.into_iter().rev().map(|(_, found)| found.value);
    let lasting = latest.filter(|summary| summary.expires_at > now);
    Ok(lasting
        .map(|s| Recalled { session_id: s.session_id, text: s.text, restricted: s.restricted })
        .collect())
}

impl Engine {
    /// Waits, for a bounded time, until a memory knows of every session that is over.
    pub async fn settle_memory(&self, tenant: &Tenant, prefix: &str) -> Result<(), StoreError> {
        let page = self.0.store.list::<Unsummarised>(tenant, prefix, None, AWAITED).await?;
        let mut runs = Vec::new();
        for (id, open) in page {
            let first_time = open.value.attempts == 0;
            if open.value.run.is_some() {
                runs.extend(open.value.run);
            } else if first_time && open.value.due(self.now()) {
                runs.extend(begin(self, tenant, &id).await?);
            }
        }
        let all_told = async {
            for run in &runs {
                if let Ok(outs) = self.attach(tenant, run, run).await {
                    outs.for_each(|_| async {}).await;
                }
            }
        };
        let patience = Duration::from_millis(self.0.limits.memory_wait_millis);
        if tokio::time::timeout(patience, all_told).await.is_err() {
            tracing::warn!(memory = prefix, "a session goes on without the latest summaries");
        }
        Ok(())
    }

    /// Forgets what a memory knows, of one session or of all, with what is still to be summed up. A
    /// session that goes on is remembered when it ends.
    pub async fn forget(
        &self,
        tenant: &Tenant,
        prefix: &str,
        session_id: Option<&str>,
    ) -> Result<(), CommitError> {
        let meant = |id: &str| session_id.is_none_or(|session| session == id);
        let now = self.now();
        let over = |open: &Unsummarised| open.run.is_some() || open.due(now);
        let to_come = |open: &Unsummarised| meant(&open.session_id) && over(open);
        // First what would be written meanwhile.
        self.delete_each::<Unsummarised>(tenant, prefix, &to_come).await?;
        self.delete_each::<Summary>(tenant, prefix, &|s: &Summary| meant(&s.session_id)).await
    }

    /// Has all memories of an alias be forgotten with it: soon after the batch, and whatever happens.
    pub fn forget_alias(&self, batch: &mut Batch, agent_id: &str, alias_id: &str) {
        let (prefix, now) = (prefix(agent_id, alias_id, None), self.now());
        batch.put_until(&prefix, &Gone {}, now + i64::from(LONGEST_DAYS) * DAY_MILLIS);
        batch.timer(&timer(&prefix), now, prefix.clone());
    }

    async fn forget_gone(&self, tenant: &Tenant, prefix: &str) -> Result<(), CommitError> {
        self.delete_each::<Unsummarised>(tenant, prefix, &|_| true).await?;
        self.delete_each::<Summary>(tenant, prefix, &|_| true).await?;
        let mut batch = Batch::new(tenant, self.now());
        batch.clear_timer(&timer(prefix));
        self.0.store.commit(batch).await
    }

    async fn delete_each<T: Record + Sync>(
        &self,
        tenant: &Tenant,
        prefix: &str,
        meant: &(dyn Fn(&T) -> bool + Sync),
    ) -> Result<(), CommitError> {
        let mut after = None::<String>;
        loop {
            let page = self.0.store.list::<T>(tenant, prefix, after.as_deref(), PAGE).await;
            let page = page.map_err(CommitError::Store)?;
            let mut batch = Batch::new(tenant, self.now());
            for (id, _) in page.iter().filter(|(_, found)| meant(&found.value)) {
                // A timer without a record clears itself.
                batch.delete::<T>(id);
            }
            self.0.store.commit(batch).await?;
            match page.last() {
                Some((id, _)) if page.len() == PAGE => after = Some(id.clone()),
                _ => return Ok(()),
            }
        }
    }
}

/// Has a session be summed up that ends; gives what [`begin`] then begins with.
pub(crate) fn end(batch: &mut Batch, session: &Session, digest: &str, now: i64) -> Option<String> {
    let memory_id = session.memory_id.as_deref()?;
    if session.past.is_empty() {
        return None;
    }
    let ended = Session { lapses_at: Some(now), ..session.clone() };
    follow(batch, &ended, digest);
    let (agent, alias) = (&session.agent_id, &session.alias_id);
    let conversation = session.past.thread.split('/').next()?;
    Some(format!("{}{conversation}", prefix(agent, alias, Some(memory_id))))
}

/// Sums up the sessions that have idled out.
pub(crate) async fn sum_up_due(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    if inner.draining.load(Ordering::SeqCst) {
        return Ok(());
    }
    let room = UNDER_WAY.saturating_sub(under_way(inner));
    for timer in inner.store.due_timers(TIMERS, inner.clock.now(), room).await? {
        let id = String::from_utf8_lossy(&timer.payload);
        if id.ends_with('/') {
            if let Err(error) = engine.forget_gone(&timer.tenant, &id).await {
                tracing::error!(%id, %error, "forgetting a deleted alias failed; tried again");
                lane::put_off(inner, &timer).await;
            }
            continue;
        }
        match begin(engine, &timer.tenant, &id).await {
            Ok(Some(run)) => {
                let mut runs = inner.summaries.lock().expect("no holder of this lock panics");
                runs.push((timer.tenant, run));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%id, %error, "summing a session up failed; tried again");
                lane::put_off(inner, &timer).await;
            }
        }
    }
    Ok(())
}

/// Those of the runs begun here that are not over.
fn under_way(inner: &Inner) -> usize {
    let mut runs = inner.summaries.lock().expect("no holder of this lock panics");
    runs.retain(|(tenant, run)| inner.live.get(tenant, run).is_some());
    runs.len()
}

/// Begins the run that sums a session up, and gives its id. `None` if there is nothing to do, or the
/// session's lane is taken: then the turn there moves the timer, or the next round tries again.
pub(crate) async fn begin(
    engine: &Engine,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let inner = &engine.0;
    let mut batch = Batch::new(tenant, inner.clock.now());
    batch.clear_timer(&timer(id));
    let Some(found) = inner.store.get::<Unsummarised>(tenant, id).await? else {
        return drop_silently(inner, batch).await;
    };
    let open = found.value;
    if open.run.is_some() {
        return Ok(open.run);
    }
    let alias = prefix(&open.agent_id, &open.alias_id, None);
    if inner.store.get::<Gone>(tenant, &alias).await?.is_some() {
        batch.delete::<Unsummarised>(id);
        return drop_silently(inner, batch).await;
    }
    let agent = inner.agent(tenant, &open.config).await?;
    let sums_up = |a: &Arc<Agent>| a.config.memory.is_some() && a.runs(Stage::MemorySummarization);
    let Some(agent) = agent.filter(sums_up) else {
        batch.delete::<Unsummarised>(id);
        return drop_silently(inner, batch).await;
    };
    let mut run = started(inner, tenant, &open, agent).await?;
    let lease = Some((inner.owner.as_str(), inner.lease_until()));
    batch.expect_version::<Unsummarised>(id, found.version);
    batch.put(id, &Unsummarised { run: Some(run.id.clone()), ..open });
    batch.enqueue(&run.id, &run.session_key(), inner.clock.now(), lease);
    batch.put(&run.id, &run.record);
    run.append_to(inner, &mut batch);
    match inner.store.commit(batch).await {
        Ok(()) => {}
        Err(CommitError::Conflict(_)) => {
            // A lane that is held for long does not keep later sessions from their turn.
            let mut later = Batch::new(tenant, inner.clock.now());
            later.expect_version::<Unsummarised>(id, found.version);
            later.timer(&timer(id), inner.clock.now() + PAUSE_MILLIS, id.to_owned());
            return drop_silently(inner, later).await;
        }
        Err(CommitError::Store(error)) => return Err(error),
    }
    run.tell(inner);
    let begun = run.id.clone();
    inner.live.begin(tenant, &begun, &run.live);
    lane::spawn(engine, run);
    Ok(Some(begun))
}

async fn drop_silently(inner: &Inner, batch: Batch) -> Result<Option<String>, StoreError> {
    match inner.store.commit(batch).await {
        Ok(()) | Err(CommitError::Conflict(_)) => Ok(None),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// The run as it stands after its first decision.
async fn started(
    inner: &Inner,
    tenant: &Tenant,
    open: &Unsummarised,
    agent: Arc<Agent>,
) -> Result<Run, StoreError> {
    let (id, now) = (inner.ids.fresh(), inner.clock.now());
    let resolved = model::resolve(inner, tenant, &agent.config.model).await;
    let provider = resolved.map(|found| found.provider_name).unwrap_or_default();
    let memory = recall(inner, tenant, &agent.config, (&open.alias_id, &open.memory_id)).await?;
    let mut past = open.past.clone();
    past::fill(inner, tenant, &mut past).await?;
    past.retain(&inner.retention(&agent.config), now);
    let record = RunRecord {
        run: id.clone(),
        lineage: Lineage::root(&id),
        agent_id: open.agent_id.clone(),
        agent_version: agent.config.agent_version.clone(),
        alias_id: open.alias_id.clone(),
        session_id: open.session_id.clone(),
        config: open.config.clone(),
        status: RunStatus::Running,
        begun_at: now,
        ended_at: None,
        usage: Usage::default(),
        model_calls: 0,
        providers: vec![provider.clone()],
        bill: Bill::default(),
        user: None,
        customer: None,
        paused_at: None,
    };
    let mut run = Run {
        tenant: tenant.clone(),
        epoch: 1,
        next: 1,
        turn: Turn::default(),
        counted: Counted::default(),
        book: Book::open(inner, &agent.config.budgets, &[]),
        named: Named::of(inner, tenant, &agent).await,
        agent,
        policies: crate::run::Policies::default(),
        live: Activation::new(&record.session_key(), &id),
        record,
        pending: Vec::new(),
        rows: Vec::new(),
        outs: Vec::new(),
        raised: Default::default(),
        id,
    };
    run.record(inner, now, accepted(tenant, &run, open, provider));
    let recalled = memory.iter().any(|recalled| recalled.restricted);
    past.restricted |= recalled || run.is_restricted();
    let rates = &inner.prices.rates;
    let (cost, keeping) = (Some(rates.memory_search), Some(rates.memory_store));
    let started = Started { past, memory, cost, keeping, ..Started::default() };
    run.record(inner, now, Event::Started(Box::new(started)));
    run.consult(inner).await?;
    run.decide(inner);
    Ok(run)
}

fn accepted(tenant: &Tenant, run: &Run, open: &Unsummarised, provider: String) -> Event {
    Event::Accepted(Box::new(Accepted {
        tenant: tenant.to_string(),
        run: run.id.clone(),
        lineage: run.record.lineage.clone(),
        session_id: open.session_id.clone(),
        alias_id: open.alias_id.clone(),
        config: open.config.clone(),
        provider,
        memory_id: Some(open.memory_id.clone()),
        task: Task::Summarize,
        prompt_session_attributes: Attributes::new(),
        ..Accepted::default()
    }))
}

/// Commits the last batch of a run that sums a session up, with what its memory has from it.
pub(crate) async fn commit(
    inner: &Inner,
    tenant: &Tenant,
    batch: Batch,
    closing: &Closing<'_>,
) -> Result<(), CommitError> {
    let Closing { record, turn, config, .. } = closing;
    let memory_id = turn.accepted.as_ref().and_then(|accepted| accepted.memory_id.as_deref());
    let conversation = turn.past.thread.split('/').next().unwrap_or_default();
    let prefix = prefix(&record.agent_id, &record.alias_id, memory_id);
    let id = format!("{prefix}{conversation}");
    loop {
        let found = inner.store.get::<Unsummarised>(tenant, &id).await;
        let found = found.map_err(CommitError::Store)?;
        let mut batch = batch.clone();
        batch.expect_version::<Unsummarised>(&id, found.as_ref().map_or(0, |found| found.version));
        // Another run, or nobody any more, waits for it: it was deleted meanwhile.
        let ours = found.map(|f| f.value).filter(|open| open.run.as_ref() == Some(&record.run));
        if let Some(open) = ours {
            write(&mut batch, open, turn.end.as_ref(), config.memory.as_ref(), inner.clock.now());
        }
        match inner.store.commit(batch).await {
            Err(CommitError::Conflict(conflict)) if conflict.kind == Unsummarised::KIND => {}
            done => return done,
        }
    }
}

fn write(
    batch: &mut Batch,
    open: Unsummarised,
    end: Option<&End>,
    memory: Option<&MemoryConfig>,
    now: i64,
) {
    let id = open.id();
    let attempts = open.attempts + 1;
    match end {
        Some(End::Answered(text)) => {
            let days = memory.map_or(0, |memory| memory.storage_days).min(LONGEST_DAYS);
            let expires_at = now + i64::from(days) * DAY_MILLIS;
            let prefix = prefix(&open.agent_id, &open.alias_id, Some(&open.memory_id));
            let run = open.run.unwrap_or_default();
            // In the order in which sessions ended.
            let key = format!("{prefix}{now:016}-{run}");
            let summary = Summary {
                memory_id: open.memory_id,
                session_id: open.session_id,
                began_at: open.began_at,
                expires_at,
                text: text.clone(),
                run,
                restricted: open.past.restricted,
            };
            batch.put_until(&key, &summary, expires_at);
            batch.delete::<Unsummarised>(&id);
        }
        Some(End::Failed { message, .. }) if attempts < ATTEMPTS => {
            tracing::warn!(
                session = open.session_id,
                message,
                "a session is summed up again later"
            );
            let due = now + PAUSE_MILLIS * i64::from(attempts);
            batch.timer(&timer(&id), due, id.clone());
            batch.put(&id, &Unsummarised { run: None, attempts, ..open });
        }
        Some(End::Failed { .. } | End::GaveUp(..) | End::Cancelled(_)) | None => {
            let (session, memory) = (&open.session_id, &open.memory_id);
            tracing::error!(
                session,
                memory,
                "a session could not be summed up; its memory goes without"
            );
            batch.delete::<Unsummarised>(&id);
        }
    }
}
