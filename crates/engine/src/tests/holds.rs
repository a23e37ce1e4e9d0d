//! Runs that an operator holds and lets go on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use craton_core::agent::event::Event;
use expect_test::{Expect, expect};
use tokio::time::sleep;

use super::Bench;
use crate::inspect::Held;
use crate::journal;
use crate::limits::Limits;
use crate::sim::world::Mishap;

impl Bench {
    async fn hold(&self, run: &str, wanted: bool) -> Option<Held> {
        self.engine.hold(&self.tenant, run, wanted).await.expect("a store")
    }

    /// The kinds of a run's events, in order.
    async fn kinds(&self, run: &str, expected: &Expect) {
        let (events, _) =
            journal::load(&self.engine.0, &self.tenant, run).await.expect("a journal");
        let kind = |event: &Event| {
            let json = serde_json::to_value(event).expect("plain data");
            json["type"].as_str().unwrap_or_default().to_owned()
        };
        let kinds: Vec<String> = events.iter().map(|stamped| kind(&stamped.event)).collect();
        expected.assert_eq(&kinds.join(" "));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_and_nothing_new_begins_until_the_run_goes_on() {
    let mut bench = Bench::new(&["use g__once 1, use g__read 2"]).await;
    bench.world.mishap(Mishap::Slow(5));
    let request = bench.request("go");
    let run = request.request.clone();
    let _hearing = bench.engine.invoke(request).await.expect("a turn");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.hold(&run, true).await, Some(Held::Done));
    assert_eq!(bench.hold(&run, true).await, Some(Held::Done), "twice is once");
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 1);
    bench
        .kinds(
            &run,
            &expect![
                "accepted started asked modelSaid asked asked toolReturned paused toolReturned"
            ],
        )
        .await;
    bench.restart().await;
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 1, "it is held after a restart too");
    assert_eq!(bench.hold(&run, false).await, Some(Held::Done));
    bench.quiet().await;
    bench.kinds(&run, &expect!["accepted started asked modelSaid asked asked toolReturned paused toolReturned continued asked modelSaid finished"]).await;
    assert_eq!(bench.hold(&run, true).await, Some(Held::Over));
    assert_eq!(bench.hold("nobody", true).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_a_run_is_held_begins_nothing_again() {
    let mut bench =
        Bench::with(&["use g__keyed 1"], Duration::from_secs(9), Limits::default()).await;
    let request = bench.request("go");
    let run = request.request.clone();
    let _hearing = bench.engine.invoke(request).await.expect("a turn");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.hold(&run, true).await, Some(Held::Done));
    bench.restart().await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 1, "the call that was cut off waits");
    assert_eq!(bench.hold(&run, false).await, Some(Held::Done));
    bench.quiet().await;
    bench.kinds(&run, &expect!["accepted started asked paused continued modelSaid asked toolReturned asked modelSaid finished"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_begins_held_and_a_parked_one_takes_its_results_held() {
    let bench =
        Bench::with(&["use client__ask 1"], Duration::from_secs(2), Limits::default()).await;
    let (first, second) = (bench.request("one"), bench.request("two"));
    let (parks, waits) = (first.request.clone(), second.request.clone());
    let results = bench.hand_off_of(first).await;
    assert_eq!(bench.hold(&parks, true).await, Some(Held::Done));
    let mut resumed = bench.engine.invoke(bench.request_of(results)).await.expect("it goes on");
    let _second = bench.engine.invoke(second).await.expect("a turn that waits");
    assert_eq!(bench.hold(&waits, true).await, Some(Held::Done));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 1);
    assert_eq!(bench.hold(&parks, false).await, Some(Held::Done));
    let heard = futures_util::StreamExt::next(&mut resumed.outs).await;
    assert_eq!(heard.map(super::told).as_deref(), Some("[heard 2]"));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 2, "the second has its lane, and is held");
    assert_eq!(bench.engine.cancel(&bench.tenant, &waits).await, Ok(true));
    bench.quiet().await;
    bench.kinds(&waits, &expect!["accepted paused started cancelled"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_does_not_wait_for_runs_that_are_held() {
    let bench = Bench::with(&[], Duration::from_secs(1), Limits::default()).await;
    let request = bench.request("go");
    let run = request.request.clone();
    let _hearing = bench.engine.invoke(request).await.expect("a turn");
    assert_eq!(bench.hold(&run, true).await, Some(Held::Done));
    let began = tokio::time::Instant::now();
    bench.engine.drain(Duration::from_secs(600)).await;
    assert!(began.elapsed() < Duration::from_secs(1));
}
