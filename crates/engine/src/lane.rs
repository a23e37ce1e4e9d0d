//! The queue's side of a run: who may run in a session's lane, and what comes after.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use craton_core::agent::event::Event;
use craton_core::agent::state::Turn;
use futures_util::FutureExt as _;
use store::{Batch, CommitError, Queued, Tenant, Timer};

use crate::budget::Book;
use crate::drive::Left;
use crate::live::{Activation, Out};
use crate::model::Named;
use crate::run::{self, Counted, Policies, Run};
use crate::{Engine, Inner, drive, journal, note, session, upkeep};

/// A lease that this process holds and no task works under.
pub(crate) type Stray = (Tenant, String, u64);

const NOT_RECORDED: &str = "what this turn did could not be recorded; it goes on as soon as the \
                            store works again, and a repeat of the request finds its answer";

/// Rows that one look at the queue takes.
pub(crate) const PAGE: usize = 256;
/// How long what failed at its time waits for the next.
const PUT_OFF_MILLIS: i64 = 60_000;

/// Drives a run to its end in a task of its own; the client may go away meanwhile.
pub(crate) fn spawn(engine: &Engine, run: Run) {
    let engine = engine.clone();
    tokio::spawn(async move {
        let (tenant, id, epoch) = (run.tenant.clone(), run.id.clone(), run.epoch);
        let (lane, live) = (run.session_key(), run.live.clone());
        live.hold.send_replace(run.turn.paused);
        live.drive();
        let inner = engine.0.clone();
        // A panic ends this run and nothing else.
        let driven = AssertUnwindSafe(drive::drive(&inner, run)).catch_unwind();
        match driven.await {
            Ok(Ok(Left::Suspended)) => return next_in_lane(&engine, &tenant, &lane).await,
            Ok(Ok(Left::Done)) => {}
            Ok(Err(error)) => {
                tracing::error!(run = id, %error, "a run could not go on; it is tried again");
                give_back(&engine.0, &tenant, &id, epoch).await;
                live.push(Out::internal(NOT_RECORDED));
            }
            Err(_) => {
                // What and where has been printed when it panicked.
                tracing::error!(run = id, "a defect in craton ended a run");
                note("ending a run", session::give_up(&engine.0, &tenant, &id, epoch).await);
                live.push(Out::internal(session::DEFECT));
            }
        }
        engine.0.live.end(&tenant, &id, &live);
        next_in_lane(&engine, &tenant, &lane).await;
    });
}

/// Takes up runs whose lane is free now.
pub(crate) async fn claim(engine: &Engine) {
    let inner = &engine.0;
    // After a pause of the whole machine our own leases look abandoned.
    note("renewing leases", upkeep::renew(inner).await);
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
    if engine.0.live.in_lane(tenant, lane) > 0 {
        claim(engine).await;
    }
}

/// Gives a lease back after a failure of the store, so that a later round takes the run up.
async fn give_back(inner: &Inner, tenant: &Tenant, run: &str, epoch: u64) {
    let mut batch = Batch::new(tenant, inner.clock.now());
    batch.release(run, epoch);
    match inner.store.commit(batch).await {
        Ok(()) => {}
        Err(CommitError::Conflict(_)) => tracing::info!(run, "somebody else has this run now"),
        Err(CommitError::Store(error)) => {
            tracing::error!(run, %error, "giving a lease back failed; it is tried again");
            let mut strays = inner.strays.lock().expect("no holder of this lock panics");
            strays.push((tenant.clone(), run.to_owned(), epoch));
        }
    }
}

/// Tries again to give back what could not be given back.
pub(crate) async fn give_back_strays(inner: &Inner) {
    let strays = std::mem::take(&mut *inner.strays.lock().expect("no holder of this lock panics"));
    for (tenant, run, epoch) in strays {
        give_back(inner, &tenant, &run, epoch).await;
    }
}

/// Tries later again what a timer stands for, so that what fails for long does not keep the timers
/// that came after it from their turn.
pub(crate) async fn put_off(inner: &Inner, timer: &Timer) {
    let mut batch = Batch::new(&timer.tenant, inner.clock.now());
    batch.timer(&timer.id, inner.clock.now() + PUT_OFF_MILLIS, timer.payload.clone());
    note("putting a timer off", inner.store.commit(batch).await);
}

/// `false` if it has to be tried again.
pub(crate) async fn take_up(engine: &Engine, row: Queued) -> bool {
    let (tenant, id, epoch) = (row.tenant.clone(), row.run.clone(), row.epoch);
    match prepare(engine, row).await {
        Ok(Some(run)) => {
            spawn(engine, run);
            true
        }
        Ok(None) => {
            tracing::error!(run = id, "a queued run has no journal or no configuration; ended");
            let ended = session::give_up(&engine.0, &tenant, &id, epoch).await;
            if matches!(ended, Err(CommitError::Store(_))) {
                give_back(&engine.0, &tenant, &id, epoch).await;
                return false;
            }
            if let Some(live) = engine.0.live.get(&tenant, &id) {
                live.push(Out::internal(session::DEFECT));
                engine.0.live.end(&tenant, &id, &live);
            }
            true
        }
        Err(error) => {
            tracing::error!(run = id, %error, "a run could not be taken up; it is tried again");
            give_back(&engine.0, &tenant, &id, epoch).await;
            false
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
    let policies = match Policies::recorded(&events) {
        Some(recorded) => recorded,
        None => run::policies(inner, &row.tenant, &agent).await.map_err(CommitError::Store)?,
    };
    let named = Named::of(inner, &row.tenant, &agent).await;
    let lane = record.session_key();
    let mut run = Run {
        live: activation(inner, &row, &lane, &turn.request),
        tenant: row.tenant,
        id: row.run,
        epoch: row.epoch,
        next,
        turn,
        counted: Counted::of(events.iter().map(|stamped| &stamped.event)),
        book: Book::open(inner, &agent.config.budgets, &events),
        agent,
        policies,
        named,
        record,
        pending: Vec::new(),
        rows: Vec::new(),
        outs: Vec::new(),
        raised: Default::default(),
    };
    let accepted = run.turn.accepted.as_ref();
    let memory = accepted.and_then(|accepted| accepted.memory_id.clone());
    let found = session::current(inner, &run.tenant, &lane).await.map_err(CommitError::Store)?;
    let other = session::of_another_memory(&found.value, memory.as_deref());
    if let Some(message) = other.filter(|_| !run.turn.begun) {
        let code = "ValidationException".to_owned();
        run.record(inner, inner.clock.now(), Event::Failed { code, message });
    } else if !run.turn.begun {
        let session = session::for_lane(inner, &run.tenant, &lane).await?;
        let started = session::started(inner, &run.tenant, &run, session).await;
        let started = started.map_err(CommitError::Store)?;
        run.record(inner, inner.clock.now(), started);
    } else {
        run.hear_again(&events);
        run.lose_calls(inner);
    }
    Ok(Some(run))
}

/// What somebody who waits for the run listens to already, else a new one.
fn activation(inner: &Inner, row: &Queued, lane: &str, request: &str) -> Arc<Activation> {
    let waiting = inner.live.get(&row.tenant, &row.run).filter(|live| !live.is_driven());
    waiting.unwrap_or_else(|| {
        let live = Activation::new(lane, request);
        inner.live.begin(&row.tenant, &row.run, &live);
        live
    })
}
