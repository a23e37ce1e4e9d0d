//! The conversation as messages of chat completions.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wire::converse::{Block, Call, Message, ResultBlock, Role, ToolResult, ToolStatus, ToolUse};

use super::dialect::{Dialect, Files};
use crate::media::{self, Paper};

pub(super) fn messages(call: &Call, dialect: &Dialect) -> Result<Vec<Json>, String> {
    let mut messages = Vec::with_capacity(call.messages.len() + 1);
    if !call.system.is_empty() {
        messages.push(json!({"role": "system", "content": call.system.join("\n\n")}));
    }
    let turn = turn_begins(call);
    for (place, message) in call.messages.iter().enumerate() {
        match message.role {
            Role::User => user(message, dialect, &mut messages)?,
            Role::Assistant => messages.push(assistant(message, dialect, place > turn)?),
        }
    }
    Ok(messages)
}

/// The last message in which the user spoke; what follows is one loop of tools.
fn turn_begins(call: &Call) -> usize {
    let is_result = |block: &Block| matches!(block, Block::ToolResult(_) | Block::CachePoint(_));
    let spoke =
        |message: &Message| message.role == Role::User && !message.content.iter().all(is_result);
    call.messages.iter().rposition(spoke).unwrap_or_default()
}

fn assistant(message: &Message, dialect: &Dialect, in_loop: bool) -> Result<Json, String> {
    let (mut text, mut calls, mut thoughts) = (Vec::new(), Vec::new(), String::new());
    for block in &message.content {
        match block {
            Block::Text(more) => text.push(Cow::Borrowed(more.as_str())),
            Block::CitationsContent(said) => text.push(Cow::Owned(media::cited_words(said))),
            Block::ToolUse(tool) => calls.push(tool_call(tool, dialect)),
            Block::ReasoningContent(thought) => {
                thoughts += thought["reasoningText"]["text"].as_str().unwrap_or_default();
            }
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
    let content = if text.is_empty() { Json::Null } else { Json::String(text.join("\n")) };
    let mut said = match calls.is_empty() {
        true => json!({"role": "assistant", "content": content.as_str().unwrap_or_default()}),
        false => json!({"role": "assistant", "content": content, "tool_calls": calls}),
    };
    if let Some(member) = dialect.thoughts_back.filter(|_| in_loop && !thoughts.is_empty()) {
        said[member] = json!(thoughts);
    }
    Ok(said)
}

fn misplaced(kind: &str) -> String {
    format!("{kind}: an assistant message holds words, thoughts and tool uses")
}

/// Servers parse earlier arguments again and fail on broken ones, so those are wrapped.
fn tool_call(tool: &ToolUse, dialect: &Dialect) -> Json {
    let arguments = match &tool.input {
        Json::Object(_) => tool.input.to_string(),
        malformed => json!({ "malformed": malformed }).to_string(),
    };
    let function = json!({"name": tool.name, "arguments": arguments});
    json!({"id": id(&tool.tool_use_id, dialect), "type": "function", "function": function})
}

/// The id as it is, or one of the length that the server wants, the same for the same id.
fn id<'a>(given: &'a str, dialect: &Dialect) -> Cow<'a, str> {
    let plain = |length| given.len() == length && given.bytes().all(|b| b.is_ascii_alphanumeric());
    match dialect.id_length {
        None => Cow::Borrowed(given),
        Some(length) if plain(length) => Cow::Borrowed(given),
        Some(length) => {
            let digest = Sha256::digest(given);
            let letters: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            Cow::Owned(letters[..length.min(letters.len())].to_owned())
        }
    }
}

/// Results come first, one message each, right after the calls they answer; then all other content.
fn user(message: &Message, dialect: &Dialect, out: &mut Vec<Json>) -> Result<(), String> {
    let mut parts = Vec::new();
    for block in &message.content {
        match block {
            Block::Text(text) => parts.push(Part::Text(Cow::Borrowed(text))),
            Block::ToolResult(result) => out.push(tool_result(result, dialect, &mut parts)?),
            Block::Image(image) => parts.push(picture(image, dialect)?),
            Block::Document(document) => parts.push(paper(document, dialect)?),
            Block::Audio(audio) => parts.push(recording(audio, dialect)?),
            Block::Video(video) => parts.push(film(video, dialect)?),
            Block::SearchResult(found) => {
                parts.push(Part::Text(media::search_result(found)?.into()));
            }
            Block::GuardContent(content) => {
                parts.push(Part::Text(media::guarded(content)?.into()));
            }
            Block::CachePoint(_) => {}
            Block::CitationsContent(_) => return Err(not_users("citationsContent")),
            Block::ToolUse(_) => return Err(not_users("toolUse")),
            Block::ReasoningContent(_) => return Err(not_users("reasoningContent")),
        }
    }
    if !parts.is_empty() {
        let after_tool = out.last().is_some_and(|last| last["role"] == "tool");
        if after_tool && !dialect.user_after_tool {
            out.push(json!({"role": "assistant", "content": BETWEEN}));
        }
        out.push(json!({"role": "user", "content": content(parts)}));
    }
    Ok(())
}

/// What stands between a tool's result and the user's words, where a server wants it so.
const BETWEEN: &str = "(read)";

fn not_users(kind: &str) -> String {
    format!("{kind}: a user message holds none")
}

/// A tool message takes text only; what else a tool returned follows as the user's.
fn tool_result<'a>(
    result: &'a ToolResult,
    dialect: &Dialect,
    after: &mut Vec<Part<'a>>,
) -> Result<Json, String> {
    let mut text = Vec::new();
    let (name, mut other) = (id(&result.tool_use_id, dialect), Vec::new());
    for block in &result.content {
        match block {
            ResultBlock::Text(line) => text.push(Cow::Borrowed(line.as_str())),
            ResultBlock::Json(value) => text.push(Cow::Owned(value.to_string())),
            ResultBlock::SearchResult(found) => {
                text.push(Cow::Owned(media::search_result(found)?));
            }
            ResultBlock::Image(image) => other.push(picture(image, dialect)?),
            ResultBlock::Document(document) => other.push(paper(document, dialect)?),
            ResultBlock::Video(video) => other.push(film(video, dialect)?),
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

fn picture(image: &Json, dialect: &Dialect) -> Result<Part<'static>, String> {
    if !dialect.images {
        return Err("image: it takes none".to_owned());
    }
    let url = media::picture_url(image)?;
    Ok(Part::Other(json!({"type": "image_url", "image_url": {"url": url}})))
}

/// A text document becomes text under its name, a PDF a file.
fn paper(document: &Json, dialect: &Dialect) -> Result<Part<'static>, String> {
    media::no_citations(document, "document")?;
    let name = media::name(document);
    let data = match media::paper(document)? {
        Paper::Text(text) => return Ok(Part::Text(format!("{name}:\n{text}").into())),
        Paper::Pdf(data) => format!("data:application/pdf;base64,{data}"),
    };
    match dialect.files {
        Files::No => Err(format!("document: it takes no pdf ({name:?}); send text")),
        Files::File => {
            let file = json!({"filename": format!("{name}.pdf"), "file_data": data});
            Ok(Part::Other(json!({"type": "file", "file": file})))
        }
        Files::DocumentUrl => {
            let part = json!({"type": "document_url", "document_url": data, "document_name": name});
            Ok(Part::Other(part))
        }
    }
}

fn recording(audio: &Json, dialect: &Dialect) -> Result<Part<'static>, String> {
    let format = media::format_of(audio, "audio")?;
    if !dialect.audio.contains(&format) {
        let known = dialect.audio.join(", ");
        return Err(match dialect.audio.is_empty() {
            true => "audio: it takes none".to_owned(),
            false => format!("audio: it takes no {format}; send {known}"),
        });
    }
    let data = media::bytes_of(audio, "audio")?;
    Ok(Part::Other(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})))
}

fn film(video: &Json, dialect: &Dialect) -> Result<Part<'static>, String> {
    if !dialect.video {
        return Err("video: it takes none".to_owned());
    }
    let format = media::format_of(video, "video")?;
    // AWS: 3GP is written `three_gp` (API reference, `VideoFormat`).
    let format = if format == "three_gp" { "3gpp" } else { format };
    let url = format!("data:video/{format};base64,{}", media::bytes_of(video, "video")?);
    Ok(Part::Other(json!({"type": "video_url", "video_url": {"url": url}})))
}
