//! A call to Converse's own JSON.
//!
//! Nothing is translated. What Craton takes and AWS refuses is put right: blank texts, neighbours of
//! one role, tool input that is no object, a history of tools without any. Cache points are set where
//! the model keeps a prompt and the client has set none.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};
use wire::converse::{Block, Call, Message, Role, Tool, ToolChoice};

use crate::cache::{CacheMode, Marks, Rules, plan};
use crate::options;

/// AWS: the place of a member (API model, ConverseRequest and ConverseTokensRequest).
pub(super) fn body(call: &Call, cache: CacheMode) -> Result<Json, String> {
    let mut body = conversation(call, cache)?;
    let mut put = |name: &str, value: Option<Json>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let inference = serde_json::to_value(&call.inference).expect("it has string keys");
    put("inferenceConfig", Some(inference).filter(|given| *given != json!({})));
    let options = &call.options;
    put("serviceTier", options.service_tier.as_ref().map(|tier| json!({ "type": tier })));
    put("performanceConfig", options.latency.as_ref().map(|latency| json!({ "latency": latency })));
    put("outputConfig", options.output.clone());
    let paths = &options.response_paths;
    put("additionalModelResponseFieldPaths", (!paths.is_empty()).then(|| json!(paths)));
    Ok(Json::Object(body))
}

pub(super) fn counted(call: &Call) -> Result<Json, String> {
    Ok(json!({ "input": { "converse": conversation(call, CacheMode::Off)? } }))
}

fn conversation(call: &Call, cache: CacheMode) -> Result<Map<String, Json>, String> {
    let cache = if keeps(&call.model) { cache } else { CacheMode::Off };
    let marks = plan(call, cache, Rules::of(&call.model));
    let mut body = Map::new();
    body.insert("messages".to_owned(), json!(messages(call, &marks)));
    let system = system(call, &marks);
    if !system.is_empty() {
        body.insert("system".to_owned(), Json::Array(system));
    }
    body.extend(tools(call, &marks).map(|tools| ("toolConfig".to_owned(), tools)));
    let mut additional = match &call.additional {
        Json::Null => Map::new(),
        Json::Object(members) => members.clone(),
        _ => return Err("additionalModelRequestFields must be an object".to_owned()),
    };
    if options::one_tool_use(call) {
        if !call.model.contains("claude") {
            return Err(
                "disable_parallel_tool_use, or parallel_tool_calls: only Claude knows it there"
                    .to_owned(),
            );
        }
        // The model's own member, in place of Converse's.
        body["toolConfig"].as_object_mut().and_then(|config| config.remove("toolChoice"));
        additional.extend(options::claude_choice(call).map(|it| ("tool_choice".to_owned(), it)));
    }
    if !additional.is_empty() || call.additional.is_object() {
        body.insert("additionalModelRequestFields".to_owned(), Json::Object(additional));
    }
    Ok(body)
}

/// AWS: a model that keeps no prompts refuses a call with a cache point (BerriAI/litellm pull request
/// 39210). Claude does from 3.7 on, of 3.5 Haiku alone, and so do the first Novas (Bedrock user guide,
/// "Prompt caching").
fn keeps(model: &str) -> bool {
    const NOVA: [&str; 4] = ["nova-micro", "nova-lite", "nova-pro", "nova-premier"];
    const OLDER: [&str; 6] = [
        "claude-v",
        "claude-instant",
        "claude-3-haiku",
        "claude-3-sonnet",
        "claude-3-opus",
        "claude-3-5-sonnet",
    ];
    let is_one = |names: &[&str]| names.iter().any(|name| model.contains(name));
    is_one(&NOVA) || model.contains("claude-") && !is_one(&OLDER)
}

/// AWS: blank texts and messages without content are refused, and roles take turns (Converse's
/// checks, as `api` makes them of its own clients).
fn messages(call: &Call, marks: &Marks) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::with_capacity(call.messages.len());
    for (place, message) in call.messages.iter().enumerate() {
        let mut content: Vec<Block> = message.content.iter().filter_map(carried).collect();
        if marks.messages.contains(&place) && content.last().is_some_and(may_precede_a_point) {
            content.push(Block::CachePoint(json!({ "type": "default" })));
        }
        match messages.last_mut().filter(|last| last.role == message.role) {
            Some(last) => last.content.extend(content),
            None if content.iter().all(|block| matches!(block, Block::CachePoint(_))) => {}
            None => messages.push(Message { role: message.role, content }),
        }
    }
    for message in messages.iter_mut().filter(|message| message.role == Role::User) {
        results_first(&mut message.content);
    }
    messages
}

/// Results answer the message before and stand first, as models want them. Those that do already
/// keep their cache points where they are.
fn results_first(content: &mut [Block]) {
    let is_result = |block: &Block| matches!(block, Block::ToolResult(_));
    let late = content.iter().skip_while(|block| is_result(block) || is_point(block));
    if late.clone().any(is_result) {
        content.sort_by_key(|block| !is_result(block));
    }
}

/// AWS: a point after a document that is no PDF, or after media, is refused (strands-agents/harness-sdk
/// issue 1966).
fn may_precede_a_point(block: &Block) -> bool {
    matches!(block, Block::Text(_) | Block::ToolResult(_))
}

fn is_point(block: &Block) -> bool {
    matches!(block, Block::CachePoint(_))
}

fn carried(block: &Block) -> Option<Block> {
    match block {
        Block::Text(text) if text.trim().is_empty() => None,
        Block::ToolUse(tool) if !tool.input.is_object() => {
            let mut tool = tool.clone();
            tool.input = json!({ "malformed": tool.input });
            Some(Block::ToolUse(tool))
        }
        other => Some(other.clone()),
    }
}

fn system(call: &Call, marks: &Marks) -> Vec<Json> {
    let mut blocks = Vec::with_capacity(call.system.len());
    for (place, text) in call.system.iter().enumerate() {
        if !text.trim().is_empty() {
            blocks.push(json!({ "text": text }));
        }
        if let Some(point) = marks.system.get(&place).filter(|_| !blocks.is_empty()) {
            blocks.push(json!({ "cachePoint": point }));
        }
    }
    blocks
}

fn tools(call: &Call, marks: &Marks) -> Option<Json> {
    if call.tools.is_empty() {
        return placeholders(&call.messages);
    }
    let mut tools = Vec::with_capacity(call.tools.len());
    for (place, tool) in call.tools.iter().enumerate() {
        tools.push(json!({ "toolSpec": spec(tool) }));
        if let Some(point) = marks.tools.get(&place) {
            tools.push(json!({ "cachePoint": point }));
        }
    }
    let mut config = json!({ "tools": tools });
    match &call.tool_choice {
        ToolChoice::Auto => {}
        ToolChoice::Any => config["toolChoice"] = json!({ "any": {} }),
        ToolChoice::Tool(name) => config["toolChoice"] = json!({ "tool": { "name": name } }),
    }
    Some(config)
}

fn spec(tool: &Tool) -> Json {
    let mut spec = json!({ "name": tool.name, "inputSchema": { "json": tool.schema } });
    if !tool.description.is_empty() {
        spec["description"] = json!(tool.description);
    }
    if tool.strict {
        spec["strict"] = json!(true);
    }
    spec
}

/// AWS: a history with tool uses needs a toolConfig even where no tool is offered any more
/// (Converse's own check); what a past tool took is of no interest then.
fn placeholders(messages: &[Message]) -> Option<Json> {
    let blocks = messages.iter().flat_map(|message| &message.content);
    let names: BTreeSet<&str> = blocks
        .filter_map(|block| match block {
            Block::ToolUse(tool) => Some(tool.name.as_str()),
            _ => None,
        })
        .collect();
    let tools = names.into_iter().map(|name| {
        json!({ "toolSpec": { "name": name, "inputSchema": { "json": { "type": "object" } } } })
    });
    let tools: Vec<Json> = tools.collect();
    (!tools.is_empty()).then(|| json!({ "tools": tools }))
}
