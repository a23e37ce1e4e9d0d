#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::*;

const RULES: Rules = Rules { most: 4, least_tokens: 10, tools: true };

fn call(members: Json) -> Call {
    let mut call = json!({ "model": "m", "messages": [user("hi")] });
    for (name, value) in members.as_object().unwrap() {
        call[name] = value.clone();
    }
    serde_json::from_value(call).unwrap()
}

fn user(text: &str) -> Json {
    json!({ "role": "user", "content": [{ "text": text }] })
}

fn assistant(text: &str) -> Json {
    json!({ "role": "assistant", "content": [{ "text": text }] })
}

fn tools() -> Json {
    json!([{ "name": "a", "description": "x".repeat(40), "schema": {} },
           { "name": "b", "description": "", "schema": {} }])
}

fn check(members: Json, mode: CacheMode, expected: Expect) {
    let Marks { tools, system, messages } = plan(&call(members), mode, RULES);
    let of = |points: &BTreeMap<usize, Json>| json!(points).to_string();
    let seen = format!("tools {} system {} messages {messages:?}", of(&tools), of(&system));
    expected.assert_eq(&seen);
}

#[test]
fn marks_stand_after_tools_system_and_the_last_two_steps() {
    let long = "x".repeat(40);
    let history = json!([user("1"), assistant("2"), user("3"), assistant("4"), user("5")]);
    check(
        json!({ "tools": tools(), "system": [long, " "], "messages": history }),
        CacheMode::Auto,
        expect![[
            r#"tools {"1":{"type":"default"}} system {"0":{"type":"default"}} messages {2, 4}"#
        ]],
    );
    check(
        json!({ "tools": tools() }),
        CacheMode::Auto,
        expect![[r#"tools {"1":{"type":"default"}} system {} messages {0}"#]],
    );
    // Nobody will ask again with these messages; what is short is not kept anyway.
    check(
        json!({ "system": [long], "messages": [user(&long)] }),
        CacheMode::Auto,
        expect![[r#"tools {} system {"0":{"type":"default"}} messages {}"#]],
    );
    check(
        json!({ "system": ["short"], "messages": [user("a"), assistant("b"), user("c")] }),
        CacheMode::Auto,
        expect!["tools {} system {} messages {0, 2}"],
    );
}

#[test]
fn the_clients_own_points_win_and_off_marks_nothing() {
    let hour = json!({ "type": "default", "ttl": "1h" });
    let own = json!({ "tools": tools(), "cache": { "system": { "0": hour } },
                      "system": ["x".repeat(400)] });
    let kept = [r#"tools {} system {"0":{"ttl":"1h","type":"default"}} messages {}"#; 2];
    for (mode, kept) in [CacheMode::Auto, CacheMode::Off].into_iter().zip(kept) {
        let Marks { tools, system, messages } = plan(&call(own.clone()), mode, RULES);
        let seen = format!("tools {} system {} messages {messages:?}", json!(tools), json!(system));
        assert_eq!(seen, kept);
    }
    let within = json!([{ "role": "user", "content": [
        { "text": "x".repeat(400) }, { "cachePoint": { "type": "default" } }] }]);
    check(
        json!({ "tools": tools(), "messages": within }),
        CacheMode::Auto,
        expect!["tools {} system {} messages {}"],
    );
    check(json!({ "tools": tools() }), CacheMode::Off, expect!["tools {} system {} messages {}"]);
}

#[test]
fn models_differ_in_what_they_keep() {
    let least = |model: &str| Rules::of(model).least_tokens;
    assert_eq!(least("us.anthropic.claude-haiku-4-5-20251001-v1:0"), 4096);
    assert_eq!(least("claude-sonnet-4-5"), 1024);
    assert!(!Rules::of("amazon.nova-pro-v1:0").tools);
}

#[test]
fn the_key_names_the_beginning_and_not_the_question() {
    let of = |members: Json| key(&call(members));
    let one = of(json!({ "tools": tools(), "system": ["s"] }));
    let later = of(json!({ "tools": tools(), "system": ["s"], "messages": [user("other")] }));
    assert_eq!(one.as_ref().map(String::len), Some(32));
    assert_eq!(one, later);
    assert_ne!(one, of(json!({ "tools": tools(), "system": ["t"] })));
    assert_eq!(of(json!({})), None);
}
