//! The whole front over real sockets, with a handful of operations put in place of api's.

mod door;
mod requests;
mod routes;
mod server;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::Handler;
use craton_core::policy::ToolPolicy;
use engine::env::{Clock, Ids};
use engine::tool::{ToolCall, ToolError, Tools};
use engine::{Engine, Parts};
use exec::Invoked;
use futures_util::future::BoxFuture;
use store::{Store, StoreError, Tenant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::auth::Auth;
use crate::call::Front;
use crate::config::{Config, Key};
use crate::origin::Names;
use crate::server as listener;

/// 2026-11-20T10:00:00Z, the time of the signatures in these tests.
const NOW: i64 = 1_795_168_800_000;

/// Time stands still, and ids count.
#[derive(Default)]
struct Fixed(AtomicU64);

impl Clock for Fixed {
    fn now(&self) -> i64 {
        NOW
    }
}

impl Ids for Fixed {
    fn secret(&self) -> String {
        self.fresh()
    }

    /// The first goes to the engine itself.
    fn fresh(&self) -> String {
        format!("request-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct NoTools;

impl Tools for NoTools {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(async { Err(ToolError::NoFunction(call.function)) })
    }

    fn policy<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        Box::pin(async { Ok(ToolPolicy::default()) })
    }
}

async fn engine() -> Engine {
    let client = net::Client::new(net::Config::default());
    let fixed = Arc::new(Fixed::default());
    let parts = Parts {
        store: Store::memory().unwrap(),
        models: llm::Models::open(llm::Config::default(), client).unwrap(),
        tools: Arc::new(NoTools),
        buckets: exec::Buckets::default(),
        prices: craton_core::cost::Prices::default(),
        clock: fixed.clone(),
        ids: fixed,
        turn: craton_core::agent::limits::Limits::default(),
        limits: engine::limits::Limits::default(),
        sessions: engine::limits::SESSIONS,
        gateway: engine::model::Config::default(),
        budgets: Default::default(),
        alerts: Default::default(),
    };
    Engine::start(parts).await.unwrap()
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(config: Config, operations: fn(&str, &str) -> Option<Handler>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        config.check(address).unwrap();
        let front = Front {
            room: crate::body::Room::new(),
            closing: tokio::sync::watch::Sender::new(false),
            names: Names::new(&config, address.ip()),
            auth: Arc::new(Auth::new(&config).unwrap()),
            passes: crate::pass::Passes::default(),
            forwards: crate::forward::Forwards::open(&config.forward).unwrap(),
            operations,
            engine: engine().await,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let drain = Duration::from_secs(config.drain_seconds);
        let task = tokio::spawn(listener::run(socket, Arc::new(front), drain, async move {
            drop(stopped.await);
        }));
        Server { address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends raw bytes and reads until the server closes.
    async fn send(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).replace("\r\n", "\n")
    }
}

/// A request that asks to close afterwards. `head` holds further header lines.
fn request(line: &str, head: &[&str], body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for line in head {
        text.push_str(line);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// The answer without its date.
fn undated(answer: &str) -> String {
    let dated = |line: &&str| !line.starts_with("date:");
    answer.lines().filter(dated).collect::<Vec<_>>().join("\n")
}

fn scope(service: &str) -> String {
    format!(
        "authorization: AWS4-HMAC-SHA256 Credential=123456789012/20261120/eu-west-1/{service}\
         /aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn key(access_key: &str, actions: Option<&[&str]>) -> Key {
    Key {
        access_key: access_key.into(),
        secret_key: Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
        account: "123456789012".into(),
        actions: actions.map(|actions| actions.iter().map(|&action| action.into()).collect()),
        ..Key::default()
    }
}
