//! The outside world of every peer: a model and a tool that answer at once.
//!
//! The model decides from the messages of the request alone, as a model would: it looks for the
//! results after the last word of the user, adds the next number to the latest of them, and
//! answers when all are added. So a peer that loses or garbles a result gets a wrong sum.

mod bedrock;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use crate::http1::{self, Said};
use crate::{Error, task};

pub(crate) const CHAT: &str = "/v1/chat/completions";
/// The same model over Bedrock's wire, for the peer that speaks nothing else well.
const CONVERSE: &str = "/model/mock/converse-stream";
pub(crate) const ADD: &str = "/add";
/// Words at the beginning and at the end of the answer to whoever offers no tool.
pub(crate) const PLAIN_BEGIN: &str = "parcels";
pub(crate) const PLAIN_END: &str = "were held back.";
const PLAIN: &str = "The parcels were two hundred and eight, and the most of them left on Friday, \
    though twelve were held back.";
/// Who asks with these words gets a stream that takes its time: [`WORD`] before each word.
pub(crate) const PATIENCE: &str = "Take your time.";
const WORD: Duration = Duration::from_millis(2);
const EVENTS: &str = "text/event-stream";

pub(crate) async fn serve(listen: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind(listen).await?;
    http1::serve(listener, |path, body| std::future::ready(route(&path, &body))).await
}

fn route(path: &str, body: &Bytes) -> Response<Said> {
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
    content: Option<Json>,
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

fn chat(body: &[u8]) -> Result<Response<Said>, Error> {
    let chat: Chat = serde_json::from_slice(body)?;
    let say = next(&chat)?;
    Ok(match chat.stream {
        true if is_patient(&chat) => http1::slowly(EVENTS, words(), WORD),
        true => http1::answer(200, EVENTS, events(&say).concat().into()),
        false => http1::answer(200, "application/json", whole(&say)),
    })
}

fn is_patient(chat: &Chat) -> bool {
    let latest = chat.messages.last().and_then(|message| message.content.as_ref());
    latest.is_some_and(|content| content.to_string().contains(PATIENCE))
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
fn events(say: &Say) -> Vec<Bytes> {
    match say {
        Say::Answer(text) => {
            let (head, tail) = text.split_at(text.len() / 2);
            said([json!({ "content": head }), json!({ "content": tail })], "stop")
        }
        Say::Call { .. } => said([json!({ "tool_calls": [call(say)] })], "tool_calls"),
    }
}

/// The answer to whoever offers no tool, a word at a time.
fn words() -> Vec<Bytes> {
    said(PLAIN.split_inclusive(' ').map(|word| json!({ "content": word })), "stop")
}

fn said(deltas: impl IntoIterator<Item = Json>, finish: &str) -> Vec<Bytes> {
    let chunk = |delta: Json, finish: Option<&str>| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "mock",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        })
    };
    let mut chunks = vec![chunk(json!({ "role": "assistant" }), None)];
    chunks.extend(deltas.into_iter().map(|delta| chunk(delta, None)));
    chunks.push(chunk(json!({}), Some(finish)));
    chunks.push(json!({ "choices": [], "usage": usage() }));
    let mut events: Vec<Bytes> =
        chunks.iter().map(|chunk| format!("data: {chunk}\n\n").into()).collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn call(say: &Say) -> Json {
    let Say::Call { step, tool, a, b } = say else { return Json::Null };
    json!({
        "index": 0, "id": format!("call_{step}"), "type": "function",
        "function": { "name": tool, "arguments": json!({ "a": a, "b": b }).to_string() },
    })
}

fn usage() -> Json {
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

    fn said(messages: &Json) -> Say {
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
        let answer: Json =
            serde_json::from_slice(&add(event.to_string().as_bytes()).unwrap()).unwrap();
        let body = &answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"];
        assert_eq!(body, "30");
    }
}
