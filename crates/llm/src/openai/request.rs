//! Converse to chat completions, as the server's [`Dialect`] has it.
//!
//! Names and schemas of tools go out as they came in, in the same bytes at every step. What the server
//! has no place for is refused by name, never dropped, except cache points, which are hints, thoughts
//! that nobody takes back, and `top_k` where it is refused.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use wire::converse::{Call, Tool, ToolChoice};

use super::dialect::{Dialect, MaxTokensField};
use super::message::messages;
use crate::cache::{self, CacheMode};
use crate::options;

/// Members that `additionalModelRequestFields` cannot replace: they are the call.
const OURS: [&str; 5] = ["messages", "model", "stream", "stream_options", "tools"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<String>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Function<'a> {
    r#type: &'static str,
    function: Signature<'a>,
}

#[derive(Serialize)]
struct Signature<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Json,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// The request's JSON, or what it cannot carry.
pub(super) fn body(call: &Call, dialect: &Dialect, cache: CacheMode) -> Result<Vec<u8>, String> {
    options::check_latency(&call.options)?;
    let limit = call.inference.max_tokens;
    let body = Body {
        model: &call.model,
        messages: messages(call, dialect)?,
        tools: functions(call, dialect)?,
        tool_choice: tool_choice(&call.tool_choice, dialect),
        parallel_tool_calls: options::one_tool_use(call).then_some(false),
        max_tokens: limit.filter(|_| dialect.max_tokens == MaxTokensField::MaxTokens),
        max_completion_tokens: limit
            .filter(|_| dialect.max_tokens == MaxTokensField::MaxCompletionTokens),
        temperature: call.inference.temperature,
        top_p: call.inference.top_p,
        stop: stops(call, dialect)?,
        response_format: response_format(call, dialect)?,
        reasoning_effort: effort(call, dialect)?,
        service_tier: options::tier(&call.options, dialect.tiers)?,
        prompt_cache_key: (dialect.cache_key && cache == CacheMode::Auto)
            .then(|| cache::key(call))
            .flatten(),
        stream: call.stream,
        stream_options: (call.stream && dialect.ask_usage)
            .then_some(StreamOptions { include_usage: true }),
    };
    let written = match &call.additional {
        Json::Null => serde_json::to_vec(&body),
        _ => serde_json::to_vec(&merged(&body, call, dialect)?),
    };
    Ok(written.expect("its maps have string keys"))
}

/// The native members of the call over ours, whose order and bytes stay.
fn merged(body: &Body<'_>, call: &Call, dialect: &Dialect) -> Result<Json, String> {
    let given = options::additional(call, &OURS)?;
    let mut merged = serde_json::to_value(body).expect("its maps have string keys");
    for (member, value) in given.filter(|(name, _)| *name != "top_k" || !dialect.refuses_top_k) {
        merged[member] = value.clone();
    }
    Ok(merged)
}

fn functions<'a>(call: &'a Call, dialect: &Dialect) -> Result<Vec<Function<'a>>, String> {
    match call.tools.iter().find(|tool| tool.strict && !dialect.strict) {
        Some(tool) => Err(format!("toolSpec.strict: it holds {:?} to no schema", tool.name)),
        None => Ok(call.tools.iter().map(function).collect()),
    }
}

fn function(tool: &Tool) -> Function<'_> {
    let Tool { name, description, schema: parameters, strict } = tool;
    let function = Signature { name, description, parameters, strict: *strict };
    Function { r#type: "function", function }
}

/// `auto` is what the protocol does unasked.
fn tool_choice(choice: &ToolChoice, dialect: &Dialect) -> Option<Json> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::Any => Some(json!(dialect.any_tool)),
        ToolChoice::Tool(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

fn stops<'a>(call: &'a Call, dialect: &Dialect) -> Result<&'a [String], String> {
    let (given, most) = (&call.inference.stop_sequences, dialect.stops);
    match given.len() > most {
        true => {
            Err(format!("stopSequences: it takes at most {most}, and {} are given", given.len()))
        }
        false => Ok(given),
    }
}

fn response_format(call: &Call, dialect: &Dialect) -> Result<Option<Json>, String> {
    let Some(asked) = options::schema(&call.options)? else { return Ok(None) };
    if !dialect.schema {
        return Err("outputConfig.textFormat: it holds answers to no schema".to_owned());
    }
    let mut schema = Map::from_iter([
        ("name".to_owned(), json!(asked.name)),
        ("schema".to_owned(), asked.schema),
        ("strict".to_owned(), json!(true)),
    ]);
    if let Some(description) = asked.description {
        schema.insert("description".to_owned(), json!(description));
    }
    Ok(Some(json!({ "type": "json_schema", "json_schema": schema })))
}

fn effort<'a>(call: &'a Call, dialect: &Dialect) -> Result<Option<&'a str>, String> {
    match options::effort(&call.options) {
        Some(_) if !dialect.effort => Err("outputConfig.effort: it knows none".to_owned()),
        effort => Ok(effort),
    }
}
