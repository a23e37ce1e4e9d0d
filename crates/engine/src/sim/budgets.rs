//! The same under budgets: the process dies at every commit, and no counter says less than what was
//! used, nor more than the journals account for.

use craton_core::agent::event::{Event, Intent};
use craton_core::budget::caps::Budgets;
use store::Tenant;
use wire::converse::Usage;

use super::{Play, check, team};
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
/// their process. Nothing that is over holds anything back.
pub(super) async fn check_counters(engine: &Engine, tenant: &Tenant, session: &Session) {
    let counter = |name: &str| {
        let key = format!("budget/tenant/ever/{name}");
        async move { engine.store().counter(tenant, &key).await.expect("a store") }
    };
    let (mut tokens, mut cost, mut used) = (0, 0, 0);
    for run in &session.runs {
        let (events, _) = journal::load(&engine.0, tenant, run).await.expect("a journal");
        let book = Book::open(&engine.0, &[], &events);
        let (held, paid) = book.spent();
        tokens += held;
        cost += paid;
        let said = events.iter().filter(|s| matches!(innermost(&s.event).1, Event::ModelSaid(_)));
        used += said.count() as i64 * 100;
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
