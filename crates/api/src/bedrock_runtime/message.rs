//! Messages of the wire in the inner tongue and back, block by block.
//!
//! Bytes have been fetched and measured before (`media`). A block that no provider could carry is
//! refused here by its place; all others are for the provider to carry or refuse.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use wire::bedrock_runtime::types::{
    self as wire_types, ContentBlock, ConversationRole, GuardrailConverseContentBlock,
    ReasoningContentBlock, SystemContentBlock, ToolResultContentBlock, ToolResultStatus,
};
use wire::converse::{Block, Message, ResultBlock, Role, ToolResult, ToolStatus, ToolUse};
use wire::fault::Fault;
use wire::shape::{Shape, ShapeError};
use wire::value::Value;

use crate::bedrock_agent::feature::refused;

/// Where a block stands, spelled out only when somebody reads it.
#[derive(Clone, Copy)]
struct Place {
    message: usize,
    block: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages.{}.content.{}", self.message, self.block)
    }
}

/// A cache point only saves time and money; a provider without a cache leaves it out.
pub(super) fn system(
    blocks: Vec<SystemContentBlock>,
    cache: &mut BTreeMap<usize, Json>,
) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            SystemContentBlock::Text(text) => texts.push(text),
            SystemContentBlock::CachePoint(point) => remember(cache, texts.len(), point),
            // What a guardrail would look at is said to the model all the same.
            SystemContentBlock::GuardContent(guarded) => match guarded {
                GuardrailConverseContentBlock::Text(guarded) => texts.push(guarded.text),
                GuardrailConverseContentBlock::Image(_) => {
                    let feature = "images in system prompts";
                    return Err(refused("system.guardContent.image", "", feature));
                }
            },
        }
    }
    Ok(texts)
}

/// A point with nothing before it marks nothing.
pub(super) fn remember(cache: &mut BTreeMap<usize, Json>, after: usize, point: impl Shape) {
    if let Some(place) = after.checked_sub(1) {
        cache.insert(place, json(point));
    }
}

pub(super) fn message(at: usize, message: wire_types::Message) -> Result<Message, Fault> {
    let role = match message.role {
        ConversationRole::User => Role::User,
        ConversationRole::Assistant => Role::Assistant,
        ConversationRole::System => {
            let field = format!("messages.{at}.role");
            return Err(refused(&field, "system", "system messages within a conversation"));
        }
    };
    if message.content.is_empty() {
        // AWS: the wording of Converse's checks, here and below, as quoted in
        // langgenius/dify issue 17545, pydantic/pydantic-ai issue 2327 and
        // aws-samples/sample-multi-agent-orchestration-chat-on-agentcore issue 15.
        return Err(Fault::validation(format!(
            "The content field in the Message object at messages.{at} is empty. Add a \
             ContentBlock object to the content field and try again."
        )));
    }
    let blocks = message.content.into_iter().enumerate();
    let content: Result<_, _> =
        blocks.map(|(n, b)| block(Place { message: at, block: n }, b)).collect();
    Ok(Message { role, content: content? })
}

fn block(place: Place, block: ContentBlock) -> Result<Block, Fault> {
    let unsupported =
        |kind: &str, feature: &str| Err(refused(&format!("{place}.{kind}"), "", feature));
    match block {
        ContentBlock::Text(text) if text.trim().is_empty() => Err(Fault::validation(format!(
            "The text field in the ContentBlock object at {place} is blank. Add text to the text \
             field, and try again."
        ))),
        ContentBlock::Text(text) => Ok(Block::Text(text)),
        ContentBlock::ToolUse(asked) if asked.r#type.is_some() => {
            unsupported("toolUse.type", HOSTED)
        }
        ContentBlock::ToolUse(asked) => Ok(Block::ToolUse(ToolUse {
            tool_use_id: asked.tool_use_id,
            name: asked.name,
            input: asked.input,
        })),
        ContentBlock::ToolResult(result) if result.r#type.is_some() => {
            unsupported("toolResult.type", HOSTED)
        }
        ContentBlock::ToolResult(result) => tool_result(place, result).map(Block::ToolResult),
        ContentBlock::Image(image) => Ok(Block::Image(json(image))),
        ContentBlock::Document(document) => Ok(Block::Document(json(document))),
        ContentBlock::Video(video) => Ok(Block::Video(json(video))),
        ContentBlock::Audio(audio) => Ok(Block::Audio(json(audio))),
        ContentBlock::ReasoningContent(said) => Ok(Block::ReasoningContent(json(said))),
        ContentBlock::CitationsContent(cited) => Ok(Block::CitationsContent(json(cited))),
        ContentBlock::SearchResult(result) => Ok(Block::SearchResult(json(result))),
        ContentBlock::CachePoint(point) => Ok(Block::CachePoint(json(point))),
        ContentBlock::GuardContent(GuardrailConverseContentBlock::Image(image)) => {
            Ok(Block::Image(json(image)))
        }
        ContentBlock::GuardContent(text) => Ok(Block::GuardContent(json(text))),
        ContentBlock::ToolAddition(_) => unsupported("toolAddition", CHANGING),
        ContentBlock::ToolRemoval(_) => unsupported("toolRemoval", CHANGING),
    }
}

const HOSTED: &str = "tools that the model's host runs";
const CHANGING: &str = "tools that come and go within a conversation";

fn tool_result(place: Place, result: wire_types::ToolResultBlock) -> Result<ToolResult, Fault> {
    let status = result.status.map(|status| match status {
        ToolResultStatus::Success => ToolStatus::Success,
        ToolResultStatus::Error => ToolStatus::Error,
    });
    if result.content.is_empty() && status == Some(ToolStatus::Error) {
        return Err(Fault::validation(format!(
            "The content field at {place}.toolResult cannot be empty when status value is error."
        )));
    }
    let content = result.content.into_iter().map(|block| match block {
        ToolResultContentBlock::Text(text) => ResultBlock::Text(text),
        ToolResultContentBlock::Json(value) => ResultBlock::Json(value),
        ToolResultContentBlock::Image(image) => ResultBlock::Image(json(image)),
        ToolResultContentBlock::Document(file) => ResultBlock::Document(json(file)),
        ToolResultContentBlock::Video(video) => ResultBlock::Video(json(video)),
        ToolResultContentBlock::SearchResult(found) => ResultBlock::SearchResult(json(found)),
    });
    Ok(ToolResult { tool_use_id: result.tool_use_id, content: content.collect(), status })
}

fn json(shape: impl Shape) -> Json {
    Json::from(shape.into_value())
}

/// A block of an answer, in the shape of the wire.
pub(crate) fn shown(block: Block) -> Result<ContentBlock, ShapeError> {
    match block {
        Block::Text(text) => Ok(ContentBlock::Text(text)),
        Block::ToolUse(asked) => Ok(ContentBlock::ToolUse(wire_types::ToolUseBlock {
            tool_use_id: asked.tool_use_id,
            name: asked.name,
            input: asked.input,
            r#type: None,
        })),
        Block::ReasoningContent(said) => Ok(ContentBlock::ReasoningContent(reasoning(&said)?)),
        other => ContentBlock::from_value(Value::from(serde_json::json!(other))),
    }
}

/// Whatever a model thought, for the client to bring back with its next request.
fn reasoning(said: &Json) -> Result<ReasoningContentBlock, ShapeError> {
    if let Some(data) = said["redactedContent"].as_str().and_then(blob) {
        return Ok(ReasoningContentBlock::RedactedContent(data));
    }
    let mut said = said.clone();
    // A provider that signs nothing has sent an empty signature, which is none to a client.
    if said["reasoningText"]["signature"] == ""
        && let Some(text) = said["reasoningText"].as_object_mut()
    {
        text.remove("signature");
    }
    ReasoningContentBlock::from_value(Value::from(said))
}

/// A blob of the inner tongue.
pub(crate) fn blob(base64: &str) -> Option<Bytes> {
    BASE64_STANDARD.decode(base64).ok().map(Bytes::from)
}
