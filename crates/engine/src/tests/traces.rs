//! Traces tell what happened, live and from the journal alike.

use expect_test::{Expect, expect};
use futures_util::StreamExt as _;
use serde_json::Value as Json;

use super::Bench;
use crate::live::Out;
use crate::request::TurnRequest;
use crate::sim::world::Mishap;

/// The parts that the client hears, in order, and that the journal tells the same.
async fn check(script: &[&str], mishaps: &[Mishap], expected: Expect) {
    let bench = Bench::new(script).await;
    for mishap in mishaps {
        bench.world.mishap(*mishap);
    }
    let request = TurnRequest { trace: true, ..bench.request("go") };
    let hearing = bench.engine.invoke(request).await.expect("a turn");
    let run = hearing.run.clone();
    let outs: Vec<Out> = hearing.outs.collect().await;
    let live = outs.into_iter().filter_map(|out| match out {
        Out::Trace(part) => Some(Json::from(*part)),
        Out::Chunk(_) | Out::ReturnControl(_) | Out::Fault { .. } => None,
    });
    let live: Vec<Json> = live.collect();
    let view = bench.engine.view(&bench.tenant, &run).await.expect("a store").expect("a run");
    assert_eq!(view.trace, live);
    for part in &live {
        let id = format!("{run}-");
        assert!(part.to_string().contains(&id), "{part} names its run");
        assert_eq!(part["sessionId"], "session");
        assert!(part["eventTime"].is_number() && part["callerChain"].is_array(), "{part}");
    }
    expected.assert_eq(&live.iter().map(named).collect::<String>());
}

/// The kind of a part and what is told in it.
fn named(part: &Json) -> String {
    let trace = &part["trace"];
    let text = |value: &Json| value.as_str().unwrap_or("?").to_owned();
    let failure = &trace["failureTrace"];
    if failure.is_object() {
        return format!("failure: {}\n", text(&failure["failureReason"]));
    }
    let (kind, told) = trace["orchestrationTrace"]
        .as_object()
        .and_then(|members| members.iter().next())
        .expect("an orchestration trace");
    let what = match kind.as_str() {
        "rationale" => text(&told["text"]),
        "invocationInput" => {
            let group = &told["actionGroupInvocationInput"];
            format!("{} {}", text(&group["function"]), group["parameters"][0]["value"])
        }
        "observation" => {
            let parts = ["actionGroupInvocationOutput", "repromptResponse", "finalResponse"];
            let part = parts.iter().find(|name| told[**name].is_object()).expect("a kind");
            format!("{} {}", text(&told["type"]), text(&told[*part]["text"]))
        }
        _ => return format!("{kind}\n"),
    };
    format!("{kind}: {what}\n")
}

#[tokio::test(start_paused = true)]
async fn reason_call_and_result_come_in_order_for_each_step() {
    let script = ["I look it up, use g__read 1", "use g__once 2", "<answer>done</answer>"];
    check(
        &script,
        &[],
        expect![[r#"
            modelInvocationInput
            modelInvocationOutput
            rationale: I look it up
            invocationInput: read "1"
            observation: ACTION_GROUP read of 1
            modelInvocationInput
            modelInvocationOutput
            invocationInput: once "2"
            observation: ACTION_GROUP once of 2
            modelInvocationInput
            modelInvocationOutput
            observation: FINISH done
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_called_is_told_as_such() {
    check(&["use g__none 1, use g__once 2"], &[], expect![[r#"
        modelInvocationInput
        modelInvocationOutput
        observation: REPROMPT unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, shop__paid, shop__probe, shop__undo, shop__parked, client__ask, bank__once, desk__sign, user__askuser
        invocationInput: once "2"
        observation: ACTION_GROUP once of 2
        modelInvocationInput
        modelInvocationOutput
        observation: FINISH heard 2
    "#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_fails_says_why() {
    check(
        &["use g__once 1"],
        &[Mishap::Failure],
        expect![[r#"
            modelInvocationInput
            modelInvocationOutput
            invocationInput: once "1"
            failure: once of 1
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_is_told_with_its_invocation() {
    check(
        &["use client__ask 1"],
        &[],
        expect![[r#"
            modelInvocationInput
            modelInvocationOutput
            invocationInput: ask "1"
        "#]],
    )
    .await;
}
