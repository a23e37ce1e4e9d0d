//! Keeps the engine's promises over time: leases are renewed, waiting and abandoned runs are
//! taken up, pending calls are looked after, hand-offs that nobody answers are called off, accepted events are performed, what has
//! lapsed is cleared.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use store::{Batch, QueueState, StoreError};

use crate::lane::{PAGE, claim, give_back_strays, take_up};
use crate::{Engine, Inner, alert, event, ledger, memory, note, pending, session, spend};

/// Time between two rounds of upkeep.
const ROUND: Duration = Duration::from_secs(1);
/// Documents cleared in one change, and changes of one clearing: more than a busy hour leaves.
const CLEARED: usize = 1_000;
const CLEARINGS: usize = 100;

/// Takes up every run that a stopped process left. The embedded store has one process, so all
/// leases found at its start are stale, however long they still last.
pub(crate) async fn recover(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    // What is claimed here is not claimed again below, but by the next process, should this one die
    // before it renews its leases.
    let later = inner.clock.now() + 2 * inner.limits.lease_millis;
    let until = later + 1;
    loop {
        let claimed = inner.store.claim(later, &inner.owner, until, PAGE).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        tracing::info!(runs = claimed.len(), "taking up runs that were under way");
        let mut any = false;
        for row in claimed {
            any |= take_up(engine, row).await;
        }
        if !any {
            // What cannot be taken up now is tried again by upkeep.
            return Ok(());
        }
    }
}

/// Rounds of upkeep for as long as somebody holds the engine.
pub(crate) async fn forever(inner: Weak<Inner>) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut clear_at = 0;
    loop {
        rounds.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let engine = Engine(inner);
        let now = engine.now();
        let clears = now >= clear_at;
        if clears {
            clear_at = now + engine.0.limits.lease_millis / 3;
        }
        // A task of its own, so that a defect costs one round and not all that follow.
        if let Err(panic) = tokio::spawn(round(engine, clears)).await {
            tracing::error!(%panic, "a defect in craton ended a round of upkeep");
        }
    }
}

async fn round(engine: Engine, clears: bool) {
    give_back_strays(&engine.0).await;
    claim(&engine).await;
    note("calling off hand-offs", call_off_due(&engine.0).await);
    note("summing up sessions that are over", memory::sum_up_due(&engine).await);
    note("taking up runs with pending calls", pending::wake_due(&engine).await);
    note("taking calls back", ledger::undo_due(&engine).await);
    note("writing down what was spent", spend::flush(&engine.0).await);
    note("performing accepted events", event::perform_due(&engine).await);
    alert::tend(&engine).await;
    if clears {
        note("clearing what has lapsed", clear(&engine.0, engine.now()).await);
    }
}

/// Renews the leases of this process once a third of their time has passed.
pub(crate) async fn renew(inner: &Inner) -> Result<(), StoreError> {
    let now = inner.clock.now();
    let renewed = inner.renewed_at.load(Ordering::SeqCst);
    // A clock that was set back counts as time passed.
    let due = (now - renewed).unsigned_abs() >= inner.limits.lease_millis.unsigned_abs() / 3;
    if !due || inner.live.count() == 0 {
        return Ok(());
    }
    inner.renewed_at.store(now, Ordering::SeqCst);
    inner.store.renew(&inner.owner, now, inner.lease_until()).await?;
    Ok(())
}

pub(crate) async fn clear(inner: &Inner, now: i64) -> Result<(), StoreError> {
    for _ in 0..CLEARINGS {
        if inner.store.purge_expired(now, CLEARED).await? < CLEARED {
            break;
        }
    }
    Ok(())
}

pub(crate) async fn call_off_due(inner: &Arc<Inner>) -> Result<(), StoreError> {
    for timer in inner.store.due_timers(session::PARK_TIMERS, inner.clock.now(), PAGE).await? {
        let run = String::from_utf8_lossy(&timer.payload);
        let found = inner.store.queued_run(&timer.tenant, &run).await?;
        if let Some(row) = found.filter(|row| row.state == QueueState::Parked) {
            let reason = "its results did not come in time";
            let ended = session::call_off(inner, &timer.tenant, &run, row.epoch, reason).await;
            note("calling off", ended);
            // What failed is tried again by the same timer, which a success has cleared.
            continue;
        }
        let mut batch = Batch::new(&timer.tenant, inner.clock.now());
        batch.clear_timer(&timer.id);
        note("clearing a timer", inner.store.commit(batch).await);
    }
    Ok(())
}
