//! Return of control: parked turns and their results.

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::config::AgentConfig;
use expect_test::expect;
use futures_util::StreamExt as _;
use llm::Models;
use store::Batch;
use wire::converse::StopReason;

use super::{Bench, parse};
use crate::limits::Limits;
use crate::live::{Activation, Out};
use crate::record::{Pinned, RunRecord, RunStatus};
use crate::request::{ClientResult, Confirmation, Input, TurnRequest};
use crate::sim::team::{named, tell};
use crate::sim::world::{self, Mishap, Model, config, reply};

const SCRIPT: [&str; 2] =
    ["use client__ask 1, use g__once 2, use client__ask 3", "<answer>done</answer>"];

#[tokio::test(start_paused = true)]
async fn a_parked_turn_waits_longer_than_its_session_lives() {
    let mut bench = Bench::new(&SCRIPT).await;
    let results = bench.hand_off("go").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    bench.restart().await;
    assert_eq!(bench.hear(bench.request_of(results)).await, "[done]");
    bench
        .check(&expect![[r#"
        user: go
        agent: use client__ask 1, use g__once 2, use client__ask 3
        user: the client did it, once of 2, the client did it
        agent: <answer>done</answer>
        called once 2 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_who_bring_results_at_once_one_goes_on() {
    let bench = Bench::with(&SCRIPT, Duration::from_secs(1), Limits::default()).await;
    let results = bench.hand_off("go").await;
    let bring = || bench.hear(bench.request_of(results.clone()));
    let mut answers: [String; 2] = tokio::join!(bring(), bring()).into();
    answers.sort();
    assert_eq!(answers[0], "[done]");
    assert!(answers[1].starts_with("refused: this session has no hand-off"), "{}", answers[1]);
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn new_text_that_comes_with_the_results_waits_for_the_turn_to_end() {
    let bench = Bench::with(&SCRIPT, Duration::from_secs(1), Limits::default()).await;
    let results = bench.hand_off("go").await;
    let (brought, asked) =
        tokio::join!(bench.hear(bench.request_of(results)), bench.ask("forget it"));
    bench.quiet().await;
    assert_eq!((brought.as_str(), asked.as_str()), ("[done]", "[heard 3]"));
    bench
        .check(&expect![[r#"
        user: go
        agent: use client__ask 1, use g__once 2, use client__ask 3
        user: the client did it, once of 2, the client did it
        agent: <answer>done</answer>
        user: forget it
        agent: <answer>heard 3</answer>
        called once 2 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn wrong_results_are_refused_by_name_and_leave_the_hand_off_open() {
    let bench = Bench::new(&SCRIPT).await;
    let results = bench.hand_off("go").await;
    let Input::Results { invocation_id, results: all } = results.clone() else { panic!() };
    let bring = |id: &str, results| {
        let invocation_id = id.to_owned();
        bench.hear(bench.request_of(Input::Results { invocation_id, results }))
    };
    let mut told = vec![
        bring("other", all.clone()).await,
        bring(&invocation_id, all[..1].to_vec()).await,
        bring(&invocation_id, [all.clone(), all[..1].to_vec()].concat()).await,
    ];
    assert_eq!(bench.engine.running(), 0, "nothing is left of a refused request");
    told.push(bring(&invocation_id, all.clone()).await);
    told.push(bring(&invocation_id, all).await);
    expect![[r#"
        refused: invocationId other does not match the hand-off that waits for results, id-00000002
        refused: returnControlInvocationResults lacks results for client__ask; all of a hand-off's results are sent together
        refused: returnControlInvocationResults holds a result for function ask of client that was not asked for, or was given already
        [done]
        refused: this session has no hand-off that waits for results; send inputText to begin a turn"#]].assert_eq(&told.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn new_text_calls_the_hand_off_off() {
    let bench = Bench::new(&SCRIPT).await;
    let results = bench.hand_off("go").await;
    assert_eq!(bench.ask("forget it").await, "[done]");
    let told = bench.hear(bench.request_of(results)).await;
    assert!(told.starts_with("refused: this session has no hand-off"), "{told}");
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled, RunStatus::Answered]);
    bench
        .check(&expect![[r#"
        user: go
        agent: use client__ask 1, use g__once 2, use client__ask 3
        user: cancelled, once of 2, cancelled, forget it
        agent: <answer>done</answer>
        called once 2 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_nobody_answers_is_called_off_even_if_the_server_was_away() {
    let limits = Limits { parked_millis: 60_000, ..Limits::default() };
    let mut bench = Bench::with(&SCRIPT, Duration::ZERO, limits).await;
    bench.hand_off("go").await;
    // The server is away: nothing that it does reaches the data any more.
    bench.store = bench.store.reopen().expect("the data is there");
    tokio::time::sleep(Duration::from_secs(300)).await;
    bench.restart().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled]);
    let queued = bench.store.queued(0, 10).await.expect("a store");
    assert!(queued.is_empty(), "{queued:?}");
}

/// Brings the user's word on a hand-off, changed as the test wants it.
async fn bring(bench: &Bench, results: &Input, edit: impl Fn(usize, &mut ClientResult)) -> String {
    let Input::Results { invocation_id, mut results } = results.clone() else { panic!() };
    results.iter_mut().enumerate().for_each(|(at, result)| edit(at, result));
    bench.hear(bench.request_of(Input::Results { invocation_id, results })).await
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_once_its_user_agrees_even_after_a_restart() {
    let script = ["use bank__once 1, use desk__sign 2, use g__read 3", "<answer>done</answer>"];
    let mut bench = Bench::new(&script).await;
    let results = bench.hand_off("go").await;
    assert_eq!(bench.world.calls(), ["read 3 key 0"]);
    bench.restart().await;
    assert_eq!(bring(&bench, &results, |_, _| ()).await, "[done]");
    bench
        .check(&expect![[r#"
            user: go
            agent: use bank__once 1, use desk__sign 2, use g__read 3
            user: once of 1, the client did it, read of 3
            agent: <answer>done</answer>
            called read 3 key 0
            called once 1 key 1
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_user_denies_is_not_made() {
    let script = ["use bank__once 1, use desk__sign 2", "<answer>a pity</answer>"];
    let bench = Bench::new(&script).await;
    let results = bench.hand_off("go").await;
    let deny = |_, result: &mut ClientResult| result.confirmation = Some(Confirmation::Deny);
    assert_eq!(bring(&bench, &results, deny).await, "[a pity]");
    bench
        .check(&expect![[r#"
        user: go
        agent: use bank__once 1, use desk__sign 2
        user: call_denied, call_denied
        agent: <answer>a pity</answer>
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_word_that_nobody_asked_for_or_that_is_missing_leaves_the_hand_off_open() {
    let script = ["use bank__once 1, use client__ask 2, use desk__sign 3", "<answer>done</answer>"];
    let bench = Bench::new(&script).await;
    let results = bench.hand_off("go").await;
    let given = Some(Confirmation::Confirm);
    let at = |place: usize, word| {
        move |at: usize, result: &mut ClientResult| {
            if at == place {
                result.confirmation = word;
            }
        }
    };
    let of = |agent: &'static str| {
        move |_: usize, result: &mut ClientResult| result.agent_id = Some(agent.to_owned())
    };
    let told = [
        bring(&bench, &results, at(0, None)).await,
        bring(&bench, &results, at(1, given)).await,
        bring(&bench, &results, at(2, None)).await,
        bring(&bench, &results, of("OTHER")).await,
        bring(&bench, &results, of("AGENT")).await,
    ];
    expect![[r#"
        refused: returnControlInvocationResults lacks the confirmationState of function once of bank, whose actionInvocationType was USER_CONFIRMATION; send CONFIRM or DENY
        refused: returnControlInvocationResults holds a confirmationState for function ask of client, whose actionInvocationType was RESULT; leave it out
        refused: returnControlInvocationResults lacks the confirmationState of function sign of desk, whose actionInvocationType was USER_CONFIRMATION_AND_RESULT; send CONFIRM or DENY
        refused: returnControlInvocationResults holds a result for function once of bank of agent OTHER that was not asked for, or was given already
        [done]"#]].assert_eq(&told.join("\n"));
    assert_eq!(bench.world.calls(), ["once 1 key 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_call_that_a_crash_interrupts_is_not_made_again() {
    let bench = Bench::new(&["use bank__once 1", "<answer>done</answer>"]).await;
    let results = bench.hand_off("go").await;
    bench.world.mishap(Mishap::Slow(60));
    let mut bench = bench;
    let request = bench.request_of(results);
    drop(bench.engine.invoke(request).await.expect("it goes on"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.restart().await;
    bench.quiet().await;
    bench
        .check(&expect![[r#"
            user: go
            agent: use bank__once 1
            user: unknown_outcome
            agent: <answer>done</answer>
            unknown bank__once {"x":1}
            called once 1 key 0
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn new_text_instead_of_the_users_word_makes_no_call() {
    let bench = Bench::new(&["use bank__once 1"]).await;
    bench.hand_off("go").await;
    bench.ask("never mind").await;
    bench
        .check(&expect![[r#"
        user: go
        agent: use bank__once 1
        user: cancelled, never mind
        agent: <answer>heard 2</answer>
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_cannot_begin_leaves_the_hand_off_open() {
    let mut bench = Bench::with(&SCRIPT, Duration::from_secs(1), Limits::default()).await;
    let gone = bench.other_config(AgentConfig { instruction: "x".to_owned(), ..config() }).await;
    let (first, second) = (bench.request("go"), bench.request("and you?"));
    let run = first.request.clone();
    drop(bench.engine.invoke(first).await.expect("a turn"));
    let second = TurnRequest { config: gone.clone(), ..second };
    drop(bench.engine.invoke(second).await.expect("it waits"));
    let mut batch = Batch::new(&bench.tenant, bench.engine.now());
    batch.delete::<Pinned>(&gone);
    bench.store.commit(batch).await.expect("a store");
    bench.restart().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.statuses().await, [RunStatus::Parked, RunStatus::Failed]);
    let outs = bench.engine.attach(&bench.tenant, &run, &run).await.expect("it is over");
    let Some(Out::ReturnControl(handed)) = outs.collect::<Vec<_>>().await.pop() else { panic!() };
    assert_eq!(bench.hear(bench.request_of(world::results(&handed))).await, "[done]");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_meets_a_run_on_its_way_to_park_calls_its_hand_off_off() {
    let bench = Bench::new(&SCRIPT).await;
    bench.hand_off("go").await;
    let parked = bench.engine.runs(&bench.tenant, None, 1).await.expect("runs").remove(0);
    let put = async |record: &RunRecord| {
        let mut batch = Batch::new(&bench.tenant, bench.engine.now());
        batch.put(&record.run, record);
        bench.store.commit(batch).await.expect("a store");
    };
    // As it is while its task writes its last batch, and no longer listens.
    put(&RunRecord { status: RunStatus::Running, ..parked.clone() }).await;
    let live = Activation::new("", &parked.run);
    bench.engine.0.live.begin(&bench.tenant, &parked.run, &live);
    let parks = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        put(&parked).await;
        bench.engine.0.live.end(&bench.tenant, &parked.run, &live);
    };
    let (cancelled, ()) = tokio::join!(bench.engine.cancel(&bench.tenant, &parked.run), parks);
    assert_eq!(cancelled, Ok(true));
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_may_be_of_two_agents_has_to_say_of_which() {
    let model = Model::new(vec![
        reply(vec![tell("billing", 0, 0), tell("orders", 0, 1)], StopReason::ToolUse),
        parse(1, "<answer>done</answer>"),
    ]);
    let works = |at| vec![parse(at, "use client__ask 1"), parse(at, "<answer>mine</answer>")];
    let others = [("billing".to_owned(), works(2)), ("orders".to_owned(), works(3))];
    let model = Arc::new(model.with(others.into()));
    let mut bench = Bench::of(Models::single(model.clone()), model, Limits::default()).await;
    let (billing, orders) = (named("billing", &[]), named("orders", &[]));
    let team = [billing, orders].map(|config| Pinned { config });
    for member in &team {
        bench.other_config(member.config.clone()).await;
    }
    let boss = named("boss", &[("billing", &team[0]), ("orders", &team[1])]);
    bench.config = bench.other_config(AgentConfig { agent_id: "AGENT".to_owned(), ..boss }).await;
    let results = bench.hand_off("go").await;
    let unnamed = bring(&bench, &results, |_, result| result.agent_id = None).await;
    expect!["refused: returnControlInvocationResults holds a result for function ask of client without agentId, which several agents of this hand-off wait for; give the agentId of the invocation input"].assert_eq(&unnamed);
    assert_eq!(bring(&bench, &results, |_, _| ()).await, "[done]");
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_outlives_the_text_that_was_said_before_it() {
    let script = ["use g__read 1", "<answer>one</answer>", "use client__ask 2"];
    // The ids of its tool uses are numbered per reply, as many servers do it.
    let replies = script.iter().map(|text| parse(0, text)).collect();
    let model = Arc::new(Model::new(replies));
    let bench = Bench::of(Models::single(model.clone()), model, Limits::default()).await;
    bench.ask("go").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let results = bench.hand_off("again").await;
    tokio::time::advance(Duration::from_secs(30 * 24 * 3600 - 30)).await;
    let cleared = crate::upkeep::clear(&bench.engine.0, bench.engine.now()).await;
    cleared.expect("a store");
    bench.engine.0.pasts.forget();
    // The model finds one reply less than it gave, and so gives the last one again.
    assert_eq!(bench.hear(bench.request_of(results)).await, "[hand-off]");
}
