//! Sessions: one turn at a time, and what the next one starts from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use craton_core::agent::event::Attributes;
use expect_test::expect;
use futures_util::future::join_all;
use llm::ModelErrorKind::TooLong;
use wire::converse::{Block, Message, Role};

use super::Bench;
use crate::limits::Limits;
use crate::record::RunStatus;
use crate::request::{Input, TurnRequest};
use crate::sim::world::Mishap;

#[tokio::test(start_paused = true)]
async fn fifty_turns_of_one_session_run_one_after_the_other() {
    let bench = Bench::with(&[], Duration::from_millis(5), Limits::default()).await;
    let answers = join_all((0..50).map(|_| bench.ask("go"))).await;
    let expected: Vec<String> = (1..=50).map(|n| format!("[heard {n}]")).collect();
    assert_eq!(answers, expected, "each saw all that were asked before it");
    assert_eq!(bench.model.most.load(Ordering::SeqCst), 1);
    assert_eq!(bench.history().await.len(), 100);
    bench.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn one_more_than_may_wait_is_a_conflict() {
    let limits = Limits { waiting_per_session: 2, ..Limits::default() };
    let bench = Bench::with(&[], Duration::from_secs(5), limits).await;
    let answers = join_all((0..4).map(|_| bench.ask("go"))).await;
    assert_eq!(answers[..3], ["[heard 1]", "[heard 2]", "[heard 3]"]);
    assert_eq!(
        answers[3],
        "refused: session session has 3 turns waiting, which is the limit; try again later"
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_goes_on_when_its_client_has_gone() {
    let bench = Bench::new(&["use g__once 1", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Slow(30));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    bench.quiet().await;
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1
        user: once of 1
        agent: <answer>done</answer>
        called once 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_session_is_a_fresh_one() {
    let bench = Bench::new(&[]).await;
    let attributes = Attributes::from([("customer".to_owned(), "7".to_owned())]);
    let first = TurnRequest { session_attributes: Some(attributes), ..bench.request("one") };
    assert_eq!(bench.hear(first).await, "[heard 1]");
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(bench.ask("two").await, "[heard 2]");
    assert_eq!(bench.session().await.attributes.len(), 1);
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(bench.ask("three").await, "[heard 1]");
    assert_eq!(bench.session().await.attributes.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_longer_than_the_idle_time_keeps_its_session() {
    let bench = Bench::new(&["<answer>one</answer>", "use g__read 1"]).await;
    bench.ask("one").await;
    bench.world.mishap(Mishap::Slow(2_000));
    assert_eq!(bench.ask("two").await, "[heard 3]");
    assert_eq!(bench.ask("three").await, "[heard 4]");
}

#[tokio::test(start_paused = true)]
async fn a_given_conversation_begins_a_fresh_session_only() {
    let bench = Bench::new(&[]).await;
    let said = |role, text: &str| Message { role, content: vec![Block::Text(text.to_owned())] };
    let conversation = vec![said(Role::User, "before"), said(Role::Assistant, "yes")];
    let with = |text| TurnRequest { conversation: conversation.clone(), ..bench.request(text) };
    assert_eq!(bench.hear(with("one")).await, "[heard 2]");
    assert_eq!(bench.hear(with("two")).await, "[heard 3]");
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_turn_under_way_is_not_ended() {
    let bench = Bench::new(&["use g__read 1"]).await;
    bench.world.mishap(Mishap::Slow(5));
    let end = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.hear(bench.request_of(Input::EndSession)).await
    };
    let (turn, end) = tokio::join!(bench.ask("go"), end);
    assert_eq!(turn, "[heard 2]");
    assert_eq!(end, "refused: session session has a turn under way; end it once the turn is over");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_takes_no_turn_and_leaves_the_rest_to_the_next() {
    let mut bench = Bench::new(&["use g__keyed 1", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Slow(60));
    let hearing = bench.engine.invoke(bench.request("go")).await.expect("a turn");
    let left = bench.engine.drain(Duration::from_secs(5)).await;
    assert_eq!((left, bench.ask("more").await.as_str()), (1, "refused: the server is stopping"));
    bench.restart().await;
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
    assert_eq!(bench.engine.drain(Duration::from_secs(5)).await, 0);
    drop(hearing);
}

#[tokio::test(start_paused = true)]
async fn a_defect_ends_one_turn_and_its_session_goes_on() {
    let bench = Bench::new(&["<answer>one</answer>", "use g__once 1"]).await;
    bench.ask("one").await;
    bench.world.mishap(Mishap::Panic);
    assert_eq!(
        bench.ask("two").await,
        "[InternalServerException: a defect in craton ended this turn; its server log has the \
         details]"
    );
    assert_eq!(bench.ask("three").await, "[heard 3]");
    bench
        .check(&expect![[r#"
        user: one
        agent: <answer>one</answer>
        user: two
        agent: use g__once 1
        user: unknown_outcome, three
        agent: <answer>heard 3</answer>
        unknown g__once {"x":1}
        called once 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn attributes_of_the_prompt_last_one_turn_with_its_hand_offs() {
    let script = [
        "use client__ask 1",
        "use g__read 2",
        "<answer>done</answer>",
        "use g__read 3",
        "<answer>done</answer>",
        "use client__ask 4",
        "use g__read 5",
    ];
    let bench = Bench::new(&script).await;
    let attributes = |name: &str| Some(Attributes::from([(name.to_owned(), "1".to_owned())]));
    let results = bench
        .hand_off_of(TurnRequest {
            session_attributes: attributes("session"),
            prompt_session_attributes: attributes("prompt"),
            ..bench.request("one")
        })
        .await;
    bench.hear(bench.request_of(results)).await;
    bench.ask("two").await;
    let results = bench.hand_off("three").await;
    bench
        .hear(TurnRequest {
            session_attributes: attributes("brought"),
            prompt_session_attributes: attributes("with results"),
            ..bench.request_of(results)
        })
        .await;
    expect![[r#"
        {"session":"1"} {"prompt":"1"}
        {"session":"1"} {}
        {"brought":"1"} {"with results":"1"}"#]]
    .assert_eq(&bench.world.attributes().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_too_long_loses_its_oldest_exchanges_for_good() {
    let mut bench = Bench::new(&[]).await;
    for n in 1..=4 {
        assert_eq!(bench.ask("go").await, format!("[heard {n}]"));
    }
    bench.model.fail(TooLong, false);
    assert_eq!(bench.ask("fifth").await, "[heard 3]", "two of four are left out");
    bench.restart().await;
    assert_eq!(bench.ask("sixth").await, "[heard 4]", "and stay so");
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_long_by_itself_is_an_exception_and_the_session_goes_on() {
    let bench = Bench::new(&[]).await;
    bench.model.fail(TooLong, false);
    assert_eq!(
        bench.ask("long").await,
        "[ValidationException: the input is longer than the model can read, with nothing left to \
         leave out; shorten it: the model is away (CR0034)]"
    );
    assert_eq!(bench.ask("short").await, "[heard 1]");
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_deleted_after_thirty_days_with_the_journals_that_tell_of_it() {
    let bench = Bench::new(&[]).await;
    let minute = Duration::from_secs(60);
    bench.ask("first").await;
    tokio::time::sleep(2 * minute).await;
    bench.ask("second").await;
    bench.quiet().await;
    let runs = bench.engine.runs(&bench.tenant, None, 10).await.expect("runs");
    let (second, first) = (runs[0].run.clone(), runs[1].run.clone());
    let clear = async || {
        let cleared = crate::upkeep::clear(&bench.engine.0, bench.engine.now()).await;
        cleared.expect("a store");
    };
    let view = async |run: &str| bench.engine.view(&bench.tenant, run).await.expect("a store");
    tokio::time::advance(30 * 24 * 60 * minute - 3 * minute).await;
    clear().await;
    assert!(view(&first).await.is_some(), "not yet");
    tokio::time::advance(2 * minute).await;
    clear().await;
    assert!(view(&first).await.is_none());
    let left = bench.store.runs(&bench.tenant, None, 10).await.expect("a store");
    assert_eq!(left, std::slice::from_ref(&second), "its journal is gone as well");
    bench.engine.0.pasts.forget();
    let told = view(&second).await.expect("younger than thirty days");
    let shown = serde_json::to_string(&told.trace).expect("plain data");
    assert!(shown.contains("this exchange was deleted") && !shown.contains("first"), "{shown}");
    tokio::time::advance(2 * minute).await;
    clear().await;
    assert!(view(&second).await.is_none());
    assert_eq!(bench.store.runs(&bench.tenant, None, 10).await.expect("a store"), [""; 0]);
}
