//! What may be done twice, and what never is.

use std::time::Duration;

use expect_test::expect;

use super::Bench;
use crate::record::RunStatus;
use crate::sim::world::Mishap;

/// One call whose first attempts go wrong, and what the world and the session have of it.
async fn check(tool: &str, mishaps: &[Mishap], expected: expect_test::Expect) {
    let call = format!("use {tool} 1");
    let bench = Bench::new(&[&call, "<answer>done</answer>", &call]).await;
    for mishap in mishaps {
        bench.world.mishap(*mishap);
    }
    bench.ask("go").await;
    bench.ask("again").await;
    bench.check(&expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_once_call_whose_reply_is_lost_is_never_made_again() {
    check(
        "g__once",
        &[Mishap::Lost],
        expect![[r#"
        user: go
        agent: use g__once 1
        user: unknown_outcome
        agent: <answer>done</answer>
        user: again
        agent: use g__once 1
        user: unknown_outcome
        agent: <answer>heard 4</answer>
        unknown g__once {"x":1}
        called once 1 key 0
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_once_call_that_was_not_sent_is_tried_again() {
    check(
        "g__once",
        &[Mishap::NotSent, Mishap::NotSent],
        expect![[r#"
        user: go
        agent: use g__once 1
        user: once of 1
        agent: <answer>done</answer>
        user: again
        agent: use g__once 1
        user: once of 1
        agent: <answer>heard 4</answer>
        called once 1 key 0
        called once 1 key 1
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_keyed_call_is_repeated_with_its_key() {
    check(
        "g__keyed",
        &[Mishap::Lost],
        expect![[r#"
        user: go
        agent: use g__keyed 1
        user: keyed of 1
        agent: <answer>done</answer>
        user: again
        agent: use g__keyed 1
        user: keyed of 1
        agent: <answer>heard 4</answer>
        called keyed 1 key 0
        called keyed 1 key 0
        called keyed 1 key 1
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_keyed_call_whose_replies_are_all_lost_is_unknown() {
    check(
        "g__keyed",
        &[Mishap::Lost, Mishap::Lost, Mishap::Lost],
        expect![[r#"
        user: go
        agent: use g__keyed 1
        user: unknown_outcome
        agent: <answer>done</answer>
        user: again
        agent: use g__keyed 1
        user: unknown_outcome
        agent: <answer>heard 4</answer>
        unknown g__keyed {"x":1}
        called keyed 1 key 0
        called keyed 1 key 0
        called keyed 1 key 0
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_replies_are_all_lost_is_an_error_and_may_be_made_again() {
    check(
        "g__read",
        &[Mishap::Lost, Mishap::Lost, Mishap::Lost],
        expect![[r#"
        user: go
        agent: use g__read 1
        user: tool_timed_out
        agent: <answer>done</answer>
        user: again
        agent: use g__read 1
        user: read of 1
        agent: <answer>heard 4</answer>
        called read 1 key 0
        called read 1 key 0
        called read 1 key 0
        called read 1 key 1
    "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_new_process_dies_at_once_is_taken_up_by_the_next() {
    let mut bench = Bench::new(&["use g__keyed 1", "<answer>done</answer>"]).await;
    for _ in 0..2 {
        bench.world.mishap(Mishap::Slow(600));
    }
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.restart_in_vain().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.restart().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
}

#[tokio::test(start_paused = true)]
async fn calls_beside_one_that_ends_the_turn_are_waited_for() {
    let script = ["use g__once 1, use g__once 2, use g__keyed 3", "use g__once 2"];
    let bench = Bench::new(&script).await;
    for mishap in [Mishap::Failure, Mishap::Slow(5), Mishap::Failure] {
        bench.world.mishap(mishap);
    }
    let told = bench.ask("go").await;
    assert!(told.starts_with("[DependencyFailedException: "), "{told}");
    bench.ask("again").await;
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1, use g__once 2, use g__keyed 3
        user: once of 1, once of 2, keyed of 3, again
        agent: use g__once 2
        user: once of 2
        agent: <answer>heard 3</answer>
        called once 1 key 0
        called once 2 key 1
        called keyed 3 key 2
        called once 2 key 3
    "#]])
        .await;
}
