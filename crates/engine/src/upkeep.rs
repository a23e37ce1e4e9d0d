//! Keeps the engine's promises over time: leases are renewed, waiting and abandoned runs are
//! taken up, hand-offs that nobody answers are called off, what has lapsed is cleared.

use std::sync::{Arc, Weak};
use std::time::Duration;

use store::{Batch, StoreError};

use crate::lane::{PAGE, claim, take_up};
use crate::record::RunRecord;
use crate::{Engine, Inner, note, session};

/// Time between two rounds of upkeep.
const ROUND: Duration = Duration::from_secs(1);
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

async fn renew(inner: &Inner) -> Result<(), StoreError> {
    if inner.live.lock().expect("no holder of this lock panics").is_empty() {
        return Ok(());
    }
    inner.store.renew(&inner.owner, inner.clock.now(), inner.lease_until()).await?;
    Ok(())
}

async fn call_off_due(inner: &Arc<Inner>) -> Result<(), StoreError> {
    for timer in inner.store.due_timers(inner.clock.now(), PAGE).await? {
        let run = String::from_utf8_lossy(&timer.payload);
        let found = inner.store.get::<RunRecord>(&timer.tenant, &run).await?;
        let Some(record) = found.map(|f| f.value) else { continue };
        let key = record.session_key();
        let found = session::current(inner, &timer.tenant, &key).await?.value.parked;
        let ours = found.filter(|parked| parked.run == record.run);
        if let Some(parked) = ours {
            let reason = "its results did not come in time";
            note(
                "calling off",
                session::call_off_parked(inner, &timer.tenant, &parked, reason).await,
            );
        }
        let mut batch = Batch::new(&timer.tenant, inner.clock.now());
        batch.clear_timer(&timer.id);
        note("clearing a timer", inner.store.commit(batch).await);
    }
    Ok(())
}
