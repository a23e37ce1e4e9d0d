//! What may stand in arguments, and what the model is told of the rest.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{function, operation};
use crate::agent::tool::Tool;
use crate::policy::ToolPolicy;

#[track_caller]
fn check(tool: &Tool, policy: &Json, input: &Json, expected: &Expect) {
    let policy: ToolPolicy =
        serde_json::from_value(json!({"arguments": policy})).expect("a policy");
    expected.assert_eq(&policy.refuses(tool, input).unwrap_or_else(|| "allowed".to_owned()));
}

#[test]
fn a_field_that_is_denied_is_named() {
    let tool = function(&["email", "accountStatus", "creditLimit", "changes"]);
    let deny = json!({"deny": ["accountStatus", "creditLimit", "role"]});
    let refused = expect!["You don't have permission to modify accountStatus"];
    check(&tool, &deny, &json!({"email": "a@b"}), &expect!["allowed"]);
    check(&tool, &deny, &json!({"accountStatus": "gold"}), &refused);
    check(&tool, &deny, &json!({"email": "x", "accountStatus": null}), &refused);
    check(&tool, &deny, &json!({"changes": {"a": [{"accountStatus": 1}]}}), &refused);
    check(&tool, &deny, &json!({"changes": "{\"accountStatus\": 1}"}), &refused);
    check(
        &tool,
        &deny,
        &json!({"changes": "[\"{\\\"Account_Status\\\": 1}\"]"}),
        &expect!["You don't have permission to modify Account_Status"],
    );
    check(
        &tool,
        &deny,
        &json!({"accountStatus": "gold", "creditLimit": 9}),
        &expect!["You don't have permission to modify accountStatus, creditLimit"],
    );
}

#[test]
fn only_what_is_allowed_passes_where_something_is() {
    let tool = function(&["email", "phone", "address", "role"]);
    let allow = json!({"allow": ["email", "phone", "address.city"]});
    check(&tool, &allow, &json!({"email": "a@b", "phone": "1"}), &expect!["allowed"]);
    check(
        &tool,
        &allow,
        &json!({"role": "admin"}),
        &expect!["You don't have permission to modify role"],
    );
    check(&tool, &allow, &json!({"address": {"city": "Kyoto"}}), &expect!["allowed"]);
    check(
        &tool,
        &allow,
        &json!({"address": {"city": "Kyoto", "owner": "me"}}),
        &expect!["You don't have permission to modify owner"],
    );
    check(
        &tool,
        &allow,
        &json!({"address": "all of it"}),
        &expect!["You don't have permission to modify address"],
    );
}

#[test]
fn an_api_s_fields_go_by_both_their_names() {
    let tool = operation();
    let input = json!({"id": "7", "body_id": "8", "address": {"role": "admin"}});
    let deny = |name: &str| json!({"deny": [name]});
    check(&tool, &deny("accountStatus"), &input, &expect!["allowed"]);
    check(&tool, &deny("role"), &input, &expect!["You don't have permission to modify role"]);
    check(
        &tool,
        &deny("address.role"),
        &input,
        &expect!["You don't have permission to modify role"],
    );
    check(&tool, &deny("email.role"), &input, &expect!["allowed"]);
    check(&tool, &deny("id"), &input, &expect!["You don't have permission to modify body_id, id"]);
}

#[test]
fn bounds_are_a_schema() {
    let tool = function(&["amount"]);
    let schema = json!({"schema": {"properties": {"amount": {"type": "number", "maximum": 2000}}}});
    check(&tool, &schema, &json!({"amount": 2000}), &expect!["allowed"]);
    check(
        &tool,
        &schema,
        &json!({"amount": 2000.01}),
        &expect![
            "not_permitted: amount: 2000.01 is greater than the maximum of 2000; the tool was not called, stay within what is allowed or tell the user"
        ],
    );
}

#[test]
fn arguments_too_deep_to_be_looked_into_are_refused() {
    let tool = function(&["a"]);
    let deep = (0..80).fold(json!(1), |inner, _| json!({"x": inner}));
    let deny = json!({"deny": ["role"]});
    let input = json!({"a": deep});
    check(&tool, &deny, &input, &expect!["You don't have permission to nest arguments so deeply"]);
}

#[test]
fn what_is_out_of_bounds_may_go_to_a_person_instead() {
    let tool = function(&["role"]);
    let policy = json!({"arguments": {"deny": ["role"], "otherwise": "hand_off"}});
    let policy: ToolPolicy = serde_json::from_value(policy).expect("a policy");
    let input = json!({"role": "admin"});
    assert_eq!(policy.refuses(&tool, &input), None);
    let why = policy.escalates(&tool, &input);
    assert_eq!(why.as_deref(), Some("You don't have permission to modify role"));
}
