//! Amazon Nova's messages: Converse's own shapes, with bytes in base64.

use serde_json::{Value as Json, json};
use wire::converse::{
    Block, CachePoints, Delta, Inference, Message, Reply, ResultBlock, StopReason, Tool,
    ToolChoice, Usage,
};
use wire::fault::Fault;

use super::body::{Body, malformed};
use super::held::{check_nova_image, images};
use super::{About, Native, Understood, call};
use crate::bedrock_agent::feature::refused;

// AWS: the one schema of Nova's understanding models (Nova user guide, "Complete request schema")
const SCHEMA: &str = "messages-v1";

pub(super) fn read(mut body: Body) -> Result<Understood, Fault> {
    if let Some(schema) = body.text("schemaVersion")?.filter(|schema| schema != SCHEMA) {
        return Err(malformed(&format!("#/schemaVersion: {schema} is not a valid enum value")));
    }
    let mut cache = CachePoints::default();
    let system = system(&mut body, &mut cache)?;
    let messages = messages(&mut body)?;
    let (inference, additional) = inference(&mut body)?;
    let (tools, tool_choice) = tools(&mut body, &mut cache)?;
    body.done()?;
    let mut call = call(system, messages, inference);
    (call.tools, call.tool_choice) = (tools.into(), tool_choice);
    (call.cache, call.additional) = (cache, additional);
    Ok(Understood { call, native: Box::new(Answer) })
}

fn system(body: &mut Body, cache: &mut CachePoints) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    for mut block in body.bodies("system")? {
        match block.take("cachePoint") {
            Some(point) => {
                cache.system.extend(texts.len().checked_sub(1).map(|after| (after, point)));
            }
            None => texts.push(block.required_text("text")?),
        }
        block.done()?;
    }
    Ok(texts)
}

fn messages(body: &mut Body) -> Result<Vec<Message>, Fault> {
    if !body.has("messages") {
        return Err(body.absent("messages"));
    }
    let mut messages = Vec::new();
    for (at, message) in body.list("messages")?.into_iter().enumerate() {
        let read: Result<Message, _> = serde_json::from_value(message);
        let message = read.map_err(|error| malformed(&format!("#/messages/{at}: {error}")))?;
        let elsewhere = message.content.iter().any(|block| match block {
            Block::Image(media)
            | Block::Document(media)
            | Block::Video(media)
            | Block::Audio(media) => in_s3(media),
            Block::ToolResult(result) => result.content.iter().any(|inner| match inner {
                ResultBlock::Image(media)
                | ResultBlock::Document(media)
                | ResultBlock::Video(media) => in_s3(media),
                _ => false,
            }),
            _ => false,
        });
        if elsewhere {
            let place = format!("messages.{at}.content.source.s3Location");
            return Err(refused(&place, "", "objects in S3; send the bytes"));
        }
        for (n, block) in message.content.iter().enumerate() {
            let place = format!("messages.{at}.content.{n}.image.source.bytes");
            images(block).into_iter().try_for_each(|image| check_nova_image(&place, image))?;
        }
        super::push(&mut messages, message.role, message.content);
    }
    if messages.is_empty() {
        return Err(malformed("#/messages: expected minimum item count: 1, found: 0"));
    }
    Ok(messages)
}

fn in_s3(media: &Json) -> bool {
    media.pointer("/source/s3Location").is_some()
}

/// Members have two spellings: Converse's, and that of the first version of Nova's schema.
fn inference(body: &mut Body) -> Result<(Inference, Json), Fault> {
    let Some(config) = body.take("inferenceConfig") else {
        return Ok((Inference::default(), Json::Null));
    };
    let mut config = Body::at("#/inferenceConfig", config)?;
    let max_tokens = config.count("maxTokens")?;
    let old_max_tokens = config.count("max_new_tokens")?;
    let (temperature, top_p) = (config.share("temperature", 1.0)?, config.share("topP", 1.0)?);
    let old_top_p = config.share("top_p", 1.0)?;
    let stop_sequences = config.texts("stopSequences")?;
    let top_k = config.take("topK");
    let top_k = config.take("top_k").or(top_k);
    let mut additional = config.pass(&["reasoningConfig"]);
    if let Some(top_k) = top_k {
        // AWS: Nova takes topK in Converse's additional fields, inside of inferenceConfig (Nova
        // user guide, "Using the Converse API"); every other model takes top_k, so it goes as that.
        additional["top_k"] = top_k;
    }
    config.done()?;
    let inference = Inference {
        max_tokens: max_tokens.or(old_max_tokens),
        temperature,
        top_p: top_p.or(old_top_p),
        stop_sequences,
    };
    Ok((inference, additional))
}

fn tools(body: &mut Body, cache: &mut CachePoints) -> Result<(Vec<Tool>, ToolChoice), Fault> {
    let Some(config) = body.take("toolConfig") else { return Ok(Default::default()) };
    let mut config = Body::at("#/toolConfig", config)?;
    let mut tools = Vec::new();
    for mut item in config.bodies("tools")? {
        if let Some(point) = item.take("cachePoint") {
            cache.tools.extend(tools.len().checked_sub(1).map(|after| (after, point)));
            item.done()?;
            continue;
        }
        if item.has("systemTool") {
            let feature = "tools that the model's host runs";
            return Err(refused("toolConfig.tools.systemTool", "", feature));
        }
        let mut spec = Body::at(item.place("toolSpec"), item.required("toolSpec")?)?;
        let place = spec.place("inputSchema");
        let mut schema = Body::at(place, spec.required("inputSchema")?)?;
        tools.push(Tool {
            name: spec.required_text("name")?,
            description: spec.text("description")?.unwrap_or_default(),
            schema: schema.required("json")?,
            strict: spec.flag("strict")?.unwrap_or(false),
        });
        spec.done()?;
        item.done()?;
    }
    let choice = choice(&mut config)?;
    config.done()?;
    Ok((tools, choice))
}

fn choice(config: &mut Body) -> Result<ToolChoice, Fault> {
    let Some(choice) = config.take("toolChoice") else { return Ok(ToolChoice::Auto) };
    let mut choice = Body::at("#/toolConfig/toolChoice", choice)?;
    let chosen = match (choice.take("any"), choice.take("tool")) {
        (Some(_), _) => ToolChoice::Any,
        (None, Some(tool)) => {
            ToolChoice::Tool(Body::at(choice.place("tool"), tool)?.required_text("name")?)
        }
        (None, None) => ToolChoice::Auto,
    };
    choice.pass(&["auto"]);
    choice.done()?;
    Ok(chosen)
}

struct Answer;

impl Native for Answer {
    fn tells_spoiled(&self) -> bool {
        true
    }

    fn whole(&self, reply: Reply, _: &About) -> Json {
        let message = json!({"role": "assistant", "content": reply.content});
        json!({
            "output": {"message": message},
            "stopReason": reply.stop_reason,
            "usage": usage(reply.usage),
        })
    }

    fn begin(&mut self, _: &About) -> Vec<Json> {
        vec![json!({"messageStart": {"role": "assistant"}})]
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let piece = |index: usize, delta: Json| {
            vec![json!({"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}})]
        };
        let thought = |index, said| piece(index, json!({"reasoningContent": said}));
        match delta {
            Delta::Text { index, text } => piece(index, json!({"text": text})),
            Delta::Reasoning { index, text } => {
                thought(index, json!({"reasoningText": {"text": text}}))
            }
            Delta::Signature { index, signature } => {
                thought(index, json!({"reasoningText": {"signature": signature}}))
            }
            Delta::Redacted { index, data } => thought(index, json!({"redactedContent": data})),
            Delta::ToolUseStart { index, id, name } => {
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                vec![json!({"contentBlockStart": {"start": start, "contentBlockIndex": index}})]
            }
            Delta::ToolUseInput { index, json } => {
                piece(index, json!({"toolUse": {"input": json}}))
            }
            Delta::BlockStop { index } => {
                vec![json!({"contentBlockStop": {"contentBlockIndex": index}})]
            }
            Delta::Citation { index, citation } => piece(index, json!({"citation": citation})),
            Delta::Native(_) | Delta::Stop(_) | Delta::Usage(_) => Vec::new(),
        }
    }

    fn end(&mut self, reason: StopReason, used: Usage, _: &About) -> Vec<Json> {
        vec![
            json!({"messageStop": {"stopReason": reason}}),
            json!({"metadata": {"usage": usage(used), "metrics": {}, "trace": {}}}),
        ]
    }
}

fn usage(usage: Usage) -> Json {
    json!({
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens
            + usage.cache_read_input_tokens + usage.cache_write_input_tokens,
        "cacheReadInputTokenCount": usage.cache_read_input_tokens,
        "cacheWriteInputTokenCount": usage.cache_write_input_tokens,
    })
}
