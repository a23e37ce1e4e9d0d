#![expect(clippy::needless_pass_by_value, reason = "tables of cases read better by value")]

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::*;
use crate::load;

fn model() -> &'static Service {
    let model = json!({
        "metadata": {"protocol": "rest-json"},
        "operations": {},
        "shapes": {
            "Input": {"type": "structure", "required": ["agentName", "Role"], "members": {
                "agentName": {"shape": "Name"}, "Role": {"shape": "Text"},
                "instruction": {"shape": "Secret"}, "count": {"shape": "Count"},
                "share": {"shape": "Share"}, "state": {"shape": "State"},
                "groups": {"shape": "Groups"}, "keys": {"shape": "Names"},
                "tags": {"shape": "Tags"}, "executor": {"shape": "Executor"},
                "byName": {"shape": "GroupMap"}, "data": {"shape": "Data"},
                "credentials": {"shape": "Credentials"},
            }},
            "Name": {"type": "string", "pattern": "([0-9a-zA-Z][_-]?){1,100}", "min": 1},
            "Text": {"type": "string"},
            "Secret": {"type": "string", "min": 40, "max": 50, "sensitive": true},
            "Count": {"type": "integer", "min": 1, "max": 1000},
            "Share": {"type": "double", "min": 0, "max": 1},
            "State": {"type": "string", "enum": ["ENABLED", "DISABLED"]},
            "Credentials": {"type": "structure", "sensitive": true, "members": {
                "user": {"shape": "Name"}}},
            "Groups": {"type": "list", "member": {"shape": "Group"}, "max": 2},
            "Group": {"type": "structure", "required": ["name"], "members": {
                "name": {"shape": "Name"}, "secret": {"shape": "Secret"}}},
            "GroupMap": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Group"}},
            "Names": {"type": "list", "member": {"shape": "Name"}},
            "Tags": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "State"}},
            "Executor": {"type": "structure", "union": true, "members": {
                "lambda": {"shape": "Text"}, "customControl": {"shape": "Text"}}},
            "Data": {"type": "blob", "max": 2},
        },
    });
    load::service(&model).expect("the model is whole")
}

fn shape(service: &'static Service, name: &str) -> ShapeId {
    let place = service.shapes.iter().position(|s| s.name == name).expect("the shape exists");
    ShapeId(place as u16)
}

/// `more` is added to an input that is valid by itself.
#[track_caller]
fn check(more: Json, expected: Expect) {
    let service = model();
    let mut input = json!({"agentName": "a", "Role": "r"});
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    input.as_object_mut().expect("an object").retain(|_, v| !v.is_null());
    let said = match super::check(service, shape(service, "Input"), &input.into()) {
        Ok(()) => "valid".to_owned(),
        Err(fault) => fault.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_valid_input_passes() {
    check(
        json!({"count": 1000, "share": 0.5, "state": "ENABLED", "groups": [{"name": "g"}],
               "keys": [], "tags": {"k": "DISABLED"}, "executor": {"lambda": "arn"},
               "instruction": "é".repeat(50), "unknown": 1}),
        expect!["valid"],
    );
}

#[test]
fn all_violations_stand_in_one_message() {
    check(
        json!({"agentName": "x y", "Role": null, "count": 0, "share": 1.5, "state": "ON"}),
        expect![[
            r#"ValidationException: 5 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be null; Value 'x y' at 'agentName' failed to satisfy constraint: Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,100}; Value '0' at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1; Value '1.5' at 'share' failed to satisfy constraint: Member must have value less than or equal to 1; Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]"#
        ]],
    );
}

#[test]
fn a_sensitive_value_stands_in_no_message() {
    check(
        json!({"instruction": "hunter2"}),
        expect![
            "ValidationException: 1 validation error detected: Value at 'instruction' failed to satisfy constraint: Member must have length greater than or equal to 40"
        ],
    );
    check(
        json!({"groups": [{"name": "a", "secret": "hunter2"}, {"name": "b"}, {"name": "c"}]}),
        expect![
            "ValidationException: 2 validation errors detected: Value at 'groups' failed to satisfy constraint: Member must have length less than or equal to 2; Value at 'groups.1.member.secret' failed to satisfy constraint: Member must have length greater than or equal to 40"
        ],
    );
}

#[test]
fn what_is_inside_of_something_sensitive_is_sensitive() {
    check(
        json!({"credentials": {"user": "hunter 2"}}),
        expect![
            "ValidationException: 1 validation error detected: Value at 'credentials.user' failed to satisfy constraint: Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,100}"
        ],
    );
}

#[test]
fn places_inside_of_lists_and_maps_are_named() {
    check(
        json!({"groups": [{"name": "a"}, {}], "byName": {"k": {"name": "!"}}}),
        expect![
            "ValidationException: 2 validation errors detected: Value '!' at 'byName.k.member.name' failed to satisfy constraint: Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,100}; Value null at 'groups.2.member.name' failed to satisfy constraint: Member must not be null"
        ],
    );
}

#[test]
fn simple_items_keys_and_values_are_reported_at_their_holder() {
    check(
        json!({"keys": ["a", "!"], "tags": {"?": "ENABLED", "k": "ON"}}),
        expect![
            "ValidationException: 3 validation errors detected: Value '[a, !]' at 'keys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,100}, Member must not be null]; Value '{?=ENABLED, k=ON}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,100}, Member must not be null]; Value '{?=ENABLED, k=ON}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must satisfy enum value set: [ENABLED, DISABLED], Member must not be null]"
        ],
    );
}

#[test]
fn a_union_has_exactly_one_member() {
    let said = expect![
        "ValidationException: 1 validation error detected: Value at 'executor' failed to satisfy constraint: Member must have exactly one of: [customControl, lambda]"
    ];
    check(json!({"executor": {"lambda": "a", "customControl": "b"}}), said);
    check(
        json!({"executor": {}}),
        expect![
            "ValidationException: 1 validation error detected: Value at 'executor' failed to satisfy constraint: Member must have exactly one of: [customControl, lambda]"
        ],
    );
}

#[test]
fn long_values_and_many_violations_are_bounded() {
    let service = model();
    let groups: Vec<Json> = (0..1000).map(|_| json!({"name": "!".repeat(5000)})).collect();
    let input = json!({"agentName": "a", "Role": "r", "groups": groups});
    let fault = super::check(service, shape(service, "Input"), &input.into()).expect_err("invalid");
    assert!(fault.message().starts_with("1001 validation errors detected: "));
    assert!(fault.message().len() < 100_000, "{} bytes", fault.message().len());
}

#[test]
fn lengths_count_unicode_scalar_values_and_blobs_bytes() {
    check(json!({"instruction": "😹".repeat(40)}), expect!["valid"]);
    let service = model();
    let data = Value::Map(Map::from([
        ("agentName".to_owned(), Value::String("a".into())),
        ("Role".to_owned(), Value::String("r".into())),
        ("data".to_owned(), Value::Blob("é!".into())),
    ]));
    let fault = super::check(service, shape(service, "Input"), &data).expect_err("three bytes");
    assert!(fault.message().ends_with("length less than or equal to 2"), "{fault}");
}

/// The tables hold nothing that this crate cannot run.
#[test]
fn every_pattern_of_the_tables_compiles() {
    let mut fancy = Vec::new();
    for service in crate::model::SERVICES {
        for shape in service.shapes {
            let Kind::String { pattern, .. } = shape.kind else { continue };
            if pattern.is_empty() {
                continue;
            }
            match pattern::Pattern::compile(pattern) {
                Ok(pattern::Pattern::Linear(_)) => {}
                Ok(pattern::Pattern::Fancy(_)) => fancy.push(format!("{} {pattern}", shape.name)),
                Err(why) => panic!("{} {}: {why}", service.name, shape.name),
            }
        }
    }
    fancy.sort();
    fancy.dedup();
    for pattern in &fancy {
        let looks = ["(?!", "(?=", "(?<"].iter().any(|look| pattern.contains(look));
        assert!(looks, "no look-around: {pattern}");
    }
}
