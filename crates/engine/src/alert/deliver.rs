//! Brings alerts to the webhook: tried again with growing pauses until somebody takes them, for a
//! day at most.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use exec::Webhook;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use store::{Batch, CommitError, StoreError, Timer};

use super::{Alert, KEPT_MILLIS, State, TIMERS};
use crate::{Engine, Inner, note};

const PAGE: usize = 100;
/// Deliveries at once.
const AT_ONCE: usize = 4;
/// The first pause, and the longest.
const PAUSE_MILLIS: (i64, i64) = (1_000, 600_000);
const PATIENCE_MILLIS: i64 = 24 * 3_600_000;

/// Delivers what is due, beside whoever asks for it: a slow receiver keeps nobody waiting.
pub(crate) async fn deliver_due(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    let Some(webhook) = inner.alarms.webhook.clone() else { return Ok(()) };
    if inner.alarms.delivering.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let round = Round(engine.clone());
    let due = inner.store.due_timers(TIMERS, inner.clock.now(), PAGE).await?;
    tokio::spawn(async move {
        let engine = &round.0;
        let delivered = stream::iter(due).for_each_concurrent(AT_ONCE, |timer| {
            let (engine, webhook) = (engine.clone(), webhook.clone());
            async move { deliver(&engine.0, &webhook, &timer).await }
        });
        delivered.await;
    });
    Ok(())
}

/// One round of deliveries; the next may begin however this one ends.
struct Round(Engine);

impl Drop for Round {
    fn drop(&mut self) {
        self.0.0.alarms.delivering.store(false, Ordering::SeqCst);
    }
}

async fn deliver(inner: &Inner, webhook: &Webhook, timer: &Timer) {
    note("delivering an alert", try_to(inner, webhook, timer).await);
}

async fn try_to(inner: &Inner, webhook: &Webhook, timer: &Timer) -> Result<(), CommitError> {
    let id = timer.id.trim_start_matches(TIMERS);
    let mut batch = Batch::new(&timer.tenant, inner.clock.now());
    let found = inner.store.get::<Alert>(&timer.tenant, id).await.map_err(CommitError::Store)?;
    let Some(found) = found else {
        batch.clear_timer(&timer.id);
        return inner.store.commit(batch).await;
    };
    let mut alert = found.value;
    let body = Bytes::from(body(&timer.tenant.to_string(), &alert).to_string());
    let delivered = webhook.deliver(id, inner.clock.now() / 1000, body).await;
    let now = inner.clock.now();
    alert.attempts += 1;
    alert.state = match &delivered {
        Ok(()) => State::Delivered,
        Err(_) if now - alert.at >= PATIENCE_MILLIS => State::GivenUp,
        Err(_) => State::Pending,
    };
    alert.last_error = delivered.err();
    if alert.state == State::Pending {
        let due = now + pause(inner, alert.attempts);
        batch.timer(&timer.id, due, id.to_owned());
    } else {
        batch.clear_timer(&timer.id);
    }
    if let (State::GivenUp, Some(error)) = (alert.state, &alert.last_error) {
        tracing::error!(alert = id, error, "an alert reached nobody and is given up");
    }
    batch.put_until(id, &alert, alert.at + KEPT_MILLIS);
    inner.store.commit(batch).await
}

/// Twice as long each time, less up to half of it, so that many do not come back together.
fn pause(inner: &Inner, attempts: u32) -> i64 {
    let (first, longest) = PAUSE_MILLIS;
    let whole = first.saturating_mul(1 << attempts.min(20)).min(longest);
    let part = i64::try_from(inner.ids.draw() >> 33).unwrap_or(0) % (whole / 2);
    whole - part
}

/// What a receiver reads.
fn body(tenant: &str, alert: &Alert) -> serde_json::Value {
    json!({
        "id": alert.id,
        "type": alert.kind,
        "about": alert.key,
        "at": alert.at,
        "tenant": tenant,
        "message": alert.message,
        "facts": alert.facts,
    })
}
