//! Calls under their tools' policies: what reaches the tool, what the model reads, what is told of it.

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::config::{ParameterKind, Schema};
use craton_core::agent::event::{Call, Event, Outcome, ToolReturned};
use craton_core::agent::tool::{Effect, EventContext};
use craton_core::agent::turn::Agent;
use craton_core::policy::ToolPolicy;
use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::*;
use crate::sim::world::{Mishap, REPLICA};
use crate::tool::conduct;
use crate::tool::request::Sender;

fn policy(set: Json) -> ToolPolicy {
    serde_json::from_value(set).expect("a policy")
}

/// Calls of tools, without a turn around them.
struct Caller {
    bench: Bench,
    agent: Arc<Agent>,
    policy: ToolPolicy,
    customer: &'static str,
    agent_id: &'static str,
}

impl Caller {
    async fn new(set: Json) -> Caller {
        let agent = Arc::new(Agent::new(config()).expect("it compiles"));
        let (bench, policy) = (Bench::new(&[]).await, policy(set));
        Caller { bench, agent, policy, customer: "anna", agent_id: "AGENT" }
    }

    async fn call(&self, name: &str, x: i64) -> ToolReturned {
        let tool = self.agent.tool(&format!("g__{name}")).expect("a tool");
        let call = Call {
            tool_use_id: "u".to_owned(),
            tool: tool.name.clone(),
            target: "arn:aws:lambda:us-east-1:1:function:f".to_owned(),
            input: json!({"x": x}),
            key: self.bench.engine.fresh_id(),
            effect: crate::function::parse_effect(name).unwrap_or(Effect::Once),
            at: 0,
            send_by: None,
            reserved: None,
        };
        let attributes = [("customer".to_owned(), self.customer.to_owned())].into();
        let context = EventContext {
            agent_name: "agent",
            agent_id: self.agent_id,
            agent_alias: "ALIAS",
            agent_version: "DRAFT",
            session_id: "session",
            input_text: "go",
            session_attributes: &attributes,
            prompt_session_attributes: &Default::default(),
            idempotency_key: "",
        };
        let sender = Sender { tenant: &self.bench.tenant, run: "r", agent: &self.agent, context };
        let (inner, request) = (&self.bench.engine.0, sender.request(&call, None));
        match conduct::call_tool(inner, tool, &call, &self.policy, request).await {
            Event::ToolReturned(returned) => returned,
            other => panic!("{other:?}"),
        }
    }

    fn mishaps(&self, mishap: Mishap, times: usize) {
        (0..times).for_each(|_| self.bench.world.mishap(mishap));
    }

    fn arrived(&self) -> usize {
        self.bench.world.calls().len()
    }
}

fn told(returned: &ToolReturned) -> String {
    let conduct = serde_json::to_value(&returned.conduct).expect("it serialises");
    let text = returned.outcome.text().replace('\n', " / ");
    format!("{text} {conduct} after {} ms", returned.millis)
}

#[track_caller]
fn check(returned: &ToolReturned, expected: &Expect) {
    expected.assert_eq(&told(returned));
}

const ONCE: &str = r#"{"attempts": 1}"#;

fn once() -> Json {
    serde_json::from_str(ONCE).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_nothing_through_and_then_one_of_fifty() {
    let caller = Caller::new(json!({"retry": once(), "static_response": "come back later"})).await;
    caller.mishaps(Mishap::Lost, 20);
    for _ in 0..20 {
        caller.call("read", 1).await;
    }
    assert_eq!(caller.arrived(), 20);
    check(
        &caller.call("read", 1).await,
        &expect![[
            r#"come back later {"attempts":0,"breaker":"open","served":{"from":"policy"}} after 0 ms"#
        ]],
    );
    tokio::time::sleep(Duration::from_secs(29)).await;
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 20, "it is open");
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.bench.world.mishap(Mishap::Slow(1));
    let calls = (0..50).map(|x| caller.call("read", x));
    let answers = futures_util::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.conduct.served.is_some()).count();
    assert_eq!((caller.arrived(), served), (21, 49), "one tries");
    assert!(caller.call("read", 1).await.conduct.is_plain(), "and closes it");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_each_account_s_own_and_operators_see_it() {
    let mut caller = Caller::new(json!({"retry": once()})).await;
    caller.mishaps(Mishap::Error, 20);
    for _ in 0..20 {
        caller.call("read", 1).await;
    }
    let views = |caller: &Caller| caller.bench.engine.breakers(&caller.bench.tenant);
    let view = views(&caller).remove(0);
    assert_eq!((view.state, view.tool.as_str()), ("open", "g__read"));
    assert!(caller.call("keyed", 1).await.conduct.is_plain(), "another tool of the function");
    caller.bench.tenant = Tenant::new("111111111111", "us-east-1");
    assert!(caller.call("read", 1).await.conduct.is_plain(), "another account");
    assert_eq!(views(&caller)[0].state, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_leaves_it_to_the_next() {
    let caller = Caller::new(json!({"retry": once()})).await;
    caller.mishaps(Mishap::NotSent, 20);
    for _ in 0..20 {
        caller.call("read", 1).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    caller.bench.world.mishap(Mishap::Slow(60));
    let given_up = tokio::time::timeout(Duration::from_secs(1), caller.call("read", 1)).await;
    assert!(given_up.is_err());
    check(
        &caller.call("read", 1).await,
        &expect![[r#"read of 1 {"attempts":1,"breaker":"half-open"} after 0 ms"#]],
    );
}

#[tokio::test(start_paused = true)]
async fn answers_are_kept_for_equal_calls_of_readers_alone() {
    let mut caller = Caller::new(json!({"cache_seconds": 3600})).await;
    caller.call("read", 1).await;
    tokio::time::sleep(Duration::from_secs(3599)).await;
    check(
        &caller.call("read", 1).await,
        &expect![[
            r#"read of 1 {"attempts":0,"served":{"ageSeconds":3599,"from":"cache"}} after 0 ms"#
        ]],
    );
    caller.call("read", 2).await;
    assert_eq!(caller.arrived(), 2, "other arguments");
    caller.customer = "bert";
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 3, "another customer");
    caller.customer = "anna";
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 4, "its time is over");
    for name in ["keyed", "once", "keyed", "once"] {
        caller.call(name, 1).await;
    }
    assert_eq!(caller.arrived(), 8, "they change something");
    caller.bench.tenant = Tenant::new("111111111111", "us-east-1");
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 9, "another account");
    caller.agent_id = "OTHER";
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 10, "another agent");
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 10);
    let mut config = config();
    for group in &mut config.groups {
        let Schema::Functions(functions) = &mut group.schema else { continue };
        let parameters = functions.iter_mut().flat_map(|function| &mut function.parameters);
        parameters.for_each(|(_, parameter)| parameter.kind = ParameterKind::Number);
    }
    caller.agent = Arc::new(Agent::new(config).expect("it compiles"));
    caller.call("read", 1).await;
    assert_eq!(caller.arrived(), 11, "another tool of the same name");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_answers_with_what_the_tool_said_last() {
    let caller = Caller::new(json!({"cache_seconds": 60, "retry": once()})).await;
    caller.call("read", 1).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    caller.mishaps(Mishap::Lost, 20);
    for x in 100..120 {
        caller.call("read", x).await;
    }
    check(
        &caller.call("read", 1).await,
        &expect![[
            r#"read of 1 / (this is the answer of 90 s ago: the tool cannot be asked now) {"attempts":0,"breaker":"open","served":{"ageSeconds":90,"from":"stale"}} after 0 ms"#
        ]],
    );
    check(
        &caller.call("read", 2).await,
        &expect![[
            r#"circuit_open: g__read failed too often lately and is left alone; it was not called; try again later, or tell the user {"attempts":0,"breaker":"open"} after 0 ms"#
        ]],
    );
}

#[tokio::test(start_paused = true)]
async fn a_function_that_threw_is_asked_again_if_it_may_be() {
    let caller = Caller::new(json!({})).await;
    caller.mishaps(Mishap::Error, 2);
    let returned = caller.call("read", 1).await;
    assert_eq!((returned.outcome.text(), returned.conduct.attempts), ("read of 1", 3));
    assert!(returned.millis <= 3_000, "{} ms", returned.millis);
    caller.mishaps(Mishap::Error, 1);
    let returned = caller.call("once", 1).await;
    assert_eq!(returned.conduct.attempts, 1);
    assert!(returned.outcome.text().starts_with("tool_failed: "), "{}", told(&returned));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_asked_where_that_cannot_do_anything_twice() {
    let caller = Caller::new(json!({"fallback": REPLICA})).await;
    let last = || caller.bench.world.calls().pop().unwrap_or_default();
    for (mishap, name, falls) in [
        (Mishap::Broke, "read", true),
        (Mishap::Lost, "read", true),
        (Mishap::Broke, "keyed", true),
        (Mishap::Broke, "once", false),
        (Mishap::Lost, "once", false),
        (Mishap::NotSent, "once", true),
        (Mishap::Failure, "read", false),
    ] {
        caller.bench.world.mishap(mishap);
        let returned = caller.call(name, 7).await;
        assert_eq!(returned.conduct.fallback.is_some(), falls, "{mishap:?} of {name}");
        assert_eq!(last() == format!("replica {name} 7"), falls, "{mishap:?} of {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_cut_at_a_character_and_the_model_is_told() {
    let caller = Caller::new(json!({"result_bytes": 11})).await;
    caller.bench.world.say(" für alle");
    check(
        &caller.call("read", 1).await,
        &expect![[
            r#"read of 1 f / (result_truncated: these are the first 11 of 19 bytes; ask for less) {"attempts":1,"truncatedFrom":19} after 0 ms"#
        ]],
    );
    check(&caller.call("read", 1).await, &expect![[r#"read of 1 {"attempts":1} after 0 ms"#]]);
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_their_turn_as_long_as_a_call_may_take() {
    let caller = Caller::new(json!({"concurrency": 1, "timeout_seconds": 3})).await;
    caller.mishaps(Mishap::Slow(2), 3);
    let calls = (0..3).map(|x| caller.call("once", x));
    let answers = futures_util::future::join_all(calls).await;
    let told: Vec<String> = answers.iter().map(told).collect();
    expect![[r#"
        once of 0 {"attempts":1} after 2000 ms
        once of 1 {"attempts":1,"waitedMillis":2000} after 4000 ms
        tool_unavailable: g__once: all of its 1 places are taken; nothing was done; try again later {"attempts":0} after 3000 ms"#]].assert_eq(&told.join("\n"));
    let paced = Caller::new(json!({"calls_per_second": 0.5, "timeout_seconds": 3})).await;
    let calls = (0..3).map(|x| paced.call("once", x));
    let answers = futures_util::future::join_all(calls).await;
    let told: Vec<String> = answers.iter().map(self::told).collect();
    expect![[r#"
        once of 0 {"attempts":1} after 0 ms
        once of 1 {"attempts":1,"waitedMillis":2000} after 2000 ms
        tool_unavailable: g__once: it takes 0.5 calls a second; nothing was done; try again later {"attempts":0} after 0 ms"#]].assert_eq(&told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_tool_over_the_network_has_as_long_as_it_usually_takes_and_then_the_whole_time() {
    let caller = Caller::new(json!({})).await;
    *caller.bench.world.patience.lock().expect("no panic") = Some(Duration::from_secs(3));
    caller.bench.world.mishap(Mishap::Slow(2));
    assert_eq!(caller.call("read", 0).await.millis, 2_000, "nothing is known yet");
    for x in 0..100 {
        caller.call("read", x).await;
    }
    caller.mishaps(Mishap::Slow(2), 2);
    let returned = caller.call("read", 1).await;
    assert_eq!(returned.conduct.attempts, 2);
    assert!((2_600..3_600).contains(&returned.millis), "{} ms", returned.millis);
    caller.bench.world.mishap(Mishap::Slow(2));
    let returned = caller.call("once", 1).await;
    assert_eq!(returned.conduct.attempts, 1, "{}", told(&returned));
    assert_eq!(returned.millis, 2_000, "what may not be repeated is not cut short");
    caller.bench.world.mishap(Mishap::Slow(9));
    check(
        &caller.call("once", 1).await,
        &expect![[
            r#"unknown_outcome: the reply of g__once was lost (no answer within 3.00 seconds); its outcome is unknown: do not repeat it, tell the user that a person has to look {"attempts":1} after 3000 ms"#
        ]],
    );
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_times_out_is_made_once_and_the_agent_reads_that_nobody_knows() {
    let bench = Bench::new(&["use g__keyed 1"]).await;
    bench.world.set("keyed", policy(json!({"effect": "keyed", "timeout_seconds": 2})));
    (0..3).for_each(|_| bench.world.mishap(Mishap::Slow(5)));
    bench.ask("refund it").await;
    assert_eq!(bench.world.keyed().values().collect::<Vec<_>>(), [&1]);
    bench
        .check(&expect![[r#"
        user: refund it
        agent: use g__keyed 1
        user: unknown_outcome
        agent: <answer>heard 2</answer>
        unknown g__keyed {"x":1}
        called keyed 1 key 0
        called keyed 1 key 0
        called keyed 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn slow_tools_of_one_reply_do_not_stack_up() {
    let bench = Bench::new(&["use g__read 1, use g__read 2, use g__read 3, use g__read 4"]).await;
    let set = json!({"effect": "read", "timeout_seconds": 1, "retry": {"attempts": 2}});
    bench.world.set("read", policy(set));
    (0..8).for_each(|_| bench.world.mishap(Mishap::Slow(60)));
    let began = Instant::now();
    bench.ask("go").await;
    let took = began.elapsed().as_millis();
    assert!((2_000..3_100).contains(&took), "{took} ms for two attempts and a pause");
}

#[tokio::test(start_paused = true)]
async fn a_loop_ends_the_turn_and_opens_the_breaker() {
    let script = ["use g__read 1"; 9];
    let bench = Bench::new(&script).await;
    let told = bench.ask("go").await;
    assert!(told.starts_with("[I kept asking for the same thing"), "{told}");
    assert_eq!(bench.world.calls().len(), 5);
    assert_eq!(bench.engine.breakers(&bench.tenant)[0].state, "open");
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_of_the_breaker_the_fallback_and_the_hand_off() {
    let bench = Bench::new(&["use g__read 1", "use g__keyed 501"]).await;
    bench.world.set("read", policy(json!({"effect": "read", "fallback": REPLICA})));
    bench.world.set("keyed", policy(json!({"effect": "keyed", "hand_off": ["x > 500"]})));
    bench.world.mishap(Mishap::Broke);
    let hearing = bench.engine.invoke(TurnRequest { trace: true, ..bench.request("go") }).await;
    let outs = hearing.expect("a turn").outs.collect::<Vec<_>>().await;
    let told = outs.iter().filter_map(|out| match out {
        Out::Trace(part) => {
            Some(Json::from((**part).clone())["trace"]["orchestrationTrace"].clone())
        }
        Out::ReturnControl(payload) => {
            Some(Json::from((**payload).clone())["invocationInputs"].clone())
        }
        _ => None,
    });
    let text = told.map(|part| part.to_string()).collect::<Vec<_>>().join("\n");
    for said in [
        "; replica is asked instead",
        "a person decides about this call of g__keyed: x > 500",
        "\"actionInvocationType\":\"USER_CONFIRMATION\"",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    let invocations = text.matches("\"invocationInput\"").count();
    assert_eq!(invocations, 3, "the tool, its fallback, the hand-off: {text}");
}

#[tokio::test(start_paused = true)]
async fn what_changes_something_is_never_answered_by_the_policy() {
    let breaker = json!({"least_calls": 1});
    let set = json!({"retry": once(), "breaker": breaker, "static_response": "ask the desk"});
    let caller = Caller::new(set).await;
    caller.bench.world.mishap(Mishap::NotSent);
    caller.call("once", 1).await;
    let returned = caller.call("once", 1).await;
    check(
        &returned,
        &expect![[
            r#"circuit_open: g__once failed too often lately and is left alone; it was not called; ask the desk {"attempts":0,"breaker":"open"} after 0 ms"#
        ]],
    );
    assert!(matches!(returned.outcome, Outcome::Error { .. }) && caller.arrived() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_s_answer_is_not_kept_as_the_tool_s() {
    let caller = Caller::new(json!({"cache_seconds": 60, "fallback": REPLICA})).await;
    caller.bench.world.mishap(Mishap::Lost);
    assert!(caller.call("read", 1).await.conduct.fallback.is_some());
    assert!(caller.call("read", 1).await.conduct.is_plain(), "the tool is asked");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_turn_and_a_pause_takes_no_place() {
    let caller = Caller::new(json!({"concurrency": 1})).await;
    caller.bench.world.mishap(Mishap::Lost);
    let (first, second) = tokio::join!(caller.call("read", 1), caller.call("read", 2));
    assert_eq!((first.conduct.attempts, second.conduct.attempts), (2, 1));
    assert!(first.millis > 0 && second.millis == 0, "{} {}", told(&first), told(&second));
    let paced = Caller::new(json!({"calls_per_second": 0.5})).await;
    paced.mishaps(Mishap::Lost, 2);
    assert_eq!(paced.call("read", 1).await.millis, 4_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_leaves_open_what_changed_and_a_long_one_does_not() {
    let caller = Caller::new(json!({})).await;
    caller.mishaps(Mishap::Garbled, 2);
    check(
        &caller.call("once", 1).await,
        &expect![[
            r#"unknown_outcome: the reply of g__once was lost (it cannot be read: response_malformed: the answer is not JSON: expected value at line 1 column 1; tell the user); its outcome is unknown: do not repeat it, tell the user that a person has to look {"attempts":1} after 0 ms"#
        ]],
    );
    check(
        &caller.call("read", 1).await,
        &expect![[
            r#"response_malformed: the answer is not JSON: expected value at line 1 column 1; tell the user {"attempts":1} after 0 ms"#
        ]],
    );
    let long = "x".repeat(30_000);
    caller.bench.world.say(&long);
    let returned = caller.call("once", 1).await;
    let said = format!("once of 1{}", &long[..25_591]);
    let note = "\n(result_truncated: these are the first 25600 of 30009 bytes; ask for less)";
    assert_eq!(returned.outcome.text(), said + note);
    assert_eq!(returned.conduct.truncated_from, Some(30_009));
    assert!(matches!(returned.outcome, Outcome::Answered { .. }));
    caller.bench.world.say(&long);
    let text = caller.call("read", 1).await.outcome.text().to_owned();
    assert!(text.starts_with("response_too_large: "), "{text}");
}
