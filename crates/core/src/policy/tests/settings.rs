//! What is refused where a policy is read, and what tags set.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use crate::policy::ToolPolicy;

#[track_caller]
fn check(policy: Json, expected: &Expect) {
    let read = serde_json::from_value::<ToolPolicy>(policy).map_err(|e| e.to_string());
    expected.assert_eq(&read.and_then(|policy| policy.check()).err().unwrap_or_default());
}

#[test]
fn what_makes_no_sense_is_refused_by_its_key() {
    check(json!({"timeout_seconds": 2.5, "retry": {"attempts": 5}}), &expect![""]);
    check(
        json!({"timeout_seconds": 0}),
        &expect!["timeout_seconds is 0; set more than 0 and at most 86400"],
    );
    check(
        json!({"cache_seconds": 0}),
        &expect!["cache_seconds is 0; set 1 or more, or leave it out"],
    );
    check(json!({"retry": {"attempts": 0}}), &expect!["retry.attempts is 0; set 1 to 20"]);
    check(
        json!({"retry": {"base_seconds": -1}}),
        &expect!["retry.base_seconds is -1; set 0 to 600"],
    );
    check(
        json!({"breaker": {"failure_share": 15}}),
        &expect!["breaker.failure_share is 15; set a share from 0 to 1"],
    );
    check(
        json!({"breaker": {"cooldown_seconds": 0}}),
        &expect!["breaker.cooldown_seconds is 0; set 1 or more, or leave it out"],
    );
    check(
        json!({"calls_per_second": -1}),
        &expect!["calls_per_second is -1; set more than 0 and at most 86400"],
    );
    check(json!({"fallback": " "}), &expect!["fallback is empty; name a tool, or leave it out"]);
    check(
        json!({"hand_off": ["amount >"]}),
        &expect![[
            r#"the condition "amount >" at 9: expected the name of an argument, a number or a text"#
        ]],
    );
    check(
        json!({"arguments": {"schema": {"type": "nonsense"}}}),
        &expect![[
            r#"the schema is not valid at /type: "nonsense" is not valid under any of the schemas listed in the 'anyOf' keyword"#
        ]],
    );
    check(
        json!({"arguments": {"schema": 5}}),
        &expect!["the schema is 5; a JSON Schema is a table"],
    );
}

#[test]
fn what_an_effect_class_leaves_without_effect_is_refused() {
    let check = |policy: Json, expected: &Expect| {
        let policy: ToolPolicy = serde_json::from_value(policy).expect("a policy");
        expected.assert_eq(&policy.check_effect().err().unwrap_or_default());
    };
    check(json!({"effect": "read", "cache_seconds": 5}), &expect![""]);
    check(json!({"effect": "once", "probe": "find", "on_unknown": "park"}), &expect![""]);
    check(json!({"probe": "find", "cache_seconds": 5}), &expect![""]);
    check(
        json!({"effect": "keyed", "cache_seconds": 5}),
        &expect![
            "cache_seconds would have no effect: only answers of read tools are kept; leave it out, or set another effect"
        ],
    );
    check(
        json!({"effect": "read", "probe": "find"}),
        &expect![
            "probe would have no effect: a read call is never in doubt; leave it out, or set another effect"
        ],
    );
    check(
        json!({"effect": "read", "on_unknown": "park"}),
        &expect![
            "on_unknown would have no effect: a read call is never in doubt; leave it out, or set another effect"
        ],
    );
}

#[test]
fn a_policy_is_read_back_as_it_was_written() {
    let policy =
        json!({"hand_off": ["amount > 500"], "arguments": {"schema": {"maxProperties": 3}}});
    let read: ToolPolicy = serde_json::from_value(policy).expect("a policy");
    let again = serde_json::to_value(&read).and_then(serde_json::from_value::<ToolPolicy>);
    assert_eq!(again.expect("a policy"), read);
}

#[track_caller]
fn check_tag(name: &str, value: &str, expected: &Expect) {
    let mut policy = ToolPolicy::default();
    let taken = policy.take_tag(name, value);
    let set = serde_json::to_value(&policy).expect("a policy");
    let unset = serde_json::to_value(ToolPolicy::default()).expect("a policy");
    let (Json::Object(set), Json::Object(unset)) = (set, unset) else { panic!("an object") };
    let changed: serde_json::Map<_, _> =
        set.into_iter().filter(|(key, value)| unset.get(key) != Some(value)).collect();
    let told = taken.err().unwrap_or_else(|| Json::Object(changed).to_string());
    expected.assert_eq(&told);
}

#[test]
fn tags_set_what_fits_into_one_value() {
    check_tag("timeout", "2.5", &expect![[r#"{"timeout_seconds":2.5}"#]]);
    check_tag("timeout", "0", &expect!["timeout_seconds is 0; set more than 0 and at most 86400"]);
    check_tag("timeout", "soon", &expect!["it must be seconds, such as 2.5"]);
    check_tag("cache", "3600", &expect![[r#"{"cache_seconds":3600}"#]]);
    check_tag("cache", "1h", &expect!["it must be whole seconds, such as 3600"]);
    check_tag("fallback", "orders-replica", &expect![[r#"{"fallback":"orders-replica"}"#]]);
    check_tag("hand-off", "amount gt 500", &expect![[r#"{"hand_off":["amount gt 500"]}"#]]);
    check_tag(
        "hand-off",
        "amount gt",
        &expect![[
            r#"the condition "amount gt" at 10: expected the name of an argument, a number or a text"#
        ]],
    );
    check_tag(
        "attempts",
        "1",
        &expect![[r#"{"retry":{"attempts":1,"base_seconds":1.0,"max_seconds":10.0}}"#]],
    );
    check_tag(
        "deny",
        "accountStatus role",
        &expect![[
            r#"{"arguments":{"allow":[],"deny":["accountStatus","role"],"otherwise":null,"schema":null}}"#
        ]],
    );
    check_tag("rate", "0", &expect!["calls_per_second is 0; set more than 0 and at most 86400"]);
    check_tag("clean", "true", &expect!["{}"]);
}
