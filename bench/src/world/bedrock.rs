//! The model as Bedrock's ConverseStream has it: the same decisions, other messages, event frames.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::BytesMut;
use http::Response;
use serde_json::{Value, json};

use super::{Say, step};
use crate::http1::{self, Said};
use crate::{Error, task};

pub(super) fn converse(body: &[u8]) -> Result<Response<Said>, Error> {
    let call: Value = serde_json::from_slice(body)?;
    let say = next(&call)?;
    let mut frames = BytesMut::new();
    for (kind, payload) in events(&say) {
        write_message_to(&message(kind, &payload), &mut frames)?;
    }
    Ok(http1::answer(200, "application/vnd.amazon.eventstream", frames.freeze()))
}

fn next(call: &Value) -> Result<Say, Error> {
    let blocks = call["messages"].as_array().into_iter().flatten();
    let blocks = blocks.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let results: Vec<&Value> =
        blocks.map(|block| &block["toolResult"]).filter(|result| !result.is_null()).collect();
    let latest = match results.last() {
        Some(result) => Some(number(result).ok_or("a tool result without a number")?),
        None => None,
    };
    let tools = call["toolConfig"]["tools"].as_array().into_iter().flatten();
    let mut names = tools.filter_map(|tool| tool["toolSpec"]["name"].as_str());
    let tool = names.find(|name| name.ends_with(task::TOOL)).ok_or("the tool is not declared")?;
    Ok(step(results.len(), latest, tool))
}

/// The first integer in what a tool returned.
fn number(result: &Value) -> Option<i64> {
    let text = result["content"].to_string();
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty())?;
    digits.parse().ok()
}

fn events(say: &Say) -> Vec<(&'static str, Value)> {
    let delta =
        |delta: Value| ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": delta }));
    let mut events = vec![("messageStart", json!({ "role": "assistant" }))];
    let stop = match say {
        Say::Answer(text) => {
            let (head, tail) = text.split_at(text.len() / 2);
            events.extend([delta(json!({ "text": head })), delta(json!({ "text": tail }))]);
            "end_turn"
        }
        Say::Call { step, tool, a, b } => {
            let begin = json!({ "toolUse": { "toolUseId": format!("call_{step}"), "name": tool } });
            let start = json!({ "contentBlockIndex": 0, "start": begin });
            events.push(("contentBlockStart", start));
            let input = json!({ "a": a, "b": b }).to_string();
            events.push(delta(json!({ "toolUse": { "input": input } })));
            "tool_use"
        }
    };
    events.push(("contentBlockStop", json!({ "contentBlockIndex": 0 })));
    events.push(("messageStop", json!({ "stopReason": stop })));
    let usage = json!({ "inputTokens": 100, "outputTokens": 10, "totalTokens": 110 });
    events.push(("metadata", json!({ "usage": usage, "metrics": { "latencyMs": 0 } })));
    events
}

fn message(kind: &'static str, payload: &Value) -> Message {
    let header = |name: &'static str, value: &'static str| {
        Header::new(name, HeaderValue::String(value.into()))
    };
    Message::new(payload.to_string())
        .add_header(header(":message-type", "event"))
        .add_header(header(":event-type", kind))
        .add_header(header(":content-type", "application/json"))
}
