//! Keeps the engine's promises over time: leases are renewed, waiting and abandoned runs are
//! taken up, hand-offs that nobody answers are called off, what has lapsed is cleared.

use std::sync::{Arc, Weak};
use std::time::Duration;

use craton_core::agent::event::Event;
use craton_core::agent::turn::Turn;
use store::{Batch, CommitError, Queued, StoreError, Tenant, Versioned};

use crate::record::{ParkedRun, RunRecord, RunStatus, Session};
use crate::run::{self, Run};
use crate::{Engine, Inner, drive, invoke};

/// Time between two rounds of upkeep.
const ROUND: Duration = Duration::from_secs(1);
/// Rows that one round takes of each kind.
const PAGE: usize = 256;

/// The name of the timer that calls off a run's hand-off.
pub(crate) fn park_timer(run: &str) -> String {
    format!("hand-off/{run}")
}

/// Takes up every run that a stopped process left. The embedded store has one process, so all
/// leases found at its start are stale, however long they still last.
pub(crate) async fn recover(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    let later = inner.clock.now() + inner.limits.lease_millis + 1;
    loop {
        let until = inner.lease_until() + inner.limits.lease_millis;
        let claimed = inner.store.claim(later, &inner.owner, until, PAGE).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        tracing::info!(runs = claimed.len(), "taking up runs that were under way");
        for row in claimed {
            take_up(engine, row).await;
        }
    }
}

/// Rounds of upkeep for as long as somebody holds the engine.
pub(crate) async fn forever(inner: Weak<Inner>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut renew_at = 0;
    loop {
        rounds.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let engine = Engine(inner);
        let now = engine.now();
        if now >= renew_at {
            renew_at = now + engine.0.limits.lease_millis / 3;
            note("renewing leases", renew(&engine.0).await);
            note("clearing what has lapsed", engine.0.store.purge_expired(now, PAGE).await);
        }
        claim(&engine).await;
        note("calling off hand-offs", call_off_due(&engine.0).await);
    }
}

fn note<T, E: std::fmt::Display>(doing: &str, result: Result<T, E>) {
    if let Err(error) = result {
        tracing::error!(%error, "{doing} failed; it is tried again");
    }
}

async fn renew(inner: &Inner) -> Result<(), StoreError> {
    if inner.live.lock().expect("no holder of this lock panics").is_empty() {
        return Ok(());
    }
    inner.store.renew(&inner.owner, inner.clock.now(), inner.lease_until()).await?;
    Ok(())
}

/// Takes up runs whose lane is free now.
pub(crate) async fn claim(engine: &Engine) {
    let inner = &engine.0;
    let claimed =
        inner.store.claim(inner.clock.now(), &inner.owner, inner.lease_until(), PAGE).await;
    match claimed {
        Ok(rows) => {
            for row in rows {
                take_up(engine, row).await;
            }
        }
        Err(error) => tracing::error!(%error, "looking for waiting runs failed"),
    }
}

/// After a run has left its lane: whoever waited for it begins.
pub(crate) async fn next_in_lane(engine: &Engine, tenant: &Tenant, lane: &str) {
    let waits = {
        let live = engine.0.live.lock().expect("no holder of this lock panics");
        live.iter().any(|((of, _), activation)| of == tenant && activation.lane == lane)
    };
    if waits {
        claim(engine).await;
    }
}

/// Gives a lease back after a failure of the store, so that a later round takes the run up.
pub(crate) async fn give_back(inner: &Inner, tenant: &Tenant, run: &str, epoch: u64) {
    let mut batch = Batch::new(tenant, inner.clock.now());
    batch.release(run, epoch);
    note("giving a lease back", inner.store.commit(batch).await);
}

async fn take_up(engine: &Engine, row: Queued) {
    let (tenant, id, epoch) = (row.tenant.clone(), row.run.clone(), row.epoch);
    match prepare(engine, row).await {
        Ok(Some(run)) => drive::spawn(engine, run),
        Ok(None) => {
            tracing::error!(run = id, "a queued run has no journal or no configuration; dropped");
            let mut batch = Batch::new(&tenant, engine.now());
            batch.dequeue(&id, epoch);
            note("dropping a run", engine.0.store.commit(batch).await);
            engine.0.deactivate(&tenant, &id);
        }
        Err(error) => {
            tracing::error!(run = id, %error, "a run could not be taken up; it is tried again");
            give_back(&engine.0, &tenant, &id, epoch).await;
        }
    }
}

/// A claimed run as it stands in the journal; one that only waited gets its session now.
async fn prepare(engine: &Engine, row: Queued) -> Result<Option<Run>, CommitError> {
    let inner = &engine.0;
    let Some(record) = load_record(inner, &row.tenant, &row.run).await? else { return Ok(None) };
    let agent = inner.agent(&row.tenant, &record.config).await.map_err(CommitError::Store)?;
    let Some(agent) = agent else { return Ok(None) };
    let loaded = run::load(inner, &row.tenant, &row.run).await.map_err(CommitError::Store)?;
    let (events, next) = loaded;
    let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
    if turn.accepted.is_none() {
        return Ok(None);
    }
    let effects = run::effects(inner, &row.tenant, &agent).await.map_err(CommitError::Store)?;
    let lane = record.session_key();
    let mut run = Run {
        live: inner.activate(&row.tenant, &row.run, &lane),
        tenant: row.tenant,
        id: row.run,
        epoch: row.epoch,
        next,
        turn,
        agent,
        effects,
        record,
        pending: Vec::new(),
        outs: Vec::new(),
    };
    if run.turn.messages.is_empty() {
        let session = lane_session(inner, &run.tenant, &lane).await?;
        let started = invoke::started(&run.turn, &run.agent, &session);
        run.record(inner.clock.now(), started);
    } else {
        run.hear_again(&events);
    }
    Ok(Some(run))
}

async fn load_record(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
) -> Result<Option<RunRecord>, CommitError> {
    let found = inner.store.get::<RunRecord>(tenant, run).await.map_err(CommitError::Store)?;
    Ok(found.map(|f| f.value))
}

/// The session for a turn that begins now; a hand-off that still waits there is called off.
async fn lane_session(inner: &Inner, tenant: &Tenant, lane: &str) -> Result<Session, CommitError> {
    let found = session(inner, tenant, lane).await.map_err(CommitError::Store)?;
    let Some(parked) = found.value.parked.clone() else { return Ok(found.value) };
    call_off_parked(inner, tenant, &parked, "new input came instead of the results").await?;
    Ok(session(inner, tenant, lane).await.map_err(CommitError::Store)?.value)
}

/// A session by its key; a lapsed or missing one is empty, at the version it has in the store.
pub(crate) async fn session(
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
    let Some(record) = load_record(inner, tenant, &parked.run).await? else { return Ok(()) };
    let loaded = run::load(inner, tenant, &parked.run).await.map_err(CommitError::Store)?;
    let (events, next) = loaded;
    let mut turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
    let event = Event::Cancelled { reason: reason.to_owned() };
    craton_core::agent::turn::apply(&mut turn, &event);
    let now = inner.clock.now();
    let mut batch = Batch::new(tenant, now);
    let payload = run::encode(&[run::Stamped { at: now, event }]);
    batch.append(&parked.run, next, parked.epoch, run::EVENTS, "agent", payload);
    let ended = RunRecord { status: RunStatus::Cancelled, ended_at: Some(now), ..record.clone() };
    batch.put(&parked.run, &ended);
    batch.dequeue(&parked.run, parked.epoch);
    batch.clear_timer(&park_timer(&parked.run));
    let key = record.session_key();
    let found = session(inner, tenant, &key).await.map_err(CommitError::Store)?;
    batch.expect_version::<Session>(&key, found.version);
    let agent = inner.agent(tenant, &record.config).await.map_err(CommitError::Store)?;
    let ttl = agent.map_or(0, |agent| agent.config.idle_session_ttl_seconds);
    let lapses_at = now + i64::from(ttl) * 1000;
    let after = Session {
        parked: None,
        history: craton_core::agent::history::trim(turn.messages, inner.turn.history_tokens),
        attributes: turn.session_attributes,
        lapses_at: Some(lapses_at),
        ..found.value
    };
    batch.put_until(&key, &after, lapses_at);
    inner.store.commit(batch).await
}

async fn call_off_due(inner: &Arc<Inner>) -> Result<(), StoreError> {
    for timer in inner.store.due_timers(inner.clock.now(), PAGE).await? {
        let run = String::from_utf8_lossy(&timer.payload);
        let found = inner.store.get::<RunRecord>(&timer.tenant, &run).await?;
        let Some(record) = found.map(|f| f.value) else { continue };
        let key = record.session_key();
        let found = session(inner, &timer.tenant, &key).await?.value.parked;
        let ours = found.filter(|parked| parked.run == record.run);
        if let Some(parked) = ours {
            let reason = "its results did not come in time";
            note("calling off", call_off_parked(inner, &timer.tenant, &parked, reason).await);
        }
        let mut batch = Batch::new(&timer.tenant, inner.clock.now());
        batch.clear_timer(&timer.id);
        note("clearing a timer", inner.store.commit(batch).await);
    }
    Ok(())
}
