//! What becomes of a call when the provider misbehaves: never a hang, never a panic, always one kind
//! of error (or the words that did come), within the time that was set; and the next call works.
//!
//! Peers are plain sockets on loopback that say exactly these bytes. Time is virtual: it jumps when
//! nobody has anything to do, and runs as it does where a peer sends without end.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::expect;
use futures_util::TryStreamExt;
use llm::{Collect, ModelError, Models};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use wire::converse::{Call, Reply};

use crate::models;
use crate::server::{frame, framed};

const KINDS: [Kind; 5] =
    [Kind::OpenAi, Kind::Responses, Kind::Anthropic, Kind::Gemini, Kind::Bedrock];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    Bedrock,
}

impl Kind {
    fn models(self, address: &str) -> Models {
        self.models_within(address, 60)
    }

    /// With so many seconds for a whole call.
    fn models_within(self, address: &str, seconds: u64) -> Models {
        let (kind, more) = match self {
            Kind::OpenAi => ("openai", ""),
            Kind::Responses => ("responses", ""),
            Kind::Anthropic => ("anthropic", ""),
            Kind::Gemini => ("gemini", ""),
            Kind::Bedrock => ("bedrock", "region = \"r\"\napi_key = \"env:PATH\"\n"),
        };
        models(&format!(
            "[providers.bad]\nkind = {kind:?}\nbase_url = \"{address}\"\n{more}timeout_seconds = {seconds}\n\
             first_byte_timeout_seconds = 10\nidle_timeout_seconds = 5\n\
             [[models]]\nmatch = \"*\"\nprovider = \"bad\"\nmodel = \"m\"\n"
        ))
    }

    fn stream_type(self) -> &'static str {
        match self {
            Kind::Bedrock => "application/vnd.amazon.eventstream",
            Kind::OpenAi | Kind::Responses | Kind::Anthropic | Kind::Gemini => "text/event-stream",
        }
    }

    fn event(self, event: &Json) -> Vec<u8> {
        match self {
            Kind::Bedrock => frame(event),
            Kind::OpenAi | Kind::Responses | Kind::Anthropic | Kind::Gemini => {
                format!("data: {event}\n\n").into()
            }
        }
    }

    /// The events of an answer: the words, then the reason.
    fn words(self, text: &str, reason: &str) -> Vec<Json> {
        match self {
            Kind::Responses => vec![
                json!({ "type": "response.output_item.added", "output_index": 0,
                    "item": { "type": "message", "role": "assistant" } }),
                json!({ "type": "response.output_text.delta", "output_index": 0, "delta": text }),
                json!({ "type": "response.output_item.done", "output_index": 0,
                    "item": { "type": "message" } }),
                json!({ "type": "response.completed",
                    "response": { "incomplete_details": { "reason": reason } } }),
            ],
            Kind::OpenAi => vec![
                json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }),
                json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }),
            ],
            Kind::Anthropic => vec![
                json!({ "type": "message_start", "message": { "usage": {} } }),
                json!({ "type": "content_block_start", "index": 0,
                    "content_block": { "type": "text", "text": "" } }),
                json!({ "type": "content_block_delta", "index": 0,
                    "delta": { "type": "text_delta", "text": text } }),
                json!({ "type": "content_block_stop", "index": 0 }),
                json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": {} }),
                json!({ "type": "message_stop" }),
            ],
            Kind::Gemini => vec![
                json!({ "candidates": [{ "content": { "parts": [{ "text": text }] } }] }),
                json!({ "candidates": [{ "finishReason": reason }] }),
            ],
            Kind::Bedrock => vec![
                json!({ "messageStart": { "role": "assistant" } }),
                json!({ "contentBlockDelta": { "contentBlockIndex": 0, "delta": { "text": text } } }),
                json!({ "contentBlockStop": { "contentBlockIndex": 0 } }),
                json!({ "messageStop": { "stopReason": reason } }),
                json!({ "metadata": { "usage": {} } }),
            ],
        }
    }

    /// Two tool uses under one id, or none, with input that is no JSON.
    fn tools(self, id: &Json, input: &str) -> Vec<Json> {
        match self {
            Kind::Responses => {
                let item = json!({ "type": "function_call", "call_id": id, "name": "t",
                    "arguments": input });
                let mut events = Vec::new();
                for at in 0..2 {
                    for kind in ["response.output_item.added", "response.output_item.done"] {
                        events.push(json!({ "type": kind, "output_index": at, "item": item }));
                    }
                }
                events.push(json!({ "type": "response.completed", "response": {} }));
                events
            }
            Kind::OpenAi => {
                let call = |at: u64| json!({ "index": at, "id": id, "function": { "name": "t", "arguments": input } });
                vec![json!({ "choices": [{ "index": 0, "finish_reason": "tool_calls",
                    "delta": { "tool_calls": [call(0), call(1)] } }] })]
            }
            Kind::Anthropic => {
                let mut events = vec![json!({ "type": "message_start", "message": {} })];
                for at in 0..2 {
                    events.push(json!({ "type": "content_block_start", "index": at,
                        "content_block": { "type": "tool_use", "id": id, "name": "t", "input": {} } }));
                    events.push(json!({ "type": "content_block_delta", "index": at,
                        "delta": { "type": "input_json_delta", "partial_json": input } }));
                    events.push(json!({ "type": "content_block_stop", "index": at }));
                }
                events.push(
                    json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" } }),
                );
                events.push(json!({ "type": "message_stop" }));
                events
            }
            Kind::Gemini => {
                let input = serde_json::from_str(input).unwrap_or_else(|_| json!(input));
                let call = json!({ "functionCall": { "id": id, "name": "t", "args": input } });
                vec![json!({ "candidates": [{ "finishReason": "STOP",
                    "content": { "parts": [call, call] } }] })]
            }
            Kind::Bedrock => {
                let mut events = Vec::new();
                for at in 0..2 {
                    events.push(json!({ "contentBlockStart": { "contentBlockIndex": at,
                        "start": { "toolUse": { "toolUseId": id, "name": "t" } } } }));
                    events.push(json!({ "contentBlockDelta": { "contentBlockIndex": at,
                        "delta": { "toolUse": { "input": input } } } }));
                }
                events.push(json!({ "messageStop": { "stopReason": "tool_use" } }));
                events
            }
        }
    }

    fn bytes(self, events: &[Json]) -> Vec<u8> {
        events.iter().flat_map(|event| self.event(event)).collect()
    }

    fn error_event(self) -> Vec<u8> {
        match self {
            Kind::Bedrock => framed(
                &[(":message-type", "exception"), (":exception-type", "throttlingException")],
                "{\"message\": \"slow down\"}",
            ),
            Kind::Anthropic => self.event(&json!({ "type": "error",
                "error": { "type": "rate_limit_error", "message": "slow down" } })),
            Kind::Responses => self.event(&json!({ "type": "error",
                "code": "rate_limit_exceeded", "message": "slow down" })),
            Kind::OpenAi | Kind::Gemini => {
                self.event(&json!({ "error": { "code": 429, "message": "slow down" } }))
            }
        }
    }

    fn good(self) -> Vec<Act> {
        let end = match self {
            Kind::Gemini => "STOP",
            Kind::OpenAi => "stop",
            Kind::Responses => "completed",
            Kind::Anthropic | Kind::Bedrock => "end_turn",
        };
        stream(self, self.bytes(&self.words("Hello", end)))
    }
}

/// What a peer does once it has read the request; then it closes.
enum Act {
    Send(Vec<u8>),
    /// One byte each second.
    Drip(Vec<u8>),
    /// Again and again until the client has gone.
    Endless(Vec<u8>),
    Hang,
}

fn head(status: &str, kind: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n").into()
}

fn stream(kind: Kind, bytes: Vec<u8>) -> Vec<Act> {
    vec![Act::Send(head("200 OK", kind.stream_type(), "")), Act::Send(bytes)]
}

fn document(status: &str, kind: &str, body: impl Into<Vec<u8>>) -> Vec<Act> {
    vec![Act::Send(head(status, kind, "")), Act::Send(body.into())]
}

type Play = fn(Kind) -> Vec<Act>;

/// The table: what a peer does, by name.
const PEERS: &[(&str, Play)] = &[
    ("hangs before its head", |_| vec![Act::Hang]),
    ("hangs after its head", |k| vec![Act::Send(head("200 OK", k.stream_type(), "")), Act::Hang]),
    ("hangs after words", |k| {
        let half = k.bytes(&k.words("Hel", "stop")[..1]);
        vec![Act::Send(head("200 OK", k.stream_type(), "")), Act::Send(half), Act::Hang]
    }),
    ("drips", |k| {
        let text = "x".repeat(99);
        vec![
            Act::Send(head("200 OK", k.stream_type(), "")),
            Act::Drip(k.bytes(&k.words(&text, "stop"))),
        ]
    }),
    ("closes at once", |_| vec![]),
    ("closes within its head", |_| vec![Act::Send(b"HTTP/1.1 200 O".to_vec())]),
    ("is cut between events", |k| stream(k, k.bytes(&k.words("Hello", "stop")[..1]))),
    ("is cut within an event", |k| {
        let mut bytes = k.bytes(&k.words("Hello", "stop"));
        bytes.truncate(bytes.len() / 2);
        stream(k, bytes)
    }),
    ("breaks a chunk off", |k| {
        let head = head("200 OK", k.stream_type(), "transfer-encoding: chunked\r\n");
        vec![Act::Send(head), Act::Send(b"ff\r\nda".to_vec())]
    }),
    ("says 429", |_| document("429 Too Many Requests", "application/json", "{}")),
    ("says 429 and for how long", |_| {
        let head = head("429 Too Many Requests", "application/json", "retry-after: 7\r\n");
        vec![Act::Send(head)]
    }),
    ("says 500", |_| document("500 Oh", "text/plain", "oh")),
    ("says 502", |_| document("502 Bad Gateway", "text/html", "<html>bad gateway</html>")),
    ("says 503", |_| document("503 Busy", "application/json", "[")),
    ("says 529", |_| document("529 Overloaded", "application/json", "{}")),
    ("says 404", |_| document("404 Not Found", "application/json", "{\"message\": null}")),
    ("redirects", |_| {
        vec![Act::Send(head("302 Found", "text/plain", "location: http://127.0.0.1:1/\r\n"))]
    }),
    ("sends garbage", |_| document("200 OK", "application/json", "{\"choi")),
    ("sends a page", |_| document("200 OK", "text/html", "<html>please log in</html>")),
    ("reports an error with 200", |_| {
        let error = "{\"error\": {\"code\": 503, \"message\": \"loading\"}}";
        document("200 OK", "application/json", error)
    }),
    ("has the wrong content type", |k| {
        let words = k.bytes(&k.words("Hello", "stop"));
        document("200 OK", "application/octet-stream", words)
    }),
    ("sends nothing", |_| document("200 OK", "application/json", "")),
    ("sends null", |_| document("200 OK", "application/json", "null")),
    ("sends a list", |_| document("200 OK", "application/json", "[]")),
    ("sends null members", |_| {
        let nulls =
            "{\"choices\": null, \"content\": null, \"candidates\": null, \"output\": null}";
        document("200 OK", "application/json", nulls)
    }),
    ("streams nothing", |k| stream(k, Vec::new())),
    ("streams bytes that are no text", |k| stream(k, b"data: \xff\xfe\x00{\n\n".to_vec())),
    ("streams NUL in its words", |k| stream(k, k.bytes(&k.words("a\0b", "stop")))),
    ("asks with input that is no JSON", |k| stream(k, k.bytes(&k.tools(&json!("id"), "{bro")))),
    ("asks without ids", |k| stream(k, k.bytes(&k.tools(&Json::Null, "{}")))),
    ("ends for an unknown reason", |k| stream(k, k.bytes(&k.words("Hello", "tired")))),
    ("counts absurdly", |k| {
        let huge = json!({ "prompt_tokens": u64::MAX, "completion_tokens": null,
            "promptTokenCount": i64::MAX, "inputTokens": u64::MAX, "input_tokens": u64::MAX });
        let last = match k {
            Kind::OpenAi => json!({ "choices": [], "usage": huge }),
            Kind::Responses => {
                json!({ "type": "response.completed", "response": { "usage": huge } })
            }
            Kind::Anthropic => json!({ "type": "message_delta", "delta": {}, "usage": huge }),
            Kind::Gemini => json!({ "usageMetadata": huge }),
            Kind::Bedrock => json!({ "metadata": { "usage": huge } }),
        };
        let mut events = k.words("Hello", "stop");
        let end =
            if k == Kind::Gemini || k == Kind::OpenAi { events.len() } else { events.len() - 1 };
        events.insert(end, last);
        stream(k, k.bytes(&events))
    }),
    ("counts below zero", |_| {
        let tokens = "{\"prompt_tokens\": -1, \"input_tokens\": -1}";
        let body = format!(
            "{{\"choices\": [{{\"message\": {{\"content\": \"Hi\"}}, \"finish_reason\": \"stop\"}}], \
             \"type\": \"message\", \"content\": [{{\"type\": \"text\", \"text\": \"Hi\"}}], \
             \"stop_reason\": \"end_turn\", \"usage\": {tokens}, \
             \"candidates\": [{{\"content\": {{\"parts\": [{{\"text\": \"Hi\"}}]}}, \
             \"finishReason\": \"STOP\"}}], \"usageMetadata\": {{\"promptTokenCount\": -1}}, \
             \"output\": {{\"message\": {{\"content\": [{{\"text\": \"Hi\"}}]}}}}, \
             \"stopReason\": \"end_turn\"}}"
        );
        document("200 OK", "application/json", body)
    }),
    ("breaks off with an error", |k| {
        let mut bytes = k.bytes(&k.words("Hel", "stop")[..1]);
        bytes.extend(k.error_event());
        stream(k, bytes)
    }),
    ("sends a giant document", |_| {
        vec![
            Act::Send(head("200 OK", "application/json", "")),
            Act::Endless(b"                ".repeat(65_536)),
        ]
    }),
    ("sends a giant event", |k| {
        let bytes = match k {
            Kind::Bedrock => 0xfff_fff0_u32.to_be_bytes().to_vec(),
            Kind::OpenAi | Kind::Responses | Kind::Anthropic | Kind::Gemini => b"data: ".to_vec(),
        };
        let more = Act::Endless(b"x".repeat(1 << 20));
        vec![Act::Send(head("200 OK", k.stream_type(), "")), Act::Send(bytes), more]
    }),
    ("never comes to an end", |k| {
        let word = k.bytes(&k.words(&"word ".repeat(9000), "stop")[..1]);
        let opening = match k {
            Kind::Anthropic => {
                let all = k.words(&"word ".repeat(9000), "stop");
                (k.bytes(&all[..2]), k.bytes(&all[2..3]))
            }
            Kind::Responses => {
                let all = k.words(&"word ".repeat(9000), "stop");
                (k.bytes(&all[..1]), k.bytes(&all[1..2]))
            }
            Kind::Bedrock => (Vec::new(), k.bytes(&k.words(&"word ".repeat(9000), "stop")[1..2])),
            Kind::OpenAi | Kind::Gemini => (Vec::new(), word),
        };
        vec![
            Act::Send(head("200 OK", k.stream_type(), "")),
            Act::Send(opening.0),
            Act::Endless(opening.1),
        ]
    }),
    ("speaks in the user's role", |k| {
        let user = |event: Json| {
            let text = event.to_string().replace("\"assistant\"", "\"user\"");
            serde_json::from_str::<Json>(&text).unwrap()
        };
        let mut events: Vec<Json> = k.words("Hello", "stop").into_iter().map(user).collect();
        let role = json!("user");
        match k {
            Kind::OpenAi => events[0]["choices"][0]["delta"]["role"] = role,
            Kind::Anthropic => events[0]["message"]["role"] = role,
            Kind::Gemini => events[0]["candidates"][0]["content"]["role"] = role,
            Kind::Responses | Kind::Bedrock => {}
        }
        stream(k, k.bytes(&events))
    }),
    ("says everything twice", |k| {
        let end = if k == Kind::Gemini { "STOP" } else { "end_turn" };
        let once = k.bytes(&k.words("Hello", end));
        stream(k, [once.clone(), once].concat())
    }),
];

/// Plays `play` to the first connection, and a good answer to every other.
async fn serve(kind: Kind, play: Play) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut acts = play(kind);
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acts = std::mem::replace(&mut acts, kind.good());
            tokio::spawn(act(socket, acts));
        }
    });
    address
}

async fn act(mut socket: TcpStream, acts: Vec<Act>) -> std::io::Result<()> {
    read_request(&mut socket).await?;
    for act in acts {
        match act {
            Act::Send(bytes) => socket.write_all(&bytes).await?,
            Act::Drip(bytes) => {
                for byte in bytes {
                    socket.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Act::Endless(bytes) => loop {
                socket.write_all(&bytes).await?;
            },
            Act::Hang => drop(socket.read(&mut [0]).await?),
        }
    }
    socket.shutdown().await
}

async fn read_request(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length =
            head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok()?;
        Some(body.len() >= length)
    };
    while whole(&request) != Some(true) {
        if socket.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn ask(models: &Models) -> Result<Reply, ModelError> {
    let mut call: Call = serde_json::from_value(json!({
        "model": "m", "stream": true,
        "messages": [{ "role": "user", "content": [{ "text": "Hi" }] }],
    }))
    .unwrap();
    let mut collect = Collect::default();
    let mut deltas = models.resolve("m")?.converse(&mut call).await?;
    while let Some(delta) = deltas.try_next().await? {
        collect.absorb(delta);
    }
    collect.finish()
}

fn told(outcome: Result<Reply, ModelError>) -> String {
    match outcome {
        Ok(reply) => {
            let said = serde_json::to_string(&reply.content).unwrap();
            let tokens = reply.usage.input_tokens;
            let counted = if tokens == 0 { String::new() } else { format!(", {tokens} in") };
            format!("{said} {:?}{counted}", reply.stop_reason)
        }
        Err(error) => {
            let billed = if error.may_be_billed { ", may be billed" } else { "" };
            match error.retry_after {
                Some(wait) => format!("{:?}, wait {wait:?}{billed}", error.kind),
                None => format!("{:?}{billed}", error.kind),
            }
        }
    }
}

async fn outcome(kind: Kind, play: Play) -> String {
    let models = kind.models(&serve(kind, play).await);
    // Megabytes wait for the kernel, which virtual time does not see.
    let busy = play(kind).iter().any(|act| matches!(act, Act::Endless(_)));
    if busy {
        tokio::time::resume();
    }
    let began = Instant::now();
    let said = told(ask(&models).await);
    let took = if busy { 0 } else { began.elapsed().as_secs() };
    assert!(took <= 60, "{took} s");
    if busy {
        tokio::time::pause();
    }
    let again = ask(&models).await.unwrap();
    assert_eq!(told(Ok(again)), r#"[{"text":"Hello"}] EndTurn"#, "after {said}");
    if took == 0 { said } else { format!("{said} after {took} s") }
}

#[tokio::test(start_paused = true)]
async fn every_misbehaviour_of_a_provider_ends_as_defined_and_the_next_call_works() {
    let mut table = String::new();
    for (name, play) in PEERS {
        let mut outcomes: Vec<(String, Vec<Kind>)> = Vec::new();
        for kind in KINDS {
            let said = outcome(kind, *play).await;
            match outcomes.iter_mut().find(|(known, _)| *known == said) {
                Some((_, kinds)) => kinds.push(kind),
                None => outcomes.push((said, vec![kind])),
            }
        }
        for (said, kinds) in outcomes {
            let whom =
                if kinds.len() == KINDS.len() { String::new() } else { format!(" {kinds:?}") };
            writeln!(table, "{name}: {said}{whom}").unwrap();
        }
    }
    expect![[r#"
        hangs before its head: TimedOut, may be billed after 10 s
        hangs after its head: TimedOut, may be billed after 5 s
        hangs after words: TimedOut, may be billed after 5 s
        drips: TimedOut, may be billed after 60 s
        closes at once: Unavailable, may be billed
        closes within its head: Unavailable, may be billed
        is cut between events: Malformed, may be billed
        is cut within an event: Malformed, may be billed
        breaks a chunk off: Unavailable, may be billed
        says 429: Throttled
        says 429 and for how long: Throttled, wait 7s
        says 500: Unavailable
        says 502: Unavailable
        says 503: Unavailable
        says 529: Unavailable
        says 404: Refused
        redirects: Refused
        sends garbage: Malformed, may be billed
        sends a page: Malformed, may be billed
        reports an error with 200: Unavailable [OpenAi, Responses, Gemini]
        reports an error with 200: Malformed, may be billed [Anthropic, Bedrock]
        has the wrong content type: Malformed, may be billed
        sends nothing: Malformed, may be billed
        sends null: Malformed, may be billed
        sends a list: Malformed, may be billed
        sends null members: Malformed, may be billed
        streams nothing: Malformed, may be billed
        streams bytes that are no text: Malformed, may be billed
        streams NUL in its words: [{"text":"a\u0000b"}] EndTurn
        asks with input that is no JSON: [{"toolUse":{"toolUseId":"id","name":"t","input":"{bro"}},{"toolUse":{"toolUseId":"tooluse_0","name":"t","input":"{bro"}}] ToolUse
        asks without ids: [{"toolUse":{"toolUseId":"tooluse_0","name":"t","input":{}}},{"toolUse":{"toolUseId":"tooluse_1","name":"t","input":{}}}] ToolUse
        ends for an unknown reason: [{"text":"Hello"}] EndTurn
        counts absurdly: [{"text":"Hello"}] EndTurn, 1000000000 in
        counts below zero: Malformed, may be billed [OpenAi, Responses]
        counts below zero: [{"text":"Hi"}] EndTurn [Anthropic, Gemini, Bedrock]
        breaks off with an error: Throttled
        sends a giant document: Malformed, may be billed
        sends a giant event: Malformed, may be billed
        never comes to an end: Malformed, may be billed
        speaks in the user's role: [{"text":"Hello"}] EndTurn
        says everything twice: [{"text":"HelloHello"}] EndTurn [OpenAi, Gemini]
        says everything twice: [{"text":"Hello"}] EndTurn [Responses, Anthropic, Bedrock]
    "#]].assert_eq(&table);
}

#[tokio::test]
async fn nobody_at_the_address_and_tls_to_a_plain_port_are_said_at_once() {
    for kind in KINDS {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let refused = ask(&kind.models(&format!("http://{gone}"))).await;
        let garbled = ask(&kind.models(&speaks_no_tls().await)).await;
        assert_eq!(
            (told(refused).as_str(), told(garbled).as_str()),
            ("Unavailable", "Unavailable")
        );
    }
}

/// A connection that does not come about within the time that the answer may take.
#[tokio::test(start_paused = true)]
async fn a_provider_that_was_never_reached_bills_nothing() {
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let models = kind.models_within(&address, 2);
        let began = Instant::now();
        // The greeting waits in the listener's queue.
        assert_eq!(told(ask(&models).await), "TimedOut");
        assert_eq!(began.elapsed().as_secs(), 2);
    }
}

/// It answers a TLS greeting as every server of plain HTTP does.
async fn speaks_no_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 512]).await.unwrap() > 0);
        socket.write_all(&head("400 Bad Request", "text/plain", "")).await.unwrap();
    });
    address
}

/// The connection is what a provider sees of a client that has gone.
#[tokio::test]
async fn a_stream_that_nobody_reads_any_more_is_closed_at_the_provider() {
    for kind in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let models = kind.models(&format!("http://{}", listener.local_addr().unwrap()));
        let peer = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_request(&mut socket).await.unwrap();
            let words =
                kind.bytes(&kind.words("Hello", "stop")[..3.min(kind.words("", "").len() - 1)]);
            socket.write_all(&head("200 OK", kind.stream_type(), "")).await.unwrap();
            socket.write_all(&words).await.unwrap();
            socket.read(&mut [0; 1]).await
        });
        let mut call: Call = serde_json::from_value(json!({
            "model": "m", "stream": true,
            "messages": [{ "role": "user", "content": [{ "text": "Hi" }] }],
        }))
        .unwrap();
        let mut deltas = models.resolve("m").unwrap().converse(&mut call).await.unwrap();
        assert!(deltas.try_next().await.unwrap().is_some());
        drop(deltas);
        let seen = tokio::time::timeout(Duration::from_secs(5), peer).await.unwrap().unwrap();
        assert!(matches!(seen, Ok(0) | Err(_)), "{seen:?}");
    }
}
