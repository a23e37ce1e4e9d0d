//! A call of a tool in the forms that leave the agent: the Lambda event, the input that a
//! return of control hands to the client, and the input that the trace shows.
//!
//! All three spell the arguments through [`split`], so what the client sees is what ran.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::key::normal;
use super::{ApiOperation, Executor, HandOff, Target, Tool};

/// What the event says of the turn around the call.
#[derive(Debug, Clone, Copy)]
pub struct EventContext<'a> {
    pub agent_name: &'a str,
    pub agent_id: &'a str,
    /// The alias id.
    pub agent_alias: &'a str,
    pub agent_version: &'a str,
    pub session_id: &'a str,
    pub input_text: &'a str,
    pub session_attributes: &'a BTreeMap<String, String>,
    pub prompt_session_attributes: &'a BTreeMap<String, String>,
    pub idempotency_key: &'a str,
}

/// One argument as AWS spells it: every value is text.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub kind: String,
    pub value: String,
}

/// The arguments of a call, sorted to where they belong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    pub parameters: Vec<Parameter>,
    /// Media type and properties; `None` where the tool takes no body or none was given.
    pub body: Option<(String, Vec<Parameter>)>,
}

/// Sorts checked arguments into parameters and body, in the order the schema declares them.
pub fn split(tool: &Tool, input: &Json) -> Parameters {
    match &tool.target {
        Target::Function { parameters, .. } => {
            let given = parameters
                .iter()
                .filter_map(|(name, kind)| Some(parameter(name, kind.as_str(), input.get(name)?)));
            Parameters { parameters: given.collect(), body: None }
        }
        Target::Api(operation) => split_api(operation, input),
        Target::Mcp { .. } => {
            let given = input.as_object().into_iter().flatten();
            let given = given.map(|(name, value)| parameter(name, kind_of(value), value));
            Parameters { parameters: given.collect(), body: None }
        }
    }
}

fn split_api(operation: &ApiOperation, input: &Json) -> Parameters {
    let given = |fields: &[super::Field]| -> Vec<Parameter> {
        let one = |field: &super::Field| {
            Some(parameter(&field.name, &field.kind, input.get(&field.argument)?))
        };
        fields.iter().filter_map(one).collect()
    };
    let body = operation.body.as_ref().map(|body| {
        let mut properties = given(&body.fields);
        if body.open {
            let rest = undeclared(operation, input);
            properties.extend(rest.map(|(name, value)| parameter(name, kind_of(value), value)));
        }
        (body.media.clone(), properties)
    });
    Parameters {
        parameters: given(&operation.parameters),
        body: body.filter(|(_, properties)| !properties.is_empty()),
    }
}

/// Members that only an open body (`additionalProperties`) can have meant.
pub(super) fn undeclared<'a>(
    operation: &ApiOperation,
    input: &'a Json,
) -> impl Iterator<Item = (&'a str, &'a Json)> {
    let body = operation.body.iter().flat_map(|body| &body.fields);
    let known: Vec<&str> =
        operation.parameters.iter().chain(body).map(|field| field.argument.as_str()).collect();
    let members = input.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (name.as_str(), value));
    members.filter(move |(name, _)| !known.contains(name))
}

/// The event that a Lambda tool receives.
// AWS: members and nesting as in the user guide, "Lambda input event from Amazon Bedrock".
pub fn lambda_event(call: &EventContext<'_>, tool: &Tool, input: &Json) -> Json {
    let split = split(tool, input);
    let mut event = json!({
        "messageVersion": "1.0",
        "agent": {
            "name": call.agent_name,
            "id": call.agent_id,
            "alias": call.agent_alias,
            "version": call.agent_version,
        },
        "inputText": call.input_text,
        "sessionId": call.session_id,
        "actionGroup": tool.group,
        "parameters": listed(&split.parameters),
        "sessionAttributes": call.session_attributes,
        "promptSessionAttributes": call.prompt_session_attributes,
        "idempotencyKey": call.idempotency_key,
    });
    match &tool.target {
        Target::Function { name, .. } | Target::Mcp { name, .. } => {
            event["function"] = json!(name);
        }
        Target::Api(operation) => {
            event["apiPath"] = json!(operation.path);
            event["httpMethod"] = json!(operation.verb.to_ascii_uppercase());
        }
    }
    if let Some((media, properties)) = &split.body {
        event["requestBody"] = json!({"content": {media: {"properties": listed(properties)}}});
    }
    event
}

/// One member of a return of control's `invocationInputs`.
pub fn invocation_input(tool: &Tool, input: &Json, asked: HandOff) -> Json {
    let split = split(tool, input);
    match &tool.target {
        Target::Function { name, .. } | Target::Mcp { name, .. } => {
            json!({"functionInvocationInput": {
                "actionGroup": tool.group,
                "actionInvocationType": asked.as_str(),
                "function": name,
                "parameters": listed(&split.parameters),
            }})
        }
        Target::Api(operation) => {
            let mut api = json!({
                "actionGroup": tool.group,
                "actionInvocationType": asked.as_str(),
                "apiPath": operation.path,
                "httpMethod": operation.verb.to_ascii_uppercase(),
                "parameters": listed(&split.parameters),
            });
            if let Some((media, properties)) = &split.body {
                api["requestBody"] =
                    json!({"content": {media: {"properties": listed(properties)}}});
            }
            json!({"apiInvocationInput": api})
        }
    }
}

/// `actionGroupInvocationInput` of the trace; `invocation` is the id of a return of control.
pub fn trace_input(tool: &Tool, input: &Json, invocation: Option<&str>) -> Json {
    let split = split(tool, input);
    let execution = match (&tool.executor, invocation) {
        (Executor::Lambda(_), None) => "LAMBDA",
        // AWS: an invocation id is there only with RETURN_CONTROL (API reference,
        // `ActionGroupInvocationInput`), so also where the user is asked to confirm.
        (Executor::ReturnControl, _) | (Executor::Lambda(_), Some(_)) => "RETURN_CONTROL",
    };
    let mut trace = json!({
        "actionGroupName": tool.group,
        "executionType": execution,
        "parameters": listed(&split.parameters),
    });
    if let Some(invocation) = invocation {
        trace["invocationId"] = json!(invocation);
    }
    match &tool.target {
        Target::Function { name, .. } | Target::Mcp { name, .. } => {
            trace["function"] = json!(name);
        }
        Target::Api(operation) => {
            trace["apiPath"] = json!(operation.path);
            trace["verb"] = json!(operation.verb);
        }
    }
    if let Some((media, properties)) = &split.body {
        trace["requestBody"] = json!({"content": {media: listed(properties)}});
    }
    trace
}

fn parameter(name: &str, kind: &str, value: &Json) -> Parameter {
    Parameter { name: name.to_owned(), kind: kind.to_owned(), value: spelled(value) }
}

/// A value as text. Arrays and objects are JSON text: AWS leaves the spelling open and has been
/// seen to print `[a, b]` and `{k=v}`, which no reader can take apart again.
pub(super) fn spelled(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => normal(number).to_string(),
        other => other.to_string(),
    }
}

fn listed(parameters: &[Parameter]) -> Json {
    let one = |p: &Parameter| json!({"name": p.name, "type": p.kind, "value": p.value});
    parameters.iter().map(one).collect()
}

pub(super) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}
