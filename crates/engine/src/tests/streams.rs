//! Answers that go out while they are made, and models that fail.

use std::sync::atomic::Ordering;

use llm::ModelErrorKind::{Malformed, Throttled, Unavailable};

use super::Bench;
use crate::request::TurnRequest;

fn streaming(bench: &Bench) -> TurnRequest {
    TurnRequest { stream: true, ..bench.repeatable("go", "r") }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_is_heard_again_as_it_was_recorded() {
    let bench = Bench::new(&["first, <answer>half, half</answer>, rest"]).await;
    assert_eq!(bench.hear(streaming(&bench)).await, "[half][\nhalf]");
    bench.quiet().await;
    assert_eq!(bench.hear(streaming(&bench)).await, "[half\nhalf]");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_away_for_a_moment_is_asked_again() {
    let bench = Bench::new(&[]).await;
    bench.model.fail(Unavailable, false);
    bench.model.fail(Throttled, false);
    assert_eq!(bench.ask("go").await, "[heard 1]");
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_asks_for_time_gets_it_unless_it_asks_for_too_much() {
    let bench = Bench::new(&[]).await;
    let wait = |seconds| Some(std::time::Duration::from_secs(seconds));
    *bench.model.retry_after.lock().expect("no panic") = wait(7);
    bench.model.fail(Throttled, false);
    let began = tokio::time::Instant::now();
    assert_eq!(bench.ask("go").await, "[heard 1]");
    assert!((7..9).contains(&began.elapsed().as_secs()));
    *bench.model.retry_after.lock().expect("no panic") = wait(60);
    bench.model.fail(Throttled, false);
    assert_eq!(bench.ask("go").await, "[ThrottlingException: the model is away (CR0012)]");
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_three_times_at_most_and_not_at_all_for_what_will_not_pass() {
    let bench = Bench::new(&[]).await;
    for _ in 0..3 {
        bench.model.fail(Throttled, false);
    }
    assert_eq!(bench.ask("go").await, "[ThrottlingException: the model is away (CR0012)]");
    bench.model.fail(Malformed, false);
    assert_eq!(bench.ask("go").await, "[DependencyFailedException: the model is away (CR0015)]");
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 4);
    assert_eq!(bench.ask("go").await, "[heard 1]", "three questions in one message");
}

#[tokio::test(start_paused = true)]
async fn once_text_has_gone_out_the_model_is_not_asked_again() {
    let bench = Bench::new(&[]).await;
    bench.model.fail(Unavailable, true);
    let told = bench.hear(streaming(&bench)).await;
    assert_eq!(told, "[half of][DependencyFailedException: the model broke off (CR0013)]");
    // Nobody hears the text while it is made: then it may be asked again.
    bench.model.fail(Unavailable, true);
    assert_eq!(bench.ask("go").await, "[heard 1]");
}
