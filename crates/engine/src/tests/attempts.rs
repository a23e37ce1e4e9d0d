//! What providers may bill is on the bill and in the budget, attempt by attempt, no more and no less.

#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best in place")]

use std::collections::VecDeque;
use std::sync::Mutex;

use craton_core::route::StepKind;
use expect_test::{Expect, expect};
use futures_util::future::BoxFuture;
use futures_util::stream;
use llm::{Deltas, ModelError, ModelErrorKind, Provider};
use wire::converse::{Call, Delta, Usage};

use super::*;
use crate::model::{Asking, Config, Payer};
use crate::spend::{By, Wanted};

/// How one request goes.
#[derive(Debug, Clone, Copy)]
enum Goes {
    /// With this usage.
    Well(Usage),
    /// So, where a provider may bill it or not.
    Badly(ModelErrorKind, bool),
}

/// A hundred tokens each way.
const COUNTED: Goes = Goes::Well(Usage {
    input_tokens: 100,
    output_tokens: 100,
    cache_read_input_tokens: 0,
    cache_write_input_tokens: 0,
    cache_write_hour_input_tokens: 0,
});
const LOST: Goes = Goes::Badly(ModelErrorKind::Unavailable, true);
const UNREACHED: Goes = Goes::Badly(ModelErrorKind::TimedOut, false);

/// A provider whose requests go as they are told to, and then well.
#[derive(Default)]
struct Told {
    goes: Mutex<VecDeque<Goes>>,
    asked: AtomicU64,
}

impl Told {
    fn next(&self) -> Result<Usage, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.goes.lock().expect("no panic").pop_front().unwrap_or(COUNTED) {
            Goes::Well(usage) => Ok(usage),
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

    fn converse<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let usage = self.next()?;
            let text = Delta::Text { index: 0, text: "hello".to_owned() };
            let deltas = [text, Delta::Stop(StopReason::EndTurn), Delta::Usage(usage)];
            Ok(stream::iter(deltas.map(Ok)).boxed())
        })
    }
}

/// An engine over one such provider, under the caps of a tenant that nothing comes near.
struct Desk {
    engine: Engine,
    store: Store,
    tenant: Tenant,
    told: Arc<Told>,
}

impl Desk {
    fn new(budgets: Json, gateway: Json, goes: &[Goes]) -> Desk {
        let told = Arc::<Told>::default();
        told.goes.lock().expect("no panic").extend(goes);
        let store = Store::memory().expect("a store");
        let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
        let (surroundings, world) = (Arc::new(surroundings), Arc::default());
        let models = Models::single(told.clone());
        let parts = parts(&store, models, &world, &surroundings, &Limits::default());
        let rates = serde_json::from_value(gateway).expect("rates");
        let engine = Engine::assemble(Parts {
            prices: world::prices(),
            budgets: serde_json::from_value(budgets).expect("budgets"),
            gateway: Config { rates, ..Config::default() },
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

    async fn ask(&self) -> String {
        match self.engine.ask_model(self.asking()).await {
            Ok(answer) => format!("answered after {}", answer.conduct.attempts),
            Err(error) => format!("{:?}", error.kind),
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
        let cost = craton_core::cost::Money(cost);
        let asked = self.told.asked.load(Ordering::SeqCst);
        format!("{asked} asked, {calls} billed: {money}; budget: {tokens} tokens, {cost}")
    }
}

async fn check(budgets: Json, goes: &[Goes], expected: Expect) {
    let desk = Desk::new(budgets, json!({}), goes);
    let told = desk.ask().await;
    expected.assert_eq(&format!("{told}; {}", desk.stands().await));
}

fn plenty() -> Json {
    json!({"tenant": {"tokens": 1_000_000, "dollars": 100}})
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_on_its_way_back_is_billed_and_one_that_never_left_is_not() {
    check(
        json!({}),
        &[LOST, LOST],
        expect!["answered after 3; 3 asked, 3 billed: $0.0122; budget: 0 tokens, $0.00"],
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
