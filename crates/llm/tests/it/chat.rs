//! A loopback server of chat completions that knows exactly the pairs of `chat.json`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

/// Each pair: the request without its streaming members, and the answer as `document` and as
/// `events`, or with its own `status`.
const PAIRS: &str = include_str!("chat.json");

/// The base URL of a new server.
pub(crate) async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let connection = hyper::server::conn::http1::Builder::new();
            let served = connection.serve_connection(TokioIo::new(socket), service_fn(answer));
            tokio::spawn(served);
        }
    });
    base_url
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/chat/completions");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut asked: Json = serde_json::from_slice(&body).unwrap();
    let members = asked.as_object_mut().unwrap();
    let stream = members.remove("stream").unwrap() == json!(true);
    let options = members.remove("stream_options");
    assert_eq!(options.is_some_and(|options| options["include_usage"] == true), stream);
    Ok(find(&asked, stream))
}

fn find(asked: &Json, stream: bool) -> Response<Full<Bytes>> {
    let pairs: Vec<Json> = serde_json::from_str(PAIRS).unwrap();
    let Some(pair) = pairs.into_iter().find(|pair| pair["request"] == *asked) else {
        let message = format!("no pair for {asked}");
        return respond(418, "application/json", json!({ "error": message }).to_string());
    };
    let status = pair["status"].as_u64().unwrap_or(200);
    match pair["events"].as_array() {
        Some(events) if stream => respond(200, "text/event-stream", sse(events)),
        _ => respond(status, "application/json", pair["document"].to_string()),
    }
}

fn sse(events: &[Json]) -> String {
    let mut text = ": a comment first\n\n".to_owned();
    for event in events {
        text += &format!("data: {event}\n\n");
    }
    text + "data: [DONE]\n\n"
}

fn respond(status: u64, kind: &str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
    response.headers_mut().insert("content-type", kind.parse().unwrap());
    response
}
