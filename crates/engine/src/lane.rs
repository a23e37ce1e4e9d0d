//! The queue's side of a run: who may run in a session's lane, and what comes after.

use craton_core::agent::state::Turn;
use store::{Batch, CommitError, Queued, Tenant};

use crate::run::{self, Run};
use crate::{Engine, Inner, drive, journal, note, session};

/// Rows that one look at the queue takes.
pub(crate) const PAGE: usize = 256;

/// Drives a run to its end in a task of its own; the client may go away meanwhile.
pub(crate) fn spawn(engine: &Engine, run: Run) {
    let engine = engine.clone();
    tokio::spawn(async move {
        let (tenant, id, epoch) = (run.tenant.clone(), run.id.clone(), run.epoch);
        let lane = run.session_key();
        let inner = engine.0.clone();
        // A task of its own, so that a panic ends this run and nothing else.
        match tokio::spawn(async move { drive::drive(&inner, run).await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(run = id, %error, "a run could not go on; it is tried again");
                give_back(&engine.0, &tenant, &id, epoch).await;
            }
            Err(panic) => {
                tracing::error!(run = id, %panic, "a defect in craton ended a run");
                note("ending a run", session::give_up(&engine.0, &tenant, &id, epoch).await);
            }
        }
        engine.0.deactivate(&tenant, &id);
        next_in_lane(&engine, &tenant, &lane).await;
    });
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
async fn next_in_lane(engine: &Engine, tenant: &Tenant, lane: &str) {
    let waits = {
        let live = engine.0.live.lock().expect("no holder of this lock panics");
        live.iter().any(|((of, _), activation)| of == tenant && activation.lane == lane)
    };
    if waits {
        claim(engine).await;
    }
}

/// Gives a lease back after a failure of the store, so that a later round takes the run up.
async fn give_back(inner: &Inner, tenant: &Tenant, run: &str, epoch: u64) {
    let mut batch = Batch::new(tenant, inner.clock.now());
    batch.release(run, epoch);
    note("giving a lease back", inner.store.commit(batch).await);
}

pub(crate) async fn take_up(engine: &Engine, row: Queued) {
    let (tenant, id, epoch) = (row.tenant.clone(), row.run.clone(), row.epoch);
    match prepare(engine, row).await {
        Ok(Some(run)) => spawn(engine, run),
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
    let Some(record) = session::run_record(inner, &row.tenant, &row.run).await? else {
        return Ok(None);
    };
    let agent = inner.agent(&row.tenant, &record.config).await.map_err(CommitError::Store)?;
    let Some(agent) = agent else { return Ok(None) };
    let loaded = journal::load(inner, &row.tenant, &row.run).await.map_err(CommitError::Store)?;
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
        let session = session::for_lane(inner, &run.tenant, &lane).await?;
        let started = session::started(&run.turn, &run.agent, &session);
        run.record(inner.clock.now(), started);
    } else {
        run.hear_again(&events);
    }
    Ok(Some(run))
}
