//! Memory across sessions: summaries when a session ends or idles out, and what the next one knows.

use std::time::Duration;

use craton_core::agent::config::{AgentConfig, MemoryConfig};
use expect_test::expect;
use llm::ModelErrorKind::Unavailable;

use super::Bench;
use crate::limits::Limits;
use crate::memory::{self, Summary, Unsummarised};
use crate::record::RunStatus;
use crate::request::{Input, TurnRequest};
use crate::sim::world::config;

/// A model that sums sessions up with these texts, one after the other.
async fn bench(summaries: &[&str], memory: MemoryConfig) -> Bench {
    slow(summaries, memory, Duration::ZERO).await
}

/// The same, with a model that takes its time.
async fn slow(summaries: &[&str], memory: MemoryConfig, takes: Duration) -> Bench {
    let mut bench = Bench::with(&[], takes, Limits::default()).await;
    let texts = summaries.iter().map(|text| (*text).to_owned());
    bench.model.summaries.lock().expect("no panic").extend(texts);
    bench.config = bench.other_config(AgentConfig { memory: Some(memory), ..config() }).await;
    bench
}

fn month() -> MemoryConfig {
    MemoryConfig { storage_days: 30, max_recent_sessions: 2 }
}

fn of(bench: &Bench, session: &str, input: Input) -> TurnRequest {
    TurnRequest {
        session_id: session.to_owned(),
        memory_id: Some("ann".to_owned()),
        ..bench.request_of(input)
    }
}

fn asks(bench: &Bench, session: &str, text: &str) -> TurnRequest {
    of(bench, session, Input::Text(text.to_owned()))
}

/// What the memory holds, the latest first.
async fn known(bench: &Bench) -> String {
    let prefix = memory::prefix("AGENT", "ALIAS", Some("ann"));
    let found = bench.store.list_back::<Summary>(&bench.tenant, &prefix, None, 10).await;
    let found = found.expect("a store").into_iter().map(|(_, found)| found.value);
    let lines = found.map(|s| format!("{}: {}\n", s.session_id, s.text));
    lines.collect()
}

async fn waiting(bench: &Bench) -> usize {
    let found = bench.store.list::<Unsummarised>(&bench.tenant, "", None, 10).await;
    found.expect("a store").len()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_is_known_to_the_next_one_at_once() {
    let bench = bench(&["<summary>Ann likes tea.</summary>"], month()).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    assert_eq!((known(&bench).await, waiting(&bench).await), (String::new(), 1));
    bench.hear(of(&bench, "one", Input::EndSession)).await;
    assert_eq!(bench.hear(asks(&bench, "two", "hello again")).await, "[heard 1]");
    expect![[r#"
        one: Ann likes tea.
    "#]]
    .assert_eq(&known(&bench).await);
    let told = bench.model.systems().pop().expect("the last call");
    assert!(told.contains("Ann likes tea."), "{told}");
    assert!(!bench.model.systems()[0].contains("earlier conversations"), "nothing to know yet");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_idles_out_is_summed_up_by_itself() {
    let bench = bench(&["Ann likes tea."], month()).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    tokio::time::sleep(Duration::from_secs(598)).await;
    assert_eq!(known(&bench).await, "");
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.quiet().await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("one: Ann likes tea.\n", 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_session_notices_one_that_has_lapsed_before_anybody_else_did() {
    let bench = bench(&["Ann likes tea."], month()).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    // The moment at which it lapses, before the next round of upkeep.
    tokio::time::advance(Duration::from_millis(600_050)).await;
    // The same session id begins anew, and what was said under it before is not lost.
    assert_eq!(bench.hear(asks(&bench, "one", "hello")).await, "[heard 1]");
    assert_eq!(known(&bench).await, "one: Ann likes tea.\n");
}

#[tokio::test(start_paused = true)]
async fn so_many_of_the_latest_sessions_are_recalled() {
    let bench = bench(&["first", "second", "third"], month()).await;
    for session in ["s1", "s2", "s3"] {
        bench.hear(asks(&bench, session, "hi")).await;
        bench.hear(of(&bench, session, Input::EndSession)).await;
    }
    bench.hear(asks(&bench, "s4", "hi")).await;
    assert_eq!(known(&bench).await, "s3: third\ns2: second\ns1: first\n");
    let told = bench.model.systems().pop().expect("the last call");
    assert!(told.contains("- second\n- third") && !told.contains("first"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_lasts_for_the_days_of_its_agent() {
    let bench = bench(&["kept"], month()).await;
    bench.hear(asks(&bench, "one", "hi")).await;
    bench.hear(of(&bench, "one", Input::EndSession)).await;
    bench.quiet().await;
    let month = Duration::from_secs(30 * 24 * 3_600);
    tokio::time::advance(month - Duration::from_secs(60)).await;
    crate::upkeep::clear(&bench.engine.0, bench.engine.now()).await.expect("a store");
    assert_eq!(known(&bench).await, "one: kept\n");
    tokio::time::advance(Duration::from_secs(120)).await;
    bench.hear(asks(&bench, "two", "hi")).await;
    let told = bench.model.systems().pop().expect("the last call");
    assert!(!told.contains("kept"), "not recalled, cleared or not: {told}");
    crate::upkeep::clear(&bench.engine.0, bench.engine.now()).await.expect("a store");
    assert_eq!(known(&bench).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_fails_is_tried_again_and_never_made_up() {
    let bench = bench(&["Ann likes tea."; 4], month()).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    for _ in 0..3 {
        bench.model.fail(Unavailable, false);
    }
    bench.hear(of(&bench, "one", Input::EndSession)).await;
    bench.quiet().await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("", 1));
    assert_eq!(bench.statuses().await, [RunStatus::Answered, RunStatus::Failed]);
    tokio::time::sleep(Duration::from_secs(65)).await;
    bench.quiet().await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("one: Ann likes tea.\n", 0));
}

#[tokio::test(start_paused = true)]
async fn a_summary_under_way_is_written_after_a_crash() {
    let mut bench = bench(&["Ann likes tea."; 4], month()).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    // The batch that ends the session is the last that goes through.
    bench.store.crash_after(2).expect("a memory store");
    bench.hear(of(&bench, "one", Input::EndSession)).await;
    bench.restart().await;
    bench.hear(asks(&bench, "two", "hello")).await;
    assert_eq!(known(&bench).await, "one: Ann likes tea.\n");
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_with_its_memory_and_an_agent_without_one_has_none() {
    let with = bench(&[], month()).await;
    with.hear(asks(&with, "one", "hi")).await;
    let other = TurnRequest { memory_id: Some("bob".to_owned()), ..asks(&with, "one", "hi") };
    assert_eq!(
        with.hear(other).await,
        "refused: session one belongs to memory ann; begin another session for memoryId bob"
    );
    let without = Bench::new(&[]).await;
    assert_eq!(
        without.hear(asks(&without, "one", "hi")).await,
        "refused: memoryId ann: agent AGENT has no memory; enable SESSION_SUMMARY in its \
         memoryConfiguration and prepare it"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_gone_with_what_was_still_to_be_written() {
    let bench = bench(&["first"], month()).await;
    for session in ["s1", "s2"] {
        bench.hear(asks(&bench, session, "hi")).await;
        bench.hear(of(&bench, session, Input::EndSession)).await;
    }
    bench.quiet().await;
    let prefix = memory::prefix("AGENT", "ALIAS", Some("ann"));
    bench.engine.forget(&bench.tenant, &prefix, Some("s2")).await.expect("a store");
    assert_eq!(known(&bench).await, "s1: first\n");
    bench.engine.forget(&bench.tenant, &prefix, None).await.expect("a store");
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waited_does_not_turn_its_session_over_to_another_memory() {
    let bench = slow(&["Ann likes tea."], month(), Duration::from_secs(5)).await;
    let bob = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let memory_id = Some("bob".to_owned());
        bench.hear(TurnRequest { memory_id, ..asks(&bench, "one", "and I?") }).await
    };
    let (ann, bob) = tokio::join!(bench.hear(asks(&bench, "one", "I like tea")), bob);
    assert_eq!(ann, "[heard 1]");
    assert_eq!(
        bob,
        "[ValidationException: session one belongs to memory ann; begin another session for \
         memoryId bob]"
    );
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("one: Ann likes tea.\n", 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_its_memory_while_a_turn_takes_longer_than_it_may_idle() {
    let bench = slow(&["Ann likes tea."], month(), Duration::from_secs(700)).await;
    bench.hear(asks(&bench, "one", "I like tea")).await;
    let unnamed = |request| TurnRequest { memory_id: None, ..request };
    bench.hear(unnamed(asks(&bench, "one", "a cup, please"))).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((bench.engine.running(), waiting(&bench).await), (0, 1), "it goes on");
    bench.hear(unnamed(of(&bench, "one", Input::EndSession))).await;
    bench.quiet().await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("one: Ann likes tea.\n", 0));
}

#[tokio::test(start_paused = true)]
async fn sessions_that_idle_out_together_are_summed_up_a_few_at_a_time() {
    let bench = slow(&["first"; 40], month(), Duration::from_secs(5)).await;
    for n in 0..40 {
        let request = asks(&bench, &format!("s{n}"), "hi");
        drop(
            bench.engine.invoke(TurnRequest { memory_id: Some(format!("m{n}")), ..request }).await,
        );
    }
    bench.quiet().await;
    bench.model.most.store(0, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(660)).await;
    assert_eq!(bench.model.most.load(std::sync::atomic::Ordering::SeqCst), 16);
    let found = bench.store.list::<Summary>(&bench.tenant, "", None, 100).await;
    assert_eq!(found.expect("a store").len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_alias_is_forgotten_with_all_its_sessions_and_others_are_not() {
    let bench = bench(&["told", "never told"], month()).await;
    bench.hear(asks(&bench, "one", "hi")).await;
    bench.hear(of(&bench, "one", Input::EndSession)).await;
    bench.hear(asks(&bench, "open", "hi")).await;
    let now = bench.engine.now();
    for other in ["OTHER", "ALIAS2"] {
        let mut batch = store::Batch::new(&bench.tenant, now);
        bench.engine.forget_alias(&mut batch, "AGENT", other);
        bench.store.commit(batch).await.expect("a store");
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("one: told\n", 1));
    let mut batch = store::Batch::new(&bench.tenant, now);
    bench.engine.forget_alias(&mut batch, "AGENT", "ALIAS");
    bench.store.commit(batch).await.expect("a store");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("", 0));
    // A turn that was under way is remembered when it ends, and never summed up.
    bench.hear(asks(&bench, "late", "hi")).await;
    assert_eq!(waiting(&bench).await, 1);
    tokio::time::sleep(Duration::from_secs(700)).await;
    bench.quiet().await;
    assert_eq!((known(&bench).await.as_str(), waiting(&bench).await), ("", 0));
}
