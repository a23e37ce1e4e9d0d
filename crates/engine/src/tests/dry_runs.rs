//! What a dry run really spends: it is held to the caps, places and sums of live runs, and is timed by
//! what it does, not by who listens.

use craton_core::cost::Money;
use futures_util::StreamExt as _;
use llm::ModelErrorKind;
use serde_json::json;
use tokio::time::sleep;

use super::budgets::{bench, room_for};
use super::*;
use crate::dry::DryError;
use crate::spend::{By, Wanted};

const STEPS: [&str; 2] = ["use g__read 1", "<answer>done</answer>"];

impl Bench {
    async fn slow(script: &[&str], seconds: u64) -> Bench {
        let limits = Limits { runs: 1, ..Limits::default() };
        Bench::with(script, Duration::from_secs(seconds), limits).await
    }

    /// Replies of models in the sums of the day.
    async fn summed(&self) -> i64 {
        let wanted = Wanted { by: By::Day, since: 0 };
        let report = self.engine.spent(&self.tenant, wanted).await.expect("sums");
        report.rows.iter().map(|row| row.spent.model_calls).sum()
    }

    async fn dry_heard(&self, text: &str) -> String {
        match self.engine.dry_hear(self.request(text)).await {
            Ok(hearing) => heard(Ok(hearing)).await,
            Err(error) => format!("refused: {error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_spends_from_the_budgets_that_a_live_run_of_its_session_spends_from() {
    let cap = room_for(1, &STEPS).await + 1;
    let caps = json!({"session": {"tokens": cap}, "tenant": {"tokens": 1_000_000}});
    let bench = bench(&STEPS, &caps.to_string()).await;
    let session = "budget/session/session/AGENT/ALIAS/ever/tokens";
    let counter = async |key: &str| bench.store.counter(&bench.tenant, key).await.expect("a store");
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    assert_eq!((dry.status, dry.answer), (RunStatus::Answered, Some(json!({"text": "done"}))));
    assert_eq!(counter(session).await, 2_000, "what was held back and not used is given back");
    assert_eq!(counter("budget/tenant/ever/tokens").await, 2_000);
    // The next is stopped by what the first has spent, and so is a live turn.
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    assert_eq!((dry.status, dry.model_calls), (RunStatus::Parked, 0));
    let stopped = dry.answer.expect("words").to_string();
    assert!(stopped.contains("the budget of this session"), "{stopped}");
    assert!(bench.ask("go").await.contains("the budget of this session"));
    assert_eq!(counter(session).await, 2_000);
    let alerts = bench.engine.alerts(&bench.tenant, None, 10).await.expect("a store");
    let exceeded = alerts.iter().find(|alert| alert.kind == "budget.exceeded").expect("an alert");
    assert_eq!((&exceeded.facts["dry"], &exceeded.facts["resume"]), (&json!(true), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn dry_runs_side_by_side_do_not_pass_a_cap() {
    let takes = Duration::from_secs(1);
    let bench = Bench::with(&STEPS, takes, Limits::default()).await;
    let cap = 40_000;
    let bench = bench.under(&json!({"tenant": {"tokens": cap}}).to_string()).await;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..20 {
        let session_id = format!("session-{n}");
        let request = TurnRequest { session_id, ..bench.request("go") };
        let engine = bench.engine.clone();
        all.spawn(async move { engine.dry_run(request).await.expect("a dry run").status });
    }
    let mut most = 0;
    while !all.is_empty() {
        let spent = bench.store.counter(&bench.tenant, "budget/tenant/ever/tokens").await;
        most = most.max(spent.expect("a store"));
        assert!(most <= cap, "{most} of {cap} tokens");
        let _ = tokio::time::timeout(Duration::from_millis(100), all.join_next()).await;
    }
    assert!(most > cap / 2, "they were under way at the same time: {most}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_takes_a_place_and_a_stop_waits_for_it() {
    let bench = Bench::slow(&["done"], 60).await;
    let hearing = bench.engine.dry_hear(bench.request("go")).await.expect("a dry run");
    let full = "refused: 1 turns are under way, which is the limit";
    assert_eq!(bench.ask("go").await, full);
    assert_eq!(bench.dry_heard("go").await, full);
    let gone = tokio::time::timeout(
        Duration::from_secs(1),
        Box::pin(bench.engine.drain(Duration::from_secs(300))),
    );
    assert!(gone.await.is_err(), "it waits");
    assert_eq!(bench.dry_heard("go").await, "refused: the server is stopping");
    bench.engine.drain(Duration::from_secs(300)).await;
    assert_eq!(bench.summed().await, 1, "it ended and is paid for");
    assert_eq!(heard(Ok(hearing)).await, "[done]");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_the_stop_does_not_wait_for_is_called_off_and_paid_for() {
    let bench = Bench::slow(&STEPS, 60).await;
    let hearing = bench.engine.dry_hear(bench.request("go")).await.expect("a dry run");
    bench.engine.drain(Duration::from_secs(90)).await;
    let said = "[InternalServerException: the server is stopping; the dry run is called off]";
    assert_eq!(heard(Ok(hearing)).await, said);
    assert!(bench.summed().await >= 1, "the reply of the first minute");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_takes_too_long_is_paid_for_and_its_client_hears_why() {
    let bench = Bench::slow(&STEPS, 200).await;
    let ended = bench.engine.dry_run(bench.request("go")).await;
    assert!(matches!(ended, Err(DryError::TooLong)));
    let summed = bench.summed().await;
    assert!(summed >= 1, "the reply of the first 200 s");
    let said = "[InternalServerException: the dry run was not over after 300 s]";
    assert_eq!(bench.dry_heard("go").await, said);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.summed().await, 2 * summed);
    // Its place is free again.
    let left = bench.engine.dry_hear(bench.request("go")).await.expect("a place").run;
    assert!(!left.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_hears_all_of_a_dry_run_and_one_that_left_is_paid_for() {
    let script: Vec<String> = (0..15).map(|n| format!("use g__read {n}")).collect();
    let mut script: Vec<&str> = script.iter().map(String::as_str).collect();
    script.push("<answer>done</answer>");
    let bench = Bench::new(&script).await;
    let request = TurnRequest { trace: true, ..bench.request("go") };
    let mut hearing = bench.engine.dry_hear(request).await.expect("a dry run");
    let first = hearing.outs.next().await.map(told);
    sleep(Duration::from_secs(400)).await;
    assert_eq!(bench.summed().await, 16, "nobody's reading holds it up");
    let rest = heard(Ok(hearing)).await;
    assert!(rest.len() > 64 && rest.ends_with("[done]"), "{first:?} and {rest}");
    // Whoever asks for the plan and goes away leaves a run that ends, and is paid for.
    let asked = bench.engine.dry_run(bench.request("go"));
    let left = tokio::time::timeout(Duration::ZERO, asked).await;
    assert!(left.is_err(), "it is under way");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.summed().await, 32);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_costs_what_was_really_spent_attempts_in_vain_too() {
    let script = ["use g__read 1, use g__once 2", "<answer>done</answer>"];
    let bench = bench(&script, r#"{"tenant": {"dollars": 50}}"#).await;
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    let answered = 2 * 22_000_000_000;
    assert_eq!(dry.cost, Some(Money(answered) + Money::DOLLAR), "the writer was not called");
    // A reply that came garbled is on the bill, and is all that this one has.
    bench.model.fail(ModelErrorKind::Malformed, false);
    let broken = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    assert_eq!(broken.status, RunStatus::Failed);
    let both = dry.cost.unwrap_or_default() + broken.cost.unwrap_or_default();
    assert!(broken.cost > Some(Money::ZERO), "{broken:?}");
    let report = bench.engine.spent(&bench.tenant, Wanted { by: By::Day, since: 0 }).await;
    assert_eq!(report.expect("sums").rows[0].spent.stack.total(), both);
}
