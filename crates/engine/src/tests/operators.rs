//! What operators do to runs.

use std::time::Duration;

use expect_test::expect;

use super::Bench;
use crate::limits::Limits;
use crate::record::RunStatus;
use crate::sim::world::Mishap;

const CALLED_OFF: &str = "[ConflictException: the turn was called off: by an operator]";

#[tokio::test(start_paused = true)]
async fn a_turn_under_way_is_called_off_and_its_call_is_unknown() {
    let bench = Bench::new(&["use g__once 1, use g__read 2", "use g__once 1"]).await;
    bench.world.mishap(Mishap::Slow(60));
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.engine.cancel(&bench.tenant, "session").await
    };
    let (told, cancelled) = tokio::join!(bench.ask("go"), cancel);
    assert_eq!((told.as_str(), cancelled), (CALLED_OFF, Ok(true)));
    let read = format!("{:?}", bench.history().await);
    assert!(read.contains("(the turn was called off by an operator)"), "{read}");
    bench.ask("again").await;
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1, use g__read 2
        user: unknown_outcome, read of 2, again
        agent: use g__once 1
        user: unknown_outcome
        agent: <answer>heard 3</answer>
        unknown g__once {"x":1}
        called once 1 key 0
        called read 2 key 1
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_is_called_off_at_once_and_the_session_is_as_it_was() {
    let bench = Bench::with(&[], Duration::from_secs(5), Limits::default()).await;
    bench.ask("one").await;
    let second = bench.request("two");
    let run = second.request.clone();
    let first = bench.ask("first");
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.engine.cancel(&bench.tenant, &run).await
    };
    let (first, second, cancelled) = tokio::join!(first, bench.hear(second), cancel);
    assert_eq!((second.as_str(), cancelled), (CALLED_OFF, Ok(true)));
    assert_eq!(first, "[heard 2]");
    assert_eq!(bench.ask("three").await, "[heard 3]");
}

#[tokio::test(start_paused = true)]
async fn a_parked_turn_is_called_off_once() {
    let bench = Bench::new(&["use client__ask 1"]).await;
    bench.hand_off("go").await;
    assert_eq!(bench.engine.cancel(&bench.tenant, "session").await, Ok(true));
    assert_eq!(bench.engine.cancel(&bench.tenant, "session").await, Ok(false));
    assert_eq!(bench.statuses().await, [RunStatus::Cancelled]);
    assert_eq!(bench.ask("go on").await, "[heard 2]", "the new text joins the closed results");
}

#[tokio::test(start_paused = true)]
async fn a_resolved_outcome_stays_resolved_when_a_turn_ends_meanwhile() {
    let script = [
        "use g__once 1",
        "<answer>lost</answer>",
        "use g__read 2",
        "<answer>ok</answer>",
        "use g__once 1",
    ];
    let bench = Bench::new(&script).await;
    bench.world.mishap(Mishap::Lost);
    bench.ask("go").await;
    let key = bench.session().await.unknown[0].key.clone();
    bench.world.mishap(Mishap::Slow(5));
    let resolve = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.resolve(&key, None).await
    };
    let (told, resolved) = tokio::join!(bench.ask("wait"), resolve);
    assert_eq!((told.as_str(), resolved.as_str()), ("[ok]", "resolved"));
    bench.ask("again").await;
    bench
        .check(&expect![[r#"
        user: go
        agent: use g__once 1
        user: unknown_outcome
        agent: <answer>lost</answer>
        user: wait
        agent: use g__read 2
        user: read of 2
        agent: <answer>ok</answer>
        user: again
        agent: use g__once 1
        user: once of 1
        agent: <answer>heard 6</answer>
        called once 1 key 0
        called read 2 key 1
        called once 1 key 2
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_resolved_during_a_hand_off_is_resolved_for_the_turn_that_goes_on() {
    let script = ["use g__once 1", "use client__ask 2", "use g__once 1"];
    let bench = Bench::new(&script).await;
    bench.world.mishap(Mishap::Lost);
    let results = bench.hand_off("go").await;
    let key = bench.session().await.unknown[0].key.clone();
    assert_eq!(bench.resolve(&key, None).await, "resolved");
    bench.hear(bench.request_of(results)).await;
    bench
        .check(&expect![[r#"
            user: go
            agent: use g__once 1
            user: unknown_outcome
            agent: use client__ask 2
            user: the client did it
            agent: use g__once 1
            user: once of 1
            agent: <answer>heard 4</answer>
            called once 1 key 0
            called once 1 key 1
        "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_outcomes_are_resolved_at_once_though_both_are_of_one_session() {
    let script = ["use g__once 1", "use g__once 2", "<answer>lost</answer>"];
    let bench = Bench::new(&script).await;
    bench.world.mishap(Mishap::Lost);
    bench.world.mishap(Mishap::Lost);
    bench.ask("go").await;
    let unknown = bench.session().await.unknown;
    assert_eq!(unknown.len(), 2);
    let resolve = |at: usize| bench.resolve(&unknown[at].key, None);
    assert_eq!(<[String; 2]>::from(tokio::join!(resolve(0), resolve(1))), ["resolved", "resolved"]);
    assert!(bench.session().await.unknown.is_empty());
}
