//! A Messages body in the inner tongue.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use wire::converse::{
    Block, CachePoints, Inference, Message, ResultBlock, Role, Tool, ToolChoice, ToolResult,
    ToolStatus, ToolUse,
};
use wire::fault::Fault;

use super::super::body::{Body, malformed, mistyped};
use super::super::held::check_image;
use super::super::{Understood, call, push};
use super::answer::Answer;
use super::citation;
use crate::bedrock_agent::feature::refused;

// AWS: Bedrock's name of the version of Messages (Bedrock user guide, "Anthropic Claude Messages API"),
// which Anthropic's clients send as well: those for Python, and up to 0.x for JavaScript. From 1.x on
// the latter puts its header `anthropic-version` in the body, which is a bare date: 2026-10-21, or
// whatever its user sets (`client.js` of @anthropic-ai/bedrock-sdk 1.1.2 and @anthropic-ai/sdk 1.11.0).
fn is_version(version: &str) -> bool {
    let form =
        |(byte, sign): (u8, u8)| if sign == b'-' { byte == b'-' } else { byte.is_ascii_digit() };
    let is_date = version.len() == 10 && version.bytes().zip(*b"0000-00-00").all(form);
    is_date || version == "bedrock-2023-05-31"
}

/// Members that mean the same to whoever speaks Messages; other providers refuse or know them.
const PASSED: [&str; 7] = [
    "anthropic_beta",
    "context_management",
    "metadata",
    "output_config",
    "output_format",
    "thinking",
    "top_k",
];

pub(in super::super) fn read(mut body: Body) -> Result<Understood, Fault> {
    let version = body.required_text("anthropic_version")?;
    if !is_version(&version) {
        // AWS: these words (boto/boto3 issue 4218)
        return Err(Fault::validation(format!("Invalid API version: {version}")));
    }
    let max_tokens = body.count("max_tokens")?.ok_or_else(|| body.absent("max_tokens"))?;
    let inference = Inference {
        max_tokens: Some(max_tokens),
        temperature: body.share("temperature", 1.0)?,
        top_p: body.share("top_p", 1.0)?,
        stop_sequences: body.texts("stop_sequences")?,
    };
    let mut cache = CachePoints::default();
    let system = system(&mut body, &mut cache)?;
    let messages = messages(&mut body)?;
    let tools = tools(&mut body, &mut cache)?;
    let (tools, tool_choice, one_tool_use) = chosen(&mut body, tools, &messages)?;
    let additional = body.pass(&PASSED);
    body.done()?;
    let native = Box::new(Answer::new(&inference.stop_sequences));
    let mut call = call(system, messages, inference);
    (call.tools, call.tool_choice) = (tools.into(), tool_choice);
    (call.cache, call.additional) = (cache, additional);
    call.options.one_tool_use = one_tool_use;
    Ok(Understood { call, native })
}

fn system(body: &mut Body, cache: &mut CachePoints) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    for mut block in said(body.take("system"), "#/system")? {
        let kind = block.required_text("type")?;
        if kind != "text" {
            return Err(refused("system.type", &kind, "system prompts of anything but text"));
        }
        let point = cache_point(&mut block);
        let text = block.required_text("text")?;
        block.pass(&["citations"]);
        block.done()?;
        cache.system.extend(point.map(|point| (texts.len(), point)));
        texts.push(text);
    }
    Ok(texts)
}

/// Words alone, or a list of blocks.
fn said(content: Option<Json>, place: &str) -> Result<Vec<Body>, Fault> {
    let blocks = match content {
        None => Vec::new(),
        Some(Json::String(text)) if text.is_empty() => Vec::new(),
        Some(Json::String(text)) => vec![json!({"type": "text", "text": text})],
        Some(Json::Array(blocks)) => blocks,
        Some(other) => return Err(malformed(&mistyped(place, "JSONArray", &other))),
    };
    let blocks = blocks.into_iter().enumerate();
    blocks.map(|(at, block)| Body::at(format!("{place}/{at}"), block)).collect()
}

/// `cache_control` marks the end of what is to be cached; a `cachePoint` follows it.
fn cache_point(block: &mut Body) -> Option<Json> {
    let control = block.take("cache_control")?;
    let mut point = json!({"type": "default"});
    if let Some(ttl) = control.get("ttl").filter(|ttl| ttl.is_string()) {
        point["ttl"] = ttl.clone();
    }
    Some(point)
}

fn messages(body: &mut Body) -> Result<Vec<Message>, Fault> {
    if !body.has("messages") {
        return Err(body.absent("messages"));
    }
    let mut messages = Vec::new();
    for (at, mut message) in body.bodies("messages")?.into_iter().enumerate() {
        let role = match message.required_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let place = message.place("role");
                return Err(malformed(&format!("{place}: {other} is not a valid enum value")));
            }
        };
        let place = format!("#/messages/{at}/content");
        let mut content = Vec::new();
        for mut block in said(Some(message.required("content")?), &place)? {
            let point = cache_point(&mut block);
            content.push(self::block(block)?);
            content.extend(point.map(Block::CachePoint));
        }
        message.done()?;
        push(&mut messages, role, content);
    }
    if messages.is_empty() {
        return Err(malformed("#/messages: expected minimum item count: 1, found: 0"));
    }
    Ok(messages)
}

fn block(mut block: Body) -> Result<Block, Fault> {
    let kind = block.required_text("type")?;
    let read = match kind.as_str() {
        "text" => words(&mut block)?,
        "image" => Block::Image(image(&mut block)?),
        "document" => Block::Document(document(&mut block)?),
        "search_result" => Block::SearchResult(search_result(&mut block)?),
        "tool_use" => Block::ToolUse(tool_use(&mut block)?),
        "tool_result" => Block::ToolResult(tool_result(&mut block)?),
        "thinking" => Block::ReasoningContent(json!({"reasoningText": {
            "text": block.required_text("thinking")?,
            "signature": block.text("signature")?.unwrap_or_default(),
        }})),
        // Converse has such thoughts as bytes, here they are text.
        "redacted_thinking" => Block::ReasoningContent(
            json!({"redactedContent": BASE64_STANDARD.encode(block.required_text("data")?)}),
        ),
        other => return Err(unknown(&block, other)),
    };
    block.done()?;
    Ok(read)
}

fn unknown(block: &Body, kind: &str) -> Fault {
    let place = block.place("type");
    refused(place.trim_start_matches("#/"), kind, "content of this kind in native bodies")
}

/// A text, with its sources if the model named some.
fn words(block: &mut Body) -> Result<Block, Fault> {
    let text = block.required_text("text")?;
    let citations = block.bodies("citations")?.into_iter().map(citation::read);
    let citations: Vec<Json> = citations.collect::<Result<_, _>>()?;
    match citations.is_empty() {
        true => Ok(Block::Text(text)),
        false => Ok(Block::CitationsContent(
            json!({"content": [{"text": text}], "citations": citations}),
        )),
    }
}

fn source(block: &mut Body) -> Result<(String, Body), Fault> {
    let place = block.place("source");
    let mut source = Body::at(place, block.required("source")?)?;
    let kind = source.required_text("type")?;
    Ok((kind, source))
}

fn image(block: &mut Body) -> Result<Json, Fault> {
    let (kind, mut source) = source(block)?;
    if kind != "base64" {
        let feature = "images that are elsewhere; send the bytes";
        return Err(refused("source.type", &kind, feature));
    }
    let media = source.required_text("media_type")?;
    let data = source.required_text("data")?;
    source.done()?;
    let Some(format) = media.strip_prefix("image/") else {
        let place = block.place("source/media_type");
        return Err(malformed(&format!("{place}: {media} is not a valid enum value")));
    };
    check_image(&block.place("image/source/base64"), format, &data)?;
    Ok(json!({"format": format, "source": {"bytes": data}}))
}

fn document(block: &mut Body) -> Result<Json, Fault> {
    let (kind, mut source) = source(block)?;
    let name = block.text("title")?.unwrap_or_else(|| "document".to_owned());
    let mut document = json!({"name": name});
    match kind.as_str() {
        "base64" => {
            let media = source.required_text("media_type")?;
            if media != "application/pdf" {
                return Err(refused("source.media_type", &media, "documents but PDF and text"));
            }
            document["format"] = json!("pdf");
            document["source"] = json!({"bytes": source.required_text("data")?});
        }
        "text" => {
            source.text("media_type")?;
            document["format"] = json!("txt");
            document["source"] = json!({"text": source.required_text("data")?});
        }
        "content" => {
            let place = source.place("content");
            let texts = said(Some(source.required("content")?), &place)?.into_iter().map(chunk);
            let texts: Result<Vec<Json>, Fault> = texts.collect();
            document["source"] = json!({"content": texts?});
        }
        other => {
            let feature = "documents that are elsewhere; send the bytes";
            return Err(refused("source.type", other, feature));
        }
    }
    source.done()?;
    if let Some(context) = block.text("context")? {
        document["context"] = json!(context);
    }
    if let Some(citations) = block.take("citations") {
        document["citations"] = citations;
    }
    Ok(document)
}

fn chunk(mut chunk: Body) -> Result<Json, Fault> {
    let kind = chunk.required_text("type")?;
    if kind != "text" {
        return Err(unknown(&chunk, &kind));
    }
    chunk.pass(&["cache_control"]);
    let text = chunk.required_text("text")?;
    chunk.done()?;
    Ok(json!({"text": text}))
}

fn search_result(block: &mut Body) -> Result<Json, Fault> {
    let content: Result<Vec<Json>, _> = block.bodies("content")?.into_iter().map(chunk).collect();
    let mut found = json!({
        "source": block.required_text("source")?,
        "title": block.required_text("title")?,
        "content": content?,
    });
    if let Some(citations) = block.take("citations") {
        found["citations"] = citations;
    }
    Ok(found)
}

fn tool_use(block: &mut Body) -> Result<ToolUse, Fault> {
    let tool_use_id = block.required_text("id")?;
    let (name, input) = (block.required_text("name")?, block.required("input")?);
    block.pass(&["caller"]);
    Ok(ToolUse { tool_use_id, name, input })
}

fn tool_result(block: &mut Body) -> Result<ToolResult, Fault> {
    let tool_use_id = block.required_text("tool_use_id")?;
    let place = block.place("content");
    let mut content = Vec::new();
    for mut inner in said(block.take("content"), &place)? {
        // A hint inside of a result; the result's own point ends the same prefix.
        cache_point(&mut inner);
        content.push(result_block(inner)?);
    }
    let failed = block.flag("is_error")?.unwrap_or(false);
    let status = failed.then_some(ToolStatus::Error);
    Ok(ToolResult { tool_use_id, content, status })
}

fn result_block(mut block: Body) -> Result<ResultBlock, Fault> {
    let kind = block.required_text("type")?;
    let read = match kind.as_str() {
        "text" => ResultBlock::Text(block.required_text("text")?),
        "image" => ResultBlock::Image(image(&mut block)?),
        "document" => ResultBlock::Document(document(&mut block)?),
        "search_result" => ResultBlock::SearchResult(search_result(&mut block)?),
        other => return Err(unknown(&block, other)),
    };
    block.done()?;
    Ok(read)
}

fn tools(body: &mut Body, cache: &mut CachePoints) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for mut tool in body.bodies("tools")? {
        let kind = tool.text("type")?.unwrap_or_else(|| "custom".to_owned());
        if kind != "custom" {
            let place = tool.place("type");
            let feature = "tools that a vendor defines";
            return Err(refused(place.trim_start_matches("#/"), &kind, feature));
        }
        let point = cache_point(&mut tool);
        cache.tools.extend(point.map(|point| (tools.len(), point)));
        tools.push(Tool {
            name: tool.required_text("name")?,
            description: tool.text("description")?.unwrap_or_default(),
            schema: tool.required("input_schema")?,
            strict: tool.flag("strict")?.unwrap_or(false),
        });
        tool.done()?;
    }
    Ok(tools)
}

/// Converse knows no choice of none: without tools on offer none is used.
fn chosen(
    body: &mut Body,
    tools: Vec<Tool>,
    messages: &[Message],
) -> Result<(Vec<Tool>, ToolChoice, bool), Fault> {
    let Some(choice) = body.take("tool_choice") else {
        return Ok((tools, ToolChoice::Auto, false));
    };
    let mut choice = Body::at("#/tool_choice", choice)?;
    let one = choice.flag("disable_parallel_tool_use")?.unwrap_or(false);
    let kind = choice.required_text("type")?;
    let chosen = match kind.as_str() {
        "auto" => (tools, ToolChoice::Auto, one),
        "any" => (tools, ToolChoice::Any, one),
        "tool" => (tools, ToolChoice::Tool(choice.required_text("name")?), one),
        "none" if messages.iter().flat_map(|message| &message.content).any(is_of_a_tool) => {
            let feature = "forbidding tools after one was used";
            return Err(refused("tool_choice.type", "none", feature));
        }
        "none" => (Vec::new(), ToolChoice::Auto, false),
        other => {
            let why = format!("#/tool_choice/type: {other} is not a valid enum value");
            return Err(malformed(&why));
        }
    };
    choice.done()?;
    Ok(chosen)
}

fn is_of_a_tool(block: &Block) -> bool {
    matches!(block, Block::ToolUse(_) | Block::ToolResult(_))
}
