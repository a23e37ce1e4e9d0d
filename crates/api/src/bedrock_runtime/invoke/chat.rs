//! Chat completions: OpenAI's open models and the many that took the form over, and Mistral's chat.

use serde_json::{Value as Json, json};
use wire::converse::{
    Block, Delta, Inference, Message, Reply, ResultBlock, Role, StopReason, Tool, ToolChoice,
    ToolResult, ToolUse, Usage,
};
use wire::fault::Fault;

use super::body::{Body, malformed, mistyped};
use super::held::check_picture;
use super::{About, Native, Understood, call, push, words};
use crate::bedrock_agent::feature::refused;

/// Members that go to the provider as they are.
const PASSED: [&str; 14] = [
    "frequency_penalty",
    "logit_bias",
    "min_tokens",
    "presence_penalty",
    "random_seed",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safe_prompt",
    "seed",
    "service_tier",
    "top_k",
    "user",
    "verbosity",
];

pub(super) fn read(mut body: Body, mistral: bool) -> Result<Understood, Fault> {
    // Which model it is and whether it streams, the request's path says.
    body.pass(&["model", "stream", "stream_options"]);
    if body.count("n")?.is_some_and(|n| n > 1) {
        return Err(refused("n", "", "several answers to one question"));
    }
    let (system, messages) = messages(&mut body)?;
    let max_tokens = body.count("max_tokens")?;
    let inference = Inference {
        max_tokens: body.count("max_completion_tokens")?.or(max_tokens),
        temperature: body.share("temperature", 2.0)?,
        top_p: body.share("top_p", 1.0)?,
        stop_sequences: stops(&mut body)?,
    };
    let tools = tools(&mut body)?;
    let (tools, choice) = chosen(&mut body, tools)?;
    let one_tool_use = body.flag("parallel_tool_calls")? == Some(false);
    let additional = body.pass(&PASSED);
    body.done()?;
    let mut call = call(system, messages, inference);
    (call.tools, call.tool_choice, call.additional) = (tools.into(), choice, additional);
    call.options.one_tool_use = one_tool_use;
    let native = Answer { mistral, thinking: false, calls: Vec::new() };
    Ok(Understood { call, native: Box::new(native) })
}

fn stops(body: &mut Body) -> Result<Vec<String>, Fault> {
    match body.take("stop") {
        None => Ok(Vec::new()),
        Some(Json::String(one)) => Ok(vec![one]),
        Some(list) => Body::at("#", json!({"stop": list}))?.texts("stop"),
    }
}

fn messages(body: &mut Body) -> Result<(Vec<String>, Vec<Message>), Fault> {
    if !body.has("messages") {
        return Err(body.absent("messages"));
    }
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    for mut message in body.bodies("messages")? {
        let role = message.required_text("role")?;
        match role.as_str() {
            "system" | "developer" => {
                for block in content(&mut message)? {
                    match block {
                        Block::Text(text) => system.push(text),
                        _ => return Err(malformed("#/messages: a system prompt is text")),
                    }
                }
            }
            "user" => push(&mut messages, Role::User, content(&mut message)?),
            "assistant" => push(&mut messages, Role::Assistant, said(&mut message)?),
            "tool" => {
                let result = Block::ToolResult(result(&mut message)?);
                push(&mut messages, Role::User, vec![result]);
            }
            other => {
                let place = message.place("role");
                return Err(malformed(&format!("{place}: {other} is not a valid enum value")));
            }
        }
        message.pass(&["name"]);
        message.done()?;
    }
    if messages.is_empty() {
        return Err(malformed("#/messages: expected minimum item count: 1, found: 0"));
    }
    Ok((system, messages))
}

/// Words alone, or a list of parts.
fn content(message: &mut Body) -> Result<Vec<Block>, Fault> {
    let place = message.place("content");
    match message.take("content") {
        None => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![Block::Text(text)]),
        Some(Json::Array(parts)) => {
            let parts = parts.into_iter().enumerate();
            parts.map(|(at, item)| part(Body::at(format!("{place}/{at}"), item)?)).collect()
        }
        Some(other) => Err(malformed(&mistyped(&place, "String", &other))),
    }
}

fn part(mut part: Body) -> Result<Block, Fault> {
    let kind = part.required_text("type")?;
    let block = match kind.as_str() {
        "text" => Block::Text(part.required_text("text")?),
        "image_url" => Block::Image(picture(&mut part)?),
        other => {
            let place = part.place("type");
            let feature = "content of this kind in native bodies";
            return Err(refused(place.trim_start_matches("#/"), other, feature));
        }
    };
    part.done()?;
    Ok(block)
}

fn picture(part: &mut Body) -> Result<Json, Fault> {
    let url = match part.required("image_url")? {
        Json::String(url) => url,
        other => {
            let mut image = Body::at(part.place("image_url"), other)?;
            image.pass(&["detail"]);
            let url = image.required_text("url")?;
            image.done()?;
            url
        }
    };
    let data = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((format, bytes)) => {
            check_picture(&part.place("image_url"), format, bytes)?;
            Ok(json!({"format": format, "source": {"bytes": bytes}}))
        }
        None => {
            let place = part.place("image_url");
            let feature = "images that are elsewhere; send a data: URL";
            Err(refused(place.trim_start_matches("#/"), "", feature))
        }
    }
}

fn said(message: &mut Body) -> Result<Vec<Block>, Fault> {
    let mut blocks = content(message)?;
    blocks.retain(|block| !matches!(block, Block::Text(text) if text.is_empty()));
    for mut asked in message.bodies("tool_calls")? {
        let mut function = Body::at(asked.place("function"), asked.required("function")?)?;
        let input = match function.take("arguments") {
            None => json!({}),
            Some(Json::String(text)) if text.trim().is_empty() => json!({}),
            Some(Json::String(text)) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
            Some(other) => other,
        };
        blocks.push(Block::ToolUse(ToolUse {
            tool_use_id: asked.required_text("id")?,
            name: function.required_text("name")?,
            input,
        }));
        function.done()?;
        asked.pass(&["type", "index"]);
        asked.done()?;
    }
    // Thoughts without a signature: no provider takes them back.
    message.pass(&["reasoning", "reasoning_content", "refusal", "prefix"]);
    Ok(blocks)
}

fn result(message: &mut Body) -> Result<ToolResult, Fault> {
    let tool_use_id = message.required_text("tool_call_id")?;
    let content = content(message)?.into_iter().map(|block| match block {
        Block::Image(image) => ResultBlock::Image(image),
        Block::Text(text) => ResultBlock::Text(text),
        // `content` makes no other kind.
        other => ResultBlock::Json(json!(other)),
    });
    Ok(ToolResult { tool_use_id, content: content.collect(), status: None })
}

fn tools(body: &mut Body) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for mut tool in body.bodies("tools")? {
        let kind = tool.text("type")?.unwrap_or_else(|| "function".to_owned());
        if kind != "function" {
            return Err(refused("tools.type", &kind, "tools that the model's host runs"));
        }
        let mut function = Body::at(tool.place("function"), tool.required("function")?)?;
        let schema = function.take("parameters");
        tools.push(Tool {
            name: function.required_text("name")?,
            description: function.text("description")?.unwrap_or_default(),
            schema: schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            strict: function.flag("strict")?.unwrap_or(false),
        });
        function.done()?;
        tool.done()?;
    }
    Ok(tools)
}

/// Converse knows no choice of none: without tools on offer none is used.
fn chosen(body: &mut Body, tools: Vec<Tool>) -> Result<(Vec<Tool>, ToolChoice), Fault> {
    match body.take("tool_choice") {
        None => Ok((tools, ToolChoice::Auto)),
        Some(Json::String(choice)) => match choice.as_str() {
            "auto" => Ok((tools, ToolChoice::Auto)),
            "any" | "required" => Ok((tools, ToolChoice::Any)),
            "none" => Ok((Vec::new(), ToolChoice::Auto)),
            other => Err(malformed(&format!("#/tool_choice: {other} is not a valid enum value"))),
        },
        Some(named) => {
            let mut choice = Body::at("#/tool_choice", named)?;
            let mut function = Body::at("#/tool_choice/function", choice.required("function")?)?;
            Ok((tools, ToolChoice::Tool(function.required_text("name")?)))
        }
    }
}

struct Answer {
    mistral: bool,
    /// A stream is among its thoughts.
    thinking: bool,
    /// Blocks of tool calls of a stream: the place is the call's number.
    calls: Vec<usize>,
}

impl Answer {
    // AWS: Mistral's chat says `stop_reason`, other models `finish_reason` (Bedrock user guide,
    // "Mistral AI chat completion", "OpenAI models"); its newer models say both
    fn choice(&self, member: &str, said: Json, reason: Option<StopReason>) -> Json {
        let reason = reason.map(self::reason);
        let mut choice = json!({"index": 0, "finish_reason": reason});
        if self.mistral {
            choice["stop_reason"] = json!(reason);
        }
        choice[member] = said;
        choice
    }

    fn chunk(&self, delta: Json, reason: Option<StopReason>, about: &About) -> Json {
        let member = if self.mistral { "message" } else { "delta" };
        document("chat.completion.chunk", about, &self.choice(member, delta, reason))
    }

    /// What opens or closes the thoughts around this piece.
    fn turn(&mut self, thinking: bool) -> &'static str {
        let was = std::mem::replace(&mut self.thinking, thinking);
        match (was, thinking) {
            (false, true) => "<reasoning>",
            (true, false) => "</reasoning>",
            (false, false) | (true, true) => "",
        }
    }

    fn call(&mut self, block: usize, asked: Json) -> Json {
        let number = self.calls.iter().position(|at| *at == block).unwrap_or_else(|| {
            self.calls.push(block);
            self.calls.len() - 1
        });
        let mut call = json!({"index": number, "type": "function"});
        if let (Some(call), Json::Object(asked)) = (call.as_object_mut(), asked) {
            call.extend(asked);
        }
        json!({"tool_calls": [call]})
    }
}

impl Native for Answer {
    // AWS: thoughts stand before the answer, between tags (github.com/promptfoo/promptfoo pull
    // request 9587)
    fn whole(&self, reply: Reply, about: &About) -> Json {
        let thoughts = reply.content.iter().filter_map(|block| match block {
            Block::ReasoningContent(thought) => thought["reasoningText"]["text"].as_str(),
            _ => None,
        });
        let mut text: String =
            thoughts.map(|text| format!("<reasoning>{text}</reasoning>")).collect();
        text.push_str(&words(&reply.content));
        let calls: Vec<Json> = reply.content.iter().filter_map(tool_call).collect();
        let mut message = json!({"role": "assistant", "content": text});
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let choice = self.choice("message", message, Some(reply.stop_reason));
        let mut document = document("chat.completion", about, &choice);
        document["usage"] = usage(reply.usage);
        document
    }

    fn begin(&mut self, about: &About) -> Vec<Json> {
        vec![self.chunk(json!({"role": "assistant", "content": ""}), None, about)]
    }

    fn piece(&mut self, delta: Delta, about: &About) -> Vec<Json> {
        let said = match delta {
            Delta::Text { text, .. } => json!({"content": format!("{}{text}", self.turn(false))}),
            Delta::Reasoning { text, .. } => {
                json!({"content": format!("{}{text}", self.turn(true))})
            }
            Delta::ToolUseStart { index, id, name } => {
                let function = json!({"name": name, "arguments": ""});
                self.call(index, json!({"id": id, "function": function}))
            }
            Delta::ToolUseInput { index, json } => {
                self.call(index, json!({"function": {"arguments": json}}))
            }
            Delta::BlockStop { .. } if self.thinking => json!({"content": self.turn(false)}),
            Delta::BlockStop { .. }
            | Delta::Signature { .. }
            | Delta::Redacted { .. }
            | Delta::Citation { .. }
            | Delta::Native(_)
            | Delta::Stop(_)
            | Delta::Usage(_) => return Vec::new(),
        };
        vec![self.chunk(said, None, about)]
    }

    fn end(&mut self, reason: StopReason, used: Usage, about: &About) -> Vec<Json> {
        let mut chunk = self.chunk(json!({}), Some(reason), about);
        chunk["usage"] = usage(used);
        vec![chunk]
    }
}

fn document(object: &str, about: &About, choice: &Json) -> Json {
    json!({
        "id": format!("chatcmpl-{}", about.id),
        "object": object,
        "created": about.created,
        "model": about.model,
        "choices": [choice],
    })
}

fn tool_call(block: &Block) -> Option<Json> {
    let Block::ToolUse(asked) = block else { return None };
    let arguments = match &asked.input {
        Json::String(malformed) => malformed.clone(),
        input => input.to_string(),
    };
    let function = json!({"name": asked.name, "arguments": arguments});
    Some(json!({"id": asked.tool_use_id, "type": "function", "function": function}))
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => "content_filter",
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::MalformedModelOutput
        | StopReason::MalformedToolUse => "stop",
    }
}

fn usage(usage: Usage) -> Json {
    let read = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens;
    json!({
        "prompt_tokens": read,
        "completion_tokens": usage.output_tokens,
        "total_tokens": read + usage.output_tokens,
    })
}
