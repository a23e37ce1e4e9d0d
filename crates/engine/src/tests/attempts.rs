//! What providers may bill is on the bill and in the budget, attempt by attempt, no more and no less.

#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best in place")]

use std::collections::VecDeque;
use std::sync::Mutex;

use craton_core::agent::event::Event;
use craton_core::cost::Money;
use craton_core::route::StepKind;
use expect_test::{Expect, expect};
use futures_util::future::BoxFuture;
use futures_util::stream;
use llm::{Deltas, EmbedCall, EmbedRole, Embedded, ModelError, ModelErrorKind, Provider};
use wire::converse::{Call, Delta, Usage};

use super::*;
use crate::budget::Book;
use crate::journal;
use crate::model::{Asking, Embedding, Payer};
use crate::sim::world::Mishap;
use crate::spend::{By, Wanted};

/// How one request goes.
#[derive(Debug, Clone, Copy)]
enum Goes {
    /// With this usage.
    Well(Usage),
    /// So, where a provider may bill it or not.
    Badly(ModelErrorKind, bool),
    /// It is refused, and may be made again in seven seconds.
    Later,
    /// Nothing comes of it for a minute.
    Slowly,
}

/// A hundred tokens each way: 0.6 cents.
const COUNTED: Usage = Usage {
    input_tokens: 100,
    output_tokens: 100,
    cache_read_input_tokens: 0,
    cache_write_input_tokens: 0,
    cache_write_hour_input_tokens: 0,
};
const LOST: Goes = Goes::Badly(ModelErrorKind::Unavailable, true);
const UNREACHED: Goes = Goes::Badly(ModelErrorKind::TimedOut, false);

/// A provider whose requests go as they are told to, and then well.
#[derive(Default)]
struct Told {
    goes: Mutex<VecDeque<Goes>>,
    asked: AtomicU64,
}

impl Told {
    async fn next(&self) -> Result<Usage, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let goes = self.goes.lock().expect("no panic").pop_front();
        match goes.unwrap_or(Goes::Well(COUNTED)) {
            Goes::Well(usage) => Ok(usage),
            Goes::Slowly => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(Usage::default())
            }
            Goes::Later => {
                let error = ModelError::new(ModelErrorKind::Throttled, "later");
                Err(ModelError { retry_after: Some(Duration::from_secs(7)), ..error })
            }
            Goes::Badly(kind, may_be_billed) => {
                Err(ModelError { may_be_billed, ..ModelError::new(kind, "it failed") })
            }
        }
    }
}

impl Provider for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn embed<'a>(&'a self, _: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        Box::pin(async move {
            let input_tokens = self.next().await?.input_tokens;
            Ok(Embedded { vectors: vec![vec![1.0]], input_tokens })
        })
    }

    fn converse<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let usage = self.next().await?;
            let text = Delta::Text { index: 0, text: "hello".to_owned() };
            let deltas = [text, Delta::Stop(StopReason::EndTurn), Delta::Usage(usage)];
            Ok(stream::iter(deltas.map(Ok)).boxed())
        })
    }
}

/// How somebody asks.
#[derive(Debug, Clone, Copy)]
enum How {
    Whole,
    Stream,
    Vectors,
}

/// An engine over one such provider, under the caps of a tenant that nothing comes near.
struct Desk {
    engine: Engine,
    store: Store,
    tenant: Tenant,
    told: Arc<Told>,
}

impl Desk {
    /// `rule` is the model map's only one.
    fn new(budgets: Json, rule: Json, goes: &[Goes]) -> Desk {
        let told = Arc::<Told>::default();
        told.goes.lock().expect("no panic").extend(goes);
        let store = Store::memory().expect("a store");
        let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
        let (surroundings, world) = (Arc::new(surroundings), Arc::default());
        let rule = serde_json::from_value(rule).expect("a rule");
        let provider = ("told".to_owned(), Default::default(), told.clone() as Arc<dyn Provider>);
        let models = Models::of([provider], vec![rule]);
        let parts = parts(&store, models, &world, &surroundings, &Limits::default());
        let engine = Engine::assemble(Parts {
            prices: world::prices(),
            budgets: serde_json::from_value(budgets).expect("budgets"),
            ..parts
        });
        let tenant = Tenant::new("000000000000", "us-east-1");
        Desk { engine, store, tenant, told }
    }

    fn asking(&self) -> Asking {
        let call = json!({"model": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inference": {"max_tokens": 1000}});
        let call = serde_json::from_value(call).expect("a call");
        let (tenant, payer) = (self.tenant.clone(), Payer::default());
        Asking { tenant, kind: StepKind::Planning, payer, call, route: None }
    }

    fn embedding(&self) -> Embedding {
        let (tenant, payer, said) = (self.tenant.clone(), Payer::default(), Default::default());
        let texts = vec!["five words of a text".to_owned()];
        let call = EmbedCall {
            model: "m".to_owned(),
            texts,
            role: EmbedRole::Document,
            dimensions: None,
            normalize: true,
            truncate: None,
        };
        Embedding { tenant, payer, call, said }
    }

    /// How it ended for a client that waits a second, or longer than anything takes.
    async fn told(&self, how: How, leaves: bool) -> String {
        let patience = Duration::from_secs(if leaves { 1 } else { 600 });
        let waited = tokio::time::timeout(patience, async {
            match how {
                How::Whole => self.engine.ask_model(self.asking()).await.map(drop),
                How::Stream => self.engine.stream_model(self.asking()).await.map(drop),
                How::Vectors => self.engine.embed(self.embedding()).await.map(drop),
            }
        });
        match waited.await {
            Ok(Ok(())) => "answered".to_owned(),
            Ok(Err(error)) => format!("{:?}", error.kind),
            Err(_) => "left".to_owned(),
        }
    }

    /// Requests, what is on the bill, and what the tenant's budget holds.
    async fn stands(&self) -> String {
        let wanted = Wanted { by: By::Day, since: 0 };
        let report = self.engine.spent(&self.tenant, wanted).await.expect("sums");
        let (calls, money) = report.rows.first().map_or((0, Default::default()), |row| {
            (row.spent.model_calls, row.spent.stack.total())
        });
        let counter = |unit| format!("budget/tenant/ever/{unit}");
        let tokens = self.store.counter(&self.tenant, &counter("tokens")).await.expect("a store");
        let cost = self.store.counter(&self.tenant, &counter("cost")).await.expect("a store");
        let cost = Money(cost);
        let asked = self.told.asked.load(Ordering::SeqCst);
        format!("{asked} asked, {calls} billed: {money}; budget: {tokens} tokens, {cost}")
    }
}

fn plain() -> Json {
    json!({"match": "*", "provider": "told"})
}

fn hedged() -> Json {
    json!({"match": "*", "provider": "told", "hedge_after_ms": 300})
}

fn plenty() -> Json {
    json!({"tenant": {"tokens": 1_000_000, "dollars": 100}})
}

async fn check(budgets: Json, goes: &[Goes], expected: Expect) {
    let desk = Desk::new(budgets, plain(), goes);
    let told = desk.told(How::Whole, false).await;
    expected.assert_eq(&format!("{told}; {}", desk.stands().await));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_on_its_way_back_is_billed_and_one_that_never_left_is_not() {
    check(
        json!({}),
        &[LOST, LOST],
        expect!["answered; 3 asked, 3 billed: $0.0122; budget: 0 tokens, $0.00"],
    )
    .await;
    check(
        json!({}),
        &[UNREACHED],
        expect!["TimedOut; 1 asked, 0 billed: $0.00; budget: 0 tokens, $0.00"],
    )
    .await;
    // What is held back is for one attempt, and the first may have used it up.
    check(
        plenty(),
        &[LOST, LOST, LOST],
        expect!["Unavailable; 1 asked, 1 billed: $0.00342; budget: 4155 tokens, $0.2031"],
    )
    .await;
    check(
        plenty(),
        &[UNREACHED],
        expect!["TimedOut; 1 asked, 0 billed: $0.00; budget: 0 tokens, $0.00"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_counted_is_billed_by_an_upper_bound() {
    let output = Usage { output_tokens: 5, ..Usage::default() };
    check(
        plenty(),
        &[Goes::Well(Usage::default())],
        expect!["answered; 1 asked, 1 billed: $0.00367; budget: 4155 tokens, $0.2031"],
    )
    .await;
    check(
        plenty(),
        &[Goes::Well(output)],
        expect!["answered; 1 asked, 1 billed: $0.00367; budget: 4155 tokens, $0.2031"],
    )
    .await;
    let desk = Desk::new(plenty(), plain(), &[Goes::Well(Usage::default())]);
    desk.told(How::Vectors, false).await;
    expect!["1 asked, 1 billed: $0.00372; budget: 186 tokens, $0.00372"]
        .assert_eq(&desk.stands().await);
    desk.told(How::Vectors, false).await;
    expect!["2 asked, 2 billed: $0.00472; budget: 286 tokens, $0.00472"]
        .assert_eq(&desk.stands().await);
}

/// A client that leaves after a second.
async fn left(how: How, rule: Json, goes: &[Goes], expected: &str) {
    let desk = Desk::new(plenty(), rule, goes);
    let told = desk.told(how, true).await;
    assert_eq!(format!("{told}; {}", desk.stands().await), expected, "{how:?}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_pays_for_the_requests_that_are_out_and_no_others() {
    // Whole and as a stream, the same.
    for how in [How::Whole, How::Stream] {
        let one = "left; 1 asked, 1 billed: $0.00342; budget: 155 tokens, $0.0031";
        left(how, plain(), &[Goes::Slowly], one).await;
        // The provider refused, and would be asked again.
        let none = "left; 1 asked, 0 billed: $0.00; budget: 0 tokens, $0.00";
        left(how, plain(), &[Goes::Later], none).await;
        let both = "left; 2 asked, 2 billed: $0.00684; budget: 4310 tokens, $0.2062";
        left(how, hedged(), &[Goes::Slowly, Goes::Slowly], both).await;
    }
    let one = "left; 1 asked, 1 billed: $0.00372; budget: 186 tokens, $0.00372";
    left(How::Vectors, plain(), &[Goes::Slowly], one).await;
    let none = "left; 1 asked, 0 billed: $0.00; budget: 0 tokens, $0.00";
    left(How::Vectors, plain(), &[Goes::Later], none).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_costs_comes_on_top_of_the_call_that_a_crash_interrupted() {
    let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    let mut bench = bench.under(r#"{"tenant": {"dollars": 100}}"#).await;
    let probed = json!({"probe": "probe", "retry": {"attempts": 2}});
    *bench.model.usage.lock().expect("no panic") = COUNTED;
    bench.world.set("paid", serde_json::from_value(probed).expect("a policy"));
    bench.world.mishap(Mishap::Slow(600));
    drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.restart().await;
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, "[done]");
    assert_eq!(bench.world.calls(), ["paid 1 key 0", "probe 1 key 0"]);
    let counter = "budget/tenant/ever/cost";
    let spent = bench.store.counter(&bench.tenant, counter).await.expect("a store");
    expect!["$3.012"].assert_eq(&Money(spent).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_fork_holds_nothing_back_for_what_the_other_run_lost() {
    let script = ["use g__read 1", "<answer>done</answer>"];
    let bench = Bench::with(&script, Duration::from_secs(60), Limits::default()).await;
    let mut bench = bench.under(r#"{"run": {"tokens": 50000}}"#).await;
    *bench.model.usage.lock().expect("no panic") = COUNTED;
    drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.restart().await;
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, "[done]");
    let run = bench.session().await.runs.pop().expect("a run");
    let forked = bench.engine.fork(&bench.tenant, &run, &3.into(), &Default::default()).await;
    let forked = forked.expect("it begins").run;
    bench.quiet().await;
    let inner = &bench.engine.0;
    let (mut lost, mut held) = (Vec::new(), Vec::new());
    for id in [&run, &forked] {
        let (events, _) = journal::load(inner, &bench.tenant, id).await.expect("a journal");
        lost.push(events.iter().any(|stamped| stamped.event == Event::Lost));
        held.push(Book::open(inner, &[], &events).spent().0);
    }
    assert_eq!(lost, [true, true]);
    expect!["[7707, 200] tokens"].assert_eq(&format!("{held:?} tokens"));
}
