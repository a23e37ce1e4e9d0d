//! Converse to Messages.
//!
//! Names, schemas and thinking go out as they came in. What the API has no place for is refused by
//! name, never dropped.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value as Json, json};
use wire::converse::{
    Block, Call, Message, ResultBlock, Role, Tool, ToolResult, ToolStatus, ToolUse,
};

use super::citation;
use crate::cache::{self, CacheMode, Marks};
use crate::limits::{ANTHROPIC_OUTPUT_TOKENS, OUTPUT_TOKENS};
use crate::media::{self, Paper};
use crate::{options, signature};

/// The version of the API that this file speaks.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Members that `additionalModelRequestFields` cannot replace: they are the call.
const OURS: [&str; 6] = ["anthropic_version", "messages", "model", "stream", "system", "tools"];

/// Members that the API counts (Claude API reference, "Count tokens in a Message").
pub(super) const COUNTED: [&str; 6] =
    ["messages", "model", "system", "thinking", "tool_choice", "tools"];

/// AWS: Claude on Bedrock takes beta features as a member of the request (Bedrock user guide,
/// "Anthropic Claude Messages API"); Anthropic itself takes them in a header.
const BETA: &str = "anthropic_beta";

pub(super) struct Request {
    pub(super) headers: HeaderMap,
    pub(super) body: Map<String, Json>,
}

/// The request, or what it cannot carry. `max_tokens` is for calls that set no limit.
pub(super) fn request(
    call: &Call,
    max_tokens: Option<u32>,
    cache: CacheMode,
) -> Result<Request, String> {
    options::check_latency(&call.options)?;
    let mut headers =
        HeaderMap::from_iter([("anthropic-version".parse().expect("a name"), VERSION)]);
    let mut body = body(call, &cache::plan(call, cache, cache::Rules::of(&call.model)))?;
    for (member, value) in options::additional(call, &OURS)? {
        match member == BETA {
            true => drop(headers.insert("anthropic-beta", beta(value)?)),
            false => drop(body.insert(member.clone(), value.clone())),
        }
    }
    if !body.contains_key("max_tokens") {
        body.insert("max_tokens".to_owned(), output_tokens(call, &body, max_tokens).into());
    }
    Ok(Request { headers, body })
}

fn body(call: &Call, marks: &Marks) -> Result<Map<String, Json>, String> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Json| body.insert(name.to_owned(), value);
    put("model", json!(call.model));
    put("messages", Json::Array(messages(call, marks)?));
    put("stream", json!(true));
    let system = system(call, marks);
    if !system.is_empty() {
        put("system", Json::Array(system));
    }
    if !call.tools.is_empty() {
        put("tools", tools(call, marks));
    }
    if let Some(choice) = options::claude_choice(call) {
        put("tool_choice", choice);
    }
    let inference = &call.inference;
    if let Some(tokens) = inference.max_tokens {
        put("max_tokens", json!(tokens));
    }
    if let Some(temperature) = inference.temperature {
        put("temperature", json!(temperature));
    }
    if let Some(top_p) = inference.top_p {
        put("top_p", json!(top_p));
    }
    if !inference.stop_sequences.is_empty() {
        put("stop_sequences", json!(inference.stop_sequences));
    }
    if let Some(config) = output_config(call)? {
        put("output_config", config);
    }
    if let Some(tier) = options::tier(&call.options, &TIERS)? {
        put("service_tier", json!(tier));
    }
    Ok(body)
}

/// Anthropic's tiers: `auto` takes what priority was bought, if any is left (Claude documentation,
/// "Service tiers").
const TIERS: [(&str, &str); 2] = [("priority", "auto"), ("default", "standard_only")];

/// Claude documentation, "Structured outputs" and "Effort".
fn output_config(call: &Call) -> Result<Option<Json>, String> {
    let mut config = Map::new();
    if let Some(asked) = options::schema(&call.options)? {
        let format = json!({ "type": "json_schema", "schema": asked.schema });
        config.insert("format".to_owned(), format);
    }
    if let Some(effort) = options::effort(&call.options) {
        config.insert("effort".to_owned(), json!(effort));
    }
    Ok((!config.is_empty()).then_some(Json::Object(config)))
}

/// One name or a list of them.
fn beta(value: &Json) -> Result<HeaderValue, String> {
    let names: Option<Vec<&str>> = match value {
        Json::Array(names) => names.iter().map(Json::as_str).collect(),
        one => one.as_str().map(|one| vec![one]),
    };
    let joined = names.and_then(|names| HeaderValue::from_str(&names.join(",")).ok());
    joined.ok_or_else(|| format!("{BETA} = {value}: it takes a list of names"))
}

/// AWS: without `maxTokens` a model may say as much as it can (API reference,
/// `InferenceConfiguration`); the API has no word for that. A budget for thinking counts on top.
fn output_tokens(call: &Call, body: &Map<String, Json>, configured: Option<u32>) -> u64 {
    let known = ANTHROPIC_OUTPUT_TOKENS.iter().find(|(name, _)| call.model.contains(name));
    let tokens = configured.unwrap_or(known.map_or(OUTPUT_TOKENS, |(_, tokens)| *tokens));
    let budget = body.get("thinking").and_then(|thinking| thinking["budget_tokens"].as_u64());
    let tokens = u64::from(tokens);
    match budget {
        Some(budget) if budget >= tokens => budget.saturating_add(tokens),
        _ => tokens,
    }
}

/// The API refuses blank texts.
fn system(call: &Call, marks: &Marks) -> Vec<Json> {
    let mut blocks = Vec::with_capacity(call.system.len());
    for (place, text) in call.system.iter().enumerate() {
        if !text.trim().is_empty() {
            blocks.push(json!({ "type": "text", "text": text }));
        }
        if let (Some(point), Some(block)) = (marks.system.get(&place), blocks.last_mut()) {
            mark(block, point);
        }
    }
    blocks
}

fn tools(call: &Call, marks: &Marks) -> Json {
    let tool = |(place, tool): (usize, &Tool)| {
        let mut told = json!({ "name": tool.name, "input_schema": tool.schema });
        if !tool.description.is_empty() {
            told["description"] = json!(tool.description);
        }
        if tool.strict {
            told["strict"] = json!(true);
        }
        if let Some(point) = marks.tools.get(&place) {
            mark(&mut told, point);
        }
        told
    };
    call.tools.iter().enumerate().map(tool).collect()
}

/// Converse's `cachePoint` follows what is to be cached; the API marks the last block of it.
fn mark(block: &mut Json, point: &Json) {
    let mut control = json!({ "type": "ephemeral" });
    if let Some(ttl) = point.get("ttl").filter(|ttl| ttl.is_string()) {
        control["ttl"] = ttl.clone();
    }
    block["cache_control"] = control;
}

/// A message that has nothing to say is left out; the API joins neighbours of one role.
fn messages(call: &Call, marks: &Marks) -> Result<Vec<Json>, String> {
    let mut messages = Vec::with_capacity(call.messages.len());
    for (place, message) in call.messages.iter().enumerate() {
        let (role, mut content) = match message.role {
            Role::User => ("user", user(message)?),
            Role::Assistant => ("assistant", assistant(message)?),
        };
        if marks.messages.contains(&place) {
            mark_last(&mut content, &json!({}));
        }
        if !content.is_empty() {
            messages.push(json!({ "role": role, "content": content }));
        }
    }
    Ok(messages)
}

fn assistant(message: &Message) -> Result<Vec<Json>, String> {
    let mut content = Vec::with_capacity(message.content.len());
    for block in &message.content {
        match block {
            Block::Text(text) => content.extend(words(text)),
            Block::ToolUse(tool) => content.push(tool_use(tool)),
            Block::ReasoningContent(thought) => content.extend(thinking(thought)?),
            Block::CachePoint(point) => mark_last(&mut content, point),
            Block::CitationsContent(said) => content.extend(cited(said)),
            Block::Image(_) => return Err(misplaced("image")),
            Block::Document(_) => return Err(misplaced("document")),
            Block::Video(_) => return Err(misplaced("video")),
            Block::Audio(_) => return Err(misplaced("audio")),
            Block::SearchResult(_) => return Err(misplaced("searchResult")),
            Block::GuardContent(_) => return Err(misplaced("guardContent")),
            Block::ToolResult(_) => return Err(misplaced("toolResult")),
        }
    }
    // Nothing may follow from thoughts alone, and the API refuses a message that ends in them.
    while content.last().is_some_and(is_thinking) {
        content.pop();
    }
    Ok(content)
}

fn misplaced(kind: &str) -> String {
    format!("{kind}: an assistant message holds words, thoughts and tool uses")
}

/// Words of an earlier answer with the places that they rest on, as far as the API knows those.
fn cited(said: &Json) -> Option<Json> {
    let mut block = words(&media::cited_words(said))?;
    let citations = said["citations"].as_array().into_iter().flatten();
    let citations: Vec<Json> = citations.filter_map(citation::native).collect();
    if !citations.is_empty() {
        block["citations"] = Json::Array(citations);
    }
    Some(block)
}

fn words(text: &str) -> Option<Json> {
    (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }))
}

fn is_thinking(block: &Json) -> bool {
    block["type"] == "thinking" || block["type"] == "redacted_thinking"
}

/// Thinking cannot be marked itself; the block before it ends the same prefix but for that.
fn mark_last(content: &mut [Json], point: &Json) {
    if let Some(block) = content.iter_mut().rev().find(|block| !is_thinking(block)) {
        mark(block, point);
    }
}

/// Thoughts without a signature are another provider's, and the API would refuse them.
fn thinking(thought: &Json) -> Result<Option<Json>, String> {
    if let Some(data) = thought["redactedContent"].as_str() {
        let data = BASE64_STANDARD.decode(data).ok();
        let data = data.and_then(|data| String::from_utf8(data).ok());
        let data =
            data.ok_or("reasoningContent.redactedContent: it did not come from this provider")?;
        return Ok(Some(json!({ "type": "redacted_thinking", "data": data })));
    }
    let said = &thought["reasoningText"];
    let signed = said["signature"].as_str().filter(|proof| signature::is_bare(proof));
    Ok(signed.map(
        |signature| json!({ "type": "thinking", "thinking": said["text"], "signature": signature }),
    ))
}

/// The API takes nothing but objects as input.
fn tool_use(tool: &ToolUse) -> Json {
    let input = match &tool.input {
        Json::Object(_) => tool.input.clone(),
        malformed => json!({ "malformed": malformed }),
    };
    json!({ "type": "tool_use", "id": id(&tool.tool_use_id), "name": tool.name, "input": input })
}

/// The API's ids have letters, digits, `_` and `-`; Converse's also `.` and `:`.
fn id(given: &str) -> String {
    let mut id = String::with_capacity(given.len());
    for character in given.chars() {
        match character.is_ascii_alphanumeric() || matches!(character, '_' | '-') {
            true => id.push(character),
            false => id.push_str(&format!("_{:x}", u32::from(character))),
        }
    }
    id
}

/// Results come first, as the API wants them, then all other content.
fn user(message: &Message) -> Result<Vec<Json>, String> {
    let (mut results, mut content) = (Vec::new(), Vec::new());
    for block in &message.content {
        match block {
            Block::Text(text) => content.extend(words(text)),
            Block::ToolResult(result) => results.push(tool_result(result)?),
            Block::Image(image) => content.push(picture(image)?),
            Block::Document(document) => content.push(paper(document)?),
            Block::GuardContent(guarded) => {
                content.extend(words(media::guarded(guarded)?));
            }
            Block::CachePoint(point) => {
                let last = if content.is_empty() { &mut results } else { &mut content };
                mark_last(last, point);
            }
            Block::SearchResult(found) => content.push(search_result(found)),
            Block::Video(_) => return Err(NO_VIDEO.to_owned()),
            Block::Audio(_) => return Err("audio: it takes none".to_owned()),
            Block::CitationsContent(_) => return Err(not_users("citationsContent")),
            Block::ToolUse(_) => return Err(not_users("toolUse")),
            Block::ReasoningContent(_) => return Err(not_users("reasoningContent")),
        }
    }
    results.append(&mut content);
    Ok(results)
}

fn tool_result(result: &ToolResult) -> Result<Json, String> {
    let mut content = Vec::with_capacity(result.content.len());
    for block in &result.content {
        match block {
            ResultBlock::Text(text) => content.extend(words(text)),
            ResultBlock::Json(value) => content.extend(words(&value.to_string())),
            ResultBlock::Image(image) => content.push(picture(image)?),
            ResultBlock::Document(document) => content.push(paper(document)?),
            ResultBlock::SearchResult(found) => content.push(search_result(found)),
            ResultBlock::Video(_) => return Err(NO_VIDEO.to_owned()),
        }
    }
    let failed = result.status == Some(ToolStatus::Error);
    // The API wants the failure's words.
    if failed && content.is_empty() {
        content.extend(words("error"));
    }
    let mut told = json!({ "type": "tool_result", "tool_use_id": id(&result.tool_use_id) });
    if !content.is_empty() {
        told["content"] = Json::Array(content);
    }
    if failed {
        told["is_error"] = json!(true);
    }
    Ok(told)
}

const NO_VIDEO: &str = "video: it takes none";

fn not_users(kind: &str) -> String {
    format!("{kind}: a user message holds none")
}

fn picture(image: &Json) -> Result<Json, String> {
    let media = format!("image/{}", media::format_of(image, "image")?);
    let data = media::bytes_of(image, "image")?;
    let source = json!({ "type": "base64", "media_type": media, "data": data });
    Ok(json!({ "type": "image", "source": source }))
}

/// Claude documentation, "Search results".
fn search_result(found: &Json) -> Json {
    let mut told = json!({ "type": "search_result", "source": found["source"],
                           "title": found["title"], "content": chunks(&found["content"]) });
    if media::wants_citations(found) {
        told["citations"] = json!({ "enabled": true });
    }
    told
}

fn paper(document: &Json) -> Result<Json, String> {
    let mut told = json!({ "type": "document", "source": source(document)? });
    for (name, given) in [("title", "name"), ("context", "context")] {
        if let Some(text) = document[given].as_str() {
            told[name] = json!(text);
        }
    }
    if media::wants_citations(document) {
        told["citations"] = json!({ "enabled": true });
    }
    Ok(told)
}

/// A PDF goes as it is, text as text, and chunks as chunks, which citations name.
fn source(document: &Json) -> Result<Json, String> {
    if document["source"].get("content").is_some() {
        return Ok(json!({ "type": "content", "content": chunks(&document["source"]["content"]) }));
    }
    Ok(match media::paper(document)? {
        Paper::Text(text) => json!({ "type": "text", "media_type": "text/plain", "data": text }),
        Paper::Pdf(data) => {
            json!({ "type": "base64", "media_type": "application/pdf", "data": data })
        }
    })
}

fn chunks(content: &Json) -> Json {
    let texts = media::texts(content).into_iter();
    texts.map(|text| json!({ "type": "text", "text": text })).collect()
}
