//! Action groups as AWS's operations show them: asked for, and made into what core compiles.

use craton_core::agent::config::{self, ActionGroup, Executor, ParameterKind, Schema};
use serde_json::{Value as Json, json};

use crate::aws::AGENT;
use crate::client::Client;
use crate::stream::Failure;

/// All groups of a version, or of the draft, each as GetAgentActionGroup shows it.
pub(crate) async fn of(client: &Client, agent: &str, version: &str) -> Result<Vec<Json>, Failure> {
    let of = json!({"agentId": agent, "agentVersion": version});
    let listed = client.list("ListAgentActionGroups", of.clone(), "actionGroupSummaries").await?;
    let mut groups = Vec::new();
    for one in listed {
        let mut asked = of.clone();
        asked["actionGroupId"] = one["actionGroupId"].clone();
        let got = client.call(AGENT, "GetAgentActionGroup", asked).await?;
        groups.push(got["agentActionGroup"].clone());
    }
    Ok(groups)
}

/// A group as turns run it, if it takes part in turns and its schema is at hand.
pub(crate) fn runnable(group: &Json) -> Option<ActionGroup> {
    if group["actionGroupState"] == "DISABLED" {
        return None;
    }
    let functions = group["functionSchema"]["functions"].as_array();
    let schema = match (functions, group["apiSchema"]["payload"].as_str()) {
        (Some(functions), _) => Schema::Functions(functions.iter().map(function).collect()),
        (None, Some(payload)) => Schema::OpenApi(payload.to_owned()),
        (None, None) => return None,
    };
    let executor = match group["actionGroupExecutor"]["lambda"].as_str() {
        Some(arn) => Executor::Lambda(arn.to_owned()),
        None => Executor::ReturnControl,
    };
    let name = text(&group["actionGroupName"]).unwrap_or_default();
    Some(ActionGroup {
        id: name.clone(),
        name,
        description: text(&group["description"]),
        executor,
        schema,
    })
}

fn function(shown: &Json) -> config::Function {
    config::Function {
        name: text(&shown["name"]).unwrap_or_default(),
        description: text(&shown["description"]),
        parameters: shown["parameters"].as_object().into_iter().flatten().map(parameter).collect(),
        confirm: shown["requireConfirmation"] == "ENABLED",
    }
}

fn parameter((name, shown): (&String, &Json)) -> (String, config::Parameter) {
    let kind = match shown["type"].as_str() {
        Some("number") => ParameterKind::Number,
        Some("integer") => ParameterKind::Integer,
        Some("boolean") => ParameterKind::Boolean,
        Some("array") => ParameterKind::Array,
        _ => ParameterKind::String,
    };
    let required = shown["required"].as_bool().unwrap_or_default();
    let description = text(&shown["description"]);
    (name.clone(), config::Parameter { kind, description, required })
}

fn text(json: &Json) -> Option<String> {
    json.as_str().map(str::to_owned)
}
