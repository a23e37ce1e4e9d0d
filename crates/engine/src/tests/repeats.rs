//! A repeated request is one turn.

use std::sync::atomic::Ordering;
use std::time::Duration;

use expect_test::expect;

use super::Bench;
use crate::request::{Input, TurnRequest};
use crate::sim::world::Mishap;

#[tokio::test(start_paused = true)]
async fn a_repeat_joins_the_turn_and_hears_all_of_it() {
    let bench = Bench::new(&["use g__keyed 1", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Slow(6));
    let late = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        bench.hear(bench.repeatable("go", "r")).await
    };
    let (first, at_once, late) = tokio::join!(
        bench.hear(TurnRequest { trace: true, ..bench.repeatable("go", "r") }),
        bench.hear(bench.repeatable("go", "r")),
        late
    );
    assert_eq!(first, ".......[done]");
    assert_eq!((&at_once, &late), (&first, &first));
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, first, "also once it is over");
    assert_eq!(bench.model.calls.load(Ordering::SeqCst), 2);
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__keyed 1
        user: keyed of 1
        agent: <answer>done</answer>
        called keyed 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_hears_its_own_stretch_and_not_the_one_under_way() {
    let script = ["use client__ask 1", "use g__keyed 2", "<answer>done</answer>"];
    let bench = Bench::new(&script).await;
    let results = bench.hand_off_of(bench.repeatable("go", "first")).await;
    bench.world.mishap(Mishap::Slow(10));
    let resume = TurnRequest { repeat: Some("second".to_owned()), ..bench.request_of(results) };
    let repeats = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = TurnRequest { request: bench.engine.fresh_id(), ..resume.clone() };
        tokio::join!(bench.hear(bench.repeatable("go", "first")), bench.hear(again))
    };
    let (second, (first_again, second_again)) = tokio::join!(bench.hear(resume.clone()), repeats);
    assert_eq!(second, "[done]");
    assert_eq!(first_again, "[hand-off]");
    assert_eq!(second_again, "[done]");
    assert_eq!(bench.world.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_a_restart_hears_the_turn_that_goes_on() {
    let mut bench = Bench::new(&["use g__keyed 1", "<answer>done</answer>"]).await;
    bench.world.mishap(Mishap::Slow(6));
    let hearing = bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn");
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.restart().await;
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, "[done]");
    assert_eq!(bench.world.keyed().len(), 1, "the same key, so one effect");
    // The first life's store has stopped: its client is told so, and that the turn goes on.
    let told = super::heard(Ok(hearing)).await;
    assert!(told.starts_with("[InternalServerException: what this turn did could not"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn ending_a_session_again_does_not_end_the_next_one() {
    let bench = Bench::new(&[]).await;
    bench.ask("one").await;
    let end =
        || TurnRequest { repeat: Some("end".to_owned()), ..bench.request_of(Input::EndSession) };
    let said = bench.hear(end()).await;
    assert_eq!(said, "[Session is terminated as 'endSession' flag is set in request.]");
    assert_eq!(bench.ask("two").await, "[heard 1]");
    assert_eq!(bench.hear(end()).await, said);
    assert_eq!(bench.ask("three").await, "[heard 2]");
}

#[tokio::test(start_paused = true)]
async fn another_request_under_the_same_id_is_not_a_repeat() {
    let bench = Bench::new(&["<answer>done</answer>"]).await;
    assert_eq!(bench.hear(bench.repeatable("go", "r")).await, "[done]");
    let other = bench.engine.invoke(bench.repeatable("stop", "r")).await.err();
    let conflict = matches!(&other, Some(crate::request::InvokeError::Conflict(_)));
    assert!(conflict, "{other:?}");
}

#[tokio::test(start_paused = true)]
async fn all_that_a_request_says_tells_it_from_a_repeat() {
    use craton_core::agent::event::Attributes;
    use serde_json::json;
    use wire::converse::{Block, Message, Role};

    let bench = Bench::new(&[]).await;
    let told = bench.repeatable("go", "r").asked();
    assert_eq!(told, bench.repeatable("go", "r").asked());
    let attributes = || Some(Attributes::from([("a".to_owned(), "b".to_owned())]));
    let said = Message { role: Role::User, content: vec![Block::Text("hi".to_owned())] };
    let mut asked = vec![told];
    let changes: [&dyn Fn(&mut TurnRequest); 7] = [
        &|r| r.session_attributes = attributes(),
        &|r| r.prompt_session_attributes = attributes(),
        &|r| r.conversation = vec![said.clone()],
        &|r| r.memory_id = Some("ann".to_owned()),
        &|r| r.files = vec![Block::Image(json!({"format": "png"}))],
        &|r| r.agent_id = crate::request::INLINE.to_owned(),
        &|r| (r.agent_id, r.config) = (crate::request::INLINE.to_owned(), "other".to_owned()),
    ];
    for change in changes {
        let mut request = bench.repeatable("go", "r");
        change(&mut request);
        asked.push(request.asked());
    }
    let mut other = asked.clone();
    other.sort();
    other.dedup();
    assert_eq!(other.len(), asked.len(), "{asked:?}");
    // An alias that is moved between two attempts of one request makes no other request of it.
    let moved = TurnRequest { config: "other".to_owned(), ..bench.repeatable("go", "r") };
    assert_eq!(moved.asked(), asked[0]);
}
