//! Sessions between turns: what the next one starts from, and hand-offs that nobody answers.

use craton_core::agent::event::{Event, Started};
use craton_core::agent::state::Turn;
use craton_core::agent::turn::Agent;
use craton_core::agent::{history, prompt, state};
use store::{Batch, CommitError, StoreError, Tenant, Versioned};

use crate::Inner;
use crate::journal::{self, Stamped};
use crate::record::{ParkedRun, RunRecord, RunStatus, Session};
use crate::run::Run;

/// The name of the timer that calls off a run's hand-off.
pub(crate) fn park_timer(run: &str) -> String {
    format!("hand-off/{run}")
}

/// What an accepted turn starts from.
pub(crate) fn started(turn: &Turn, agent: &Agent, session: &Session) -> Event {
    Event::Started(Box::new(Started {
        system: prompt::system(&agent.config, &turn.prompt_attributes),
        history: session.history.clone(),
        session_attributes: session.attributes.clone(),
        unknown: session.unknown.clone(),
    }))
}

/// The session for a turn that begins now; a hand-off that still waits there is called off.
pub(crate) async fn for_lane(
    inner: &Inner,
    tenant: &Tenant,
    lane: &str,
) -> Result<Session, CommitError> {
    let found = current(inner, tenant, lane).await.map_err(CommitError::Store)?;
    let Some(parked) = found.value.parked.clone() else { return Ok(found.value) };
    call_off_parked(inner, tenant, &parked, "new input came instead of the results").await?;
    Ok(current(inner, tenant, lane).await.map_err(CommitError::Store)?.value)
}

/// A session by its key; a lapsed or missing one is empty, at the version it has in the store.
pub(crate) async fn current(
    inner: &Inner,
    tenant: &Tenant,
    key: &str,
) -> Result<Versioned<Session>, StoreError> {
    let now = inner.clock.now();
    let found = inner.store.get::<Session>(tenant, key).await?;
    Ok(match found {
        Some(found) if !found.value.lapsed(now) => found,
        Some(lapsed) => Versioned { version: lapsed.version, value: Session::default() },
        None => Versioned { version: 0, value: Session::default() },
    })
}

/// Ends a parked turn without its results; its session keeps what was said and done.
pub(crate) async fn call_off_parked(
    inner: &Inner,
    tenant: &Tenant,
    parked: &ParkedRun,
    reason: &str,
) -> Result<(), CommitError> {
    let event = Event::Cancelled { reason: reason.to_owned() };
    end(inner, tenant, &parked.run, parked.epoch, event).await
}

/// Ends a run that no task can drive any more.
pub(crate) async fn give_up(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    epoch: u64,
) -> Result<(), CommitError> {
    let message = "a defect in craton ended this turn; its server log has the details".to_owned();
    let event = Event::Failed { code: "InternalServerException".to_owned(), message };
    end(inner, tenant, run, epoch, event).await
}

/// Ends a run from outside with one last event.
async fn end(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    epoch: u64,
    event: Event,
) -> Result<(), CommitError> {
    let Some(record) = run_record(inner, tenant, run).await? else { return Ok(()) };
    let loaded = journal::load(inner, tenant, run).await.map_err(CommitError::Store)?;
    let (events, next) = loaded;
    let mut turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
    state::apply(&mut turn, &event);
    let status = match event {
        Event::Failed { .. } => RunStatus::Failed,
        _ => RunStatus::Cancelled,
    };
    let now = inner.clock.now();
    let mut batch = Batch::new(tenant, now);
    let payload = journal::encode(&[Stamped { at: now, event }]);
    batch.append(run, next, epoch, journal::EVENTS, "agent", payload);
    batch.put(run, &RunRecord { status, ended_at: Some(now), ..record.clone() });
    batch.dequeue(run, epoch);
    batch.clear_timer(&park_timer(run));
    let key = record.session_key();
    let found = current(inner, tenant, &key).await.map_err(CommitError::Store)?;
    batch.expect_version::<Session>(&key, found.version);
    let agent = inner.agent(tenant, &record.config).await.map_err(CommitError::Store)?;
    let ttl = agent.map_or(0, |agent| agent.config.idle_session_ttl_seconds);
    let lapses_at = now + i64::from(ttl) * 1000;
    let mut after = found.value;
    after.parked = None;
    after.history = history::trim(turn.messages, inner.turn.history_tokens);
    after.attributes = turn.session_attributes;
    after.unknown = turn.unknown;
    after.lapses_at = Some(lapses_at);
    after.remember(run);
    batch.put_until(&key, &after, lapses_at);
    inner.store.commit(batch).await
}

/// The session once this turn has ended or parked. A parked turn's messages are not history yet.
pub(crate) async fn after(
    inner: &Inner,
    run: &Run,
    parked: Option<ParkedRun>,
) -> Result<Session, CommitError> {
    let stored = inner.store.get::<Session>(&run.tenant, &run.session_key()).await;
    let stored = stored.map_err(CommitError::Store)?.map(|found| found.value);
    let now = inner.clock.now();
    let mut session = stored.filter(|s| !s.lapsed(now)).unwrap_or_else(|| Session {
        agent_id: run.record.agent_id.clone(),
        alias_id: run.record.alias_id.clone(),
        session_id: run.record.session_id.clone(),
        ..Session::default()
    });
    session.remember(&run.id);
    session.attributes = run.turn.session_attributes.clone();
    session.unknown = run.turn.unknown.clone();
    if parked.is_none() {
        session.history = history::trim(run.turn.messages.clone(), inner.turn.history_tokens);
    }
    let ttl = i64::from(run.agent.config.idle_session_ttl_seconds) * 1000;
    session.lapses_at = parked.is_none().then_some(now + ttl);
    session.parked = parked;
    Ok(session)
}

pub(crate) async fn run_record(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
) -> Result<Option<RunRecord>, CommitError> {
    let found = inner.store.get::<RunRecord>(tenant, run).await.map_err(CommitError::Store)?;
    Ok(found.map(|f| f.value))
}
