//! Many at once under one budget: whoever answers uses all that it is allowed, and no counter passes its
//! cap.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use craton_core::agent::config::Retention;
use craton_core::agent::limits::Limits as TurnLimits;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use llm::{Deltas, ModelError, ModelErrorKind, Models, Provider};
use serde_json::{Value as Json, json};
use store::{Batch, Store, Tenant};
use wire::converse::{Block, Call, StopReason, Usage};

use super::budgets::{USED, asking};
use crate::env::System;
use crate::limits::Limits;
use crate::live::Out;
use crate::model::Asking;
use crate::record::Pinned;
use crate::request::{Input, TurnRequest};
use crate::sim::world::{self, Model, config};
use crate::{Engine, Parts};

/// What became of many sessions' runs and clients that ask directly, all at once on all cores, under one
/// budget that has no room for all of them.
struct Crowd {
    done: u32,
    /// The most that the counter said, and what it says in the end.
    most: i64,
    spent: i64,
}

/// An engine of all cores under budgets.
async fn engine(store: &Store, models: Models, budgets: Json) -> Engine {
    let world: Arc<world::World> = Arc::default();
    let parts = Parts {
        store: store.clone(),
        models,
        tools: Arc::new(world),
        buckets: exec::Buckets::default(),
        clock: Arc::new(System::default()),
        ids: Arc::new(System::default()),
        turn: TurnLimits::default(),
        limits: Limits::default(),
        sessions: Retention::default(),
        budgets: serde_json::from_value(budgets).expect("budgets"),
        prices: world::prices(),
        alerts: Default::default(),
        gateway: crate::model::Config::default(),
    };
    Engine::start(parts).await.expect("the engine starts")
}

async fn crowd(models: Models, cap: i64) -> Crowd {
    let store = Store::memory().expect("a store");
    let tenant = Tenant::new("000000000000", "us-east-1");
    let pinned = Pinned { config: config() };
    let mut batch = Batch::new(&tenant, 0);
    batch.put(&pinned.digest(), &pinned);
    store.commit(batch).await.expect("the configuration");
    let engine = engine(&store, models, json!({"tenant": {"tokens": cap}})).await;
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (own, of, config) = (engine.clone(), tenant.clone(), pinned.digest());
        clients.spawn(async move {
            let input = Input::Text("go".to_owned());
            let request = world::request(&own, &of, &config, input);
            let request = TurnRequest { session_id: format!("session-{n}"), ..request };
            let outs: Vec<Out> = own.invoke(request).await.expect("a turn").outs.collect().await;
            matches!(outs.last(), Some(Out::Chunk(text)) if text == "done")
        });
        let (engine, tenant) = (engine.clone(), tenant.clone());
        clients.spawn(async move { engine.ask_model(asking(&tenant)).await.is_ok() });
    }
    let counter = || store.counter(&tenant, "budget/tenant/ever/tokens");
    let (mut done, mut most) = (0, 0);
    while let Some(answered) = clients.join_next().await {
        done += u32::from(answered.expect("no panic"));
        most = most.max(counter().await.expect("a store"));
    }
    Crowd { done, most, spent: counter().await.expect("a store") }
}

fn three_steps(usage: Usage) -> Arc<Model> {
    let steps = ["use g__read 1", "use g__read 2", "<answer>done</answer>"];
    let script = steps.iter().enumerate().map(|(at, text)| super::parse(at, text)).collect();
    let model = Arc::new(Model::new(script));
    *model.usage.lock().expect("no panic") = usage;
    model
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_budget_is_exceeded_by_whatever_runs_at_once() {
    let model = three_steps(USED);
    let cap = 60_000;
    let Crowd { done, most, spent } = crowd(Models::single(model.clone()), cap).await;
    let calls = model.calls.load(Ordering::SeqCst) as i64;
    assert_eq!(spent, calls * 1_000, "what was held back came back");
    assert!(most <= cap && spent <= cap, "{most}, {spent}");
    assert!(done > 0 && done < 80, "{done} came through");
}

/// Each attempt may be billed, whoever answers in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_budget_is_exceeded_by_attempts_that_fail_and_models_that_stand_in() {
    // Less than a call holds back in any case: a provider that counts more may pass a cap by that.
    let used = Usage { input_tokens: 70, output_tokens: 30, ..Usage::default() };
    let model = three_steps(used);
    let kinds = [ModelErrorKind::TimedOut, ModelErrorKind::Malformed, ModelErrorKind::Unavailable];
    (0..12).for_each(|nth| model.fail(kinds[nth % 3], nth % 2 == 0));
    let rule = |rule: serde_json::Value| serde_json::from_value(rule).expect("a rule");
    let rules = vec![
        rule(json!({"match": "stand-in*", "provider": "peer"})),
        rule(json!({"match": "*", "provider": "peer", "fallback": ["stand-in-1", "stand-in-2"]})),
    ];
    let peer = ("peer".to_owned(), Default::default(), model.clone() as Arc<dyn Provider>);
    // The eight failures that count cannot use up half of it, whoever meets them.
    let cap = 120_000;
    let Crowd { done, most, spent } = crowd(Models::of([peer], rules), cap).await;
    // Of twelve failures the four refused before they began cost nothing; the others count for more.
    let calls = model.calls.load(Ordering::SeqCst) as i64;
    assert!(spent >= (calls - 4) * 100, "{spent} of {calls} calls");
    assert!(most <= cap && spent <= cap, "{most}, {spent}");
    assert!(done > 0, "nobody came through");
}

/// Answers with as many tokens as it is allowed, and refuses what the real ones refuse.
#[derive(Default)]
struct Greedy {
    /// The most output of each call.
    allowed: std::sync::Mutex<Vec<u64>>,
}

impl Greedy {
    /// What a server of the Messages API makes of a call: native members go before the others.
    fn allows(call: &Call) -> Result<u64, ModelError> {
        let native = |name: &str| call.additional.get(name);
        let own = call.inference.max_tokens.map(u64::from);
        let cap = native("max_tokens").and_then(Json::as_u64).or(own).unwrap_or(64_000);
        let thinking = native("thinking").and_then(|thinking| thinking["budget_tokens"].as_u64());
        if thinking.is_some_and(|budget| budget < 1024 || budget >= cap) {
            let why = "max_tokens must be greater than thinking.budget_tokens";
            return Err(ModelError::new(ModelErrorKind::Refused, why));
        }
        Ok(cap * native("n").and_then(Json::as_u64).unwrap_or(1))
    }
}

impl Provider for Greedy {
    fn name(&self) -> &str {
        "greedy"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let output_tokens = Greedy::allows(call)?;
            self.allowed.lock().expect("no panic").push(output_tokens);
            let said = vec![Block::Text("<answer>done</answer>".to_owned())];
            let usage = Usage { input_tokens: 10, output_tokens, ..Usage::default() };
            let reply = wire::converse::Reply { usage, ..world::reply(said, StopReason::EndTurn) };
            let deltas = llm::deltas(reply, 0).into_iter().map(Ok);
            Ok(futures_util::stream::iter(deltas).boxed())
        })
    }
}

#[tokio::test]
async fn what_native_fields_ask_for_is_held_back_and_never_passes_a_cap() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 4096}});
    let none = json!({});
    for (map, fields, cap, expected) in [
        // Thinking is on top where there is room, and cut with the answer where there is none.
        (&thinking, &none, 50_000, 8_096),
        (&none, &thinking, 50_000, 8_096),
        (&thinking, &none, 4_000, 3_840),
        (&thinking, &none, 600, 440),
        (&none, &json!({"max_tokens": 9_000, "n": 3}), 50_000, 9_000),
        (&json!({"max_tokens": 9_000}), &none, 4_000, 3_840),
    ] {
        let greedy = Arc::new(Greedy::default());
        let rule = json!({"match": "*", "provider": "greedy", "request_fields": map});
        let rules = vec![serde_json::from_value(rule).expect("a rule")];
        let peer = ("greedy".to_owned(), Default::default(), greedy.clone() as Arc<dyn Provider>);
        let store = Store::memory().expect("a store");
        let tenant = Tenant::new("000000000000", "us-east-1");
        let budgets = json!({"tenant": {"tokens": cap}});
        let engine = engine(&store, Models::of([peer], rules), budgets).await;
        let mut asking: Asking = asking(&tenant);
        asking.call.additional.clone_from(fields);
        engine.ask_model(asking).await.expect("an answer");
        let allowed = greedy.allowed.lock().expect("no panic").clone();
        let about = allowed[0].abs_diff(expected) < 50 && allowed.len() == 1;
        assert!(about, "{map} {fields} under {cap}: {allowed:?}");
        let spent = store.counter(&tenant, "budget/tenant/ever/tokens").await.expect("a store");
        assert!(spent <= cap, "{spent} of {cap}");
    }
}
