//! What a provider's cache needs: the beginning of a prompt is the same bytes at every step of a loop.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use llm::Models;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use wire::converse::Call;

/// A kind of provider, the members that come first of all, and the one with the conversation.
const KINDS: [(&str, &[&str], &str); 5] = [
    ("openai", &["tools"], "messages"),
    ("responses", &["instructions", "tools", "prompt_cache_key"], "input"),
    ("anthropic", &["system", "tools"], "messages"),
    ("gemini", &["systemInstruction", "tools"], "contents"),
    ("bedrock", &["system", "toolConfig"], "messages"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_beginning_of_a_prompt_is_the_same_bytes_at_every_step(
        system in "\\PC{1,80}",
        names in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,40}", 1..5),
        results in proptest::collection::vec("\\PC{1,30}", 1..5),
        long in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Both sides of the length from which beginnings are marked.
        let system = if long { format!("s{system} ").repeat(900) } else { format!("s{system}") };
        runtime.block_on(check(&system, &names, &results));
    }
}

async fn check(system: &str, names: &BTreeMap<String, String>, results: &[String]) {
    let tools: Vec<Json> = names.iter().map(|(name, about)| tool(name, about)).collect();
    for (kind, beginning, conversation) in KINDS {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let models = models(kind, &serve(Arc::clone(&asked)).await);
        for step in 0..=results.len() {
            let call = json!({ "model": "tiny", "system": [system], "tools": tools,
                               "messages": history(&tools, &results[..step]) });
            let mut call: Call = serde_json::from_value(call).unwrap();
            let refused = models.resolve("tiny").unwrap().converse(&mut call).await;
            assert_eq!(refused.err().and_then(|error| error.status), Some(503), "{kind}");
        }
        let asked: Vec<Members> = asked.lock().unwrap().iter().map(members).collect();
        assert_eq!(asked.len(), results.len() + 1, "{kind}");
        for pair in asked.windows(2) {
            for member in beginning {
                let [one, next] = [&pair[0], &pair[1]].map(|step| step[*member].get());
                assert_eq!(one, next, "{member} of {kind}");
            }
            let [one, next] = [&pair[0], &pair[1]].map(|step| unmarked(&step[conversation]));
            assert!(next.starts_with(&one), "{conversation} of {kind}: {one:?} and {next:?}");
        }
    }
}

type Members = BTreeMap<String, Box<RawValue>>;

fn members(body: &Bytes) -> Members {
    serde_json::from_slice(body).unwrap()
}

/// The elements of a conversation, without marks: those move on with its end.
fn unmarked(conversation: &RawValue) -> Vec<String> {
    let elements: Vec<Box<RawValue>> = serde_json::from_str(conversation.get()).unwrap();
    let mark = "\"cache_control\":{\"type\":\"ephemeral\"},";
    elements.iter().map(|element| element.get().replace(mark, "")).collect()
}

fn tool(name: &str, about: &str) -> Json {
    json!({ "name": name, "description": about, "schema": { "type": "object",
            "properties": { "z": { "type": "string" }, "a": { "type": "number" } } } })
}

fn history(tools: &[Json], results: &[String]) -> Vec<Json> {
    let mut messages = vec![json!({ "role": "user", "content": [{ "text": "go" }] })];
    for (step, result) in results.iter().enumerate() {
        let (id, name) = (format!("call{step}"), &tools[step % tools.len()]["name"]);
        let asked = json!({ "toolUseId": id, "name": name, "input": { "z": result, "a": step } });
        let told = json!({ "toolUseId": id, "content": [{ "text": format!("r{result}") }] });
        messages.push(json!({ "role": "assistant", "content": [{ "toolUse": asked }] }));
        messages.push(json!({ "role": "user", "content": [{ "toolResult": told }] }));
    }
    messages
}

fn models(kind: &str, address: &str) -> Models {
    let mut provider = json!({ "kind": kind, "base_url": address });
    if kind == "bedrock" {
        provider["region"] = json!("us-east-1");
        provider["api_key"] = json!("env:PATH");
    }
    let config = json!({ "providers": { "x": provider },
                         "models": [{ "match": "*", "provider": "x" }] });
    let config = serde_json::from_value(config).unwrap();
    Models::open(config, net::Client::new(net::Config::default())).unwrap()
}

/// A loopback server that keeps what it is asked and is always busy.
async fn serve(asked: Arc<Mutex<Vec<Bytes>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let asked = Arc::clone(&asked);
            let answer = service_fn(move |request: Request<Incoming>| {
                let asked = Arc::clone(&asked);
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    asked.lock().unwrap().push(body);
                    let busy = Response::builder().status(503);
                    Ok::<_, Infallible>(busy.body(Full::new(Bytes::from("{}"))).unwrap())
                }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
        }
    });
    address
}
