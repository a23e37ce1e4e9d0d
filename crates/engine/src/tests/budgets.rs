//! Budgets: what is held back before a call, what comes back after it, and a run that stops for lack
//! of room and goes on once it has more.

use std::sync::atomic::Ordering;

use craton_core::agent::call::NOTE_TOKENS;
use craton_core::agent::config::AgentConfig;
use craton_core::agent::event::{Event, Intent};
use craton_core::budget::Raise;
use craton_core::budget::caps::of_tag;
use craton_core::cost::Money;
use craton_core::limits::LEAST_OUTPUT_TOKENS;
use craton_core::route::StepKind;
use expect_test::expect;
use futures_util::StreamExt as _;
use llm::ModelErrorKind;
use serde_json::json;
use store::Tenant;
use wire::converse::{Block, Call, Message, Role, Usage};

use super::{Bench, heard};
use crate::budget::Replenishing;
use crate::limits::Limits;
use crate::model::{Asking, Payer};
use crate::record::RunStatus;
use crate::request::TurnRequest;
use crate::sim::world::config;
use crate::spend::{By, Wanted};

pub(super) const USED: Usage = Usage {
    input_tokens: 700,
    output_tokens: 300,
    cache_read_input_tokens: 0,
    cache_write_input_tokens: 0,
    cache_write_hour_input_tokens: 0,
};

pub(super) async fn bench(script: &[&str], budgets: &str) -> Bench {
    let bench = Bench::new(script).await.under(budgets).await;
    *bench.model.usage.lock().expect("no panic") = USED;
    bench
}

impl Bench {
    async fn counter(&self, of: &str) -> i64 {
        self.store.counter(&self.tenant, &format!("budget/{of}")).await.expect("a store")
    }

    pub(super) async fn replenish(&self, tokens: u64) -> Option<Replenishing> {
        let raise = Raise { tokens, cost: Money::ZERO };
        self.engine.replenish(&self.tenant, "session", raise, None).await.expect("a store")
    }
}

/// The most tokens that leave room for so many calls of a script and not for one more.
pub(super) async fn room_for(calls: usize, script: &[&str]) -> u64 {
    let bench = bench(script, r#"{"tenant": {"tokens": 1000000000}}"#).await;
    let request = bench.request("book it");
    let run = request.request.clone();
    bench.hear(request).await;
    let view = bench.engine.view(&bench.tenant, &run).await.expect("a store").expect("a run");
    let held = view.events.iter().filter_map(|stamped| match &stamped.event {
        Event::Asked(Intent::AskModel(ask)) => ask.reserved.as_ref(),
        _ => None,
    });
    let held: Vec<u64> = held.map(|held| held.tokens - u64::from(held.output)).collect();
    1_000 * calls as u64 + held[calls] + NOTE_TOKENS + u64::from(LEAST_OUTPUT_TOKENS) - 1
}

#[tokio::test(start_paused = true)]
async fn a_turn_holds_back_before_each_call_and_counts_what_was_used() {
    let caps = r#"{"session": {"tokens": 90000, "dollars": 5}, "agent": {"tokens": 90000, "per": "month"},
                   "day": {"tokens": 80000}}"#;
    let bench = bench(&["use g__read 1", "<answer>done</answer>"], caps).await;
    assert_eq!(bench.ask("go").await, "[done]");
    let session = "session/session/AGENT/ALIAS/ever";
    assert_eq!(bench.counter(&format!("{session}/tokens")).await, 2_000);
    // Twice 700 at ten and 300 at fifty dollars for a million, and a call of a tool.
    let cost = 2 * 22_000_000_000 + Money::DOLLAR.0;
    assert_eq!(bench.counter(&format!("{session}/cost")).await, cost);
    assert_eq!(bench.counter("agent/AGENT/2023-11/tokens").await, 2_000);
    assert_eq!(bench.counter("all/2023-11-14/tokens").await, 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_no_room_stops_with_its_state_and_goes_on_with_more() {
    let script = ["use g__once 1", "use g__read 2", "<answer>done</answer>"];
    let cap = room_for(2, &script).await;
    let mut bench = bench(&script, &json!({"session": {"tokens": cap}}).to_string()).await;
    let said = bench.ask("book it").await.replace(&cap.to_string(), "CAP");
    expect![[r#"
        [I had to stop here, because the budget of this session (CAP tokens) has no room for the next step.
        Done so far: g__once (1×), g__read (1×).
        Left undone: the answer to “book it”.
        What was done is kept: it can go on once the budget is raised.]"#]]
    .assert_eq(&said);
    let alerts = bench.engine.alerts(&bench.tenant, None, 10).await.expect("a store");
    let mut kinds: Vec<_> = alerts.iter().map(|alert| alert.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["budget.exceeded", "budget.near"]);
    assert_eq!((bench.statuses().await, bench.engine.running()), (vec![RunStatus::Parked], 0));
    assert_eq!(bench.counter("session/session/AGENT/ALIAS/ever/tokens").await, 2_000);
    // Without more it stops again, also in another process.
    bench.restart().await;
    assert_eq!(bench.replenish(0).await, Some(Replenishing::GoesOn));
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Parked]);
    assert_eq!(bench.replenish(9_000).await, Some(Replenishing::GoesOn));
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
    assert_eq!(bench.replenish(9_000).await, Some(Replenishing::NotHalted));
    bench
        .check(&expect![[r#"
            user: book it
            agent: use g__once 1
            user: once of 1
            agent: use g__read 2
            user: read of 2
            agent: <answer>done</answer>
            called once 1 key 0
            called read 2 key 1
        "#]])
        .await;
    let view = bench.engine.view(&bench.tenant, "session").await.expect("a store").expect("a run");
    assert_eq!(view.answer, Some(json!({"text": "done"})));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_dollars_have_no_room_for_is_not_called_until_they_have() {
    let script = ["use g__read 1, use g__read 2", "<answer>done</answer>"];
    // Three attempts of a dollar each are held back, and one is made.
    let bench = bench(&script, r#"{"session": {"dollars": 4}}"#).await;
    let said = bench.ask("go").await;
    assert!(said.contains("the budget of this session ($4.00) has no room"), "{said}");
    assert_eq!(bench.world.calls().len(), 1, "the first had room");
    let cost = "session/session/AGENT/ALIAS/ever/cost";
    assert_eq!(bench.counter(cost).await, 22_000_000_000 + Money::DOLLAR.0);
    let alerts = bench.engine.alerts(&bench.tenant, None, 10).await.expect("a store");
    let exceeded = alerts.iter().find(|alert| alert.kind == "budget.exceeded").expect("an alert");
    assert!(exceeded.message.contains("no room for another call of g__read"), "{exceeded:?}");
    let raise = Raise { tokens: 0, cost: Money::DOLLAR };
    let resumed =
        bench.engine.replenish(&bench.tenant, "session", raise, None).await.expect("a store");
    assert_eq!(resumed, Some(Replenishing::GoesOn));
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
    assert_eq!(bench.counter(cost).await, 2 * (22_000_000_000 + Money::DOLLAR.0));
}

/// A client that leaves before the answer.
#[tokio::test(start_paused = true)]
async fn a_call_whose_client_left_is_billed_as_far_as_it_got() {
    let takes = std::time::Duration::from_secs(60);
    let bench = Bench::with(&["hello"], takes, Limits::default()).await;
    let bench = bench.under(r#"{"tenant": {"tokens": 50000}}"#).await;
    let asked = bench.engine.ask_model(asking(&bench.tenant));
    let left = tokio::time::timeout(std::time::Duration::from_secs(1), asked).await;
    assert!(left.is_err(), "it waits");
    let wanted = Wanted { by: By::Day, since: 0 };
    let report = bench.engine.spent(&bench.tenant, wanted).await.expect("sums");
    let spent = report.rows[0].spent;
    let bytes = bench.counter("tenant/ever/tokens").await;
    // The dearest way to read is a cache's, for an hour.
    assert!(spent.model_calls == 1 && spent.stack.model >= Money(bytes * 20_000_000), "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_under_the_caps_that_its_agent_has_by_then() {
    let run = |tokens: &str| of_tag("run-tokens", tokens).expect("a cap");
    let own = vec![run("500")];
    let mut bench = bench(&["<answer>done</answer>"], r#"{"run": {"tokens": 90000}}"#).await;
    bench.config = bench.other_config(AgentConfig { budgets: own, ..config() }).await;
    assert!(bench.ask("go").await.contains("the budget of this run (500 tokens)"));
    let goes_on = |own| bench.engine.replenish(&bench.tenant, "session", Raise::default(), own);
    assert_eq!(goes_on(None).await.expect("a store"), Some(Replenishing::GoesOn));
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Parked], "nothing is otherwise");
    goes_on(Some(vec![run("80000")])).await.expect("a store");
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
}

#[tokio::test(start_paused = true)]
async fn new_words_in_the_session_take_a_stopped_run_s_place_and_read_what_it_did() {
    let script = ["use g__once 1"];
    let cap = room_for(1, &script).await;
    let bench = bench(&script, &json!({"run": {"tokens": cap}}).to_string()).await;
    assert!(bench.ask("book it").await.contains(&format!("the budget of this run ({cap} tokens)")));
    let caps = r#"{"run": {"tokens": 90000}}"#;
    let bench = bench.under(caps).await;
    assert_eq!(bench.ask("well?").await, "[heard 3]");
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled, RunStatus::Answered]);
    let history = bench.history().await;
    let text = serde_json::to_string(&history).expect("plain");
    assert!(text.contains("I had to stop here"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn near_its_end_the_model_is_told_to_come_to_one() {
    let bench =
        bench(&["use g__read 1", "<answer>done</answer>"], r#"{"run": {"tokens": 9000}}"#).await;
    let request = TurnRequest { trace: true, ..bench.request("go") };
    let run = request.request.clone();
    assert!(heard(bench.engine.invoke(request).await).await.ends_with("[done]"));
    let view = bench.engine.view(&bench.tenant, &run).await.expect("a store").expect("a run");
    let told = |step: &crate::steps::Step| {
        let prompt = step.prompt.as_ref().expect("a prompt");
        (
            prompt["messages"].to_string().contains("nearly used up"),
            prompt["inference"]["max_tokens"].clone(),
        )
    };
    let models: Vec<_> = view.steps.iter().filter(|step| step.prompt.is_some()).collect();
    let told: Vec<_> = models.iter().map(|step| told(step)).collect();
    assert_eq!(told.iter().map(|one| one.0).collect::<Vec<_>>(), [true, true], "{told:?}");
    let proven = models
        .iter()
        .all(|step| step.digest.as_ref().is_some_and(|d| d.verdict == crate::steps::Verdict::Ok));
    assert!(proven, "what is shown is what was sent");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cost_nothing_gives_all_back_and_one_of_which_nobody_knows_nothing() {
    let caps = r#"{"tenant": {"tokens": 50000}}"#;
    for (kind, kept) in [
        (ModelErrorKind::Refused, false),
        (ModelErrorKind::Unavailable, false),
        (ModelErrorKind::TimedOut, true),
        (ModelErrorKind::Malformed, true),
    ] {
        let bench = bench(&["<answer>done</answer>"], caps).await;
        (0..3).for_each(|_| bench.model.fail(kind, false));
        assert!(bench.ask("go").await.contains("Exception"), "{kind:?}");
        let spent = bench.counter("tenant/ever/tokens").await;
        assert_eq!(spent > 0, kept, "{kind:?}: {spent}");
    }
    // An attempt after others in vain costs once.
    let bench = bench(&["<answer>done</answer>"], caps).await;
    bench.model.fail(ModelErrorKind::Unavailable, false);
    assert_eq!(bench.ask("go").await, "[done]");
    assert_eq!(bench.counter("tenant/ever/tokens").await, 1_000);
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_lost_with_its_process_counts_as_spent_and_is_made_again() {
    let mut bench = Bench::with(
        &["<answer>done</answer>"],
        std::time::Duration::from_secs(60),
        Limits::default(),
    )
    .await
    .under(r#"{"tenant": {"tokens": 50000}}"#)
    .await;
    *bench.model.usage.lock().expect("no panic") = USED;
    drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let held = bench.counter("tenant/ever/tokens").await;
    assert!(held > 4_000, "{held}");
    bench.restart().await;
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, "[done]");
    assert_eq!(bench.counter("tenant/ever/tokens").await, held + 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_count_beyond_all_bounds_fills_the_budget_and_stops_nothing_else() {
    let bench =
        bench(&["use g__read 1", "<answer>done</answer>"], r#"{"tenant": {"tokens": 90000}}"#)
            .await;
    let all = u64::MAX;
    let hostile =
        Usage { input_tokens: all, output_tokens: all, cache_read_input_tokens: all, ..USED };
    *bench.model.usage.lock().expect("no panic") = hostile;
    let stopped = bench.ask("go").await;
    assert!(stopped.contains("no room for the next step"), "{stopped}");
    assert_eq!(bench.counter("tenant/ever/tokens").await, i64::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_client_says_what_its_turn_may_cost_at_most() {
    let asks = |bench: &Bench, dollars: &str| {
        let attributes = [("craton:max-cost".to_owned(), dollars.to_owned())];
        TurnRequest { session_attributes: Some(attributes.into()), ..bench.request("go") }
    };
    let script = ["use g__read 1", "use g__read 2", "<answer>done</answer>"];
    // Other caps have no room in them; what a call may cost is some 30 cents, what it costs is 2.2.
    let mut bench = bench(&script, r#"{"day": {"tokens": 1000000000}}"#).await;
    let said = bench.hear(asks(&bench, "0.06")).await;
    assert!(said.contains("the budget of this run ($0.06) has no room"), "{said}");
    bench.restart().await;
    assert_eq!(bench.hear(asks(&bench, "5")).await, "[done]");
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled, RunStatus::Answered]);
}

pub(super) fn asking(tenant: &Tenant) -> Asking {
    let content = vec![Block::Text("hello".to_owned())];
    let mut call: Call =
        serde_json::from_value(json!({"model": "m", "messages": []})).expect("a call");
    call.messages = vec![Message { role: Role::User, content }];
    let (tenant, payer) = (tenant.clone(), Payer::default());
    Asking { tenant, kind: StepKind::Planning, payer, call, route: None }
}

#[tokio::test(start_paused = true)]
async fn a_direct_call_is_refused_with_the_numbers_and_a_stream_counts_what_was_heard() {
    let bench = bench(&[], r#"{"day": {"tokens": 6000}}"#).await;
    bench
        .model
        .summaries
        .lock()
        .expect("no panic")
        .extend(["first".to_owned(), "a long answer".to_owned()]);
    bench.engine.ask_model(asking(&bench.tenant)).await.expect("it fits");
    let counter = "all/2023-11-14/tokens";
    assert_eq!(bench.counter(counter).await, 1_000);
    *bench.model.speaks.lock().expect("no panic") = Some(std::time::Duration::from_secs(1));
    let mut answering = bench.engine.stream_model(asking(&bench.tenant)).await.expect("it fits");
    assert!(bench.counter(counter).await > 4_000, "it is held back");
    answering.deltas.next().await.expect("a piece").expect("of text");
    drop(answering);
    let spent = bench.counter(counter).await;
    assert!(spent > 1_000 && spent < 1_300, "{spent}: the input, and four bytes");
    let bench = bench.under(r#"{"day": {"tokens": 1200}}"#).await;
    let refused = bench.engine.ask_model(asking(&bench.tenant)).await.expect_err("no room");
    assert_eq!(refused.kind, ModelErrorKind::OverBudget);
    assert!(refused.message.contains("the budget of this day, 1200 tokens"), "{refused}");
}

/// H7: a loop of calls that a client drives itself is a session, if it says so.
#[tokio::test(start_paused = true)]
async fn the_calls_of_a_clients_own_session_have_its_budget_and_its_line_of_the_bill() {
    let bench = bench(&[], r#"{"session": {"tokens": 2300}}"#).await;
    let of = |session: Option<&str>| {
        let payer = Payer { session: session.map(str::to_owned), ..Payer::default() };
        Asking { payer, ..asking(&bench.tenant) }
    };
    bench.engine.ask_model(of(Some("loop"))).await.expect("it fits");
    bench.engine.ask_model(of(Some("loop"))).await.expect("it fits");
    assert_eq!(bench.counter("client-session/loop/ever/tokens").await, 2_000);
    let refused = bench.engine.ask_model(of(Some("loop"))).await.expect_err("no room");
    assert_eq!(refused.kind, ModelErrorKind::OverBudget);
    assert!(refused.message.contains("the budget of this session, 2300 tokens"), "{refused}");
    bench.engine.ask_model(of(Some("another"))).await.expect("it has its own");
    bench.engine.ask_model(of(None)).await.expect("it belongs to none");
    let wanted = Wanted { by: By::Session, since: 0 };
    let rows = bench.engine.spent(&bench.tenant, wanted).await.expect("sums").rows;
    let told: Vec<_> = rows.iter().map(|row| (row.of.as_str(), row.spent.model_calls)).collect();
    assert_eq!(told, [("loop", 2), ("another", 1)]);
    let alerts = bench.engine.alerts(&bench.tenant, None, 10).await.expect("a store");
    assert!(alerts.iter().any(|one| one.kind == "budget.exceeded"), "{alerts:?}");
}

#[tokio::test(start_paused = true)]
async fn without_budgets_a_turn_holds_nothing_back() {
    let bench = bench(&["<answer>done</answer>"], "{}").await;
    let request = bench.request("go");
    let run = request.request.clone();
    assert_eq!(bench.hear(request).await, "[done]");
    let view = bench.engine.view(&bench.tenant, &run).await.expect("a store").expect("a run");
    let told = serde_json::to_string(&view.events).expect("plain");
    assert!(!told.contains("reserved"), "{told}");
}
