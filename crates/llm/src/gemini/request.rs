//! Converse to `generateContent`.
//!
//! Names and schemas of tools go out as they came in. What the API has no place for is refused by
//! name, never dropped, except cache points: the API caches unasked.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json, json};
use wire::converse::{
    Block, Call, Message, ResultBlock, Role, Tool, ToolChoice, ToolResult, ToolStatus, ToolUse,
};

use super::place;
use super::thoughts::Parts;
use crate::options;

/// Members that `additionalModelRequestFields` cannot replace: they are the call.
const OURS: [&str; 5] = ["contents", "model", "systemInstruction", "toolConfig", "tools"];

/// Members of the request itself; any other of `additionalModelRequestFields` is one of its
/// `generationConfig`, where the API has its settings (API reference, GenerateContentRequest).
const OUTER: [&str; 5] = ["cachedContent", "labels", "safetySettings", "serviceTier", "store"];

pub(super) fn body(call: &Call) -> Result<Vec<u8>, String> {
    let mut body = conversation(call)?;
    let config = settings(call, &mut body)?;
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Json::Object(config));
    }
    Ok(serde_json::to_vec(&body).expect("its maps have string keys"))
}

/// What `countTokens` counts. It takes the request under the model's whole name.
pub(super) fn counted(call: &Call) -> Result<Json, String> {
    let mut body = conversation(call)?;
    body.insert("model".to_owned(), place(&call.model).into());
    Ok(Json::Object(body))
}

fn conversation(call: &Call) -> Result<Map<String, Json>, String> {
    let mut body = Map::new();
    body.insert("contents".to_owned(), Json::Array(contents(call)?));
    let system: Vec<Json> = call.system.iter().map(|text| json!({ "text": text })).collect();
    if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": system }));
    }
    if !call.tools.is_empty() {
        let functions: Vec<Json> = call.tools.iter().map(function).collect();
        body.insert("tools".to_owned(), json!([{ "functionDeclarations": functions }]));
    }
    if let Some(mode) = mode(call).filter(|_| !call.tools.is_empty()) {
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": mode }));
    }
    Ok(body)
}

fn function(tool: &Tool) -> Json {
    let mut told = json!({ "name": tool.name, "parametersJsonSchema": tool.schema });
    if !tool.description.is_empty() {
        told["description"] = json!(tool.description);
    }
    told
}

/// `AUTO` is what the API does unasked. Strict tools are `VALIDATED`: the model says what it wants or
/// calls a function as its schema has it, as it does where it must call one (API reference,
/// FunctionCallingConfig). The API has this for all tools of a request or for none.
fn mode(call: &Call) -> Option<Json> {
    match &call.tool_choice {
        ToolChoice::Auto if call.tools.iter().any(|tool| tool.strict) => {
            Some(json!({ "mode": "VALIDATED" }))
        }
        ToolChoice::Auto => None,
        ToolChoice::Any => Some(json!({ "mode": "ANY" })),
        ToolChoice::Tool(name) => Some(json!({ "mode": "ANY", "allowedFunctionNames": [name] })),
    }
}

/// The `generationConfig`. Members of the request itself go to `body`.
fn settings(call: &Call, body: &mut Map<String, Json>) -> Result<Map<String, Json>, String> {
    let mut config = Map::new();
    let inference = &call.inference;
    let mut put = |name: &str, value: Option<Json>| {
        config.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("maxOutputTokens", inference.max_tokens.map(Json::from));
    put("temperature", inference.temperature.map(Json::from));
    put("topP", inference.top_p.map(Json::from));
    let stops = &inference.stop_sequences;
    put("stopSequences", (!stops.is_empty()).then(|| json!(stops)));
    options(call, &mut config)?;
    let additional = match &call.additional {
        Json::Null => return Ok(config),
        Json::Object(members) => members,
        _ => return Err("additionalModelRequestFields must be an object".to_owned()),
    };
    for (member, value) in additional {
        match member.as_str() {
            ours if OURS.contains(&ours) => {
                return Err(format!("additionalModelRequestFields cannot set {member:?}"));
            }
            outer if OUTER.contains(&outer) => drop(body.insert(member.clone(), value.clone())),
            "generationConfig" => config.extend(value.as_object().cloned().unwrap_or_default()),
            // What agents have that took AWS's settings over.
            "top_k" => drop(config.insert("topK".to_owned(), value.clone())),
            _ => drop(config.insert(member.clone(), value.clone())),
        }
    }
    Ok(config)
}

fn options(call: &Call, config: &mut Map<String, Json>) -> Result<(), String> {
    if options::one_tool_use(call) {
        return Err(
            "disable_parallel_tool_use, or parallel_tool_calls: it knows no such thing".to_owned()
        );
    }
    let options = &call.options;
    if let Some(tier) = options.service_tier.as_deref().filter(|tier| *tier != "default") {
        return Err(format!("serviceTier {tier:?}; it has the default tier"));
    }
    if let Some(latency) = options.latency.as_deref().filter(|latency| *latency != "standard") {
        return Err(format!("performanceConfig.latency {latency:?}; it has the standard latency"));
    }
    let Some(output) = &options.output else { return Ok(()) };
    if let Some(effort) = output["effort"].as_str() {
        if !["low", "medium", "high"].contains(&effort) {
            return Err(format!("outputConfig.effort {effort:?}; it knows low, medium and high"));
        }
        config.insert("thinkingConfig".to_owned(), json!({ "thinkingLevel": effort }));
    }
    if let Some(schema) = output.pointer("/textFormat/structure/jsonSchema/schema") {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
        config.insert("responseJsonSchema".to_owned(), parsed(schema)?);
    }
    Ok(())
}

/// AWS: the schema is text that holds JSON (API model, JsonSchemaDefinition).
fn parsed(schema: &Json) -> Result<Json, String> {
    let Some(text) = schema.as_str() else { return Ok(schema.clone()) };
    serde_json::from_str(text)
        .map_err(|error| format!("outputConfig.textFormat: its schema is not JSON: {error}"))
}

/// A message that has nothing to say is left out.
fn contents(call: &Call) -> Result<Vec<Json>, String> {
    let mut names = HashMap::new();
    let mut contents = Vec::with_capacity(call.messages.len());
    for message in &call.messages {
        let (role, parts) = match message.role {
            Role::User => ("user", user(message, &names)?),
            Role::Assistant => ("model", model(message, &call.model, &mut names)?),
        };
        if !parts.is_empty() {
            contents.push(json!({ "role": role, "parts": parts }));
        }
    }
    Ok(contents)
}

/// Which tool a tool use was of: results are told by name.
type Names<'a> = HashMap<&'a str, &'a str>;

fn model<'a>(
    message: &'a Message,
    model: &str,
    names: &mut Names<'a>,
) -> Result<Vec<Json>, String> {
    let mut parts = Parts::default();
    for block in &message.content {
        match block {
            Block::Text(text) => words(text).into_iter().for_each(|part| parts.push(part)),
            Block::ToolUse(tool) => {
                names.insert(&tool.tool_use_id, &tool.name);
                parts.push(function_call(tool));
            }
            Block::ReasoningContent(thought) => parts.thought(thought),
            // Another model's words, with what it cited left to the reader of its answer.
            Block::CitationsContent(cited) => {
                let said = cited["content"].as_array().into_iter().flatten();
                let said: String = said.filter_map(|piece| piece["text"].as_str()).collect();
                words(&said).into_iter().for_each(|part| parts.push(part));
            }
            Block::Image(image) => parts.push(picture(image)?),
            Block::CachePoint(_) => {}
            Block::ToolResult(_)
            | Block::Document(_)
            | Block::Video(_)
            | Block::Audio(_)
            | Block::SearchResult(_)
            | Block::GuardContent(_) => {
                return Err("an assistant message holds text, thoughts and tool uses".to_owned());
            }
        }
    }
    Ok(parts.finish(model))
}

fn words(text: &str) -> Option<Json> {
    (!text.is_empty()).then(|| json!({ "text": text }))
}

fn function_call(tool: &ToolUse) -> Json {
    let input = match &tool.input {
        Json::Object(_) => tool.input.clone(),
        malformed => json!({ "malformed": malformed }),
    };
    let mut call = json!({ "name": tool.name, "args": input });
    put_id(&mut call, &tool.tool_use_id);
    json!({ "functionCall": call })
}

/// Models before Gemini 3 give their calls no ids, and then ours mean nothing to them.
fn put_id(told: &mut Json, id: &str) {
    if !id.starts_with("tooluse_") {
        told["id"] = json!(id);
    }
}

/// Results come first, as many as there were calls; then all other content.
fn user(message: &Message, names: &Names<'_>) -> Result<Vec<Json>, String> {
    let (mut results, mut content) = (Vec::new(), Vec::new());
    for block in &message.content {
        match block {
            Block::Text(text) => content.extend(words(text)),
            Block::ToolResult(result) => {
                results.push(function_response(result, names, &mut content)?);
            }
            Block::Image(image) => content.push(picture(image)?),
            Block::Document(document) => content.push(paper(document)?),
            Block::Video(video) => content.push(film(video)?),
            Block::Audio(audio) => content.push(sound(audio)?),
            Block::GuardContent(guarded) => {
                let text = guarded["text"]["text"].as_str();
                content.extend(words(text.ok_or("guardContent without text")?));
            }
            Block::CachePoint(_) => {}
            Block::SearchResult(_) => return Err("it takes no searchResult".to_owned()),
            Block::CitationsContent(_) => return Err("it takes no citationsContent".to_owned()),
            Block::ToolUse(_) | Block::ReasoningContent(_) => {
                return Err("a user message holds no tool uses and no reasoning".to_owned());
            }
        }
    }
    results.append(&mut content);
    Ok(results)
}

/// A response is an object, with `output` or `error`; what else a tool returned follows as the user's.
fn function_response(
    result: &ToolResult,
    names: &Names<'_>,
    after: &mut Vec<Json>,
) -> Result<Json, String> {
    let id = result.tool_use_id.as_str();
    let Some(name) = names.get(id) else {
        return Err(format!("the toolResult {id:?} is of no toolUse before it"));
    };
    let (mut said, mut other) = (Vec::new(), Vec::new());
    for block in &result.content {
        match block {
            ResultBlock::Text(text) => said.push(json!(text)),
            ResultBlock::Json(value) => said.push(value.clone()),
            ResultBlock::Image(image) => other.push(picture(image)?),
            ResultBlock::Document(document) => other.push(paper(document)?),
            ResultBlock::Video(video) => other.push(film(video)?),
            ResultBlock::SearchResult(_) => return Err("it takes no searchResult".to_owned()),
        }
    }
    if !other.is_empty() {
        after.push(
            json!({ "text": format!("What tool call {id} of {name} returned beside its text:") }),
        );
        after.append(&mut other);
    }
    let said = if said.len() == 1 { said.remove(0) } else { Json::Array(said) };
    let failed = result.status == Some(ToolStatus::Error);
    let mut response = json!({
        "name": name, "response": { if failed { "error" } else { "output" }: said },
    });
    put_id(&mut response, id);
    Ok(json!({ "functionResponse": response }))
}

fn picture(image: &Json) -> Result<Json, String> {
    match format_of(image) {
        format @ ("png" | "jpeg" | "webp") => inline(image, "image", &format!("image/{format}")),
        other => Err(format!("it takes no image of format {other:?}; send png, jpeg or webp")),
    }
}

/// The types that the API knows (Gemini API, "Video understanding").
fn film(video: &Json) -> Result<Json, String> {
    let kind = match format_of(video) {
        "three_gp" => "3gpp",
        "flv" => "x-flv",
        format @ ("mp4" | "mpeg" | "mov" | "mpg" | "webm" | "wmv") => format,
        other => return Err(format!("it takes no video of format {other:?}")),
    };
    inline(video, "video", &format!("video/{kind}"))
}

/// The types that the API knows (Gemini API, "Audio understanding").
fn sound(audio: &Json) -> Result<Json, String> {
    let kind = match format_of(audio) {
        "mpeg" | "mpga" => "mp3",
        "x-aac" => "aac",
        "opus" => "ogg",
        format @ ("wav" | "mp3" | "aac" | "ogg" | "flac" | "m4a" | "mp4" | "webm" | "pcm") => {
            format
        }
        other => return Err(format!("it takes no audio of format {other:?}")),
    };
    inline(audio, "audio", &format!("audio/{kind}"))
}

/// A text document becomes text under its name, a PDF goes as it is; other formats have no place.
fn paper(document: &Json) -> Result<Json, String> {
    let name = document["name"].as_str().unwrap_or("document");
    let source = &document["source"];
    if let Some(text) = source["text"].as_str() {
        return Ok(json!({ "text": format!("{name}:\n{text}") }));
    }
    if let Some(pieces) = source["content"].as_array() {
        let pieces: Vec<&str> = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
        return Ok(json!({ "text": format!("{name}:\n{}", pieces.join("\n")) }));
    }
    match document["format"].as_str().unwrap_or("txt") {
        "txt" | "md" | "csv" | "html" => {
            let bytes = BASE64_STANDARD.decode(bytes_of(document, "document")?).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| format!("the document {name:?} is not UTF-8 text"))?;
            Ok(json!({ "text": format!("{name}:\n{text}") }))
        }
        "pdf" => inline(document, "document", "application/pdf"),
        other => Err(format!("it takes no {other} document ({name:?}); send text or PDF")),
    }
}

fn format_of(block: &Json) -> &str {
    block["format"].as_str().unwrap_or_default()
}

fn inline(block: &Json, kind: &str, mime: &str) -> Result<Json, String> {
    Ok(json!({ "inlineData": { "mimeType": mime, "data": bytes_of(block, kind)? } }))
}

fn bytes_of<'a>(block: &'a Json, kind: &str) -> Result<&'a str, String> {
    block["source"]["bytes"]
        .as_str()
        .ok_or_else(|| format!("{kind} source: it takes bytes and cannot fetch from elsewhere"))
}
