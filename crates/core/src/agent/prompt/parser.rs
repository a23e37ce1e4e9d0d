//! A parser function: the event it gets with a reply, and what its response makes of the reply.
//!
//! Pure; the engine calls the function. A response that says nothing that can be done is an error
//! for whoever wrote the function, never a guess.
//!
//! AWS: the event and the response (user guide, "Write a custom parser Lambda function in Amazon
//! Bedrock Agents").

use serde_json::{Map, Value as Json, json};
use wire::converse::{Block, Reply, StopReason, ToolUse};

use crate::agent::event::{Purpose, Verdict};
use crate::agent::state::{Heard, text_of};
use crate::agent::tool::{Target, Tool};

/// The agent, as the function is told of it.
#[derive(Debug)]
pub struct Who<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub alias: &'a str,
    pub version: &'a str,
}

/// The event that the function gets.
pub fn event(who: &Who<'_>, heard: &Heard) -> Json {
    json!({
        "messageVersion": "1.0",
        "agent": {
            "name": who.name, "id": who.id, "alias": who.alias, "version": who.version,
        },
        "invokeModelRawResponse": raw(heard),
        "promptType": heard.purpose.stage().name(),
        "overrideType": "OUTPUT_PARSER",
    })
}

/// AWS: an orchestration's reply of a model that calls tools by itself is the JSON of the Messages
/// API, every other reply is text (the examples of "Write a custom parser Lambda function").
fn raw(heard: &Heard) -> String {
    let reply = &heard.said.reply;
    match heard.purpose {
        Purpose::Plan => message(heard, reply).to_string(),
        Purpose::PreProcess | Purpose::Route | Purpose::PostProcess | Purpose::Summarize => {
            text_of(&reply.content)
        }
    }
}

fn message(heard: &Heard, reply: &Reply) -> Json {
    json!({
        "type": "message",
        "role": "assistant",
        "model": heard.said.model,
        "content": reply.content.iter().filter_map(content).collect::<Vec<_>>(),
        "stop_reason": stop_reason(reply),
        "usage": {
            "input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens,
        },
    })
}

fn content(block: &Block) -> Option<Json> {
    match block {
        Block::Text(text) => Some(json!({"type": "text", "text": text})),
        Block::ToolUse(used) => Some(json!({
            "type": "tool_use", "id": used.tool_use_id, "name": used.name, "input": used.input,
        })),
        Block::ReasoningContent(thought) => {
            let thinking = &thought["reasoningText"]["text"];
            thinking.is_string().then(|| json!({"type": "thinking", "thinking": thinking}))
        }
        Block::ToolResult(_)
        | Block::Image(_)
        | Block::Document(_)
        | Block::Video(_)
        | Block::Audio(_)
        | Block::SearchResult(_)
        | Block::CitationsContent(_)
        | Block::GuardContent(_)
        | Block::CachePoint(_) => None,
    }
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.stop_reason {
        _ if reply.asks_for_tools() => "tool_use",
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::ContentFiltered
        | StopReason::GuardrailIntervened
        | StopReason::MalformedModelOutput
        | StopReason::MalformedToolUse => "end_turn",
    }
}

/// What the function's response makes of the reply.
pub fn verdict(purpose: Purpose, tools: &[Tool], payload: &[u8]) -> Result<Verdict, String> {
    let response: Json = serde_json::from_slice(payload)
        .map_err(|cause| format!("its response is not JSON: {cause}"))?;
    let stage = purpose.stage().name();
    match response["promptType"].as_str() {
        Some(other) if other != stage => {
            return Err(format!("its response is for {other}, and the reply was of {stage}"));
        }
        Some(_) | None => {}
    }
    match purpose {
        Purpose::PreProcess => judged(member(&response, "preProcessingParsedResponse")?),
        Purpose::Plan => planned(member(&response, "orchestrationParsedResponse")?, tools),
        Purpose::PostProcess => {
            let parsed = member(&response, "postProcessingParsedResponse")?;
            Ok(said(parsed, text(parsed, "responseText")?, false))
        }
        Purpose::Route => routed(member(&response, "routingClassifierParsedResponse")?),
        Purpose::Summarize => summarized(&response),
    }
}

fn judged(parsed: &Json) -> Result<Verdict, String> {
    let valid = match &parsed["isValidInput"] {
        Json::Bool(valid) => *valid,
        Json::String(word) if word == "true" || word == "false" => word == "true",
        other => return Err(format!("isValidInput is {other}, not true or false")),
    };
    Ok(Verdict::Judged { valid, rationale: rationale(parsed) })
}

fn planned(parsed: &Json, tools: &[Tool]) -> Result<Verdict, String> {
    let rationale = rationale(parsed);
    if let Some(message) = parsed["parsingErrorDetails"]["repromptResponse"].as_str() {
        return Ok(Verdict::Again { rationale, message: message.to_owned() });
    }
    let details = member(parsed, "responseDetails")?;
    match text(details, "invocationType")? {
        "FINISH" => {
            Ok(said(parsed, text(member(details, "agentFinalResponse")?, "responseText")?, false))
        }
        "ASK_USER" => {
            Ok(said(parsed, text(member(details, "agentAskUser")?, "responseText")?, true))
        }
        "ACTION_GROUP" => {
            let asked = several(details, "actionGroupInvocation", "actionGroupInvocations")?;
            let calls: Result<Vec<_>, _> = asked.into_iter().map(|one| call(one, tools)).collect();
            Ok(Verdict::Calls { rationale, calls: calls? })
        }
        "AGENT_COLLABORATOR" => {
            let calls = vec![message_to(member(details, "agentCollaboratorInvocation")?)?];
            Ok(Verdict::Calls { rationale, calls })
        }
        "KNOWLEDGE_BASE" => Err("it asks for a knowledge base, and this agent has none".to_owned()),
        other => Err(format!(
            "invocationType is {other}, not ACTION_GROUP, AGENT_COLLABORATOR, ASK_USER or FINISH"
        )),
    }
}

/// AWS: one member in responses of version 1.0, a list of the plural's name in those of 2.0.
fn several<'a>(details: &'a Json, one: &str, list: &str) -> Result<Vec<&'a Json>, String> {
    match (&details[one], details[list].as_array()) {
        (_, Some(items)) if !items.is_empty() => Ok(items.iter().collect()),
        (Json::Object(_), _) => Ok(vec![&details[one]]),
        _ => Err(format!("responseDetails has no {one}")),
    }
}

fn call(asked: &Json, tools: &[Tool]) -> Result<ToolUse, String> {
    let group = text(asked, "actionGroupName")?;
    let name = ["functionName", "apiName"].iter().find_map(|name| asked[*name].as_str());
    let name = name.ok_or("actionGroupInvocation names neither functionName nor apiName")?;
    let verb = asked["verb"].as_str();
    let tool = tools.iter().find(|tool| tool.group == group && is_meant(tool, name, verb));
    let input = match &asked["actionGroupInput"] {
        Json::Object(given) => arguments(given, tool),
        Json::Null => Json::Object(Map::new()),
        other => return Err(format!("actionGroupInput is {other}, not an object")),
    };
    Ok(ToolUse {
        tool_use_id: id(asked),
        // What no tool has as its name goes back to the model like any other slip.
        name: tool.map_or_else(|| format!("{group}__{name}"), |tool| tool.name.clone()),
        input,
    })
}

fn is_meant(tool: &Tool, name: &str, verb: Option<&str>) -> bool {
    match &tool.target {
        Target::Function { name: own, .. } | Target::Mcp { name: own, .. } => own == name,
        Target::Api(operation) => {
            let verb = verb.is_none_or(|verb| verb.eq_ignore_ascii_case(&operation.verb));
            verb && (operation.operation_id == name || operation.path == name)
        }
    }
}

/// AWS: each parameter's `value` is text; the schema says what it stands for.
fn arguments(given: &Map<String, Json>, tool: Option<&Tool>) -> Json {
    let value = |(name, given): (&String, &Json)| {
        let value = given.get("value").unwrap_or(given);
        let kind = tool.and_then(|tool| tool.input["properties"][name.as_str()]["type"].as_str());
        (name.clone(), meant(value, kind))
    };
    given.iter().map(value).collect()
}

pub(super) fn meant(value: &Json, kind: Option<&str>) -> Json {
    let (Json::String(text), Some(kind)) = (value, kind) else { return value.clone() };
    let read = serde_json::from_str::<Json>(text).ok().filter(|read| match kind {
        "integer" | "number" => read.is_number(),
        "boolean" => read.is_boolean(),
        "array" => read.is_array(),
        "object" => read.is_object(),
        _ => false,
    });
    read.unwrap_or_else(|| value.clone())
}

fn message_to(asked: &Json) -> Result<ToolUse, String> {
    let recipient = text(asked, "agentCollaboratorName")?;
    let content = text(member(asked, "input")?, "text")?;
    Ok(ToolUse {
        tool_use_id: id(asked),
        name: "AgentCommunication__sendMessage".to_owned(),
        input: json!({"recipient": recipient, "content": content}),
    })
}

/// The routing's verdict in the words that the default prompt asks for.
fn routed(parsed: &Json) -> Result<Verdict, String> {
    let details = member(parsed, "responseDetails")?;
    let word = match text(details, "type")? {
        "AGENT" => text(member(details, "agentCollaboratorInvocation")?, "agentCollaboratorName")?,
        "LAST_AGENT" => "keep_previous_agent",
        "UNDECIDED" => "undecidable",
        other => return Err(format!("type is {other}, not AGENT, LAST_AGENT or UNDECIDED")),
    };
    Ok(said(parsed, &format!("<a>{word}</a>"), false))
}

fn summarized(response: &Json) -> Result<Verdict, String> {
    let topics = response["topicwiseSummaries"].as_array();
    let topics = topics.ok_or("its response has no topicwiseSummaries")?;
    let topic = |one: &Json| {
        let (topic, summary) = (text(one, "topic")?, text(one, "summary")?);
        Ok::<_, String>(format!("<topic name='{topic}'>{summary}</topic>"))
    };
    let topics: Result<Vec<_>, _> = topics.iter().map(topic).collect();
    Ok(said(response, &format!("<summary>\n{}\n</summary>", topics?.join("\n")), false))
}

fn said(parsed: &Json, text: &str, asks: bool) -> Verdict {
    Verdict::Said { rationale: rationale(parsed), text: text.to_owned(), asks }
}

fn rationale(parsed: &Json) -> Option<String> {
    parsed["rationale"].as_str().map(str::to_owned)
}

/// The model's own id of the call where the function hands it on.
fn id(asked: &Json) -> String {
    asked["id"].as_str().filter(|id| !id.is_empty()).unwrap_or("parsed").to_owned()
}

fn member<'a>(of: &'a Json, name: &str) -> Result<&'a Json, String> {
    let found = of.get(name).filter(|found| found.is_object());
    found.ok_or_else(|| format!("its response has no {name}"))
}

fn text<'a>(of: &'a Json, name: &str) -> Result<&'a str, String> {
    of[name].as_str().ok_or_else(|| format!("{name} is {}, not text", of[name]))
}
