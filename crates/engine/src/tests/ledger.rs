//! What the ledger says of calls that may change something, who finds out what became of them, and
//! how they are taken back.

use bytes::Bytes;
use std::fmt::Write as _;
use std::time::Duration;

use craton_core::agent::tool::Effect;
use craton_core::policy::{OnUnknown, ToolPolicy};
use expect_test::{Expect, expect};
use serde_json::json;

use super::Bench;
use crate::ledger::{LedgerRow, State, UndoState, WantedEffects};
use crate::pending::Callback;
use crate::record::RunStatus;
use crate::sim::world::{Mishap, REPLICA};

fn probed() -> ToolPolicy {
    ToolPolicy { probe: Some("probe".to_owned()), ..undoable() }
}

pub(super) fn undoable() -> ToolPolicy {
    ToolPolicy { undo: Some("undo".to_owned()), ..ToolPolicy::default() }
}

fn parked() -> ToolPolicy {
    ToolPolicy { on_unknown: Some(OnUnknown::Park), ..ToolPolicy::default() }
}

impl Bench {
    pub(super) async fn rows(&self) -> Vec<LedgerRow> {
        let wanted = WantedEffects { last: 1_000, ..WantedEffects::default() };
        let page = self.engine.list_effects(&self.tenant, &wanted).await.expect("a store");
        page.effects.into_iter().rev().collect()
    }

    /// What the ledger has, and what the world has seen.
    async fn check_ledger(&self, expected: &Expect) {
        let mut out = String::new();
        for row in self.rows().await {
            let LedgerRow { step, ordinal, tool, arguments, effect, .. } = &row;
            let state = row.state.word();
            write!(out, "{step}.{ordinal} {tool} {arguments} {effect:?} {state}").expect("it fits");
            if let Some(ruling) = &row.ruling {
                write!(out, ", done {:?} says {}", ruling.done, ruling.by).expect("it fits");
            }
            if let Some(undo) = &row.undo {
                let message = undo.message.as_deref().unwrap_or_default();
                write!(out, ", undo {:?} by {}: {message}", undo.state, undo.by).expect("it fits");
            }
            out.push('\n');
        }
        for call in self.world.calls() {
            writeln!(out, "called {call}").expect("it fits");
        }
        expected.assert_eq(&out);
    }

    async fn undo(&self, key: &str) -> String {
        match self.engine.undo(&self.tenant, "session", key, "operator").await {
            Ok(row) => row.undo.map(|undo| format!("{:?}", undo.state)).unwrap_or_default(),
            Err(error) => error.to_string().replace(key, "KEY"),
        }
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn each_call_that_may_change_something_has_a_row_that_says_how_it_went() {
    let script = ["use g__read 1, use g__keyed 2, use g__once 3, use g__once 4, use g__once 5"];
    let bench = Bench::new(&script).await;
    for mishap in [Mishap::Slow(1), Mishap::Slow(1), Mishap::Lost, Mishap::Error] {
        bench.world.mishap(mishap);
    }
    bench.ask("go").await;
    bench
        .check_ledger(&expect![[r#"
        1.1 g__keyed {"x":2} Keyed done
        1.2 g__once {"x":3} Once ambiguous
        1.3 g__once {"x":4} Once failed
        1.4 g__once {"x":5} Once done
        called read 1 key 0
        called keyed 2 key 1
        called once 3 key 2
        called once 4 key 3
        called once 5 key 4
    "#]])
        .await;
    let view = bench.engine.view(&bench.tenant, "session").await.expect("a store").expect("a run");
    assert_eq!(view.effects, bench.rows().await);
    let states = view.steps.iter().filter_map(|step| step.effect.as_ref()).map(|e| e.state);
    let (done, lost) = (Some(State::Done), Some(State::Ambiguous));
    assert_eq!(states.collect::<Vec<_>>(), [None, done, lost, Some(State::Failed), done]);
    assert!(view.effects.iter().all(|row| row.attempts == Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_when_its_turn_is_called_off_is_ambiguous() {
    let bench = Bench::new(&["use g__once 1, use g__read 2"]).await;
    bench.world.mishap(Mishap::Slow(60));
    let cancel = async {
        seconds(1).await;
        bench
            .check_ledger(&expect![[r#"
            1.0 g__once {"x":1} Once intended
            called once 1 key 0
            called read 2 key 1
        "#]])
            .await;
        bench.engine.cancel(&bench.tenant, "session").await
    };
    let (_, cancelled) = tokio::join!(bench.ask("go"), cancel);
    assert_eq!(cancelled, Ok(true));
    bench
        .check_ledger(&expect![[r#"
        1.0 g__once {"x":1} Once ambiguous
        called once 1 key 0
        called read 2 key 1
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_says_what_became_of_a_call_whose_reply_was_lost() {
    let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", probed());
    bench.world.mishap(Mishap::Lost);
    assert_eq!(bench.ask("go").await, "[done]");
    assert!(bench.session().await.unknown.is_empty());
    bench
        .check_ledger(&expect![[r#"
        1.0 shop__paid {"x":1} Compensable resolved, done Some(true) says probe shop__probe
        called paid 1 key 0
        called probe 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_answer_is_lost_is_asked_again_and_one_that_stays_away_knows_nothing() {
    for lost in [2, 3] {
        let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
        bench.world.set("paid", probed());
        (0..=lost).for_each(|_| bench.world.mishap(Mishap::Lost));
        bench.ask("go").await;
        let state = if lost == 2 { State::Resolved } else { State::Ambiguous };
        assert_eq!(bench.rows().await[0].state, state, "{lost} answers of the probe are lost");
        assert_eq!(bench.world.once().values().sum::<u32>(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_crash_interrupts_is_probed() {
    let mut bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", probed());
    bench.world.mishap(Mishap::Slow(60));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    seconds(1).await;
    bench.restart().await;
    bench.quiet().await;
    bench
        .check_ledger(&expect![[r#"
        1.0 shop__paid {"x":1} Compensable resolved, done Some(true) says probe shop__probe
        called paid 1 key 0
        called probe 1 key 0
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_for_a_person_over_a_restart_and_goes_on_with_what_they_say() {
    for done in [true, false] {
        let mut bench = Bench::new(&["use shop__parked 1", "<answer>done</answer>"]).await;
        bench.world.set("parked", parked());
        bench.world.mishap(Mishap::Lost);
        drop(bench.engine.invoke(bench.repeatable("go", "r")).await.expect("a turn"));
        seconds(10).await;
        assert_eq!((bench.engine.running(), bench.statuses().await), (0, vec![RunStatus::Parked]));
        let key = bench.rows().await[0].key.clone();
        assert_eq!(bench.rows().await[0].state, State::Ambiguous);
        bench.restart().await;
        let again = bench.engine.invoke(bench.repeatable("go", "r")).await;
        let person = async {
            seconds(10).await;
            let forged = Callback { body: Bytes::from_static(b"forged"), state: None };
            let brought = bench.engine.complete(&bench.tenant, "session", &key, &forged).await;
            assert!(brought.is_err(), "only a resolution says what became of it");
            assert!(bench.resolve(&key, None).await.contains("say whether it was done or not"));
            let said = bench.resolve(&key, Some(done)).await;
            assert_eq!(bench.resolve(&key, Some(done)).await, said, "the same may be said again");
            assert!(bench.resolve(&key, Some(!done)).await.contains("was resolved otherwise"));
            said
        };
        let (told, said) = tokio::join!(super::heard(again), person);
        assert_eq!((told.as_str(), said.as_str()), ("[done]", "resolved"));
        let read = format!("{:?}", bench.history().await);
        let words = if done { "seen by a person" } else { "nothing was done" };
        assert!(read.contains(words), "{read}");
        assert_eq!(bench.world.once().values().sum::<u32>(), 1, "it is not sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_never_comes_leaves_the_outcome_unknown() {
    let limits = crate::limits::Limits { pending_millis: 60_000, ..Default::default() };
    let script = ["use shop__parked 1", "<answer>done</answer>"];
    let bench = Bench::with(&script, Duration::ZERO, limits).await;
    bench.world.set("parked", parked());
    bench.world.mishap(Mishap::Lost);
    assert_eq!(bench.ask("go").await, "[done]");
    assert_eq!(bench.session().await.unknown.len(), 1);
    assert_eq!(bench.rows().await[0].state, State::Ambiguous);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_tried_again_after_its_time() {
    let bench = Bench::new(&["use g__once 1", "<answer>done</answer>"]).await;
    let at_once = ToolPolicy { send_within_seconds: Some(0), ..ToolPolicy::default() };
    bench.world.set("once", at_once);
    bench.world.mishap(Mishap::NotSent);
    bench.ask("go").await;
    let row = &bench.rows().await[0];
    assert_eq!((row.state, row.send_by), (State::Failed, Some(row.at)));
    let message = row.message.as_deref().unwrap_or_default();
    expect!["tool_not_sent: g__once was not sent: the time within which it was to be sent is over; nothing was done; ask for it again if it is still wanted"].assert_eq(message);
    assert!(bench.session().await.unknown.is_empty() && bench.world.once().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_sent_again_after_its_time() {
    let late = ToolPolicy { send_within_seconds: Some(30), ..ToolPolicy::default() };
    let mut bench = Bench::new(&["use g__keyed 1, use g__once 2", "<answer>done</answer>"]).await;
    bench.world.set("keyed", late.clone());
    bench.world.set("once", late);
    bench.world.mishap(Mishap::Slow(600));
    bench.world.mishap(Mishap::NotSent);
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    tokio::task::yield_now().await;
    seconds(1).await;
    let sent = bench.world.calls();
    seconds(60).await;
    bench.restart().await;
    bench.quiet().await;
    assert_eq!(bench.world.calls(), sent, "nothing goes out after the restart");
    bench
        .check_ledger(&expect![[r#"
        1.0 g__keyed {"x":1} Keyed ambiguous
        1.1 g__once {"x":2} Once done
        called keyed 1 key 0
        called once 2 key 1
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_word_that_comes_while_the_turn_goes_on_is_not_forgotten_at_its_end() {
    let script = ["use g__read 0", "<answer>first</answer>", "use g__once 1", "use g__read 2"];
    let bench = Bench::new(&script).await;
    bench.ask("begin").await;
    bench.world.mishap(Mishap::Lost);
    bench.world.mishap(Mishap::Slow(60));
    let person = async {
        seconds(10).await;
        let key = bench.rows().await[0].key.clone();
        bench.resolve(&key, Some(false)).await
    };
    let (_, said) = tokio::join!(bench.ask("go"), person);
    assert_eq!(said, "resolved");
    assert!(bench.session().await.unknown.is_empty(), "{:?}", bench.session().await.unknown);
    assert_eq!(bench.rows().await[0].state, State::Resolved);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_taken_back_once() {
    let script = ["use shop__paid 1, use g__once 2", "<answer>done</answer>"];
    let mut bench = Bench::new(&script).await;
    bench.world.set("paid", undoable());
    bench.ask("go").await;
    let keys: Vec<String> = bench.rows().await.into_iter().map(|row| row.key).collect();
    assert_eq!(
        bench.undo(&keys[1]).await,
        "g__once names no undo; set `undo` for it under [tools]"
    );
    // Each attempt of it has the same key.
    (0..3).for_each(|_| bench.world.mishap(Mishap::Error));
    let (first, second) = tokio::join!(bench.undo(&keys[0]), bench.undo(&keys[0]));
    assert_eq!([first.as_str(), second.as_str()], ["Failed", "the call KEY is being taken back"]);
    // The tool took effect and then failed, as its own test of the key would find out.
    bench.world.undone.lock().expect("no panic").clear();
    bench.world.mishap(Mishap::Lost);
    assert_eq!(bench.undo(&keys[0]).await, "Done");
    bench.restart().await;
    assert_eq!(bench.undo(&keys[0]).await, "the call KEY was taken back already");
    assert_eq!(bench.undo("nothing").await, "no call has the key KEY");
    assert_eq!(bench.world.undone.lock().expect("no panic").len(), 1, "one key on each attempt");
    bench
        .check_ledger(&expect![[r#"
        1.0 shop__paid {"x":1} Compensable undone, undo Done by operator: undo of 1
        1.1 g__once {"x":2} Once done
        called paid 1 key 0
        called once 2 key 1
        called undo 1 key 2
        called undo 1 key 2
        called undo 1 key 2
        called undo 1 key 2
        called undo 1 key 2
    "#]])
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_a_crash_interrupts_is_taken_up() {
    let mut bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", undoable());
    bench.ask("go").await;
    let key = bench.rows().await[0].key.clone();
    bench.world.mishap(Mishap::Slow(600));
    let cut_off = tokio::time::timeout(Duration::from_secs(1), bench.undo(&key)).await;
    assert!(cut_off.is_err());
    bench.restart().await;
    seconds(30).await;
    assert_eq!(bench.rows().await[0].state, State::Undone);
    assert_eq!(bench.world.undone.lock().expect("no panic").len(), 1, "both have one key");
}

/// The commits of a turn that calls one tool.
async fn commits(tool: &str) -> u64 {
    for commits in 1.. {
        let bench = Bench::new(&[&format!("use {tool} 1"), "<answer>done</answer>"]).await;
        bench.store.crash_after(commits).expect("a memory store");
        if bench.ask("go").await == "[done]" {
            return commits - 1;
        }
    }
    0
}

/// The rows of a call are in the commits of its intent, which is waited for, and of its outcome, which
/// is not.
#[tokio::test(start_paused = true)]
async fn the_ledger_costs_no_commit_of_its_own() {
    assert_eq!(commits("g__once").await, commits("g__read").await);
}

#[tokio::test(start_paused = true)]
async fn a_list_has_pages_and_takes_what_it_is_asked_for() {
    let script = ["use g__once 1, use g__keyed 2, use g__once 3", "<answer>done</answer>"];
    let bench = Bench::new(&script).await;
    bench.world.mishap(Mishap::Lost);
    bench.ask("go").await;
    let run = bench.rows().await[0].run.clone();
    let list = async |wanted: WantedEffects| {
        let page = bench.engine.list_effects(&bench.tenant, &wanted).await.expect("a store");
        let told = page.effects.iter().map(|row| format!("{} {}", row.ordinal, row.state.word()));
        (told.collect::<Vec<_>>().join(", "), page.next)
    };
    let of_run = WantedEffects { run: Some(run), last: 2, ..WantedEffects::default() };
    let (told, next) = list(of_run.clone()).await;
    assert_eq!(told, "0 ambiguous, 1 done");
    assert_eq!(list(WantedEffects { after: next, ..of_run }).await, ("2 done".to_owned(), None));
    let all = WantedEffects { last: 9, ..WantedEffects::default() };
    assert_eq!(list(all.clone()).await.0, "2 done, 1 done, 0 ambiguous");
    let once = WantedEffects { tool: Some("g__once".to_owned()), ..all.clone() };
    assert_eq!(list(once).await.0, "2 done, 0 ambiguous");
    let states = vec![State::Ambiguous, State::Failed];
    assert_eq!(list(WantedEffects { states, ..all.clone() }).await.0, "0 ambiguous");
    let other = WantedEffects { session: Some("other".to_owned()), ..all };
    assert_eq!(list(other).await.0, "");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_was_not_made_leaves_the_call_done() {
    let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", undoable());
    let set = json!({"retry": {"attempts": 1}, "breaker": {"least_calls": 1}, "static_response": "ask the desk"});
    bench.world.set("undo", serde_json::from_value(set).expect("a policy"));
    bench.ask("go").await;
    let key = bench.rows().await[0].key.clone();
    bench.world.mishap(Mishap::NotSent);
    assert_eq!([bench.undo(&key).await, bench.undo(&key).await], ["Failed", "Failed"]);
    assert_eq!(bench.rows().await[0].state, State::Done);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_may_not_be_repeated_is_called_once() {
    for crash in [false, true] {
        let mut bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
        bench.world.set("paid", undoable());
        let once = ToolPolicy { effect: Some(Effect::Once), ..ToolPolicy::default() };
        bench.world.set("undo", once);
        bench.ask("go").await;
        let key = bench.rows().await[0].key.clone();
        if crash {
            bench.world.mishap(Mishap::Slow(600));
            let cut_off = tokio::time::timeout(Duration::from_secs(1), bench.undo(&key)).await;
            assert!(cut_off.is_err());
            bench.restart().await;
            seconds(30).await;
        } else {
            bench.world.mishap(Mishap::Lost);
            assert_eq!(bench.undo(&key).await, "Ambiguous");
        }
        expect!["nobody knows whether the call KEY was taken back, and shop__undo may not be called twice; look there"]
            .assert_eq(&bench.undo(&key).await);
        let undone = bench.world.undone.lock().expect("no panic").values().sum::<u32>();
        let row = bench.rows().await.remove(0);
        let undo = row.undo.map(|undo| undo.state);
        assert_eq!((undone, row.state, undo), (1, State::Done, Some(UndoState::Ambiguous)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_names_who_took_the_call_and_nobody_else_takes_it_back() {
    let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", ToolPolicy { fallback: Some(REPLICA.to_owned()), ..undoable() });
    bench.world.mishap(Mishap::NotSent);
    bench.ask("go").await;
    let row = bench.rows().await.remove(0);
    assert_eq!((row.state, row.function.as_str()), (State::Done, REPLICA));
    expect!["the call KEY cannot be taken back: replica took it in place of its tool; see there"]
        .assert_eq(&bench.undo(&row.key).await);
    assert_eq!(bench.world.calls(), ["replica paid 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_cannot_say_that_a_fallback_did_nothing() {
    let bench = Bench::new(&["use shop__paid 1", "<answer>done</answer>"]).await;
    bench.world.set("paid", ToolPolicy { fallback: Some(REPLICA.to_owned()), ..probed() });
    bench.world.mishap(Mishap::NotSent);
    bench.world.mishap(Mishap::Lost);
    bench.ask("go").await;
    assert_eq!(bench.world.calls(), ["replica paid 1", "probe 1 key 0"]);
    assert_eq!(bench.rows().await[0].state, State::Ambiguous);
}
