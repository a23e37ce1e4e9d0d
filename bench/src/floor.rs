//! The floor of Craton's design: what an agent turn does outside, and nothing of what it thinks.
//!
//! For each request it makes the same four model calls and three tool calls over HTTP, with
//! bodies of the same size, and the same eight commits, five of them awaited at the same points.
//! No request is routed, nothing is parsed, decided or traced: bodies are ready-made.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::http1::{self, Pool, Said};
use crate::journal::{Journal, Write};
use crate::{Error, task, world};

struct Floor {
    world: Pool,
    journal: Journal,
    /// The model's requests and the tool's events, in the order in which they are sent.
    chats: Vec<Bytes>,
    events: Vec<Bytes>,
    runs: AtomicU64,
}

pub(crate) async fn serve(
    listen: SocketAddr,
    world: SocketAddr,
    data_dir: &Path,
) -> Result<(), Error> {
    let floor = Arc::new(Floor {
        world: Pool::new(world),
        journal: Journal::open(data_dir)?,
        chats: (0..=task::ADDENDS.len()).map(chat).collect(),
        events: (0..task::ADDENDS.len()).map(event).collect(),
        runs: AtomicU64::new(0),
    });
    let listener = TcpListener::bind(listen).await?;
    http1::serve(listener, move |_, _| {
        let floor = floor.clone();
        async move {
            match floor.turn().await {
                Ok(body) => http1::answer(200, "application/vnd.amazon.eventstream", body),
                Err(failure) => failed(&*failure),
            }
        }
    })
    .await
}

fn failed(failure: &dyn std::error::Error) -> Response<Said> {
    http1::answer(500, "text/plain", Bytes::from(failure.to_string()))
}

impl Floor {
    /// INVARIANT: awaited where an agent turn awaits: before the client's headers, before each
    /// tool call, before the answer. The other three commits run beside the next model call.
    async fn turn(&self) -> Result<Bytes, Error> {
        let run = format!("{:036x}", self.runs.fetch_add(1, Ordering::Relaxed));
        self.journal.commit(Write::Begin { run: run.clone() }).await?;
        for (step, event) in self.events.iter().enumerate() {
            self.world.post(world::CHAT, self.chats[step].clone()).await?;
            self.journal.commit(Write::Said { run: run.clone(), step }).await?;
            self.world.post(world::ADD, event.clone()).await?;
            drop(self.journal.commit(Write::Returned { run: run.clone(), step }));
        }
        let last = self.chats.last().expect("there is one more than events").clone();
        let answer = self.world.post(world::CHAT, last).await?;
        self.journal.commit(Write::End { run }).await?;
        chunk(&answer)
    }
}

/// The model's request after `done` additions: as large as an agent's, guidelines and all.
fn chat(done: usize) -> Bytes {
    let system =
        format!("{} {}", task::INSTRUCTION, "How to work: one step at a time. ".repeat(18));
    let mut messages = vec![
        json!({ "role": "system", "content": system }),
        json!({ "role": "user", "content": task::INPUT }),
    ];
    for step in 0..done {
        messages.extend(exchange(step));
    }
    let body = json!({ "model": "mock", "messages": messages, "tools": [tool()] });
    Bytes::from(body.to_string())
}

fn exchange(step: usize) -> [Value; 2] {
    let (a, b) = (before(step), task::ADDENDS[step]);
    let arguments = json!({ "a": a, "b": b }).to_string();
    let call = json!({
        "id": format!("call_{step}"), "type": "function",
        "function": { "name": task::TOOL, "arguments": arguments },
    });
    [
        json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        json!({ "role": "tool", "tool_call_id": format!("call_{step}"), "content": (a + b).to_string() }),
    ]
}

fn before(step: usize) -> i64 {
    task::FIRST + task::ADDENDS[..step].iter().sum::<i64>()
}

fn tool() -> Value {
    let number = |what: &str| json!({ "type": "integer", "description": what });
    json!({ "type": "function", "function": {
        "name": task::TOOL, "description": task::TOOL_IS_FOR,
        "parameters": {
            "type": "object", "required": ["a", "b"],
            "properties": { "a": number("the first number"), "b": number("the second number") },
        },
    }})
}

fn event(step: usize) -> Bytes {
    let parameter = |name: &str, value: i64| json!({ "name": name, "type": "integer", "value": value.to_string() });
    let event = json!({
        "messageVersion": "1.0", "actionGroup": "math", "function": task::TOOL,
        "agent": { "name": "bench", "id": "BENCHAGENT", "alias": "TSTALIASID", "version": "DRAFT" },
        "sessionId": "00000000-0000-0000-0000-000000000000", "inputText": task::INPUT,
        "sessionAttributes": {}, "promptSessionAttributes": {}, "idempotencyKey": "0".repeat(64),
        "parameters": [parameter("a", before(step)), parameter("b", task::ADDENDS[step])],
    });
    Bytes::from(event.to_string())
}

/// The model's last answer, as it is, in one frame.
fn chunk(answer: &[u8]) -> Result<Bytes, Error> {
    let text = |name: &'static str, value: &'static str| {
        Header::new(name, HeaderValue::String(value.into()))
    };
    let headers = vec![
        text(":message-type", "event"),
        text(":event-type", "chunk"),
        text(":content-type", "application/json"),
    ];
    let payload = format!("{{\"bytes\":\"{}\"}}", BASE64_STANDARD.encode(answer));
    let mut frame = Vec::with_capacity(payload.len() + 128);
    write_message_to(&Message::new_from_parts(headers, payload), &mut frame)?;
    Ok(Bytes::from(frame))
}
