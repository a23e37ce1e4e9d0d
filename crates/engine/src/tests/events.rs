//! Asynchronous invocations: accepted once, performed at least once, given up in the end.

use llm::Models;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use store::{Store, Tenant};
use tokio::time::{Instant, sleep};

use super::{Bench, Surroundings, start};
use crate::event::{Patience, Refused};
use crate::limits::Limits;
use crate::sim::world::{Mishap, Model, World};
use crate::tool::ToolCall;

/// An event for the function `f`, which the world counts under the key `id`.
fn event(id: &str) -> ToolCall {
    let payload =
        json!({ "function": "keyed", "idempotencyKey": id, "parameters": [{"value": "1"}] });
    ToolCall {
        tenant: Tenant::new("000000000000", "us-east-1"),
        function: "f".to_owned(),
        payload: Bytes::from(payload.to_string()),
        request_id: id.to_owned(),
        key: None,
        client_context: None,
        timeout: None,
        asked: None,
    }
}

impl Bench {
    async fn later(&self, id: &str) -> Result<(), Refused> {
        self.engine.invoke_later(event(id), Patience::default()).await
    }

    /// How many calls there have been after so many seconds more.
    async fn calls_after(&self, seconds: u64) -> usize {
        sleep(Duration::from_secs(seconds)).await;
        self.world.calls().len()
    }

    async fn nothing_waits(&self) {
        let due = self.store.due_timers("event/", i64::MAX, 10).await.expect("a store");
        assert!(due.is_empty(), "{due:?}");
        let count = self.store.counter(&self.tenant, "lambda-events").await.expect("a store");
        assert_eq!(count, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_performed_at_once_and_only_once() {
    let bench = Bench::new(&[]).await;
    bench.later("a").await.expect("accepted");
    bench.later("b").await.expect("accepted");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.world.calls().len(), 2, "upkeep, a second later, was not needed");
    assert_eq!(bench.calls_after(30_000).await, 2);
    bench.nothing_waits().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_is_tried_after_one_minute_and_after_two_and_no_more() {
    let bench = Bench::new(&[]).await;
    for mishap in [Mishap::Error, Mishap::Lost, Mishap::Error] {
        bench.world.mishap(mishap);
    }
    bench.later("a").await.expect("accepted");
    assert_eq!(bench.calls_after(59).await, 1);
    assert_eq!(bench.calls_after(3).await, 2);
    assert_eq!(bench.calls_after(117).await, 2);
    assert_eq!(bench.calls_after(5).await, 3);
    assert_eq!(bench.world.keyed().len(), 1, "each attempt has the same payload");
    assert_eq!(bench.calls_after(30_000).await, 3);
    bench.nothing_waits().await;
}

#[tokio::test(start_paused = true)]
async fn what_keeps_an_event_from_its_function_costs_no_attempt() {
    let bench = Bench::new(&[]).await;
    for _ in 0..6 {
        bench.world.mishap(Mishap::NotSent);
    }
    bench.later("a").await.expect("accepted");
    // 1 + 2 + 4 + 8 + 16 + 32 seconds, and up to one of upkeep after each.
    assert_eq!(bench.calls_after(60).await, 0);
    assert_eq!(bench.calls_after(15).await, 1);
    bench.nothing_waits().await;
}

#[tokio::test(start_paused = true)]
async fn one_more_than_may_wait_is_refused_until_there_is_room() {
    let limits = Limits { waiting_events: 2, ..Limits::default() };
    let bench = Bench::with(&[], Duration::ZERO, limits).await;
    bench.world.mishap(Mishap::Slow(5));
    bench.world.mishap(Mishap::Slow(5));
    bench.later("a").await.expect("accepted");
    bench.later("b").await.expect("accepted");
    let refused = bench.later("c").await.expect_err("no room");
    assert!(matches!(refused, Refused::Full(2)), "{refused}");
    sleep(Duration::from_secs(6)).await;
    bench.later("c").await.expect("accepted");
    assert_eq!(bench.calls_after(1).await, 3);
    bench.nothing_waits().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_function_leaves_room_for_others_and_its_own_wait_in_order() {
    let bench = Bench::new(&[]).await;
    for _ in 0..10 {
        bench.world.mishap(Mishap::Slow(600));
    }
    for n in 0..30 {
        bench.later(&format!("slow-{n}")).await.expect("accepted");
    }
    let other = ToolCall { function: "g".to_owned(), ..event("quick") };
    bench.engine.invoke_later(other, Patience::default()).await.expect("accepted");
    assert_eq!(bench.calls_after(1).await, 11, "ten of f, and the one of g");
    assert_eq!(bench.calls_after(601).await, 31, "the rest follows when the ten are done");
    bench.nothing_waits().await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_leaves_what_it_breaks_off_for_the_next_start() {
    let mut bench = Bench::new(&[]).await;
    bench.world.mishap(Mishap::Slow(100));
    bench.later("a").await.expect("accepted");
    sleep(Duration::from_millis(1)).await;
    bench.engine.drain(Duration::from_secs(1)).await;
    assert!(matches!(bench.later("b").await, Err(Refused::Stopping)));
    bench.restart().await;
    assert_eq!(bench.calls_after(2).await, 2, "performed again: at least once");
    bench.nothing_waits().await;
}

/// One life after the other on one world: the first dies at its nth commit, `unanswered` or not.
async fn lives(commits: u64, unanswered: bool) {
    let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
    let (surroundings, world) = (Arc::new(surroundings), Arc::<World>::default());
    let (model, limits) = (Arc::new(Model::new(Vec::new())), Limits::default());
    let store = Store::memory().expect("a store");
    let engine = start(&store, Models::single(model.clone()), &world, &surroundings, &limits).await;
    match unanswered {
        true => store.crash_unanswered_after(commits).expect("a memory store"),
        false => store.crash_after(commits).expect("a memory store"),
    }
    world.mishap(Mishap::Error);
    let mut accepted = Vec::new();
    for id in ["a", "b", "c"] {
        if engine.invoke_later(event(id), Patience::default()).await.is_ok() {
            accepted.push(id);
        }
        sleep(Duration::from_secs(1)).await;
    }
    let store = store.reopen().expect("the data is there");
    let engine = start(&store, Models::single(model.clone()), &world, &surroundings, &limits).await;
    sleep(Duration::from_secs(400)).await;
    let performed = world.keyed().keys().cloned().collect::<Vec<_>>();
    for id in &accepted {
        assert!(performed.iter().any(|p| p == id), "{id} after {commits} commits: {performed:?}");
    }
    let due = store.due_timers("event/", i64::MAX, 10).await.expect("a store");
    assert!(due.is_empty() && engine.0.events.flying() == 0, "after {commits}: {due:?}");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_event_outlives_a_crash_at_any_commit() {
    for commits in 0..8 {
        lives(commits, false).await;
        lives(commits, true).await;
    }
}
