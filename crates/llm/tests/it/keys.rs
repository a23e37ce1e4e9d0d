//! A key reaches its provider, and nobody who reads messages, causes, configurations or logs.

use std::error::Error as _;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt as _;
use llm::{Config, ModelError, Models};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::span;
use wire::converse::{Call, Delta};

/// A provider's key, and a proxy's in a header of its own.
const CANARIES: [&str; 2] = ["sk-canary-5d1c9e", "px-canary-77aa01"];

#[tokio::test]
async fn a_key_stands_in_no_message_cause_configuration_or_log() {
    let log = Log::default();
    let listening = tracing::subscriber::set_default(log.clone());
    let folder = tempfile::tempdir().unwrap();
    for (name, canary) in ["key", "proxy"].into_iter().zip(CANARIES) {
        std::fs::write(folder.path().join(name), format!("{canary}\n")).unwrap();
    }
    for kind in ["openai", "responses", "anthropic", "gemini", "bedrock"] {
        // With 200 the refusal is an event of the stream.
        for status in [401, 429, 500, 200] {
            let (address, heard) = echo(status).await;
            let (models, headers) = models(kind, &address, folder.path());
            let error = failure(&models).await;
            let heard = heard.await.unwrap();
            assert!(heard.contains(CANARIES[0]), "{kind}: no key was sent");
            assert_eq!(heard.contains(CANARIES[1]), headers, "{kind}");
            let told = format!("{error} {error:?} {:?}", error.source());
            tracing::warn!(%error, cause = ?error.source(), "as the engine logs it");
            assert_hidden(kind, &told);
            // Bedrock streams frames, so what came was no event of its own.
            assert!(told.contains("***") || (kind, status) == ("bedrock", 200), "{kind}: {told}");
        }
    }
    drop(listening);
    let logged = log.0.lock().unwrap();
    assert!(logged.contains("as the engine logs it") && logged.contains("***"));
    assert_hidden("the log", &logged);
}

fn assert_hidden(whose: &str, told: &str) {
    assert!(!CANARIES.iter().any(|canary| told.contains(canary)), "{whose}: {told}");
}

/// A provider with both secrets; and whether its kind has headers of the operator's own.
fn models(kind: &str, address: &str, folder: &Path) -> (Models, bool) {
    let file = |name: &str| format!("file:{}", folder.join(name).display());
    let mut provider = json!({ "kind": kind, "base_url": address, "api_key": file("key") });
    let headers = !["gemini", "bedrock"].contains(&kind);
    if headers {
        provider["headers"] = json!({ "x-proxy-key": file("proxy") });
    }
    if kind == "bedrock" {
        provider["region"] = json!("us-east-1");
    }
    let config = json!({ "providers": { "x": provider },
                         "models": [{ "match": "*", "provider": "x" }] });
    let config: Config = serde_json::from_value(config).unwrap();
    assert_hidden("the configuration", &format!("{config:?}"));
    (Models::open(config, net::Client::new(net::Config::default())).unwrap(), headers)
}

async fn failure(models: &Models) -> ModelError {
    let call = json!({ "model": "m", "stream": true, "messages": [
        { "role": "user", "content": [{ "text": "hi" }] }] });
    let mut call: Call = serde_json::from_value(call).unwrap();
    let asked = models.resolve("m").unwrap().converse(&mut call).await;
    assert_hidden("the call", &format!("{call:?}"));
    match asked {
        Ok(deltas) => deltas.try_collect::<Vec<Delta>>().await.unwrap_err(),
        Err(error) => error,
    }
}

/// A server of one answer, which repeats the keys as careless servers do; and what it was asked.
async fn echo(status: u16) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 1 << 16];
        let length = socket.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let given = CANARIES.into_iter().filter(|canary| request.contains(canary));
        let words = format!("bad keys: {}", given.collect::<Vec<_>>().join(" and "));
        let said = json!({ "type": "error", "code": "c", "message": words,
                           "error": { "type": "api_error", "message": words } });
        let (kind, body) = match status {
            200 => ("text/event-stream", format!("data: {said}\n\n")),
            _ => ("application/json", said.to_string()),
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n");
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        request
    });
    (address, heard)
}

/// Every event and span of this thread, with all its fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
