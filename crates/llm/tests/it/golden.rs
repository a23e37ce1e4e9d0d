//! Golden pairs: what a call becomes at each provider, and what becomes of the provider's answer.
//!
//! A case is one file, `golden/PROVIDER/CASE.json`. By hand: `provider` (the members of
//! `[providers.NAME]`; `path` is what follows the address in its `base_url`), `call`, and the native
//! `answer` in one piece, its `events`, or both, which then must mean the same. Checked, and
//! rewritten with `UPDATE_EXPECT=1`, to be read by eye before it is committed: the native `request`
//! with where it went, the `deltas`, and the `reply` or the `error` that comes of it. A case with
//! `embed` (`texts`, `dimensions`, `normalize`) in place of `call` has `vectors`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use llm::{Collect, EmbedCall, Embedded, ModelError, Models};
use serde_json::{Map, Value as Json, json};
use tokio::net::TcpListener;
use wire::converse::{Call, Delta};

use crate::server::frame;

/// Headers of a request that a case tells.
const TOLD: [&str; 4] = ["anthropic-version", "anthropic-beta", "api-key", "x-api-key"];

/// How a path asks for a stream, and the same path without.
const STREAMED: [(&str, &str); 2] =
    [(":streamGenerateContent?alt=sse", ":generateContent"), ("/converse-stream", "/converse")];

#[tokio::test]
async fn every_call_goes_out_and_every_answer_comes_in_as_its_golden_pair_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let mut wrong = Vec::new();
    let cases = files(&root);
    assert!(cases.len() >= 30, "{} cases", cases.len());
    for path in cases {
        let case: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let seen = play(&case).await;
        if seen != case && std::env::var_os("UPDATE_EXPECT").is_some() {
            let text = serde_json::to_string_pretty(&seen).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
        } else if seen != case {
            wrong.push(format!("{}:\n{seen:#}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files: Vec<PathBuf> = entries(root).iter().flat_map(|folder| entries(folder)).collect();
    files.sort();
    files
}

/// The case with what was seen in the place of what is checked.
async fn play(case: &Json) -> Json {
    let mut seen = case.clone();
    let members = seen.as_object_mut().unwrap();
    for name in ["request", "deltas", "reply", "error", "vectors"] {
        members.remove(name);
    }
    if !case["embed"].is_null() {
        members.extend(embed(case).await);
        return seen;
    }
    let mut outcomes = Vec::new();
    for (name, stream) in [("answer", false), ("events", true)] {
        if !case[name].is_null() {
            outcomes.push(ask(case, &case[name], stream).await);
        }
    }
    // The answer streamed is the same as in one piece, and asked for in the same way.
    if let [whole, streamed] = outcomes.as_slice() {
        for name in ["request", "reply", "error"] {
            assert_eq!(whole.get(name), streamed.get(name), "{name} of {}", case["about"]);
        }
    }
    members.extend(outcomes.pop().expect("a case has an answer or events"));
    seen
}

async fn ask(case: &Json, answer: &Json, stream: bool) -> Map<String, Json> {
    let asked = Arc::new(Mutex::new(Json::Null));
    let address = serve(case, answer, stream, Arc::clone(&asked)).await;
    let mut call: Json = case["call"].clone();
    call["stream"] = json!(stream);
    let mut call: Call = serde_json::from_value(call).unwrap();
    let said = say(&models(case, &address), &mut call).await;
    let mut seen = Map::new();
    seen.insert("request".to_owned(), asked.lock().unwrap().take());
    match said {
        Ok(deltas) => {
            let told = deltas.iter().map(|delta| json!(format!("{delta:?}"))).collect();
            let mut collect = Collect::default();
            deltas.into_iter().for_each(|delta| collect.absorb(delta));
            seen.insert("deltas".to_owned(), told);
            seen.insert("reply".to_owned(), json!(collect.finish().unwrap()));
        }
        Err(error) => {
            let message = error.message.replace(&address, "SERVER");
            seen.insert("error".to_owned(), json!(format!("{:?}: {message}", error.kind)));
        }
    }
    seen
}

async fn embed(case: &Json) -> Map<String, Json> {
    let asked = Arc::new(Mutex::new(Json::Null));
    let address = serve(case, &case["answer"], false, Arc::clone(&asked)).await;
    let wanted = &case["embed"];
    let call = EmbedCall {
        model: "tiny".to_owned(),
        texts: serde_json::from_value(wanted["texts"].clone()).unwrap(),
        dimensions: wanted["dimensions"].as_u64().map(|n| u32::try_from(n).unwrap()),
        normalize: wanted["normalize"] == true,
        ..EmbedCall::default()
    };
    let made = models(case, &address).resolve("tiny").unwrap().provider.embed(&call).await;
    let mut seen = Map::from_iter([("request".to_owned(), asked.lock().unwrap().take())]);
    match made {
        Ok(Embedded { vectors, input_tokens }) => {
            let told = json!({ "vectors": vectors, "inputTokens": input_tokens });
            seen.insert("vectors".to_owned(), told);
        }
        Err(error) => {
            let message = error.message.replace(&address, "SERVER");
            seen.insert("error".to_owned(), json!(format!("{:?}: {message}", error.kind)));
        }
    }
    seen
}

async fn say(models: &Models, call: &mut Call) -> Result<Vec<Delta>, ModelError> {
    let model = call.model.clone();
    models.resolve(&model)?.converse(call).await?.try_collect().await
}

fn models(case: &Json, address: &str) -> Models {
    models_by(case, address, net::Client::new(net::Config::default()))
}

pub(crate) fn models_by(case: &Json, address: &str, client: net::Client) -> Models {
    let mut provider = case["provider"].as_object().unwrap().clone();
    let path = provider.remove("path").unwrap_or_else(|| json!("/v1"));
    let base_url = format!("{address}{}", path.as_str().unwrap());
    provider.insert("base_url".to_owned(), json!(base_url));
    let config = json!({ "providers": { "golden": provider },
                         "models": [{ "match": "*", "provider": "golden" }] });
    Models::open(serde_json::from_value(config).unwrap(), client).unwrap()
}

/// A loopback server with one answer; what it was asked goes into `asked`.
async fn serve(case: &Json, answer: &Json, stream: bool, asked: Arc<Mutex<Json>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let status = u16::try_from(case["status"].as_u64().unwrap_or(200)).unwrap();
    let (kind, body) = match answer.as_array() {
        Some(events) if stream => streamed(events, &case["provider"]),
        _ => ("application/json", answer.to_string().into()),
    };
    let body = Bytes::from(body);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let answer = service_fn(|request| {
                let (asked, body) = (Arc::clone(&asked), body.clone());
                async move {
                    *asked.lock().unwrap() = told(request).await;
                    let response = Response::builder().status(status).header("content-type", kind);
                    Ok::<_, Infallible>(response.body(Full::new(body)).unwrap())
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // The client may leave when it has what it wants.
            drop(connection.serve_connection(TokioIo::new(socket), answer).await);
        }
    });
    address
}

pub(crate) fn streamed(events: &[Json], provider: &Json) -> (&'static str, Vec<u8>) {
    match provider["kind"].as_str().unwrap() {
        "bedrock" => {
            ("application/vnd.amazon.eventstream", events.iter().flat_map(frame).collect())
        }
        _ => ("text/event-stream", sse(events, provider).into()),
    }
}

fn sse(events: &[Json], provider: &Json) -> String {
    let event = |event: &Json| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    let text: String = events.iter().map(event).collect();
    if provider["kind"] == "openai" { text + "data: [DONE]\n\n" } else { text }
}

/// Where the request went and what it said, but for whether it asks for a stream.
async fn told(request: Request<Incoming>) -> Json {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut body: Json = serde_json::from_slice(&body).unwrap();
    for member in ["stream", "stream_options"] {
        body.as_object_mut().unwrap().remove(member);
    }
    let headers = TOLD.iter().filter_map(|name| {
        Some((name.to_string(), json!(head.headers.get(*name)?.to_str().unwrap())))
    });
    let headers: Map<String, Json> = headers.collect();
    let mut path = head.uri.to_string();
    for (streamed, whole) in STREAMED {
        path = path.replace(streamed, whole);
    }
    json!({ "path": path, "headers": headers, "body": body })
}
