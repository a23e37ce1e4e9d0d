//! Alerts: what is said and counted follows from what was committed, and nobody who spends is passed
//! over.

use llm::Models;
use tokio::time::sleep;
use wire::converse::Usage;

use super::budgets::asking;
use super::*;
use crate::alert::{self, Settings};
use crate::model::{Asking, Payer};
use crate::session::run_record;
use crate::spend::{self, DAY_MILLIS};

const MANY: Usage = Usage {
    input_tokens: 1_000_000,
    output_tokens: 0,
    cache_read_input_tokens: 0,
    cache_write_input_tokens: 0,
    cache_write_hour_input_tokens: 0,
};

impl Bench {
    fn priced(&self, settings: Settings) -> Parts {
        let models = Models::single(self.model.clone());
        let parts = parts(&self.store, models, &self.world, &self.surroundings, &self.limits);
        let (budgets, prices) = (self.budgets.clone(), world::prices());
        Parts { budgets, prices, alerts: settings, ..parts }
    }

    async fn engine_of(&self, settings: Settings) -> Engine {
        Engine::start(self.priced(settings)).await.expect("the engine starts")
    }

    async fn alerted(&self, engine: &Engine) -> Vec<String> {
        let alerts = engine.alerts(&self.tenant, None, 50).await.expect("a store");
        let mut told: Vec<String> =
            alerts.iter().map(|alert| format!("{} {}", alert.kind, alert.key)).collect();
        told.sort_unstable();
        told
    }
}

/// A turn that finds its session held by another process: the commit that would have begun it fails,
/// and it waits instead.
#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_counts_nothing_and_says_nothing() {
    let takes = Duration::from_secs(20);
    let script = ["<answer>one</answer>", "<answer>two</answer>"];
    let bench = Bench::with(&script, takes, Limits::default()).await;
    // So little that the first call is near its end already.
    let bench = bench.under(r#"{"run": {"tokens": 9000}}"#).await;
    let other = &bench.engine;
    // It takes up nothing by itself.
    let holder = Engine::assemble(bench.priced(Settings::default()));
    let first = holder.invoke(bench.request("go")).await.expect("a turn");
    let request = bench.request("and");
    let run = request.request.clone();
    let second = other.invoke(request).await.expect("it waits");
    let begun = other.totals(&bench.tenant);
    assert_eq!((begun.turns_begun, begun.model_calls), (1, 0), "it waits");
    assert_eq!(heard(Ok(first)).await, "[one]");
    assert!(heard(Ok(second)).await.ends_with(']'));
    let told = other.totals(&bench.tenant);
    assert_eq!((told.turns_begun, told.model_calls, told.turns_ended), (1, 1, 1));
    let near = format!("budget.near run/{run}");
    let alerts = bench.alerted(other).await;
    assert!(alerts.contains(&near), "{near} is none of {alerts:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_direct_calls_raise_alerts_by_user_or_else_by_model() {
    let bench = Bench::new(&["hello"]).await;
    *bench.model.usage.lock().expect("no panic") = Usage { input_tokens: 900, ..MANY };
    let tokens_per_minute = Some(1_000);
    let engine = bench.engine_of(Settings { tokens_per_minute, ..Settings::default() }).await;
    let ask = async |user: Option<&str>| {
        let payer = Payer { user: user.map(str::to_owned), ..Payer::default() };
        let asking = Asking { payer, ..asking(&bench.tenant) };
        engine.ask_model(asking).await.expect("a reply");
    };
    ask(Some("ann")).await;
    ask(Some("bob")).await;
    ask(None).await;
    assert!(bench.alerted(&engine).await.is_empty(), "each has its own minute");
    ask(Some("ann")).await;
    ask(None).await;
    ask(None).await;
    assert_eq!(bench.alerted(&engine).await, ["rate.tokens model/m", "rate.tokens user/ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_called_off_makes_its_day_as_dear_as_one_that_ends() {
    let mut bench = Bench::new(&["use client__ask 1"]).await;
    bench.engine = bench.engine_of(Settings::default()).await;
    *bench.model.usage.lock().expect("no panic") = Usage { input_tokens: 1_000, ..MANY };
    bench.hand_off("go").await;
    assert!(bench.engine.cancel(&bench.tenant, "session").await.expect("a store"));
    let run = bench.session().await.runs[0].clone();
    let record = run_record(&bench.engine.0, &bench.tenant, &run).await.expect("a store");
    let (record, now) = (record.expect("a run"), bench.engine.now());
    let mut batch = Batch::new(&bench.tenant, now);
    (1..=3).for_each(|days| spend::tally(&mut batch, &record, now - days * DAY_MILLIS));
    bench.store.commit(batch).await.expect("earlier days");
    *bench.model.usage.lock().expect("no panic") = MANY;
    let session_id = "another".to_owned();
    bench.hand_off_of(TurnRequest { session_id, ..bench.request("go") }).await;
    // What it has cost is in no sum yet.
    sleep(Duration::from_secs(120)).await;
    assert!(bench.alerted(&bench.engine).await.is_empty());
    assert!(bench.engine.cancel(&bench.tenant, "another").await.expect("a store"));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(bench.alerted(&bench.engine).await, ["anomaly.cost 2023-11-14"]);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_cannot_be_read_is_looked_at_again() {
    let bench = Bench::new(&["done"]).await;
    let other = Tenant::new("111111111111", "us-east-1");
    let spenders = &bench.engine.0.alarms.spenders;
    [&bench.tenant, &other].into_iter().for_each(|tenant| spenders.note(tenant));
    bench.store.crash_after(0).expect("a memory store");
    alert::tend(&bench.engine).await;
    assert_eq!(spenders.due(bench.engine.now()).len(), 0, "not within the minute");
    assert_eq!(spenders.due(bench.engine.now() + 61_000).len(), 2, "neither is forgotten");
}
