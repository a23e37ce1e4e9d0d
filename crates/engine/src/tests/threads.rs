//! The same promises on several threads at once, where only the outcome is certain.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Bench, heard};
use crate::request::{Input, TurnRequest};

async fn all(bench: &Arc<Bench>, requests: Vec<TurnRequest>) -> Vec<String> {
    let tasks = requests.into_iter().map(|request| {
        let engine = bench.engine.clone();
        tokio::spawn(async move { heard(engine.invoke(request).await).await })
    });
    join_all(tasks).await.into_iter().map(|told| told.expect("no panic")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_of_one_session_never_interleave() {
    for _ in 0..10 {
        let bench = Arc::new(Bench::new(&[]).await);
        let mut told = all(&bench, (0..20).map(|_| bench.request("go")).collect()).await;
        let mut expected: Vec<String> = (1..=20).map(|n| format!("[heard {n}]")).collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
        bench.quiet().await;
        assert_eq!(bench.history().await.len(), 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repeats_of_one_request_are_one_turn() {
    for _ in 0..20 {
        let bench = Arc::new(Bench::new(&["use g__once 1"]).await);
        let told = all(&bench, (0..8).map(|_| bench.repeatable("go", "r")).collect()).await;
        assert_eq!(told, vec!["[heard 2]"; 8]);
        assert_eq!(bench.world.calls().len(), 1);
        bench.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn results_and_new_texts_at_once_leave_a_valid_session() {
    for _ in 0..20 {
        let bench = Arc::new(Bench::new(&["use client__ask 1"]).await);
        let results = bench.hand_off("go").await;
        let mut requests: Vec<TurnRequest> =
            (0..3).map(|_| bench.request_of(results.clone())).collect();
        requests.extend((0..3).map(|_| bench.request("forget it")));
        let told = all(&bench, requests).await;
        let brought = told[..3].iter().filter(|told| told.starts_with("[heard")).count();
        assert!(brought <= 1, "{told:?}");
        assert!(told[3..].iter().all(|told| told.starts_with("[heard")), "{told:?}");
        bench.quiet().await;
        bench.history().await;
        let ended = bench.hear(bench.request_of(Input::EndSession)).await;
        assert!(ended.starts_with("[Session is terminated"), "{ended}");
        assert!(bench.store.queued(0, 10).await.expect("a store").is_empty());
    }
}
