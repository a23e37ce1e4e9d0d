//! Loopback servers that know exactly the pairs of one file: each a request without its streaming
//! members, and the answer as `document` and as `events`, or with a `status` of its own.
//!
//! Beside OpenAI's own there are the dialects of servers that say they are compatible: what they
//! leave out, repeat or spell otherwise.

use std::convert::Infallible;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

#[derive(Clone, Copy)]
pub(crate) struct Server {
    pub(crate) path: &'static str,
    pub(crate) pairs: &'static str,
    pub(crate) streams: Streams,
}

/// How a protocol streams.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Streams {
    /// As it is asked, with `[DONE]` at the end.
    Chat,
    /// The same, where nobody asks for usage.
    UsageUnasked,
    /// As it is asked; each event has a name, and the last says so.
    Responses,
    /// It is always asked to; each event has a name.
    Messages,
    /// It is always asked to, and never does.
    Never,
    /// By the path; no event has a name or says that it is the last.
    Gemini,
    /// By the path, as AWS's frames.
    Frames,
}

impl Server {
    /// The address of a new one, without a path.
    pub(crate) async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let connection = hyper::server::conn::http1::Builder::new();
                let answer = service_fn(move |request| self.answer(request));
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
            }
        });
        address
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let stream_by_path = self.asked(request.uri());
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut asked: Json = serde_json::from_slice(&body).unwrap();
        let members = asked.as_object_mut().unwrap();
        let stream = members.remove("stream") == Some(json!(true)) || stream_by_path;
        let options = members.remove("stream_options");
        match self.streams {
            Streams::Chat => {
                assert_eq!(options.is_some_and(|given| given["include_usage"] == true), stream);
            }
            Streams::Messages | Streams::Never => {
                assert!(stream && options.is_none());
                assert_eq!(head.headers["anthropic-version"], "2023-06-01");
            }
            Streams::Gemini | Streams::UsageUnasked | Streams::Responses => {
                assert!(options.is_none());
            }
            Streams::Frames => signed(&head.headers),
        }
        Ok(self.find(&asked, stream))
    }

    /// The path is the protocol's; true if it asks for a stream.
    fn asked(self, uri: &http::Uri) -> bool {
        let asked = uri.path_and_query().unwrap().as_str();
        let (plain, streamed) = match self.streams {
            Streams::Chat
            | Streams::UsageUnasked
            | Streams::Responses
            | Streams::Messages
            | Streams::Never => (String::new(), String::new()),
            Streams::Gemini => (":generateContent".into(), ":streamGenerateContent?alt=sse".into()),
            Streams::Frames => ("/converse".into(), "/converse-stream".into()),
        };
        let rest = asked.strip_prefix(self.path).unwrap();
        assert!(rest == plain || rest == streamed, "{asked}");
        !streamed.is_empty() && rest == streamed
    }

    fn find(self, asked: &Json, stream: bool) -> Response<Full<Bytes>> {
        let pairs: Vec<Json> = serde_json::from_str(self.pairs).unwrap();
        let Some(pair) = pairs.into_iter().find(|pair| pair["request"] == *asked) else {
            // Whole, as an error's message is cut; and timed out, as no case of the suite expects.
            eprintln!("no pair for this request:\n{asked}");
            return respond(504, "application/json", json!({ "error": "no pair" }).to_string());
        };
        let status = pair["status"].as_u64().unwrap_or(200);
        match pair["events"].as_array() {
            Some(events) if stream && self.streams == Streams::Frames => {
                let frames: Vec<u8> = events.iter().flat_map(frame).collect();
                respond(200, "application/vnd.amazon.eventstream", frames)
            }
            Some(events) if stream && self.streams != Streams::Never => {
                respond(200, "text/event-stream", self.sse(events))
            }
            _ => respond(status, "application/json", pair["document"].to_string()),
        }
    }

    fn sse(self, events: &[Json]) -> String {
        let mut text = ": a comment first\n\n".to_owned();
        for event in events {
            if let Some(name) = event["type"].as_str() {
                text += &format!("event: {name}\n");
            }
            text += &format!("data: {event}\n\n");
        }
        match self.streams {
            Streams::Chat | Streams::UsageUnasked => text + "data: [DONE]\n\n",
            Streams::Responses
            | Streams::Messages
            | Streams::Never
            | Streams::Gemini
            | Streams::Frames => text,
        }
    }
}

fn signed(headers: &http::HeaderMap) {
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/eu-west-3/bedrock/aws4_request"), "{authorization}");
    assert!(headers.contains_key("x-amz-date"));
}

/// One event of one member, as AWS frames it.
pub(crate) fn frame(event: &Json) -> Vec<u8> {
    let (name, payload) = event.as_object().unwrap().iter().next().unwrap();
    framed(&[(":message-type", "event"), (":event-type", name)], &payload.to_string())
}

pub(crate) fn framed(headers: &[(&'static str, &str)], payload: &str) -> Vec<u8> {
    let header = |(name, value): &(&'static str, &str)| {
        Header::new(*name, HeaderValue::String((*value).to_owned().into()))
    };
    let headers = headers.iter().map(header).collect();
    let message = Message::new_from_parts(headers, Bytes::from(payload.to_owned()));
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

fn respond(status: u64, kind: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
    response.headers_mut().insert("content-type", kind.parse().unwrap());
    response
}
