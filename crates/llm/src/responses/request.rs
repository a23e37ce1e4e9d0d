//! Converse to the items of Responses.
//!
//! Names, schemas and thoughts go out as they came in. What the API has no place for is refused by
//! name, never dropped, except cache points, thoughts of other providers and `top_k`, which it refuses.

use serde_json::{Map, Value as Json, json};
use wire::converse::{
    Block, Call, Message, ResultBlock, Role, Tool, ToolChoice, ToolResult, ToolStatus, ToolUse,
};

use super::KIND;
use crate::cache::{self, CacheMode};
use crate::media::{self, Paper};
use crate::{options, signature};

/// Members that `additionalModelRequestFields` cannot replace: they are the call.
const OURS: [&str; 6] = ["input", "model", "previous_response_id", "store", "stream", "tools"];

/// Members that count for the size of the input (OpenAI API reference, "Get input token counts").
pub(super) const COUNTED: [&str; 7] =
    ["input", "instructions", "model", "reasoning", "text", "tool_choice", "tools"];

const TIERS: [(&str, &str); 3] =
    [("default", "default"), ("priority", "priority"), ("flex", "flex")];

/// The request, or what it cannot carry.
pub(super) fn body(call: &Call, cache: CacheMode) -> Result<Map<String, Json>, String> {
    options::check_latency(&call.options)?;
    if !call.inference.stop_sequences.is_empty() {
        return Err("stopSequences: it takes none".to_owned());
    }
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Json>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let inference = &call.inference;
    put("model", Some(json!(call.model)));
    put("input", Some(Json::Array(input(call)?)));
    put("stream", Some(json!(call.stream)));
    put("store", Some(json!(false)));
    put("include", Some(json!(["reasoning.encrypted_content"])));
    put("instructions", (!call.system.is_empty()).then(|| json!(call.system.join("\n\n"))));
    put("tools", (!call.tools.is_empty()).then(|| call.tools.iter().map(tool).collect()));
    put("tool_choice", tool_choice(&call.tool_choice));
    put("parallel_tool_calls", options::one_tool_use(call).then_some(json!(false)));
    put("max_output_tokens", inference.max_tokens.map(Json::from));
    put("temperature", inference.temperature.map(Json::from));
    put("top_p", inference.top_p.map(Json::from));
    put("text", format(call)?);
    put("reasoning", options::effort(&call.options).map(|effort| json!({ "effort": effort })));
    put("service_tier", options::tier(&call.options, &TIERS)?.map(Json::from));
    let key = if cache == CacheMode::Auto { cache::key(call) } else { None };
    put("prompt_cache_key", key.map(Json::from));
    for (member, value) in options::additional(call, &OURS)?.filter(|(name, _)| *name != "top_k") {
        body.insert(member.clone(), value.clone());
    }
    Ok(body)
}

/// The API takes tools for strict ones unless told otherwise.
fn tool(tool: &Tool) -> Json {
    let mut told = json!({ "type": "function", "name": tool.name, "parameters": tool.schema,
                           "strict": tool.strict });
    if !tool.description.is_empty() {
        told["description"] = json!(tool.description);
    }
    told
}

/// `auto` is what the API does unasked.
fn tool_choice(choice: &ToolChoice) -> Option<Json> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::Any => Some(json!("required")),
        ToolChoice::Tool(name) => Some(json!({ "type": "function", "name": name })),
    }
}

fn format(call: &Call) -> Result<Option<Json>, String> {
    let Some(asked) = options::schema(&call.options)? else { return Ok(None) };
    let mut format = json!({ "type": "json_schema", "name": asked.name, "strict": true,
                             "schema": asked.schema });
    if let Some(description) = asked.description {
        format["description"] = json!(description);
    }
    Ok(Some(json!({ "format": format })))
}

fn input(call: &Call) -> Result<Vec<Json>, String> {
    let mut items = Vec::with_capacity(call.messages.len());
    for message in &call.messages {
        match message.role {
            Role::User => user(message, &mut items)?,
            Role::Assistant => assistant(message, &mut items)?,
        }
    }
    Ok(items)
}

fn assistant(message: &Message, items: &mut Vec<Json>) -> Result<(), String> {
    for block in &message.content {
        match block {
            Block::Text(text) => items.extend(said(text)),
            Block::CitationsContent(content) => items.extend(said(&media::cited_words(content))),
            Block::ToolUse(tool) => items.push(function_call(tool)),
            Block::ReasoningContent(thought) => items.extend(reasoning(thought)),
            Block::CachePoint(_) => {}
            Block::Image(_) => return Err(misplaced("image")),
            Block::Document(_) => return Err(misplaced("document")),
            Block::Video(_) => return Err(misplaced("video")),
            Block::Audio(_) => return Err(misplaced("audio")),
            Block::SearchResult(_) => return Err(misplaced("searchResult")),
            Block::GuardContent(_) => return Err(misplaced("guardContent")),
            Block::ToolResult(_) => return Err(misplaced("toolResult")),
        }
    }
    // The API refuses thoughts that nothing follows from.
    while items.last().is_some_and(|item| item["type"] == "reasoning") {
        items.pop();
    }
    Ok(())
}

fn misplaced(kind: &str) -> String {
    format!("{kind}: an assistant message holds words, thoughts and tool uses")
}

fn said(text: &str) -> Option<Json> {
    let content = json!([{ "type": "output_text", "text": text }]);
    (!text.is_empty())
        .then(|| json!({ "type": "message", "role": "assistant", "content": content }))
}

/// Thoughts without a proof of this API are another's, and it would refuse them.
fn reasoning(thought: &Json) -> Option<Json> {
    let said = &thought["reasoningText"];
    let proof = signature::own(KIND, said["signature"].as_str()?)?;
    let (id, encrypted) = proof.split_once(':')?;
    let text = said["text"].as_str().unwrap_or_default();
    let summary: Vec<Json> = match text.is_empty() {
        true => Vec::new(),
        false => vec![json!({ "type": "summary_text", "text": text })],
    };
    Some(json!({ "type": "reasoning", "id": id, "summary": summary,
                 "encrypted_content": encrypted }))
}

/// Servers parse earlier arguments again and fail on broken ones, so those are wrapped.
fn function_call(tool: &ToolUse) -> Json {
    let arguments = match &tool.input {
        Json::Object(_) => tool.input.to_string(),
        malformed => json!({ "malformed": malformed }).to_string(),
    };
    json!({ "type": "function_call", "call_id": tool.tool_use_id, "name": tool.name,
            "arguments": arguments })
}

/// Results come first, right after the calls they answer; then all other content.
fn user(message: &Message, items: &mut Vec<Json>) -> Result<(), String> {
    let mut content = Vec::new();
    for block in &message.content {
        match block {
            Block::Text(words) => content.push(text(words)),
            Block::ToolResult(result) => items.push(tool_result(result)?),
            Block::Image(image) => content.push(picture(image)?),
            Block::Document(document) => content.push(paper(document)?),
            Block::SearchResult(found) => content.push(text(&media::search_result(found)?)),
            Block::GuardContent(guarded) => content.push(text(media::guarded(guarded)?)),
            Block::CachePoint(_) => {}
            Block::Video(_) => return Err("video: it takes none".to_owned()),
            Block::Audio(_) => return Err("audio: it takes none".to_owned()),
            Block::CitationsContent(_) => return Err(not_users("citationsContent")),
            Block::ToolUse(_) => return Err(not_users("toolUse")),
            Block::ReasoningContent(_) => return Err(not_users("reasoningContent")),
        }
    }
    if !content.is_empty() {
        items.push(json!({ "type": "message", "role": "user", "content": content }));
    }
    Ok(())
}

fn not_users(kind: &str) -> String {
    format!("{kind}: a user message holds none")
}

fn tool_result(result: &ToolResult) -> Result<Json, String> {
    let mut parts = Vec::with_capacity(result.content.len());
    for block in &result.content {
        parts.push(match block {
            ResultBlock::Text(words) => text(words),
            ResultBlock::Json(value) => text(&value.to_string()),
            ResultBlock::SearchResult(found) => text(&media::search_result(found)?),
            ResultBlock::Image(image) => picture(image)?,
            ResultBlock::Document(document) => paper(document)?,
            ResultBlock::Video(_) => return Err("video: it takes none".to_owned()),
        });
    }
    // The API has no status; a failure must still read as one.
    if result.status == Some(ToolStatus::Error) {
        parts.insert(0, text("error:"));
    }
    Ok(json!({ "type": "function_call_output", "call_id": result.tool_use_id,
               "output": output(parts) }))
}

/// Plain text goes as a string, which every server takes.
fn output(parts: Vec<Json>) -> Json {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    match texts.len() == parts.len() {
        true => Json::String(texts.join("\n")),
        false => Json::Array(parts),
    }
}

fn text(words: &str) -> Json {
    json!({ "type": "input_text", "text": words })
}

fn picture(image: &Json) -> Result<Json, String> {
    Ok(json!({ "type": "input_image", "image_url": media::picture_url(image)? }))
}

fn paper(document: &Json) -> Result<Json, String> {
    media::no_citations(document, "document")?;
    let name = media::name(document);
    Ok(match media::paper(document)? {
        Paper::Text(words) => text(&format!("{name}:\n{words}")),
        Paper::Pdf(data) => json!({ "type": "input_file", "filename": format!("{name}.pdf"),
                                    "file_data": format!("data:application/pdf;base64,{data}") }),
    })
}
