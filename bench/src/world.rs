//! The outside world of every peer: a model and a tool that answer at once.
//!
//! The model decides from the messages of the request alone, as a model would: it looks for the
//! results after the last word of the user, adds the next number to the latest of them, and
//! answers when all are added. So a peer that loses or garbles a result gets a wrong sum.

mod bedrock;

use std::net::SocketAddr;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Error, http1, task};

pub(crate) const CHAT: &str = "/v1/chat/completions";
/// The same model over Bedrock's wire, for the peer that speaks nothing else well.
const CONVERSE: &str = "/model/mock/converse-stream";
pub(crate) const ADD: &str = "/add";
/// How the answer to whoever offers no tool begins and ends.
pub(crate) const PLAIN_BEGIN: &str = "The parcels";
pub(crate) const PLAIN_END: &str = "were held back.";
const PLAIN: &str = "The parcels were two hundred and eight, and the most of them left on Friday, \
    though twelve were held back.";

pub(crate) async fn serve(listen: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind(listen).await?;
    http1::serve(listener, |path, body| std::future::ready(route(&path, &body))).await
}

fn route(path: &str, body: &Bytes) -> Response<Full<Bytes>> {
    let answered = match path {
        CONVERSE => bedrock::converse(body),
        CHAT => chat(body),
        ADD => add(body).map(|body| http1::answer(200, "application/json", body)),
        _ => return http1::answer(404, "text/plain", Bytes::from_static(b"no such path")),
    };
    answered.unwrap_or_else(|wrong| {
        http1::answer(400, "text/plain", Bytes::from(format!("{path}: {wrong}")))
    })
}

#[derive(Deserialize)]
struct Chat {
    #[serde(default)]
    stream: bool,
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<ToolSpec>,
}

#[derive(Deserialize)]
struct Message {
    role: Role,
    #[serde(default)]
    content: Option<serde_json::Value>,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Deserialize)]
struct ToolSpec {
    function: FunctionSpec,
}

#[derive(Deserialize)]
struct FunctionSpec {
    name: String,
}

/// What the model says next.
#[derive(Debug, PartialEq)]
enum Say {
    Call { step: usize, tool: String, a: i64, b: i64 },
    Answer(String),
}

fn chat(body: &[u8]) -> Result<Response<Full<Bytes>>, Error> {
    let chat: Chat = serde_json::from_slice(body)?;
    let say = next(&chat)?;
    Ok(if chat.stream {
        http1::answer(200, "text/event-stream", events(&say))
    } else {
        http1::answer(200, "application/json", whole(&say))
    })
}

fn next(chat: &Chat) -> Result<Say, Error> {
    if chat.tools.is_empty() {
        return Ok(Say::Answer(PLAIN.to_owned()));
    }
    let asked = chat.messages.iter().rposition(|m| m.role == Role::User).ok_or("no user speaks")?;
    let results: Vec<&Message> =
        chat.messages[asked..].iter().filter(|m| m.role == Role::Tool).collect();
    let latest = match results.last() {
        Some(result) => Some(number(result).ok_or("a tool result without a number")?),
        None => None,
    };
    // Peers put a group's name before the tool's.
    let tool = chat.tools.iter().map(|t| &t.function.name).find(|n| n.ends_with(task::TOOL));
    Ok(step(results.len(), latest, tool.ok_or("the tool is not declared")?))
}

/// What follows after so many results, of which the latest is known.
fn step(step: usize, latest: Option<i64>, tool: &str) -> Say {
    let sum = latest.unwrap_or(task::FIRST);
    let Some(addend) = task::ADDENDS.get(step) else {
        return Say::Answer(format!("The sum is {sum}."));
    };
    Say::Call { step, tool: tool.to_owned(), a: sum, b: *addend }
}

/// The first integer in a message's content, however it is wrapped.
fn number(message: &Message) -> Option<i64> {
    let text = message.content.as_ref()?.to_string();
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty())?;
    digits.parse().ok()
}

fn whole(say: &Say) -> Bytes {
    let (message, finish) = match say {
        Say::Answer(text) => (json!({ "role": "assistant", "content": text }), "stop"),
        Say::Call { .. } => (
            json!({ "role": "assistant", "content": null, "tool_calls": [call(say)] }),
            "tool_calls",
        ),
    };
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "mock",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        "usage": usage(),
    });
    Bytes::from(body.to_string())
}

/// The same as server-sent events: the text in two pieces, the call's arguments in one.
fn events(say: &Say) -> Bytes {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "mock",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant" }), None)];
    match say {
        Say::Answer(text) => {
            let (head, tail) = text.split_at(text.len() / 2);
            chunks.push(chunk(json!({ "content": head }), None));
            chunks.push(chunk(json!({ "content": tail }), None));
            chunks.push(chunk(json!({}), Some("stop")));
        }
        Say::Call { .. } => {
            chunks.push(chunk(json!({ "tool_calls": [call(say)] }), None));
            chunks.push(chunk(json!({}), Some("tool_calls")));
        }
    }
    chunks.push(json!({ "choices": [], "usage": usage() }));
    let mut text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    Bytes::from(text)
}

fn call(say: &Say) -> serde_json::Value {
    let Say::Call { step, tool, a, b } = say else { return serde_json::Value::Null };
    json!({
        "index": 0, "id": format!("call_{step}"), "type": "function",
        "function": { "name": tool, "arguments": json!({ "a": a, "b": b }).to_string() },
    })
}

fn usage() -> serde_json::Value {
    json!({ "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 })
}

/// The event of a function of an action group, as far as the tool reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    action_group: String,
    function: String,
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: String,
}

fn add(body: &[u8]) -> Result<Bytes, Error> {
    let event: Event = serde_json::from_slice(body)?;
    let value = |name: &str| -> Result<i64, Error> {
        let found = event.parameters.iter().find(|p| p.name == name);
        Ok(found.ok_or_else(|| format!("no parameter {name}"))?.value.parse()?)
    };
    let sum = value("a")? + value("b")?;
    let answer = json!({
        "messageVersion": "1.0",
        "response": {
            "actionGroup": event.action_group,
            "function": event.function,
            "functionResponse": { "responseBody": { "TEXT": { "body": sum.to_string() } } },
        },
    });
    Ok(Bytes::from(answer.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(messages: &serde_json::Value) -> Say {
        let tools = json!([{ "function": { "name": "math__add" } }]);
        let chat = json!({ "messages": messages, "tools": tools });
        next(&serde_json::from_value(chat).unwrap()).unwrap()
    }

    #[test]
    fn the_model_adds_to_the_latest_result_and_answers_after_the_third() {
        let user = json!({ "role": "user", "content": task::INPUT });
        let result = |sum: &str| json!({ "role": "tool", "tool_call_id": "x", "content": sum });
        let call = |step, a, b| Say::Call { step, tool: "math__add".to_owned(), a, b };
        assert_eq!(said(&json!([user])), call(0, 10, 9));
        assert_eq!(said(&json!([user, result("19")])), call(1, 19, 11));
        assert_eq!(
            said(&json!([user, result("19"), result("{\"body\":\"30\"}")])),
            call(2, 30, 12)
        );
        let all = json!([user, result("19"), result("30"), result("42")]);
        assert_eq!(said(&all), Say::Answer("The sum is 42.".to_owned()));
    }

    #[test]
    fn the_tool_answers_a_function_event_with_a_function_response() {
        let event = json!({
            "actionGroup": "math", "function": "add",
            "parameters": [
                { "name": "a", "type": "integer", "value": "19" },
                { "name": "b", "type": "integer", "value": "11" },
            ],
        });
        let answer: serde_json::Value =
            serde_json::from_slice(&add(event.to_string().as_bytes()).unwrap()).unwrap();
        let body = &answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"];
        assert_eq!(body, "30");
    }
}
