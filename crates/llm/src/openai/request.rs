//! Converse to chat completions.
//!
//! Names and schemas of tools go out as they came in. What the protocol has no place for is refused
//! by name, never dropped, except cache points (a hint), reasoning (the protocol takes none back) and
//! OpenAI's own refusal of `top_k`.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Value as Json, json};
use wire::converse::{
    Block, Call, Message, ResultBlock, Role, Tool, ToolChoice, ToolResult, ToolStatus, ToolUse,
};

use super::MaxTokensField;

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
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
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
}

/// The request's JSON, or what it cannot carry.
pub(super) fn body(call: &Call, field: MaxTokensField) -> Result<Vec<u8>, String> {
    let limit = call.inference.max_tokens;
    let body = Body {
        model: &call.model,
        messages: messages(call)?,
        tools: functions(call),
        tool_choice: tool_choice(&call.tool_choice),
        max_tokens: limit.filter(|_| field == MaxTokensField::MaxTokens),
        max_completion_tokens: limit.filter(|_| field == MaxTokensField::MaxCompletionTokens),
        temperature: call.inference.temperature,
        top_p: call.inference.top_p,
        stop: &call.inference.stop_sequences,
        stream: call.stream,
        stream_options: call.stream.then_some(StreamOptions { include_usage: true }),
    };
    let written = match &call.additional {
        Json::Null => serde_json::to_vec(&body),
        additional => serde_json::to_vec(&merged(&body, additional, field)?),
    };
    Ok(written.expect("its maps have string keys"))
}

/// OpenAI's own API refuses `top_k`, which every agent has that took AWS's settings over; it only
/// narrows the choice of words, so there it is left out. Other servers have it.
fn merged(body: &Body<'_>, additional: &Json, field: MaxTokensField) -> Result<Json, String> {
    let Some(additional) = additional.as_object() else {
        return Err("additionalModelRequestFields must be an object".to_owned());
    };
    if let Some(member) = OURS.iter().find(|member| additional.contains_key(**member)) {
        return Err(format!("additionalModelRequestFields cannot set {member:?}"));
    }
    let mut merged = serde_json::to_value(body).expect("its maps have string keys");
    let refused = |member: &str| member == "top_k" && field == MaxTokensField::MaxCompletionTokens;
    for (member, value) in additional.iter().filter(|(member, _)| !refused(member)) {
        merged[member] = value.clone();
    }
    Ok(merged)
}

fn functions(call: &Call) -> Vec<Function<'_>> {
    call.tools.iter().map(function).collect()
}

fn function(tool: &Tool) -> Function<'_> {
    let function =
        Signature { name: &tool.name, description: &tool.description, parameters: &tool.schema };
    Function { r#type: "function", function }
}

/// `auto` is what the protocol does unasked.
fn tool_choice(choice: &ToolChoice) -> Option<Json> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::Any => Some(json!("required")),
        ToolChoice::Tool(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

fn messages(call: &Call) -> Result<Vec<Json>, String> {
    let mut messages = Vec::with_capacity(call.messages.len() + 1);
    if !call.system.is_empty() {
        messages.push(json!({"role": "system", "content": call.system.join("\n\n")}));
    }
    for message in &call.messages {
        match message.role {
            Role::User => user(message, &mut messages)?,
            Role::Assistant => messages.push(assistant(message)?),
        }
    }
    Ok(messages)
}

fn assistant(message: &Message) -> Result<Json, String> {
    let (mut text, mut calls) = (Vec::new(), Vec::new());
    for block in &message.content {
        match block {
            Block::Text(more) => text.push(more.as_str()),
            Block::ToolUse(tool) => calls.push(tool_call(tool)),
            Block::ReasoningContent(_) | Block::CachePoint(_) => {}
            Block::ToolResult(_)
            | Block::Image(_)
            | Block::Document(_)
            | Block::Video(_)
            | Block::Audio(_)
            | Block::SearchResult(_)
            | Block::CitationsContent(_)
            | Block::GuardContent(_) => {
                return Err("an assistant message holds text and tool uses only".to_owned());
            }
        }
    }
    let content = if text.is_empty() { Json::Null } else { Json::String(text.join("\n")) };
    Ok(match calls.is_empty() {
        true => json!({"role": "assistant", "content": content.as_str().unwrap_or_default()}),
        false => json!({"role": "assistant", "content": content, "tool_calls": calls}),
    })
}

/// Servers parse earlier arguments again and fail on broken ones, so those are wrapped.
fn tool_call(tool: &ToolUse) -> Json {
    let arguments = match &tool.input {
        Json::Object(_) => tool.input.to_string(),
        malformed => json!({ "malformed": malformed }).to_string(),
    };
    let function = json!({"name": tool.name, "arguments": arguments});
    json!({"id": tool.tool_use_id, "type": "function", "function": function})
}

/// Results come first, one message each, right after the calls they answer; then all other content.
fn user(message: &Message, out: &mut Vec<Json>) -> Result<(), String> {
    let mut parts = Vec::new();
    for block in &message.content {
        match block {
            Block::Text(text) => parts.push(Part::Text(Cow::Borrowed(text))),
            Block::ToolResult(result) => out.push(tool_result(result, &mut parts)?),
            Block::Image(image) => parts.push(picture(image)?),
            Block::Document(document) => parts.push(paper(document)?),
            Block::GuardContent(content) => {
                let text = content["text"]["text"].as_str();
                parts.push(Part::Text(text.ok_or("guard content without text")?.into()));
            }
            Block::CachePoint(_) => {}
            Block::Video(_) => return Err("it takes no video".to_owned()),
            Block::Audio(_) => return Err("it takes no audio".to_owned()),
            Block::SearchResult(_) => return Err("it takes no searchResult".to_owned()),
            Block::CitationsContent(_) => return Err("it takes no citationsContent".to_owned()),
            Block::ToolUse(_) | Block::ReasoningContent(_) => {
                return Err("a user message holds no tool uses and no reasoning".to_owned());
            }
        }
    }
    if !parts.is_empty() {
        out.push(json!({"role": "user", "content": content(parts)}));
    }
    Ok(())
}

/// A tool message takes text only; what else a tool returned follows as the user's.
fn tool_result<'a>(result: &'a ToolResult, after: &mut Vec<Part<'a>>) -> Result<Json, String> {
    let mut text = Vec::new();
    let (name, mut other) = (&result.tool_use_id, Vec::new());
    for block in &result.content {
        match block {
            ResultBlock::Text(line) => text.push(Cow::Borrowed(line.as_str())),
            ResultBlock::Json(value) => text.push(Cow::Owned(value.to_string())),
            ResultBlock::Image(image) => other.push(picture(image)?),
            ResultBlock::Document(document) => other.push(paper(document)?),
            ResultBlock::Video(_) => return Err("it takes no video".to_owned()),
            ResultBlock::SearchResult(_) => return Err("it takes no searchResult".to_owned()),
        }
    }
    if !other.is_empty() {
        after.push(Part::Text(format!("What tool call {name} returned beside its text:").into()));
        after.append(&mut other);
    }
    let text = text.join("\n");
    // The protocol has no status; a failure must still read as one.
    let failed = result.status == Some(ToolStatus::Error);
    let text = if failed { format!("error: {text}") } else { text };
    Ok(json!({"role": "tool", "tool_call_id": name, "content": text}))
}

enum Part<'a> {
    Text(Cow<'a, str>),
    Other(Json),
}

/// Plain text goes as a string, which every server takes.
fn content(parts: Vec<Part<'_>>) -> Json {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_ref()),
        Part::Other(_) => None,
    });
    let texts: Vec<&str> = texts.collect();
    if texts.len() == parts.len() {
        return Json::String(texts.join("\n"));
    }
    let parts = parts.into_iter().map(|part| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Other(part) => part,
    });
    Json::Array(parts.collect())
}

fn picture(image: &Json) -> Result<Part<'static>, String> {
    let format = image["format"].as_str().ok_or("an image without format")?;
    let url = format!("data:image/{format};base64,{}", bytes_of(image, "image")?);
    Ok(Part::Other(json!({"type": "image_url", "image_url": {"url": url}})))
}

/// A text document becomes text under its name, a PDF a file; other formats have no place.
fn paper(document: &Json) -> Result<Part<'static>, String> {
    let format = document["format"].as_str().unwrap_or("txt");
    let name = document["name"].as_str().unwrap_or("document");
    if let Some(text) = document["source"]["text"].as_str() {
        return Ok(Part::Text(format!("{name}:\n{text}").into()));
    }
    match format {
        "txt" | "md" | "csv" | "html" => {
            let bytes = BASE64_STANDARD.decode(bytes_of(document, "document")?);
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| format!("the document {name:?} is not UTF-8 text"))?;
            Ok(Part::Text(format!("{name}:\n{text}").into()))
        }
        "pdf" => {
            let data = format!("data:application/pdf;base64,{}", bytes_of(document, "document")?);
            let file = json!({"filename": format!("{name}.pdf"), "file_data": data});
            Ok(Part::Other(json!({"type": "file", "file": file})))
        }
        other => Err(format!("it takes no {other} document ({name:?}); send text or PDF")),
    }
}

fn bytes_of<'a>(block: &'a Json, kind: &str) -> Result<&'a str, String> {
    block["source"]["bytes"]
        .as_str()
        .ok_or_else(|| format!("{kind} source: it takes bytes and cannot fetch from elsewhere"))
}
