//! Loopback servers that know exactly the pairs of one file: each a request without its streaming
//! members, and the answer as `document` and as `events`, or with a `status` of its own.
//!
//! Beside OpenAI's own there are the dialects of servers that say they are compatible: what they
//! leave out, repeat or spell otherwise.

use std::convert::Infallible;

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
    /// It is always asked to; each event has a name.
    Messages,
    /// It is always asked to, and never does.
    Never,
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
        assert_eq!(request.uri().path(), self.path);
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut asked: Json = serde_json::from_slice(&body).unwrap();
        let members = asked.as_object_mut().unwrap();
        let stream = members.remove("stream") == Some(json!(true));
        let options = members.remove("stream_options");
        match self.streams {
            Streams::Chat => {
                assert_eq!(options.is_some_and(|given| given["include_usage"] == true), stream);
            }
            Streams::Messages | Streams::Never => {
                assert!(stream && options.is_none());
                assert_eq!(head.headers["anthropic-version"], "2023-06-01");
            }
        }
        Ok(self.find(&asked, stream))
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
            Streams::Chat => text + "data: [DONE]\n\n",
            Streams::Messages | Streams::Never => text,
        }
    }
}

fn respond(status: u64, kind: &str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
    response.headers_mut().insert("content-type", kind.parse().unwrap());
    response
}
