//! The same under budgets: the process dies at every commit, and no counter says less than what was
//! used, nor more than the journals account for. Where a cap is reached, it is not passed, and the run goes on
//! with more.

use std::time::Duration;

use craton_core::agent::event::{Event, Intent};
use craton_core::agent::state::Turn;
use craton_core::budget::caps::Budgets;
use craton_core::budget::{Raise, Scope};
use craton_core::cost::Money;
use store::{Store, Tenant};
use wire::converse::{Block, Usage};

use super::{Life, Play, check, team};
use crate::budget::Book;
use crate::record::Session;
use crate::run::innermost;
use crate::{Engine, journal};

pub(super) const USAGE: Usage = Usage {
    input_tokens: 70,
    output_tokens: 30,
    cache_read_input_tokens: 0,
    cache_write_input_tokens: 0,
    cache_write_hour_input_tokens: 0,
};

/// INVARIANT: a counter holds what replies have used, and the reservations of calls that died with
/// their process: no less than what the models were `asked` for in all lives. Nothing that is over
/// holds anything back.
pub(super) async fn check_counters(
    engine: &Engine,
    tenant: &Tenant,
    session: &Session,
    asked: usize,
) {
    let counter = |name: &str| {
        let key = format!("budget/tenant/ever/{name}");
        async move { engine.store().counter(tenant, &key).await.expect("a store") }
    };
    let (mut tokens, mut cost, used) = (0, 0, asked as i64 * 100);
    for run in &session.runs {
        let (events, _) = journal::load(&engine.0, tenant, run).await.expect("a journal");
        let book = Book::open(&engine.0, &[], &events);
        let (held, paid) = book.spent();
        tokens += held;
        cost += paid;
        let asked = events.iter().filter_map(|stamped| match innermost(&stamped.event).1 {
            Event::Asked(Intent::AskModel(ask)) => Some(ask.reserved.is_some()),
            Event::Asked(Intent::Call(call)) => Some(call.reserved.is_some()),
            _ => None,
        });
        let held_back: Vec<bool> = asked.collect();
        let capped = engine.0.budgets.is_set();
        assert!(held_back.iter().all(|held| *held == capped), "each call, or none: {held_back:?}");
    }
    if engine.0.budgets.is_set() {
        check_caps(engine, tenant, &session.runs).await;
        assert_eq!((counter("tokens").await, counter("cost").await), (tokens, cost));
        assert!(tokens >= used, "{tokens} of {used} tokens");
    } else {
        assert_eq!(counter("tokens").await, 0);
    }
}

fn enough() -> Budgets {
    let caps = r#"{"run": {"tokens": 1000000}, "tenant": {"tokens": 100000000, "dollars": 1000},
                   "session": {"tokens": 100000000}, "near_percent": 100}"#;
    serde_json::from_str(caps).expect("budgets")
}

#[test]
fn budgets_count_right_after_a_crash_at_any_commit() {
    let crashes: usize = std::thread::scope(|scope| {
        let alone = |seed| Play { budgets: enough(), ..Play::alone(seed) };
        let play = |seed| scope.spawn(move || check(seed, &alone(seed)));
        let mut seeds: Vec<_> = (1..=3).map(play).collect();
        let of_team = Play { budgets: enough(), ..team::play(21) };
        seeds.push(scope.spawn(move || check(21, &of_team)));
        seeds.into_iter().map(|seed| seed.join().expect("the seed holds")).sum()
    });
    assert!(crashes > 60, "the scripts are long enough to be worth it: {crashes} crashes");
}

/// How a turn begins that a budget has stopped.
pub(super) const STOPPED: &str = "I had to stop here";
const MORE: Raise = Raise { tokens: 9_000, cost: Money(6 * Money::DOLLAR.0) };

/// Gives the session's last run more until it has ended; `None` once the store has stopped.
pub(super) async fn go_on(engine: &Engine, tenant: &Tenant) -> Option<()> {
    let run = engine.find_run(tenant, "session").await.ok()??.run;
    loop {
        let (events, _) = journal::load(&engine.0, tenant, &run).await.ok()?;
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        if turn.end.is_some() {
            return Some(());
        }
        if turn.budget.halted.is_some() {
            engine.replenish(tenant, &run, MORE, None).await.ok()?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// INVARIANT: no counter passes its cap, but by what a run was given on top.
pub(super) async fn check_caps(engine: &Engine, tenant: &Tenant, runs: &[String]) {
    let mut most = Raise::default();
    for run in runs {
        let (events, _) = journal::load(&engine.0, tenant, run).await.expect("a journal");
        let given = events.iter().fold(Raise::default(), |sum, stamped| match &stamped.event {
            Event::Replenished(replenished) => sum.and(replenished.raise),
            _ => sum,
        });
        most.tokens = most.tokens.max(given.tokens);
        most.cost = most.cost.max(given.cost);
    }
    for cap in engine.0.budgets.caps().iter().filter(|cap| cap.scope == Scope::Tenant) {
        let key = format!("budget/tenant/ever/{}", cap.unit.word());
        let says = engine.store().counter(tenant, &key).await.expect("a store");
        assert!(says <= cap.amount + most.of(cap.unit), "{says} of {cap:?} and {most:?}");
    }
}

/// Caps that are reached by what a crash loses, or soon after it, and tools that cost no more than is
/// held for them: no client's, and none that is asked what became of a call.
fn tight(seed: u64) -> Play {
    let mut play = Play::alone(seed);
    for block in play.script.iter_mut().flatten().flat_map(|reply| &mut reply.content) {
        if let Block::ToolUse(used) = block {
            match used.name.as_str() {
                "client__ask" => "g__read".clone_into(&mut used.name),
                "shop__paid" => "g__keyed".clone_into(&mut used.name),
                _ => {}
            }
        }
    }
    let (tokens, dollars) = (9_000 + seed % 3 * 3_000, 4 + seed % 4);
    let caps = serde_json::json!({"tenant": {"tokens": tokens, "dollars": dollars}});
    Play { budgets: serde_json::from_value(caps).expect("budgets"), ..play }
}

/// Plays a script with a crash after every commit, in both ways of dying; how many turns were stopped.
fn check_tight(seed: u64) -> usize {
    let mut stopped = 0;
    for answered in [true, false] {
        for after in 1.. {
            let life = Life { replays: false, ..Life::new(&tight(seed)) };
            let store = Store::memory().expect("a store");
            match answered {
                true => store.crash_after(after).expect("a memory store"),
                false => store.crash_unanswered_after(after).expect("a memory store"),
            }
            if life.live(&store).is_some() {
                break;
            }
            let end = life.live(&store.reopen().expect("the data is there"));
            let end = end.unwrap_or_else(|| panic!("seed {seed}, crash after {after}"));
            end.check();
            let once = life.world.once();
            assert!(once.values().all(|count| *count == 1), "seed {seed}, crash after {after}");
            stopped += end.answers.iter().filter(|text| text.starts_with(STOPPED)).count();
        }
    }
    stopped
}

#[test]
fn no_cap_is_passed_by_a_crash_at_any_commit_and_a_run_that_stops_goes_on_with_more() {
    let stopped: usize = std::thread::scope(|scope| {
        let seeds: Vec<_> = (1..=3).map(|seed| scope.spawn(move || check_tight(seed))).collect();
        seeds.into_iter().map(|seed| seed.join().expect("the seed holds")).sum()
    });
    assert!(stopped > 60, "the caps are low enough to be worth it: {stopped} turns");
}
