//! A Converse request in the inner tongue: what AWS checks of a conversation, and the refusal of
//! what has not landed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use wire::bedrock_runtime::types::{
    self as wire_types, ContentBlock, ConversationRole, InferenceConfiguration, OutputConfig,
    PerformanceConfigLatency, PerformanceConfiguration, PromptVariableValues,
    ReasoningContentBlock, ServiceTier, ServiceTierType, SystemContentBlock, ToolConfiguration,
    ToolInputSchema, ToolResultContentBlock, ToolResultStatus, ToolSpecification,
};
use wire::converse::{
    Block, CachePoints, Call, Inference, Message, Options, ResultBlock, Role, Tool, ToolChoice,
    ToolResult, ToolStatus, ToolUse,
};
use wire::fault::Fault;
use wire::shape::{Shape, ShapeError};
use wire::value::Value;

use crate::bedrock_agent::feature::refused;

/// What Converse and ConverseStream have in common.
pub(crate) struct Asked {
    pub(crate) model_id: String,
    pub(crate) messages: Vec<wire_types::Message>,
    pub(crate) system: Vec<SystemContentBlock>,
    pub(crate) inference: InferenceConfiguration,
    pub(crate) tools: Option<ToolConfiguration>,
    pub(crate) additional: Json,
    pub(crate) guarded: bool,
    pub(crate) variables: BTreeMap<String, PromptVariableValues>,
    pub(crate) performance: Option<PerformanceConfiguration>,
    pub(crate) tier: Option<ServiceTier>,
    pub(crate) output: Option<OutputConfig>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Takes either request's members.
macro_rules! asked {
    ($input:ident, $guarded:expr) => {
        $crate::bedrock_runtime::message::Asked {
            model_id: $input.model_id,
            messages: $input.messages.unwrap_or_default(),
            system: $input.system.unwrap_or_default(),
            inference: $input.inference_config.unwrap_or_default(),
            tools: $input.tool_config,
            additional: $input.additional_model_request_fields.unwrap_or_default(),
            guarded: $guarded,
            variables: $input.prompt_variables.unwrap_or_default(),
            performance: $input.performance_config,
            tier: $input.service_tier,
            output: $input.output_config,
            metadata: $input.request_metadata.unwrap_or_default(),
        }
    };
}
pub(crate) use asked;

impl Asked {
    pub(crate) fn call(self) -> Result<Call, Fault> {
        self.check_features()?;
        let has_tools = self.tools.as_ref().is_some_and(|config| !config.tools.is_empty());
        let mut cache = CachePoints::default();
        let (tools, tool_choice) = match self.tools {
            Some(config) => tools(config, &mut cache.tools)?,
            None => Default::default(),
        };
        let messages: Result<Vec<_>, _> =
            self.messages.into_iter().enumerate().map(|(at, m)| message(at, m)).collect();
        let messages = messages?;
        check_conversation(&messages, has_tools)?;
        let system = system(self.system, &mut cache.system)?;
        Ok(Call {
            model: self.model_id,
            system,
            messages,
            tools: tools.into(),
            tool_choice,
            cache,
            inference: inference(self.inference),
            additional: self.additional,
            options: Options::default(),
            stream: false,
        })
    }

    fn check_features(&self) -> Result<(), Fault> {
        if self.guarded {
            return Err(refused("guardrailConfig", "", "guardrails of models"));
        }
        if !self.variables.is_empty() {
            return Err(refused("promptVariables", "", "managed prompts"));
        }
        if !self.metadata.is_empty() {
            return Err(refused("requestMetadata", "", "logs of model invocations"));
        }
        let latency = self.performance.as_ref().and_then(|config| config.latency);
        if let Some(latency @ PerformanceConfigLatency::Optimized) = latency {
            let feature = "latency classes of models";
            return Err(refused("performanceConfig.latency", latency.as_str(), feature));
        }
        let tier = self.tier.as_ref().map(|tier| tier.r#type);
        if let Some(tier) = tier.filter(|tier| *tier != ServiceTierType::Default) {
            return Err(refused("serviceTier", tier.as_str(), "service tiers"));
        }
        match self.output.as_ref().filter(|output| **output != OutputConfig::default()) {
            Some(_) => Err(refused("outputConfig", "", "structured output and effort")),
            None => Ok(()),
        }
    }
}

fn inference(config: InferenceConfiguration) -> Inference {
    Inference {
        max_tokens: config.max_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        temperature: config.temperature,
        top_p: config.top_p,
        stop_sequences: config.stop_sequences.unwrap_or_default(),
    }
}

/// A cache point only saves time and money; a provider without a cache leaves it out.
fn system(
    blocks: Vec<SystemContentBlock>,
    cache: &mut BTreeMap<usize, Json>,
) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            SystemContentBlock::Text(text) => texts.push(text),
            SystemContentBlock::CachePoint(point) => remember(cache, texts.len(), point),
            SystemContentBlock::GuardContent(_) => {
                return Err(refused("system.guardContent", "", "guardrails of models"));
            }
        }
    }
    Ok(texts)
}

/// A point with nothing before it marks nothing.
fn remember(cache: &mut BTreeMap<usize, Json>, after: usize, point: impl Shape) {
    if let Some(place) = after.checked_sub(1) {
        cache.insert(place, json(point));
    }
}

fn tools(
    config: ToolConfiguration,
    cache: &mut BTreeMap<usize, Json>,
) -> Result<(Vec<Tool>, ToolChoice), Fault> {
    let mut tools = Vec::with_capacity(config.tools.len());
    for given in config.tools {
        match given {
            wire_types::Tool::CachePoint(point) => remember(cache, tools.len(), point),
            wire_types::Tool::ToolSpec(spec) => tools.push(tool(spec)?),
            wire_types::Tool::SystemTool(tool) => {
                let feature = "tools that the model's host runs";
                return Err(refused("toolConfig.tools.systemTool", &tool.name, feature));
            }
        }
    }
    let choice = match config.tool_choice {
        None | Some(wire_types::ToolChoice::Auto(_)) => ToolChoice::Auto,
        Some(wire_types::ToolChoice::Any(_)) => ToolChoice::Any,
        Some(wire_types::ToolChoice::Tool(tool)) => {
            if !tools.iter().any(|known| known.name == tool.name) {
                return Err(Fault::validation(format!(
                    "Value '{}' at 'toolConfig.toolChoice.tool.name' names none of the tools",
                    tool.name
                )));
            }
            ToolChoice::Tool(tool.name)
        }
    };
    Ok((tools, choice))
}

fn tool(spec: ToolSpecification) -> Result<Tool, Fault> {
    if spec.strict == Some(true) {
        let field = "toolConfig.tools.toolSpec.strict";
        return Err(refused(field, "true", "answers held to a schema"));
    }
    let ToolInputSchema::Json(schema) = spec.input_schema;
    let description = spec.description.unwrap_or_default();
    Ok(Tool { name: spec.name, description, schema, strict: false })
}

fn message(at: usize, message: wire_types::Message) -> Result<Message, Fault> {
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
        blocks.map(|(n, b)| block(&format!("messages.{at}.content.{n}"), b)).collect();
    Ok(Message { role, content: content? })
}

fn block(place: &str, block: ContentBlock) -> Result<Block, Fault> {
    let unsupported =
        |kind: &str, feature: &str| Err(refused(&format!("{place}.{kind}"), "", feature));
    match block {
        ContentBlock::Text(text) if text.trim().is_empty() => Err(Fault::validation(format!(
            "The text field in the ContentBlock object at {place} is blank. Add text to the text \
             field, and try again."
        ))),
        ContentBlock::Text(text) => Ok(Block::Text(text)),
        ContentBlock::ToolUse(asked) => Ok(Block::ToolUse(ToolUse {
            tool_use_id: asked.tool_use_id,
            name: asked.name,
            input: asked.input,
        })),
        ContentBlock::ToolResult(result) => tool_result(place, result).map(Block::ToolResult),
        ContentBlock::Image(image) => media(place, "image", image).map(Block::Image),
        ContentBlock::Document(document) => media(place, "document", document).map(Block::Document),
        ContentBlock::Video(video) => media(place, "video", video).map(Block::Video),
        ContentBlock::ReasoningContent(said) => Ok(Block::ReasoningContent(json(said))),
        ContentBlock::CachePoint(point) => Ok(Block::CachePoint(json(point))),
        ContentBlock::GuardContent(_) => unsupported("guardContent", "guardrails of models"),
        ContentBlock::Audio(_) => unsupported("audio", "audio"),
        ContentBlock::CitationsContent(_) => unsupported("citationsContent", "citations"),
        ContentBlock::SearchResult(_) => unsupported("searchResult", "search results"),
        ContentBlock::ToolAddition(_) => unsupported("toolAddition", "tools that come and go"),
        ContentBlock::ToolRemoval(_) => unsupported("toolRemoval", "tools that come and go"),
    }
}

fn tool_result(place: &str, result: wire_types::ToolResultBlock) -> Result<ToolResult, Fault> {
    let status = result.status.map(|status| match status {
        ToolResultStatus::Success => ToolStatus::Success,
        ToolResultStatus::Error => ToolStatus::Error,
    });
    if result.content.is_empty() && status == Some(ToolStatus::Error) {
        return Err(Fault::validation(format!(
            "The content field at {place}.toolResult cannot be empty when status value is error."
        )));
    }
    let inner = format!("{place}.toolResult");
    let content: Result<_, _> = result
        .content
        .into_iter()
        .map(|block| match block {
            ToolResultContentBlock::Text(text) => Ok(ResultBlock::Text(text)),
            ToolResultContentBlock::Json(value) => Ok(ResultBlock::Json(value)),
            ToolResultContentBlock::Image(image) => {
                media(&inner, "image", image).map(ResultBlock::Image)
            }
            ToolResultContentBlock::Document(file) => {
                media(&inner, "document", file).map(ResultBlock::Document)
            }
            ToolResultContentBlock::Video(video) => {
                media(&inner, "video", video).map(ResultBlock::Video)
            }
            ToolResultContentBlock::SearchResult(_) => {
                Err(refused(&format!("{place}.toolResult.searchResult"), "", "search results"))
            }
        })
        .collect();
    Ok(ToolResult { tool_use_id: result.tool_use_id, content: content?, status })
}

/// An image, a document or a video that the request carries itself.
fn media(place: &str, kind: &str, shape: impl Shape) -> Result<Json, Fault> {
    let media = json(shape);
    match media.pointer("/source/s3Location/uri").and_then(Json::as_str) {
        Some(uri) => {
            let field = format!("{place}.{kind}.source.s3Location");
            Err(refused(&field, uri, "objects in S3; send the bytes"))
        }
        None => Ok(media),
    }
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

fn check_conversation(messages: &[Message], has_tools: bool) -> Result<(), Fault> {
    if messages.first().is_some_and(|first| first.role != Role::User) || messages.is_empty() {
        return Err(Fault::validation(
            "A conversation must start with a user message. Try again with a conversation that \
             starts with a user message.",
        ));
    }
    if messages.windows(2).any(|pair| pair[0].role == pair[1].role) {
        return Err(Fault::validation(
            "A conversation must alternate between user and assistant roles. Make sure the \
             conversation alternates between user and assistant roles and try again.",
        ));
    }
    let mut blocks = messages.iter().flat_map(|message| &message.content);
    if !has_tools && blocks.any(|b| matches!(b, Block::ToolUse(_) | Block::ToolResult(_))) {
        return Err(Fault::validation(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    check_results(messages)
}

/// The results of a message answer the tool uses of the message before it: all, each once.
fn check_results(messages: &[Message]) -> Result<(), Fault> {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let given: Vec<&str> = ids(message, |block| match block {
            Block::ToolResult(result) => Some(&result.tool_use_id),
            _ => None,
        });
        if given.len() > open.len() || given.iter().any(|id| !open.contains(id)) {
            return Err(Fault::validation(format!(
                "The number of toolResult blocks at messages.{at}.content exceeds the number of \
                 toolUse blocks of previous turn."
            )));
        }
        let missing: Vec<&str> = open.into_iter().filter(|id| !given.contains(id)).collect();
        if !missing.is_empty() {
            return Err(Fault::validation(format!(
                "Expected toolResult blocks at messages.{at}.content for the following Ids: {}",
                missing.join(", ")
            )));
        }
        open = ids(message, |block| match block {
            Block::ToolUse(asked) => Some(&asked.tool_use_id),
            _ => None,
        });
    }
    Ok(())
}

fn ids<'a>(message: &'a Message, id: impl Fn(&'a Block) -> Option<&'a String>) -> Vec<&'a str> {
    message.content.iter().filter_map(id).map(String::as_str).collect()
}
