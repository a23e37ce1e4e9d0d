use expect_test::expect;
use serde_json::json;

use super::Shape;
use crate::bedrock_agent::types::{
    ActionGroupExecutor, AgentStatus, CreateAgentActionGroupRequest, CreateAgentRequest,
};
use crate::value::Value;

fn value(json: serde_json::Value) -> Value {
    json.into()
}

#[test]
fn a_structure_survives_the_way_there_and_back() {
    let given = value(json!({
        "agentId": "A1", "agentVersion": "DRAFT", "actionGroupName": "orders",
        "actionGroupExecutor": {"customControl": "RETURN_CONTROL"},
        "functionSchema": {"functions": [
            {"name": "find", "parameters": {"id": {"type": "string", "required": true}}},
        ]},
    }));
    let typed = CreateAgentActionGroupRequest::from_value(given.clone()).expect("it has its form");
    assert_eq!(typed.agent_id, "A1");
    assert_eq!(typed.description, None);
    assert_eq!(typed.into_value(), given);
}

#[test]
fn a_mismatch_names_the_place_and_what_was_found() {
    let message = |json| match CreateAgentActionGroupRequest::from_value(value(json)) {
        Ok(typed) => panic!("{typed:?}"),
        Err(error) => error.to_string(),
    };
    let given = json!({"agentId": "A1", "agentVersion": "DRAFT", "actionGroupName": 7});
    expect!["actionGroupName: expected a string, found a whole number"].assert_eq(&message(given));
    expect!["agentId: expected a string, found nothing"].assert_eq(&message(json!({})));
    expect!["the value: expected a structure, found a list"].assert_eq(&message(json!([])));
    let given = json!({
        "agentId": "A1", "agentVersion": "DRAFT", "actionGroupName": "g",
        "functionSchema": {"functions": [{"name": "a"}, {"name": false}]},
    });
    expect!["functionSchema.functions.1.name: expected a string, found a boolean"]
        .assert_eq(&message(given));
}

#[test]
fn a_union_has_exactly_one_member() {
    let typed =
        ActionGroupExecutor::from_value(value(json!({"lambda": "arn", "customControl": null})));
    assert_eq!(typed, Ok(ActionGroupExecutor::Lambda("arn".to_owned())));
    assert!(ActionGroupExecutor::from_value(value(json!({}))).is_err());
    assert!(ActionGroupExecutor::from_value(value(json!({"other": 1}))).is_err());
    let both = json!({"lambda": "arn", "customControl": "RETURN_CONTROL"});
    assert!(ActionGroupExecutor::from_value(value(both)).is_err());
}

#[test]
fn an_enum_knows_its_words_alone() {
    assert_eq!(AgentStatus::parse("NOT_PREPARED"), Some(AgentStatus::NotPrepared));
    assert_eq!(AgentStatus::NotPrepared.to_string(), "NOT_PREPARED");
    assert_eq!(AgentStatus::parse("not_prepared"), None);
}

#[test]
fn debug_hides_what_the_model_marks_sensitive() {
    let given = json!({"agentName": "support", "instruction": "the secret recipe"});
    let typed = CreateAgentRequest::from_value(value(given)).expect("it has its form");
    let shown = format!("{typed:?}");
    assert!(shown.contains("instruction: ***"), "{shown}");
    assert!(shown.contains("support") && !shown.contains("recipe"), "{shown}");
}
