//! `craton.rules`: the embedded default "model", a set of rules without weights.
//!
//! One pure function from a Converse call to a reply. The words of the user rank the tools
//! (`rank`), the text and earlier results fill their arguments by schema (`spans`, `fill`), `plan`
//! decides between calling, asking and answering, `answer` words it. The same call always gives
//! the same reply: there is no clock, no chance and no I/O here.
//!
//! It never poses as a language model, never makes up a value, and never calls a state-changing
//! tool that the user's own words do not ask for. docs/rules.md describes what it can do.

mod answer;
mod asking;
mod asks;
mod belongs;
mod choose;
mod convo;
mod dates;
mod each;
mod fill;
mod fit;
mod insist;
mod last;
mod number;
mod plan;
mod rank;
mod recall;
mod repeat;
mod schema;
mod spans;
mod stage;
mod team;
#[cfg(test)]
mod tests;
mod verbs;
mod words;

use jsonschema::Draft;
use serde_json::{Map, Value as Json};
use wire::converse::{Block, Call, Reply, StopReason, Tool, ToolChoice, ToolUse, Usage};

use plan::{Desk, Plan};

use crate::options;

/// Characters for one token in the counts below. These are estimates: nothing is tokenised.
const CHARS_PER_TOKEN: usize = 4;

/// The reply to a call. `usage` is estimated from the length of the text.
pub(crate) fn reply(call: &Call) -> Reply {
    let mut reply = match team::route(call).or_else(|| stage::word(call)) {
        Some(word) => speaking(word),
        None => formed(call).unwrap_or_else(|| acting(call)),
    };
    stop_at(call, &mut reply);
    limit(call, &mut reply);
    reply.usage = Usage {
        input_tokens: input_tokens(call),
        output_tokens: output_tokens(&reply.content),
        ..Usage::default()
    };
    reply
}

/// An answer in the schema that the client wants it in: what a demanded tool with that schema would
/// get. One that does not fit it would be a broken promise, so words come in its place.
fn formed(call: &Call) -> Option<Reply> {
    let form = options::schema(&call.options).ok().flatten()?;
    if !call.tools.is_empty() {
        return None;
    }
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&form.schema)
        .ok()?;
    let description = form.description.unwrap_or_default().to_owned();
    let tool = Tool { name: form.name.to_owned(), description, schema: form.schema, strict: false };
    let demanded = Call { tools: [tool].into(), tool_choice: ToolChoice::Any, ..call.clone() };
    let input = acting(&demanded).content.into_iter().find_map(|block| match block {
        Block::ToolUse(asked) => Some(asked.input),
        _ => None,
    })?;
    validator.is_valid(&input).then(|| speaking(input.to_string()))
}

/// Own tools go before collaborators, and what came back from them before another look.
fn acting(call: &Call) -> Reply {
    let own = team::own(call);
    let desk = Desk::new(&own);
    let plan = desk.plan();
    if let Plan::Calls(calls) = plan {
        return calling(call, &desk, calls);
    }
    match team::supervise(call) {
        Some(team::Move::Tell(letters)) => telling(call, letters),
        Some(team::Move::Say(text)) => speaking(wrapped(&call.system, ANSWER, &text)),
        None => {
            let words = say(&desk, &plan);
            match plan {
                Plan::Ask { .. } if asking::is_offered(call) => asking::ask(call, &words),
                _ => speaking(wrapped(&call.system, ANSWER, &words)),
            }
        }
    }
}

fn speaking(text: String) -> Reply {
    let content = vec![Block::Text(text)];
    Reply { content, stop_reason: StopReason::EndTurn, usage: Usage::default(), native: Json::Null }
}

fn telling(call: &Call, letters: Vec<Map<String, Json>>) -> Reply {
    let uses = letters.into_iter().enumerate().map(|(i, input)| {
        Block::ToolUse(ToolUse {
            tool_use_id: format!("rules_{}_{i}", call.messages.len()),
            name: team::SEND_MESSAGE.to_owned(),
            input: Json::Object(input),
        })
    });
    Reply {
        content: uses.collect(),
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        native: Json::Null,
    }
}

fn say(desk: &Desk<'_>, plan: &Plan) -> String {
    let last = desk.turns.last();
    let request = last.map(|t| t.request.as_str()).unwrap_or_default();
    let done = last.map(|t| t.done.as_slice()).unwrap_or_default();
    match plan {
        Plan::Calls(_) => String::new(),
        Plan::Answer => answer::from_results(desk, request, done),
        Plan::Ask { tool, missing } => {
            let told =
                done.iter().any(|d| d.failed).then(|| answer::from_results(desk, request, done));
            let question = answer::ask(&desk.box_.tools[*tool], missing);
            told.map_or(question.clone(), |t| format!("{t} {question}"))
        }
        Plan::AlreadyDone(tool) => answer::already(desk, *tool),
        Plan::NotAsked(tool) => answer::not_asked(&desk.box_.tools[*tool]),
        Plan::Nothing => answer::nothing(desk, request),
    }
}

fn calling(call: &Call, desk: &Desk<'_>, calls: Vec<(usize, Map<String, Json>)>) -> Reply {
    let why = answer::rationale(desk, &calls);
    let mut content = vec![Block::Text(wrapped(&call.system, THINKING, &why))];
    let most = if call.options.one_tool_use { 1 } else { calls.len() };
    for (i, (tool, input)) in calls.into_iter().take(most).enumerate() {
        content.push(Block::ToolUse(ToolUse {
            tool_use_id: format!("rules_{}_{i}", call.messages.len()),
            name: desk.box_.tools[tool].tool.name.clone(),
            input: Json::Object(input),
        }));
    }
    Reply { content, stop_reason: StopReason::ToolUse, usage: Usage::default(), native: Json::Null }
}

const ANSWER: &[&str] = &["answer", "response", "reply"];
const THINKING: &[&str] = &["think", "rationale", "scratchpad", "reason"];

/// The text in the tags that the system text asks for: a tag whose name says so and which the
/// system text also closes, or names beside the word.
fn wrapped(system: &[String], kinds: &[&str], text: &str) -> String {
    let tag = system.iter().find_map(|s| tag(s, kinds));
    tag.map_or_else(|| text.to_owned(), |tag| format!("<{tag}>{text}</{tag}>"))
}

fn tag<'a>(system: &'a str, kinds: &[&str]) -> Option<&'a str> {
    system.split('<').skip(1).find_map(|rest| {
        let (name, _) = rest.split_once('>')?;
        let plain = !name.is_empty()
            && name.len() <= 40
            && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        (plain && kinds.iter().any(|k| name.to_lowercase().contains(k))).then_some(name)
    })
}

/// Cuts the text at the first stop sequence.
fn stop_at(call: &Call, reply: &mut Reply) {
    if reply.stop_reason != StopReason::EndTurn {
        return;
    }
    let Some(Block::Text(text)) = reply.content.first_mut() else { return };
    let stops = call.inference.stop_sequences.iter().filter(|s| !s.is_empty());
    if let Some(at) = stops.filter_map(|s| text.find(s.as_str())).min() {
        text.truncate(at);
        reply.stop_reason = StopReason::StopSequence;
    }
}

/// Keeps a reply within `maxTokens`: text is cut; a tool use that does not fit is left out whole.
fn limit(call: &Call, reply: &mut Reply) {
    let Some(max) = call.inference.max_tokens else { return };
    let mut room = u64::from(max);
    let mut kept = Vec::new();
    for mut block in std::mem::take(&mut reply.content) {
        let size = output_tokens(std::slice::from_ref(&block));
        if size <= room {
            room -= size;
            kept.push(block);
            continue;
        }
        reply.stop_reason = StopReason::MaxTokens;
        if let Block::Text(text) = &mut block {
            let chars = usize::try_from(room).unwrap_or(usize::MAX).saturating_mul(CHARS_PER_TOKEN);
            *text = text.chars().take(chars).collect();
            kept.push(block);
        }
        break;
    }
    reply.content = kept;
}

fn output_tokens(content: &[Block]) -> u64 {
    content.iter().map(|b| tokens(&block_text(b))).sum()
}

fn input_tokens(call: &Call) -> u64 {
    let system: u64 = call.system.iter().map(|s| tokens(s)).sum();
    let tools: u64 = call
        .tools
        .iter()
        .map(|t| tokens(&t.name) + tokens(&t.description) + tokens(&t.schema.to_string()))
        .sum();
    let messages: u64 =
        call.messages.iter().flat_map(|m| &m.content).map(|b| tokens(&block_text(b))).sum();
    system + tools + messages
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Text(text) => text.clone(),
        Block::ToolUse(u) => format!("{}{}", u.name, u.input),
        Block::ToolResult(r) => serde_json::to_string(&r.content).unwrap_or_default(),
        Block::ReasoningContent(j)
        | Block::Image(j)
        | Block::Document(j)
        | Block::Video(j)
        | Block::Audio(j)
        | Block::SearchResult(j)
        | Block::CitationsContent(j)
        | Block::GuardContent(j)
        | Block::CachePoint(j) => j.to_string(),
    }
}

fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(CHARS_PER_TOKEN)).unwrap_or(u64::MAX)
}
