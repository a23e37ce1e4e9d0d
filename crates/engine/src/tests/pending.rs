//! Calls whose tools answer later: by a callback, on being asked again, or never.

use std::time::Duration;

use bytes::Bytes;
use craton_core::policy::ToolPolicy;
use expect_test::expect;
use store::Batch;

use super::{Bench, heard};
use crate::ledger::{State, WantedEffects};
use crate::limits::Limits;
use crate::pending::{Callback, CallbackState};
use crate::record::{RunStatus, Session};
use crate::sim::world::{Mishap, REPLICA};

const SCRIPT: [&str; 2] = ["use g__once 1", "<answer>done</answer>"];

/// Somebody brings a result; what came of it.
async fn bring(bench: &Bench, token: &str, body: &str, state: Option<CallbackState>) -> String {
    let callback = Callback { body: Bytes::copy_from_slice(body.as_bytes()), state };
    match bench.engine.complete(&bench.tenant, "session", token, &callback).await {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_a_callback_without_a_task_and_its_client_hears_the_rest() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    let callback = async {
        seconds(3600).await;
        assert_eq!((bench.engine.running(), bench.statuses().await), (0, vec![RunStatus::Parked]));
        bring(&bench, "job-1", "booked", None).await
    };
    let (told, taken) = tokio::join!(bench.ask("go"), callback);
    assert_eq!((told.as_str(), taken.as_str()), ("[done]", "taken"));
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1
        user: booked
        agent: <answer>done</answer>
        called once 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_after_a_restart_ends_the_turn_and_a_repeat_hears_it() {
    let mut bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
    seconds(10).await;
    bench.restart().await;
    let again = bench.engine.invoke(bench.repeatable("go", "r")).await.expect("the same turn");
    let callback = async {
        seconds(10).await;
        bring(&bench, "job-1", "booked", None).await
    };
    let (told, taken) = tokio::join!(heard(Ok(again)), callback);
    assert_eq!((told.as_str(), taken.as_str()), ("[done]", "taken"));
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_comes_while_a_run_is_taken_up_hears_the_rest() {
    let mut bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
    seconds(10).await;
    bench.restart().await;
    bench.world.look_for(Duration::from_secs(5));
    let listener = async {
        seconds(2).await;
        heard(bench.engine.invoke(bench.repeatable("go", "r")).await).await
    };
    let told = tokio::time::timeout(Duration::from_secs(60), listener);
    let (told, taken) = tokio::join!(told, bring(&bench, "job-1", "booked", None));
    assert_eq!((told.as_deref(), taken.as_str()), (Ok("[done]"), "taken"));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_taken_once_and_the_same_may_come_again() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    seconds(10).await;
    let told = [
        bring(&bench, "job-2", "booked", None).await,
        bring(&bench, "job-1", "{\"messageVersion\": \"1.0\", \"response\": {}}", None).await,
        bring(&bench, "job-1", "booked", None).await,
        bring(&bench, "job-1", "booked", None).await,
        bring(&bench, "job-1", "lost", None).await,
    ];
    expect![[r#"
        run id-00000001 waits for no result under job-2
        response_malformed: response.actionGroup is missing, it must repeat the request's "g"; tell the user
        taken
        taken
        the call job-1 of run id-00000001 is closed already: another result came first"#]].assert_eq(&told.join("\n"));
    bench.quiet().await;
    bench
        .check(&expect![[r#"
            user: go
            agent: use g__once 1
            user: booked
            agent: <answer>done</answer>
            called once 1 key 0
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_results_at_once_one_is_taken() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    seconds(10).await;
    let bring = |body| bring(&bench, "job-1", body, None);
    let mut told: [String; 2] = tokio::join!(bring("one"), bring("two")).into();
    told.sort();
    assert_eq!(told[0], "taken");
    assert!(told[1].ends_with("is closed already: another result came first"), "{}", told[1]);
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_may_be_an_error_or_the_end_of_the_turn() {
    for (state, expected) in [
        (CallbackState::Error, "[done]"),
        (CallbackState::Reprompt, "[done]"),
        (CallbackState::Failure, "[DependencyFailedException: no seats]"),
    ] {
        let bench = Bench::new(&SCRIPT).await;
        bench.world.mishap(Mishap::Later(1, None));
        let callback = async {
            seconds(10).await;
            bring(&bench, "job-1", "no seats", Some(state)).await
        };
        let (told, taken) = tokio::join!(bench.ask("go"), callback);
        assert_eq!((told.as_str(), taken.as_str()), (expected, "taken"));
        assert!(bench.session().await.unknown.is_empty(), "the tool said what became of it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_quicker_than_its_tool_is_waited_for() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(3, None));
    let callback = async {
        seconds(1).await;
        bring(&bench, "job-1", "booked", None).await
    };
    let (told, taken) = tokio::join!(bench.ask("go"), callback);
    assert_eq!((told.as_str(), taken.as_str()), ("[done]", "taken"));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_while_another_call_runs_is_taken_by_the_run() {
    let bench = Bench::new(&["use g__once 1, use g__read 2", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Later(1, None));
    bench.world.mishap(Mishap::Slow(60));
    let callback = async {
        seconds(10).await;
        let taken = bring(&bench, "job-1", "booked", None).await;
        assert_eq!(bench.engine.running(), 1, "the other call goes on");
        taken
    };
    let (told, taken) = tokio::join!(bench.ask("go"), callback);
    assert_eq!((told.as_str(), taken.as_str()), ("[done]", "taken"));
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1, use g__read 2
        user: booked, read of 2
        agent: <answer>done</answer>
        called once 1 key 0
        called read 2 key 1
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_wants_it_is_asked_again_until_it_answers_and_calls_nothing_twice() {
    let mut bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, Some(30)));
    bench.world.mishap(Mishap::Later(1, Some(30)));
    bench.world.mishap(Mishap::Lost);
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    seconds(45).await;
    bench.restart().await;
    seconds(120).await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
    assert!(bench.world.once().values().all(|count| *count == 1));
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1
        user: once of 1
        agent: <answer>done</answer>
        called once 1 key 0
        called job-1 asked for
        called job-1 asked for
        called job-1 asked for
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_never_comes_is_unknown_in_the_end() {
    let limits = Limits { pending_millis: 60_000, ..Limits::default() };
    let bench = Bench::with(&SCRIPT, Duration::ZERO, limits).await;
    bench.world.mishap(Mishap::Later(1, None));
    assert_eq!(bench.ask("go").await, "[done]");
    let late = bring(&bench, "job-1", "booked", None).await;
    assert!(late.ends_with("is closed already: nobody waited for it any longer"), "{late}");
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1
        user: unknown_outcome
        agent: <answer>done</answer>
        unknown g__once {"x":1}
        called once 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn new_text_calls_off_what_is_pending_and_its_outcome_is_unknown() {
    let bench = Bench::new(&["use g__once 1, use g__read 2"]).await;
    bench.world.mishap(Mishap::Later(1, None));
    bench.world.mishap(Mishap::Later(1, None));
    let next = async {
        seconds(10).await;
        bench.ask("never mind").await
    };
    let (told, next) = tokio::join!(bench.ask("go"), next);
    expect![
        "[ConflictException: the turn was called off: by the user, who said something new instead]"
    ]
    .assert_eq(&told);
    assert_eq!(next, "[heard 2]");
    let late = bring(&bench, "job-1", "booked", None).await;
    assert!(late.contains("waits for no result"), "the latest run of the session: {late}");
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1, use g__read 2
        user: unknown_outcome, cancelled, never mind
        agent: <answer>heard 2</answer>
        unknown g__once {"x":1}
        called once 1 key 0
        called read 2 key 1
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_calls_off_what_is_pending() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    let cancel = async {
        seconds(10).await;
        bench.engine.cancel(&bench.tenant, "session").await
    };
    let (told, cancelled) = tokio::join!(bench.ask("go"), cancel);
    assert_eq!(told, "[ConflictException: the turn was called off: by an operator]");
    assert_eq!(cancelled, Ok(true));
    let late = bring(&bench, "job-1", "booked", None).await;
    assert!(late.ends_with("is closed already: the turn is over"), "{late}");
    assert_eq!(bench.session().await.unknown.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_run_takes_its_result_and_goes_on_when_it_is_let_go() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(1, None));
    let held = async {
        seconds(10).await;
        bench.engine.hold(&bench.tenant, "session", true).await.expect("a store");
        let taken = bring(&bench, "job-1", "booked", None).await;
        seconds(60).await;
        assert_eq!(bench.statuses().await, [RunStatus::Running]);
        bench.engine.hold(&bench.tenant, "session", false).await.expect("a store");
        taken
    };
    let (told, taken) = tokio::join!(bench.ask("go"), held);
    assert_eq!((told.as_str(), taken.as_str()), ("[done]", "taken"));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_comes_while_its_session_is_written_is_taken_up_after_that() {
    let limits = Limits { pending_millis: 60_000, ..Limits::default() };
    let bench = Bench::with(&SCRIPT, Duration::ZERO, limits).await;
    bench.world.mishap(Mishap::Later(1, None));
    let operator = async {
        seconds(30).await;
        bench.world.look_for(Duration::from_secs(60));
        seconds(60).await;
        let mut batch = Batch::new(&bench.tenant, bench.engine.now());
        batch.put(&Session::key("AGENT", "ALIAS", "session"), &bench.session().await);
        bench.store.commit(batch).await.expect("a store");
        seconds(60).await;
        bench.statuses().await
    };
    let told = async {
        let told = tokio::time::timeout(Duration::from_secs(600), bench.ask("go")).await;
        told.unwrap_or_else(|_| "it sleeps for ever".to_owned())
    };
    let (told, statuses) = tokio::join!(told, operator);
    assert_eq!((told.as_str(), statuses), ("[done]", vec![RunStatus::Answered]));
}

#[tokio::test(start_paused = true)]
async fn text_that_waited_when_a_call_became_pending_goes_on_waiting() {
    let mut bench = Bench::new(&SCRIPT).await;
    for _ in 0..3 {
        bench.world.mishap(Mishap::Later(5, Some(30)));
    }
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    seconds(1).await;
    drop(bench.engine.invoke(bench.request("and then?")).await.expect("it waits"));
    seconds(50).await;
    assert_eq!(bench.world.calls(), ["once 1 key 0", "job-1 asked for"]);
    bench.restart().await;
    seconds(100).await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered, RunStatus::Answered]);
    bench
        .check(&expect![[r#"
            user: go
            agent: use g__once 1
            user: once of 1
            agent: <answer>done</answer>
            user: and then?
            agent: <answer>heard 3</answer>
            called once 1 key 0
            called job-1 asked for
            called job-1 asked for
            called job-1 asked for
            called job-1 asked for
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_takes_a_call_in_words_that_cannot_be_read_may_have_changed_something() {
    let bench = Bench::new(&["use g__once 1, use g__read 2", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Later(1, Some(0)));
    bench.world.mishap(Mishap::Later(1, Some(0)));
    assert_eq!(bench.ask("go").await, "[done]");
    bench
        .check(&expect![[r#"
            user: go
            agent: use g__once 1, use g__read 2
            user: unknown_outcome, response_malformed
            agent: <answer>done</answer>
            unknown g__once {"x":1}
            called once 1 key 0
            called read 2 key 1
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_is_owed_by_the_fallback_that_took_the_call() {
    let bench = Bench::new(&SCRIPT).await;
    let fallback = Some(REPLICA.to_owned());
    bench.world.set("once", ToolPolicy { fallback, ..ToolPolicy::default() });
    bench.world.mishap(Mishap::NotSent);
    bench.world.mishap(Mishap::Later(0, Some(5)));
    assert_eq!(bench.ask("go").await, "[done]");
    assert_eq!(bench.world.calls(), ["replica once 1", "replica job-1 asked for"]);
    let wanted = WantedEffects { last: 1, ..WantedEffects::default() };
    let page = bench.engine.list_effects(&bench.tenant, &wanted).await.expect("a store");
    let row = &page.effects[0];
    assert_eq!((row.state, row.function.as_str()), (State::Done, REPLICA));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_read_leaves_open_what_changed() {
    let bench = Bench::new(&SCRIPT).await;
    bench.world.mishap(Mishap::Later(0, Some(5)));
    bench.world.mishap(Mishap::Garbled);
    assert_eq!(bench.ask("go").await, "[done]");
    assert_eq!(bench.session().await.unknown.len(), 1);
}
