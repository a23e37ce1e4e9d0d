//! What calling an HTTP API as a tool costs over calling it at all.
//!
//! The direct call is one connection of hyper and a ready request: the least that an HTTP client in
//! Rust can do, and so less than any client of a library does. The tool's call is all that stands
//! between checked arguments and what the model reads: the request is spelled by its OpenAPI
//! document, a credential read from its file, the egress rules asked, the answer bounded, searched for the
//! credential and read. Policies and the ledger are measured elsewhere. The one process here knows
//! the parts it measures.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use craton_core::agent::config::{ActionGroup, Executor, Schema};
use craton_core::agent::tool::{self, HttpReply, Target, Tool};
use exec::{Api, ApiCall, ApiConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::report::{print, quantile, round};
use crate::{Error, http1};

#[derive(Parser)]
pub(crate) struct Args {
    /// Calls of each kind in a round.
    #[arg(long, default_value_t = 1000)]
    calls: usize,
    /// Rounds; each measures both, one after the other.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
}

const ANSWER: &[u8] = br#"{"id":"A-1","state":"open","lines":[{"sku":"S-1","count":2}]}"#;

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || serve(listener.into_std()));
    let dir = tempfile::tempdir()?;
    let token = dir.path().join("token");
    std::fs::write(&token, "a-token-of-forty-characters-or-so-it-is\n")?;
    let shop = Shop::new(address, &token.display().to_string())?;
    let (mut direct, mut called) = (Vec::new(), Vec::new());
    let mut link = http1::Link::open(address).await?;
    for _ in 0..args.rounds {
        for _ in 0..args.calls {
            let began = Instant::now();
            let (status, body) = link.send(ready()?).await?;
            direct.push(micros(began));
            check(status.as_u16() == 200 && body == ANSWER)?;
        }
        for _ in 0..args.calls {
            let began = Instant::now();
            let read = shop.call().await?;
            called.push(micros(began));
            check(read.len() > ANSWER.len())?;
        }
    }
    report("hyper, ready request", &mut direct);
    report("tool: HTTP API", &mut called);
    let over = quantile(&called, 0.5) - quantile(&direct, 0.5);
    println!("RATIO http-tool-over-direct-p50-us={} budget=150", round(over));
    Ok(())
}

fn check(right: bool) -> Result<(), Error> {
    if right { Ok(()) } else { Err("a call did not answer as it must".into()) }
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

fn report(what: &str, micros: &mut [f64]) {
    micros.sort_by(f64::total_cmp);
    let (p50, p99) = (round(quantile(micros, 0.5)), round(quantile(micros, 0.99)));
    print(
        &json!({"bench": "http-tool", "peer": what, "calls": micros.len(), "p50_us": p50, "p99_us": p99}),
    );
}

/// The API has a thread of its own, for both callers alike.
fn serve(listener: std::io::Result<std::net::TcpListener>) -> Result<(), Error> {
    crate::single()?.block_on(async {
        let listener = TcpListener::from_std(listener?)?;
        http1::serve(listener, |_, _| async {
            http1::answer(200, "application/json", Bytes::from_static(ANSWER))
        })
        .await
    })
}

fn ready() -> Result<http::Request<http_body_util::Full<Bytes>>, Error> {
    let request = http::Request::get("/orders/A-1?tags=a&tags=b").header("host", "127.0.0.1");
    Ok(request.body(http_body_util::Full::default())?)
}

struct Shop {
    api: Api,
    tool: Tool,
    input: Value,
}

impl Shop {
    fn new(address: SocketAddr, token: &str) -> Result<Shop, Error> {
        let config: ApiConfig = serde_json::from_value(json!({
            "functions": ["shop"], "server": format!("http://{address}"),
            "auth": {"Token": {"kind": "bearer", "token": format!("file:{token}")}},
        }))?;
        let group = ActionGroup {
            id: "GROUP00001".to_owned(),
            name: "shop".to_owned(),
            description: None,
            executor: Executor::Lambda("shop".to_owned()),
            schema: Schema::OpenApi(document().to_string()),
        };
        Ok(Shop {
            api: Api::open("shop", &config, &net::egress::Config::default())?,
            tool: tool::compile(&[group])?.remove(0),
            input: json!({"id": "A-1", "tags": ["a", "b"]}),
        })
    }

    async fn call(&self) -> Result<Vec<u8>, Error> {
        let Target::Api(operation) = &self.tool.target else { return Err("no operation".into()) };
        let request = tool::http_call(operation, &self.input)?;
        let call = ApiCall {
            method: request.method,
            path_and_query: request.path_and_query,
            headers: request.headers,
            body: request.body.into(),
            server: operation.server.clone(),
            security: operation.security.clone(),
            key: Some("0".repeat(64)),
            may_repeat: true,
        };
        let reply = self.api.call(&call, Duration::from_secs(3)).await?;
        let reply = HttpReply {
            status: reply.status,
            media: reply.media,
            coding: reply.coding,
            body: reply.body,
            cut: reply.cut,
        };
        let most = craton_core::limits::TOOL_ANSWER_BYTES;
        tool::read_http(&self.tool, operation, &reply, most)
            .map_err(|payload| String::from_utf8_lossy(&payload).into())
    }
}

fn document() -> Value {
    json!({"openapi": "3.0.3", "security": [{"Token": []}], "paths": {"/orders/{id}": {"get": {
        "operationId": "getOrder", "description": "Shows an order", "responses": {"200": {}},
        "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
        ],
    }}}})
}
