//! What counts as asking for the same again.

use serde_json::{Value as Json, json};

use crate::agent::tool::Effect;
use crate::policy::looping::{Rounds, near};

/// How often the last call of these came in a row with nothing new.
#[track_caller]
fn check(calls: &[(&str, Json, &str)], expected: u32) {
    let mut rounds = Rounds::default();
    for (tool, input, result) in calls {
        rounds.notice(tool, input, Effect::Once, result);
    }
    let (tool, input, _) = calls.last().expect("a call");
    assert_eq!(rounds.so_far(tool, input, Effect::Once), expected);
}

fn find<'a>(words: &str, result: &'a str) -> (&'static str, Json, &'a str) {
    ("find", json!({"words": words}), result)
}

#[test]
fn the_same_call_with_the_same_result_counts() {
    check(&[find("x", "a"), find("x", "a"), find("x", "a")], 3);
    check(
        &[
            find("Weather in Berlin", "a"),
            find("weather berlin", "a"),
            find("Berlin, weather?", "a"),
        ],
        3,
    );
}

#[test]
fn another_result_begins_again() {
    check(&[find("x", "a"), find("x", "a"), find("x", "b")], 1);
    check(&[find("x", "a"), find("x", "b"), find("x", "a"), find("x", "b")], 1);
}

#[test]
fn other_calls_break_the_row_only_if_they_bring_something_new() {
    let wait = |result| ("wait", json!({}), result);
    check(&[wait("-"), find("x", "a"), wait("-"), find("x", "a"), wait("-"), find("x", "a")], 3);
    check(&[find("x", "a"), find("x", "a"), wait("-"), find("x", "a")], 1);
    check(&[find("x", "a"), find("y", "a"), find("x", "a"), find("y", "a"), find("x", "a")], 2);
    check(&[find("4471", "sent"), find("4472", "sent"), find("4473", "sent")], 1);
}

#[track_caller]
fn check_near(a: &Json, b: &Json, reader: bool, writer: bool) {
    for (a, b) in [(a, b), (b, a)] {
        assert_eq!(near(a, b, Effect::Read), reader, "{a} and {b} of a reader");
        assert_eq!(near(a, b, Effect::Once), writer, "{a} and {b} of a writer");
    }
}

#[test]
fn what_is_near_is_a_rule() {
    check_near(&json!("Order  4471"), &json!("order 4471."), true, true);
    check_near(&json!("status of order 4471"), &json!("order 4471 status"), true, true);
    check_near(&json!("order 4471"), &json!("order 4472"), false, false);
    check_near(&json!("refund policy for shoes"), &json!("refund policies for shoes"), true, false);
    check_near(&json!("Anna"), &json!("Anne"), false, false);
    check_near(&json!("2026-01-02"), &json!("2026-02-01"), false, false);
    check_near(&json!("/a/b"), &json!("/b/a"), false, false);
    check_near(&json!("5"), &json!("-5"), false, false);
    check_near(&json!("+"), &json!("-"), false, false);
    check_near(&json!("the"), &json!("a"), false, false);
    check_near(&json!(4471), &json!(4472), false, false);
    check_near(&json!(52.5201), &json!(52.5203), true, false);
    check_near(&json!(19.99), &json!(29.99), false, false);
    check_near(&json!({"q": "x"}), &json!({"q": "X", "limit": null, "tags": []}), true, true);
    check_near(&json!({"q": "x"}), &json!({"q": "x", "limit": 10}), false, false);
    check_near(&json!(["a", "b"]), &json!(["a", "c"]), false, false);
    check_near(&json!(true), &json!(false), false, false);
    check_near(&json!("Übergrößen für Müller"), &json!("übergrößen für müller"), true, true);
}
