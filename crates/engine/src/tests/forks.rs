//! Runs that begin in the middle of others, and runs that change nothing.

use std::sync::atomic::Ordering;

use craton_core::agent::config::{AgentConfig, Stage, StageConfig};
use craton_core::policy::ToolPolicy;
use expect_test::{Expect, expect};
use futures_util::StreamExt as _;
use serde_json::json;
use store::Batch;

use super::replays::team;
use super::{Bench, told};
use crate::dry::Source;
use crate::fork::{Changes, ForkError, Forked, StepPlace, ToolResult};
use crate::inspect::Diff;
use crate::model::InferenceProfile;
use crate::record::RunStatus;
use crate::request::{Input, TurnRequest};
use crate::sim::world::{Mishap, REPLICA, config};
use crate::spend::{By, Wanted};

/// The latest run of the bench's session.
async fn latest(bench: &Bench) -> String {
    bench.quiet().await;
    bench.session().await.runs.pop().expect("a run")
}

/// Forks the latest run, hears the fork to its end, and compares both.
async fn forked(
    bench: &Bench,
    step: usize,
    changes: &Changes,
) -> Result<(Forked, String, Diff), ForkError> {
    let run = latest(bench).await;
    let forked = bench.engine.fork(&bench.tenant, &run, &step.into(), changes).await?;
    let view = bench.engine.find_run(&bench.tenant, &forked.run).await.expect("a store");
    assert_eq!(view.expect("the fork").lineage.parent.expect("a parent").run, run);
    let outs = bench.engine.attach(&bench.tenant, &forked.run, &forked.run).await.expect("it runs");
    let heard: Vec<String> = outs.map(told).collect().await;
    bench.quiet().await;
    let diff = bench.engine.diff(&bench.tenant, &run, &forked.run).await.expect("a store");
    Ok((forked, heard.concat(), diff.expect("both are there")))
}

async fn check(bench: &Bench, step: usize, changes: &Changes, expected: &Expect) {
    let text = match forked(bench, step, changes).await {
        Err(error) => error.to_string(),
        Ok((forked, heard, diff)) => {
            let reused = forked.reused;
            let parts =
                diff.divergence.map(|d| format!("{:?} at {}: {} {}", d.cause, d.at, d.a, d.b));
            format!(
                "reused {} events, {} model calls, {} tool calls\n{heard}\n{}",
                reused.events,
                reused.model_calls,
                reused.tool_calls,
                parts.unwrap_or_default()
            )
        }
    };
    expected.assert_eq(&text.replace(&latest(bench).await, "RUN"));
}

#[tokio::test(start_paused = true)]
async fn what_is_before_the_step_is_reused_and_no_tool_is_called_again() {
    let bench = Bench::new(&["use g__once 1", "use g__read 2, use g__keyed 3", "done"]).await;
    bench.ask("go").await;
    let (calls, asked) = (bench.world.calls(), bench.model.calls.load(Ordering::SeqCst));
    check(
        &bench,
        6,
        &Changes::default(),
        &expect![[r#"
        reused 12 events, 2 model calls, 3 tool calls
        [done]
    "#]],
    )
    .await;
    assert_eq!(bench.world.calls(), calls, "no tool was called");
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), asked + 1);
    // The fork's own calls have keys of their own.
    check(
        &bench,
        3,
        &Changes::default(),
        &expect![[r#"
        reused 6 events, 1 model calls, 1 tool calls
        [done]
    "#]],
    )
    .await;
    assert_eq!(bench.world.once().len(), 1, "the call that may be made once was not made again");
    assert_eq!(bench.world.keyed().len(), 2);
    assert_eq!(bench.history().await.len(), 6, "the session is what it was");
}

#[tokio::test(start_paused = true)]
async fn after_the_step_a_fork_differs_by_the_change_alone() {
    let bench = Bench::new(&["use g__once 1", "use g__once 2", "done"]).await;
    bench.ask("before").await;
    bench.ask("go").await;
    let model = Changes { model: Some("other".to_owned()), ..Changes::default() };
    check(
        &bench,
        1,
        &model,
        &expect![[r#"
        reused 2 events, 0 model calls, 0 tool calls
        [heard 4]
        Configuration at the agent: "model" "other""#]],
    )
    .await;
    let prompt = Changes { prompt: Some("do it well".to_owned()), ..Changes::default() };
    check(
        &bench,
        1,
        &prompt,
        &expect![[r#"
        reused 2 events, 0 model calls, 0 tool calls
        [heard 4]
        Configuration at the agent: "do it" "do it well""#]],
    )
    .await;
    let memory = Changes { memory: Some("likes tea".to_owned()), ..Changes::default() };
    check(&bench, 1, &memory, &expect![[r#"
        reused 2 events, 0 model calls, 0 tool calls
        [heard 4]
        Prompt at step 1, model model: …etween <answer> and </answer>." …etween <answer> and </answer>.\n\nYou remember earlier conve…"#]]).await;
}

#[tokio::test(start_paused = true)]
async fn a_tools_result_and_its_policy_can_be_others() {
    let bench = Bench::new(&["use g__once 1", "use g__once 2", "done"]).await;
    bench.ask("go").await;
    let result = ToolResult { tool: "once".to_owned(), result: json!({"state": "closed"}) };
    let result = Changes { tool_result: Some(result), ..Changes::default() };
    check(
        &bench,
        2,
        &result,
        &expect![[r#"
        reused 6 events, 1 model calls, 1 tool calls
        [done]
        ToolResult at step 2, tool g__once: "once of 1" "{\"state\":\"closed\"}""#]],
    )
    .await;
    assert_eq!(bench.world.calls().len(), 3, "the second call of the fork alone");
    let policy: ToolPolicy =
        serde_json::from_value(json!({"hand_off": ["x > 1"]})).expect("a policy");
    let policies = [("g__once".to_owned(), policy)].into();
    check(
        &bench,
        3,
        &Changes { policies, ..Changes::default() },
        &expect![[r#"
        reused 6 events, 1 model calls, 1 tool calls
        [hand-off]
        Configuration at the agent: nothing {"g__once":{"hand_off":["x > 1"]}}"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_cannot_be_is_refused() {
    let bench = Bench::new(&["use client__ask 1", "done"]).await;
    bench.hand_off("go").await;
    check(
        &bench,
        0,
        &Changes::default(),
        &expect!["run RUN has 2 steps; fork it at 1 to 2 (`craton trace` numbers them)"],
    )
    .await;
    check(
        &bench,
        9,
        &Changes::default(),
        &expect!["run RUN has 2 steps; fork it at 1 to 2 (`craton trace` numbers them)"],
    )
    .await;
    let result = ToolResult { tool: "nothing".to_owned(), result: json!("x") };
    check(
        &bench,
        1,
        &Changes { tool_result: Some(result), ..Changes::default() },
        &expect!["no step of the run from 1 on is a call of nothing"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_calls_what_reads_and_changes_nothing() {
    let bench =
        Bench::new(&["use g__read 1, use g__once 2", "use g__keyed 3, use g__none 4", "done"])
            .await;
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    assert!(dry.dry);
    let told = |dry: &crate::dry::DryRun| {
        let effect = |e: &crate::dry::DryEffect| {
            format!("{} {} {:?} {}", e.tool, e.class.word(), e.source, e.arguments["x"])
        };
        let effects: Vec<String> = dry.effects.iter().map(effect).collect();
        format!("{}\n{}", effects.join("\n"), dry.answer.clone().unwrap_or_default())
    };
    expect![[r#"
        g__read read Real 1
        g__once once Nothing 2
        g__keyed keyed Nothing 3
        {"text":"done"}"#]]
    .assert_eq(&told(&dry));
    assert_eq!(bench.world.calls(), ["read 1 key 0"], "no writer was called");
    assert_eq!(bench.session().await, Default::default(), "the session is what it was");
    let rows =
        bench.engine.list_effects(&bench.tenant, &Default::default()).await.expect("a store");
    assert!(rows.effects.is_empty(), "the ledger has no rows");
    assert!(bench.engine.runs(&bench.tenant, None, 10).await.expect("a store").is_empty());
    // Once there are records, they stand in.
    bench.ask("go").await;
    let session_id = "another".to_owned();
    let request = TurnRequest { session_id, ..bench.request("go") };
    let dry = bench.engine.dry_run(request).await.expect("a dry run");
    expect![[r#"
        g__read read Real 1
        g__once once Record 2
        g__keyed keyed Record 3
        {"text":"done"}"#]]
    .assert_eq(&told(&dry));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_no_fallback_that_may_do_more_than_read() {
    let bench = Bench::new(&["use g__read 1", "done"]).await;
    let fallback = Some(REPLICA.to_owned());
    bench.world.set("read", ToolPolicy { fallback, ..ToolPolicy::default() });
    bench.world.mishap(Mishap::NotSent);
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    let sources: Vec<_> = dry.effects.iter().map(|effect| effect.source).collect();
    assert_eq!(sources, [Source::Real, Source::Nothing]);
    assert!(!bench.world.calls().iter().any(|call| call.starts_with("replica")));
    bench.world.mishap(Mishap::NotSent);
    bench.ask("go").await;
    let calls = bench.world.calls();
    assert!(calls.iter().any(|call| call.starts_with("replica")), "live it is asked: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_follows_a_profile_and_what_it_cost_stands_in_the_sums() {
    let mut bench = Bench::new(&["done"]).await;
    let id = "abcdef123456";
    let model = format!("arn:aws:bedrock:us-east-1:000000000000{}{id}", crate::model::PROFILE);
    let profile = InferenceProfile {
        id: id.to_owned(),
        name: "mine".to_owned(),
        description: None,
        source: "model".to_owned(),
        models: Vec::new(),
        client_token: None,
        created_at: 0,
        tags: Default::default(),
    };
    let mut batch = Batch::new(&bench.tenant, 0);
    batch.put(id, &profile);
    bench.store.commit(batch).await.expect("the profile");
    bench.config = bench.other_config(AgentConfig { model, ..config() }).await;
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    assert_eq!(dry.answer, Some(json!({"text": "done"})));
    let wanted = Wanted { by: By::Agent, since: 0 };
    let report = bench.engine.spent(&bench.tenant, wanted).await.expect("sums");
    let told: Vec<_> = report.rows.iter().map(|row| (&*row.of, row.spent.model_calls)).collect();
    assert_eq!(told, [("AGENT", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_fork_begins_in_a_collaborators_turn() {
    let script = ["use g__once 1", "use g__read 2", "<answer>billed</answer>"];
    let bench = team(&script).await;
    assert_eq!(bench.ask("go").await, "[all done]");
    let at = |place: &str| place.parse::<StepPlace>().expect("a place");
    let told = async |place: &str, changes: &Changes| {
        let before = bench.world.calls().len();
        let run = latest(&bench).await;
        let forked = bench.engine.fork(&bench.tenant, &run, &at(place), changes).await;
        let forked = match forked {
            Err(error) => return format!("{error}\n").replace(&run, "RUN"),
            Ok(forked) => forked,
        };
        let outs = bench.engine.attach(&bench.tenant, &forked.run, &forked.run).await;
        let heard: Vec<String> = outs.expect("it runs").map(super::told).collect().await;
        bench.quiet().await;
        let (calls, reused) = (bench.world.calls(), forked.reused);
        let calls = calls[before..].join(", ");
        format!("{}+{}: {} [{calls}]\n", reused.model_calls, reused.tool_calls, heard.concat())
    };
    let mut all = String::new();
    for place in ["2.1", "2.3", "2.4", "2.5", "3", "2.9", "1.1", "0", "2.0"] {
        all.push_str(&format!("{place}: {}", told(place, &Changes::default()).await));
    }
    let result = ToolResult { tool: "once".to_owned(), result: json!("closed") };
    let result = Changes { tool_result: Some(result), ..Changes::default() };
    all.push_str(&format!("result: {}", told("1", &result).await));
    all.push_str(&format!("too late: {}", told("2.3", &result).await));
    let prompt = Changes { prompt: Some("other".to_owned()), ..Changes::default() };
    all.push_str(&format!("prompt: {}", told("2.3", &prompt).await));
    expect![[r#"
        2.1: 1+0: [all done] [once 1 key 2, read 2 key 3]
        2.3: 2+1: [all done] [read 2 key 4]
        2.4: 3+1: [all done] [read 2 key 5]
        2.5: 3+2: [all done] []
        3: 4+2: [all done] []
        2.9: run RUN has 3 steps; fork it at 1 to 3 (`craton trace` numbers them)
        1.1: run RUN has 3 steps; fork it at 1 to 3 (`craton trace` numbers them)
        0: run RUN has 3 steps; fork it at 1 to 3 (`craton trace` numbers them)
        2.0: run RUN has 3 steps; fork it at 1 to 3 (`craton trace` numbers them)
        result: 2+1: [all done] [read 2 key 6]
        too late: no step of the run from 2.3 on is a call of once
        prompt: step 2.3 is a collaborator's: only tool-result can be changed there
    "#]]
    .assert_eq(&all);
    assert_eq!(bench.world.once().len(), 2, "the call that may be made once, and that of 2.1");
}

#[tokio::test(start_paused = true)]
async fn a_fork_of_a_run_that_waits_waits_for_its_own_client_or_tool() {
    let bench = Bench::new(&["use client__ask 1", "done"]).await;
    let results = bench.hand_off("go").await;
    let (fork, heard, _) = forked(&bench, 2, &Changes::default()).await.expect("a fork");
    assert_eq!(heard, "[hand-off]");
    let Input::Results { results, .. } = results else { panic!("no hand-off") };
    let view = bench.engine.view(&bench.tenant, &fork.run).await.expect("a store");
    let wait = view.expect("the fork").steps.pop().expect("a step").input.expect("who waits");
    let invocation_id = wait["invocationId"].as_str().expect("an id").to_owned();
    let request = TurnRequest {
        session_id: fork.session_id,
        ..bench.request_of(Input::Results { invocation_id, results: results.clone() })
    };
    assert_eq!(bench.hear(request).await, "[done]");
    assert_eq!(bench.statuses().await, [RunStatus::Parked, RunStatus::Answered]);
    // Behind the hand-off, once it is over.
    let parked = bench.session().await.parked.expect("it waits");
    let input = Input::Results { invocation_id: parked.invocation_id, results };
    assert_eq!(bench.hear(bench.request_of(input)).await, "[done]");
    let (forked, ..) = forked(&bench, 3, &Changes::default()).await.expect("a fork");
    let view = bench.engine.view(&bench.tenant, &forked.run).await.expect("a store");
    assert_eq!(view.expect("the fork").answer, Some(json!({"text": "done"})));
    // A call whose result is to come is made anew, or answered.
    let bench = Bench::new(&["use g__once 1", "done"]).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let result = ToolResult { tool: "once".to_owned(), result: json!("booked") };
    let result = Changes { tool_result: Some(result), ..Changes::default() };
    let calls = bench.world.calls().len();
    assert_eq!(forked_text(&bench, 2, &result).await, "[done]");
    assert_eq!(bench.world.calls().len(), calls);
    assert_eq!(forked_text(&bench, 2, &Changes::default()).await, "[done]");
    assert_eq!(bench.world.calls().len(), calls + 1);
}

async fn forked_text(bench: &Bench, step: usize, changes: &Changes) -> String {
    forked(bench, step, changes).await.expect("a fork").1
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_heard_as_the_turn_would_be_and_says_which_parsers_it_asked() {
    let mut bench = Bench::new(&["use g__read 1, use g__once 2", "done"]).await;
    let stage = StageConfig {
        stage: Stage::Orchestration,
        enabled: true,
        template: None,
        inference: None,
        model: None,
        additional: serde_json::Value::Null,
        parser: true,
    };
    let parser = Some("arn:aws:lambda:us-east-1:1:function:parser".to_owned());
    let config = AgentConfig { parser, stages: vec![stage], ..config() };
    bench.config = bench.other_config(config).await;
    let dry = bench.engine.dry_run(bench.request("go")).await.expect("a dry run");
    let told: Vec<_> = dry.effects.iter().map(|e| (&*e.tool, e.class.word(), e.source)).collect();
    let parser = ("arn:aws:lambda:us-east-1:1:function:parser", "read", Source::Real);
    let tools = [("g__read", "read", Source::Real), ("g__once", "once", Source::Nothing)];
    assert_eq!(told, [parser, tools[0], tools[1], parser]);
    let live = ["parser", "read 1 key 0", "parser"];
    assert_eq!(bench.world.calls(), live);
    let hearing = bench.engine.dry_hear(bench.request("go")).await.expect("a dry run");
    assert_eq!(super::heard(Ok(hearing)).await, "[done]");
    let gone = bench.engine.dry_hear(bench.request("go")).await.expect("a dry run");
    drop(gone);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(bench.world.calls().len(), 3 * live.len(), "it goes on to its end");
    assert!(!bench.world.calls().iter().any(|call| call.starts_with("once")));
    assert!(bench.engine.runs(&bench.tenant, None, 10).await.expect("a store").is_empty());
    let wanted = Wanted { by: By::Agent, since: 0 };
    let report = bench.engine.spent(&bench.tenant, wanted).await.expect("sums");
    let told: Vec<_> = report.rows.iter().map(|row| row.spent.model_calls).collect();
    assert_eq!(told, [6], "all three are paid for");
}
