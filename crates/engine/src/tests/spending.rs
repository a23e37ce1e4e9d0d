//! What is spent stands in the run's record and in the day's sums, once, whatever happens between.

use std::collections::BTreeMap;
use std::sync::Arc;

use craton_core::agent::event::Attributes;
use craton_core::cost::lever::levers;
use craton_core::route::StepKind;
use expect_test::{Expect, expect};
use futures_util::StreamExt as _;
use wire::converse::{Call, ToolChoice, Usage};

use super::*;
use crate::model::{Asking, Payer};
use crate::spend::{Basis, By, Wanted};

const SONNET: &str = "claude-sonnet-4-6";

/// A bench whose model has a price, and says what the script says for 1,000 tokens read and 100
/// written, 500 more of them from a cache.
async fn priced(script: &[&str]) -> Bench {
    let usage = Usage {
        input_tokens: 500,
        output_tokens: 100,
        cache_read_input_tokens: 500,
        ..Usage::default()
    };
    let replies = script.iter().enumerate().map(|(at, text)| Reply { usage, ..parse(at, text) });
    let model = Arc::new(Model::new(replies.collect()));
    let mut bench = Bench::of(Models::single(model.clone()), model, Limits::default()).await;
    bench.config = bench.other_config(AgentConfig { model: SONNET.to_owned(), ..config() }).await;
    bench
}

impl Bench {
    async fn told_by(&self, by: By) -> String {
        let report = self.engine.spent(&self.tenant, Wanted { by, since: 0 }).await.expect("sums");
        let mut out = String::new();
        for row in report.rows {
            let (spent, usage) = (row.spent, row.spent.usage);
            writeln!(
                out,
                "{}: {} = model {} + tools {} + memory {}, saved {}; {} runs, {} replies ({} \
                 unpriced), {} calls, {}+{} tokens",
                row.of,
                spent.stack.total(),
                spent.stack.model,
                spent.stack.tools,
                spent.stack.memory,
                spent.saved,
                spent.runs,
                spent.model_calls,
                spent.unpriced,
                spent.tool_calls,
                usage.input_tokens + usage.cache_read_input_tokens,
                usage.output_tokens,
            )
            .expect("a string takes it");
        }
        out
    }

    async fn bills(&self, by: By, expected: &Expect) {
        expected.assert_eq(&self.told_by(by).await);
    }

    async fn converse(&self, user: Option<&str>) {
        self.engine.ask_model(self.asking(user)).await.expect("a reply");
    }

    fn asking(&self, user: Option<&str>) -> Asking {
        let payer = Payer { user: user.map(str::to_owned), ..Payer::default() };
        let call = call();
        let (tenant, kind) = (self.tenant.clone(), StepKind::Planning);
        Asking { tenant, kind, payer, call, route: None }
    }
}

/// A call with a tool, so that the scripted model says its first reply.
fn call() -> Call {
    let (name, description) = ("t".to_owned(), String::new());
    let tool = wire::converse::Tool { name, description, schema: json!({}), strict: false };
    Call {
        model: SONNET.to_owned(),
        system: Vec::new(),
        messages: vec![Message { role: Role::User, content: vec![Block::Text("hi".to_owned())] }],
        tools: Arc::from([tool]),
        tool_choice: ToolChoice::Auto,
        inference: Default::default(),
        cache: Default::default(),
        additional: Json::Null,
        options: Default::default(),
        stream: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_pays_for_its_replies_and_calls_in_the_commit_that_ends_it() {
    let mut bench = priced(&["use g__once 1, use g__read 2", "<answer>done</answer>"]).await;
    let attributes = Attributes::from([("userId".to_owned(), "ann".to_owned())]);
    let request = TurnRequest { session_attributes: Some(attributes), ..bench.request("do it") };
    bench.hear(request).await;
    let told = bench.told_by(By::Agent).await;
    bench.bills(By::Agent, &expect![[r#"
        AGENT: $0.0065 = model $0.0063 + tools $0.0002 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
    "#]]).await;
    bench.bills(By::User, &expect![[r#"
        ann: $0.0065 = model $0.0063 + tools $0.0002 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
    "#]]).await;
    bench.bills(By::Model, &expect![[r#"
        claude-sonnet-4-6: $0.0063 = model $0.0063 + tools $0.00 + memory $0.00, saved $0.0027; 0 runs, 2 replies (0 unpriced), 0 calls, 2000+200 tokens
    "#]]).await;
    bench.bills(By::Session, &expect![[r#"
        session: $0.0065 = model $0.0063 + tools $0.0002 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
    "#]]).await;
    bench.restart().await;
    assert_eq!(bench.told_by(By::Agent).await, told, "a restart counts nothing twice");
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_calls_are_counted_for_whoever_is_named() {
    let mut bench = priced(&["hello"]).await;
    bench.converse(Some("ann")).await;
    bench.converse(None).await;
    // One whose listener leaves after the last delta but before the end.
    let mut under_way = bench.engine.stream_model(bench.asking(Some("ann"))).await.expect("deltas");
    while let Some(Ok(delta)) = under_way.deltas.next().await {
        if matches!(delta, wire::converse::Delta::Usage(_)) {
            break;
        }
    }
    drop(under_way);
    // Upkeep writes it down.
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.restart().await;
    bench.bills(By::Day, &expect![[r#"
        2023-11-14: $0.00945 = model $0.00945 + tools $0.00 + memory $0.00, saved $0.00405; 0 runs, 3 replies (0 unpriced), 0 calls, 3000+300 tokens
    "#]]).await;
    bench.bills(By::User, &expect![[r#"
        ann: $0.0063 = model $0.0063 + tools $0.00 + memory $0.00, saved $0.0027; 0 runs, 2 replies (0 unpriced), 0 calls, 2000+200 tokens
    "#]]).await;
    bench.bills(By::Tenant, &expect![[r#"
        000000000000/us-east-1: $0.00945 = model $0.00945 + tools $0.00 + memory $0.00, saved $0.00405; 0 runs, 3 replies (0 unpriced), 0 calls, 3000+300 tokens
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_dear_day_reaches_somebody() {
    let bench = priced(&["hello"]).await;
    let now = bench.engine.now();
    let mut batch = store::Batch::new(&bench.tenant, now);
    for (days, dollars) in [(0, 4), (1, 1), (2, 1), (3, 2)] {
        let day = crate::spend::day(now - days * crate::spend::DAY_MILLIS);
        let sums = [dollars * 1_000_000_000_000i64];
        batch.tally(&format!("spend/day/{day}/"), &sums, i64::MAX);
    }
    bench.store.commit(batch).await.expect("sums");
    bench.converse(None).await;
    // Upkeep writes it down, and looks.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let alerts = bench.engine.alerts(&bench.tenant, None, 10).await.expect("a store");
    let told: Vec<_> = alerts.iter().map(|alert| (&*alert.kind, &*alert.message)).collect();
    let message = "$4.00315 were spent today, where $1.00 are usual";
    assert_eq!(told, [("anomaly.cost", message)]);
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_said_to_have_none() {
    let bench = Bench::new(&["<answer>hi</answer>"]).await;
    bench.ask("hello").await;
    bench.bills(By::Day, &expect![[r#"
        2023-11-14: $0.00 = model $0.00 + tools $0.00 + memory $0.00, saved $0.00; 1 runs, 1 replies (1 unpriced), 0 calls, 0+0 tokens
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_turn_is_foreseen_from_the_last_ones_and_levers_are_found_in_them() {
    let bench = priced(&["use g__read 1", "<answer>done</answer>"]).await;
    let forecast = || async {
        let of = ("AGENT", bench.config.as_str());
        let found = bench.engine.forecast(&bench.tenant, of, "do it").await.expect("a store");
        found.expect("the configuration is there")
    };
    let before = forecast().await;
    assert_eq!((before.basis, before.turns), (Basis::Configuration, 0));
    let bounds = before.cost.expect("a price");
    assert!(bounds[0] < bounds[1] && bounds[1] < bounds[2], "{bounds:?}");
    for turn in 0..5 {
        let request = bench.request("do it");
        bench.hear(TurnRequest { session_id: format!("s{turn}"), ..request }).await;
    }
    let after = forecast().await;
    assert_eq!((after.basis, after.turns), (Basis::History, 5));
    let each = bench.engine.turns_of(&bench.tenant, "AGENT", 9).await.expect("runs");
    let costs: Vec<_> = each.runs.iter().map(|run| run.bill.stack.total()).collect();
    assert_eq!(after.cost, Some([costs[0]; 3]), "all turns were alike");
    assert!(costs[0] < bounds[2], "{costs:?} is beyond {bounds:?}");
    let observed = bench.engine.observed(&bench.tenant, Some("AGENT")).await.expect("turns");
    let found: BTreeMap<_, _> = levers(&observed, bench.engine.prices())
        .into_iter()
        .map(|lever| (lever.name, lever.saving.to_string()))
        .collect();
    expect![[r#"
        {
            "caching": "$0.00",
            "cap steps": "$0.00",
            "daily batch": "$0.00",
            "scoped retrieval": "$0.00",
            "smaller model": "$0.0105",
            "tighter prompt": "$0.0033",
            "tool cache": "$0.0004",
        }
    "#]]
    .assert_debug_eq(&found);
}

/// Attempts that were broken off, and streams that were left.
#[tokio::test(start_paused = true)]
async fn what_a_provider_may_bill_without_a_reply_is_on_the_bill() {
    let bench = priced(&["hello"]).await;
    // Half an answer, and no count: the bytes of the input and of what came.
    bench.model.fail(llm::ModelErrorKind::Malformed, true);
    bench.engine.ask_model(bench.asking(None)).await.expect_err("it broke off");
    // Nobody was asked anything.
    bench.model.fail(llm::ModelErrorKind::Refused, false);
    bench.engine.ask_model(bench.asking(None)).await.expect_err("it is refused");
    let left = bench.engine.stream_model(bench.asking(None)).await.expect("deltas");
    drop(left);
    bench.bills(By::Day, &expect![[r#"
        2023-11-14: $0.009984 = model $0.009984 + tools $0.00 + memory $0.00, saved $0.00; 0 runs, 2 replies (0 unpriced), 0 calls, 0+0 tokens
    "#]]).await;
    let mut turn = priced(&["use g__read 1", "<answer>done</answer>"]).await;
    turn.model.fail(llm::ModelErrorKind::TimedOut, false);
    turn.ask("go").await;
    turn.bills(By::Agent, &expect![[r#"
        AGENT: $0.019914 = model $0.019914 + tools $0.00 + memory $0.00, saved $0.00; 1 runs, 1 replies (0 unpriced), 0 calls, 0+0 tokens
    "#]]).await;
    let told = turn.told_by(By::Session).await;
    turn.restart().await;
    assert_eq!(turn.told_by(By::Session).await, told, "it is in the run's journal");
}

#[tokio::test(start_paused = true)]
async fn a_fork_pays_for_what_it_does_itself() {
    let bench = priced(&["use g__once 1", "use g__read 2", "<answer>done</answer>"]).await;
    bench.ask("go").await;
    let run = bench.session().await.runs.pop().expect("a run");
    let forked = bench.engine.fork(&bench.tenant, &run, &5.into(), &Default::default()).await;
    let forked = forked.expect("it begins").run;
    bench.quiet().await;
    let told = bench.told_by(By::Run).await.replace(&run, "RUN").replace(&forked, "FORK");
    expect![[r#"
        RUN: $0.00965 = model $0.00945 + tools $0.0002 + memory $0.00, saved $0.00405; 1 runs, 3 replies (0 unpriced), 2 calls, 3000+300 tokens
        FORK: $0.00315 = model $0.00315 + tools $0.00 + memory $0.00, saved $0.00135; 1 runs, 1 replies (0 unpriced), 0 calls, 1000+100 tokens
    "#]].assert_eq(&told);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_is_paid_for_too() {
    let bench = priced(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", super::ledger::undoable());
    bench.ask("go").await;
    let before = bench.told_by(By::Agent).await;
    let key = bench.rows().await[0].key.clone();
    let undone = bench.engine.undo(&bench.tenant, "session", &key, "operator").await;
    undone.expect("it is taken back");
    expect![[r#"
        AGENT: $0.0064 = model $0.0063 + tools $0.0001 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 1 calls, 2000+200 tokens
        AGENT: $0.0065 = model $0.0063 + tools $0.0002 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
    "#]].assert_eq(&format!("{before}{}", bench.told_by(By::Agent).await));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_fallback_takes_back_is_paid_for_too() {
    let bench = priced(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", super::ledger::undoable());
    let alone = json!({"retry": {"attempts": 1}, "breaker": {"least_calls": 1}});
    bench.world.set("undo", serde_json::from_value(alone.clone()).expect("a policy"));
    bench.ask("go").await;
    let key = bench.rows().await[0].key.clone();
    let undo = || bench.engine.undo(&bench.tenant, "session", &key, "operator");
    bench.world.mishap(world::Mishap::NotSent);
    undo().await.expect("it is tried, and its breaker opens");
    let mut backed = alone;
    backed["fallback"] = json!(world::REPLICA);
    bench.world.set("undo", serde_json::from_value(backed).expect("a policy"));
    let before = bench.told_by(By::Agent).await;
    let row = undo().await.expect("the fallback is asked");
    assert_eq!(row.state, crate::ledger::State::Undone);
    expect![[r#"
        AGENT: $0.0065 = model $0.0063 + tools $0.0002 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
        AGENT: $0.0066 = model $0.0063 + tools $0.0003 + memory $0.00, saved $0.0027; 1 runs, 2 replies (0 unpriced), 2 calls, 2000+200 tokens
    "#]].assert_eq(&format!("{before}{}", bench.told_by(By::Agent).await));
}
