//! A key reaches its provider, and nobody who reads messages, causes or configurations.

use std::error::Error as _;

use llm::{Config, Models};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wire::converse::Call;

const CANARY: &str = "sk-canary-5d1c9e";

#[tokio::test]
async fn a_key_stands_in_no_message_cause_or_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    for kind in ["openai", "responses", "anthropic", "gemini", "bedrock"] {
        for status in [401, 429, 500] {
            let (address, heard) = echo(status).await;
            let key = format!("file:{}", file.display());
            let mut provider = json!({ "kind": kind, "base_url": address, "api_key": key });
            if kind == "bedrock" {
                provider["region"] = json!("us-east-1");
            }
            let config = json!({ "providers": { "x": provider },
                                 "models": [{ "match": "*", "provider": "x" }] });
            let config: Config = serde_json::from_value(config).unwrap();
            assert!(!format!("{config:?}").contains(CANARY));
            let models = Models::open(config, net::Client::new(net::Config::default())).unwrap();
            let call = json!({ "model": "m", "messages": [
                { "role": "user", "content": [{ "text": "hi" }] }] });
            let mut call: Call = serde_json::from_value(call).unwrap();
            let error = models.resolve("m").unwrap().converse(&mut call).await.err().unwrap();
            assert!(heard.await.unwrap().contains(CANARY), "{kind}: no key was sent");
            let told = format!("{error} {error:?} {:?} {call:?}", error.source());
            assert!(!told.contains(CANARY), "{kind}: {told}");
            assert!(told.contains("***"), "{kind} was not quoted: {told}");
        }
    }
}

/// A server of one answer, which repeats the key as careless servers do; and what it was asked.
async fn echo(status: u16) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 1 << 16];
        let length = socket.read(&mut request).await.unwrap();
        let body = format!("{{\"error\":{{\"message\":\"bad key: {CANARY}\"}}}}");
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (address, heard)
}
