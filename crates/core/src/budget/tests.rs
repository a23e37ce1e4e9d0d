use std::fmt::Write as _;

use expect_test::{Expect, expect};
use wire::converse::Usage;

use super::caps::{Budgets, Most, lower, of_tag};
use super::rule::{Need, Ruling, Standing, hold, hold_cost};
use super::{Reserved, Scope, Unit};
use crate::agent::event::Wasted;
use crate::cost::Money;
use crate::limits;

/// A call of so many bytes.
#[derive(Clone, Copy)]
struct Asked(u64, Option<u32>);

fn call(words: &str, max_tokens: Option<u32>) -> Asked {
    let limit = max_tokens.map_or(0, |limit| format!("\"maxTokens\":{limit}").len());
    Asked((153 + words.len() + limit) as u64, max_tokens)
}

impl Asked {
    fn output(self) -> u32 {
        self.1.unwrap_or(limits::OUTPUT_TOKENS)
    }

    fn need(self, attempts: u32) -> Need<'static> {
        let Asked(input, _) = self;
        let (about, output) = (input.div_ceil(4), self.output());
        let (price, near_percent, note) = (&price, 80, 0);
        Need { model: "m", input, about, output, price, attempts, near_percent, note }
    }
}

/// A microdollar for a token that is read, five for one that is written.
fn price(bytes: u64, output: u32) -> Option<Money> {
    Some(Money((bytes as i64 + 5 * i64::from(output)) * 1_000_000))
}

fn standing(scope: Scope, unit: Unit, cap: i64, spent: i64) -> Standing {
    let counter = Some(format!("budget/{}/{}", scope.word(), unit.word()));
    Standing { scope, unit, cap, spent, counter }
}

#[track_caller]
fn check(standings: &[Standing], call: &Asked, expected: &Expect) {
    let told = match hold(standings, &call.need(1)) {
        Ruling::Free => "free".to_owned(),
        Ruling::Held(held) => {
            let note = if held.wrap_up { ", told to wrap up" } else { "" };
            format!("{} tokens, {}, at most {} out{note}", held.tokens, held.cost, held.output)
        }
        Ruling::Exhausted(exhausted) => exhausted.told(),
    };
    expected.assert_eq(&told);
}

#[test]
fn a_call_holds_back_its_bytes_and_the_cap_of_its_output() {
    let asked = call("hello", Some(1_000));
    check(&[], &asked, &expect!["free"]);
    let session = |spent| [standing(Scope::Session, Unit::Tokens, 100_000, spent)];
    check(&session(0), &asked, &expect!["1174 tokens, $0.005174, at most 1000 out"]);
    check(
        &session(80_000),
        &asked,
        &expect!["1174 tokens, $0.005174, at most 1000 out, told to wrap up"],
    );
    // Without room for another call like this one.
    check(
        &[standing(Scope::Run, Unit::Cost, 10_000_000_000, 0)],
        &asked,
        &expect!["1174 tokens, $0.005174, at most 1000 out, told to wrap up"],
    );
    check(&session(0), &call("hello", None), &expect!["4158 tokens, $0.020158, at most 4000 out"]);
}

#[test]
fn an_answer_is_cut_to_what_there_is_room_for_until_it_could_say_nothing() {
    let asked = call("hello", Some(1_000));
    let session = |spent| [standing(Scope::Session, Unit::Tokens, 100_000, spent)];
    check(
        &session(99_500),
        &asked,
        &expect!["500 tokens, $0.001804, at most 326 out, told to wrap up"],
    );
    check(
        &session(99_700),
        &asked,
        &expect![
            "the budget of this session, 100000 tokens, has no room for another model call: 99700 tokens are spent or held back, and the call may need 430 tokens; raise budgets.session"
        ],
    );
    // Whoever asks for less than the least gets it.
    check(
        &session(99_700),
        &call("hello", Some(10)),
        &expect!["182 tokens, $0.000222, at most 10 out, told to wrap up"],
    );
}

#[test]
fn room_is_held_for_each_attempt_that_may_be_billed_as_far_as_there_is_any() {
    let asked = call("hello", Some(1_000));
    let held = |cap: i64, attempts: u32| {
        let caps = [standing(Scope::Day, Unit::Tokens, cap, 0)];
        let need = asked.need(attempts);
        match hold(&caps, &need) {
            Ruling::Held(held) => (held.tokens, held.attempts, held.output),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held(100_000, 3), (3 * 1_174, 3, 1_000));
    assert_eq!(held(3_000, 3), (2 * 1_174, 2, 1_000));
    // An answer is cut for the call itself, not for those that may never be made.
    assert_eq!(held(2_000, 3), (1_174, 1, 1_000));
    assert_eq!(held(1_000, 3), (1_000, 1, 826));
}

#[test]
fn one_call_is_judged_by_an_estimate_of_its_input_and_says_nothing_of_wrapping_up() {
    let caps = [standing(Scope::Call, Unit::Tokens, 4_000, 0)];
    check(&caps, &call("hello", None), &expect!["4118 tokens, $0.019958, at most 3960 out"]);
    check(
        &caps,
        &call(&"long ".repeat(4_000), None),
        &expect![
            "the input of some 5295 tokens leaves no room for an answer within 4000 tokens, the most that one call may use; shorten it, or raise budgets.call"
        ],
    );
}

#[test]
fn a_cap_in_dollars_refuses_a_model_without_a_price() {
    let asked = call("hello", None);
    let standings = [standing(Scope::Session, Unit::Cost, Money::DOLLAR.0 * 10, 0)];
    let need = Need { price: &|_, _| None, ..asked.need(1) };
    let Ruling::Exhausted(exhausted) = hold(&standings, &need) else { panic!("it is refused") };
    expect!["the budget of this session, $10.00, cannot be held: the price of model m is unknown; add it to the file that `prices` names, or mark the model as local"].assert_eq(&exhausted.told());
    // Tokens need no price.
    let standings = [standing(Scope::Session, Unit::Tokens, 100_000, 0)];
    assert!(matches!(hold(&standings, &need), Ruling::Held(_)));
}

#[test]
fn a_tool_that_costs_nothing_to_call_counts_where_its_work_does() {
    let caps = |spent| {
        [standing(Scope::Call, Unit::Tokens, 4_000, 0), standing(Scope::Run, Unit::Cost, 9, spent)]
    };
    let Ruling::Held(held) = hold_cost(&caps(9), "f", Money::ZERO) else { panic!("it is held") };
    assert_eq!((held.cost, held.counters), (Money::ZERO, vec!["budget/run/cost".to_owned()]));
    assert!(matches!(hold_cost(&caps(10), "f", Money::ZERO), Ruling::Exhausted(_)));
    assert_eq!(hold_cost(&caps(0)[..1], "f", Money::DOLLAR), Ruling::Free, "no dollars are capped");
}

#[test]
fn what_is_held_back_never_exceeds_a_cap() {
    let mut seed = 7u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..2_000 {
        let asked = call(&"x".repeat(draw(300) as usize), Some(1 + draw(6_000) as u32));
        let tokens = standing(Scope::Run, Unit::Tokens, 5_000, draw(6_000) as i64);
        let cost =
            standing(Scope::Day, Unit::Cost, 20_000_000_000, draw(25_000) as i64 * 1_000_000);
        let all = [tokens, cost];
        let need = asked.need(1);
        match hold(&all, &need) {
            Ruling::Held(held) => {
                assert!(all.iter().all(|one| one.spent + held.amount(one.unit) <= one.cap));
                assert!(held.output <= asked.output());
            }
            Ruling::Exhausted(e) => assert!(e.spent + e.needed > e.cap),
            Ruling::Free => panic!("caps are set"),
        }
    }
}

fn told(caps: &[Most]) -> String {
    let mut told = String::new();
    for cap in caps {
        let per = cap.per.map(|per| format!(" per {per:?}").to_lowercase()).unwrap_or_default();
        writeln!(told, "{} {}{per}", cap.scope.word(), cap.unit.show(cap.amount)).expect("text");
    }
    told
}

fn read(text: &str) -> Result<Budgets, String> {
    let budgets: Budgets = serde_json::from_str(text).map_err(|e| e.to_string())?;
    budgets.check().map(|()| budgets)
}

#[test]
fn nothing_is_capped_until_somebody_says_so() {
    assert_eq!(told(&Budgets::default().caps()), "");
    let enabled = read(r#"{"enabled": true}"#).expect("sound");
    expect![[r"
        call 4000 tokens
        session $10.00
    "]]
    .assert_eq(&told(&enabled.caps()));
    let set = r#"{"enabled": true, "call": {"tokens": 9000}, "session": {"tokens": 50000},
                  "tenant": {"dollars": 0.07, "per": "month"}, "day": {"dollars": 25}}"#;
    expect![[r"
        call 9000 tokens
        session 50000 tokens
        tenant $0.07 per month
        day $25.00 per day
    "]]
    .assert_eq(&told(&read(set).expect("sound").caps()));
    for wrong in [
        r#"{"run": {"tokens": 0}}"#,
        r#"{"run": {"dollars": -1}}"#,
        r#"{"run": {"per": "day"}}"#,
        r#"{"near_percent": 0}"#,
        r#"{"call": {"dollars": 1}}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_agents_tags_lower_what_the_server_gives() {
    let server = read(r#"{"session": {"dollars": 10}, "run": {"tokens": 1000}}"#).expect("sound");
    let tags = [("session-dollars", "12.5"), ("run-tokens", "500"), ("agent-day-dollars", "3")];
    let own: Vec<Most> =
        tags.iter().map(|(name, value)| of_tag(name, value).expect("a cap")).collect();
    expect![[r"
        run 500 tokens
        session $10.00
        agent $3.00 per day
    "]]
    .assert_eq(&told(&lower(&server.caps(), &own)));
    for (name, value) in [
        ("call-dollars", "1"),
        ("tenant-tokens", "1"),
        ("run-tokens", "-1"),
        ("run-dollars", "NaN"),
    ] {
        assert!(of_tag(name, value).is_err(), "{name} {value}");
    }
}

#[test]
fn the_note_that_comes_near_the_end_is_held_back_for_too() {
    let held = |spent| {
        let caps = [standing(Scope::Session, Unit::Tokens, 10_000, spent)];
        match hold(&caps, &Need { note: 200, ..call("hello", Some(1_000)).need(1) }) {
            Ruling::Held(held) => Some((held.tokens, held.output, held.wrap_up)),
            Ruling::Exhausted(_) => None,
            Ruling::Free => panic!("a cap is set"),
        }
    };
    assert_eq!(held(0), Some((1_174, 1_000, false)));
    assert_eq!(held(8_000), Some((1_374, 1_000, true)));
    assert_eq!(held(8_700), Some((1_300, 926, true)));
    assert_eq!(held(9_400), None, "not even for a short answer");
}

/// A count without input is none: all that was held back for the attempt is used.
#[test]
fn an_attempt_counts_for_what_was_counted_or_for_all_that_was_held_back() {
    let held = Reserved { tokens: 8_000, cost: Money(800), attempts: 2, ..Reserved::default() };
    let wasted = |input_tokens, output_tokens| {
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        let used = held.used_by(&[Wasted { model: "m".to_owned(), usage, cost: Some(Money(7)) }]);
        (used.tokens, used.cost)
    };
    assert_eq!(wasted(10, 5), (15, Money(7)));
    assert_eq!(wasted(0, 5), (4_000, Money(400)));
    assert_eq!(wasted(0, 0), (4_000, Money(400)));
}
