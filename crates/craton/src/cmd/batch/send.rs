//! Sends one record until it has an answer, or until no server is there to give one.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use craton_core::cost::{Money, Prices};
use http::HeaderMap;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wire::converse::Usage;

use super::record::{Kind, Record, Request, Shared};
use crate::client::{Client, Opened};
use crate::stream::Failure;

/// Attempts at one record: with the waits between them some two minutes.
const ATTEMPTS: u32 = 9;
/// The first wait is at most so long, each further one at most twice the one before.
const WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What a server may ask for beyond that.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// AWS: what SDKs send again (SDKs and tools reference, "Retry behavior").
const AGAIN: [&str; 6] = [
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceUnavailableException",
    "InternalServerException",
    "ModelNotReadyException",
    "ModelTimeoutException",
];

/// A record with its answer.
pub(super) struct Sent {
    pub(super) line: Json,
    pub(super) is_error: bool,
    /// Attempts after the first.
    pub(super) again: u32,
    pub(super) tokens: (u64, u64),
    pub(super) usd: Option<f64>,
    /// Attempts whose answer was lost, each of which may have been paid.
    pub(super) lost: u32,
}

pub(super) struct Sender {
    client: Client,
    shared: Shared,
    series: String,
    prices: Prices,
}

struct Said {
    output: Json,
    tokens: (u64, u64),
    usd: Option<f64>,
}

impl Sender {
    pub(super) fn new(client: Client, shared: Shared, series: String) -> Sender {
        Sender { client, shared, series, prices: Prices::default() }
    }

    /// The most that a record may cost, as its server says; nothing for what is never sent.
    pub(super) async fn at_most(&self, record: &Record) -> Result<Money, String> {
        let Ok(request) = record.request(&self.shared, "") else { return Ok(Money::ZERO) };
        let told = match &request.priced_at {
            Some(path) => self.client.get("craton", path).await?,
            None => Json::Null,
        };
        let most = told["atMost"].as_f64().or_else(|| told["cost"][2].as_f64());
        most.map(Money::of_dollars).ok_or_else(|| {
            format!(
                "what record {:?} may cost is not known: a model without a price, or a question of \
                 an agent that is too long; add the price by `prices` in craton.toml, or leave \
                 --max-cost out (CR0041)",
                record.id
            )
        })
    }

    /// The error is of the whole batch: nobody answers.
    pub(super) async fn send(&self, record: &Record) -> Result<Sent, String> {
        let session = format!("batch-{}", self.invocation(&record.id, 0));
        let request = match record.request(&self.shared, &session) {
            Ok(request) => request,
            Err(message) => {
                let code = "ValidationException".to_owned();
                let refused = Failure::Refused { code, message, retry_after: None };
                return Ok(failed(record, &refused, (0, 0)));
            }
        };
        // A turn that was refused is over, and would be refused again under its id; one whose answer was
        // lost goes on under it.
        let (mut refusals, mut lost) = (0, 0);
        for attempt in 1..ATTEMPTS {
            let invocation = self.invocation(&record.id, refusals);
            let failure = match self.once(&request, &invocation).await {
                Ok(said) => return Ok(answered(record, said, (attempt - 1, lost))),
                Err(failure) if is_passing(&failure) => failure,
                Err(failure) => return Ok(failed(record, &failure, (attempt - 1, lost))),
            };
            let asked = match failure {
                Failure::Refused { retry_after, .. } => {
                    refusals += 1;
                    retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)
                }
                Failure::Broken(_) => {
                    lost += 1;
                    Duration::ZERO
                }
            };
            // No earlier than the server asks for; jitter on top, as all heard the same.
            tokio::time::sleep(asked + wait(&invocation, attempt)).await;
        }
        match self.once(&request, &self.invocation(&record.id, refusals)).await {
            Ok(said) => Ok(answered(record, said, (ATTEMPTS - 1, lost))),
            Err(Failure::Broken(why)) => Err(format!("record {:?}: {why}", record.id)),
            Err(failure) => Ok(failed(record, &failure, (ATTEMPTS - 1, lost))),
        }
    }

    /// The same for the same record of the same batch, however often it is begun.
    fn invocation(&self, id: &str, refusals: u32) -> String {
        let sum = Sha256::digest(format!("{}\n{refusals}\n{id}", self.series).as_bytes());
        let hex: String = sum[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        parts.join("-")
    }

    async fn once(&self, request: &Request, invocation: &str) -> Result<Said, Failure> {
        if request.kind == Kind::InvokeAgent {
            return self.agent(request, invocation).await;
        }
        let body = Bytes::from(request.body.to_string());
        let (headers, output) =
            self.client.post_as("bedrock", &request.path, body, invocation).await?;
        let usage = match request.kind {
            Kind::Converse => serde_json::from_value(output["usage"].clone()).unwrap_or_default(),
            _ => counted(&headers),
        };
        let price = request.model.as_deref().and_then(|model| self.prices.model(model));
        let told = headers.get("x-craton-cost").and_then(|cost| cost.to_str().ok()?.parse().ok());
        let usd = told.or_else(|| price.map(|price| price.cost(&usage).dollars()));
        Ok(Said { output, tokens: (usage.input_tokens, usage.output_tokens), usd })
    }

    /// The stream as one object: its text, what it handed to its client, its session and its run.
    async fn agent(&self, request: &Request, invocation: &str) -> Result<Said, Failure> {
        let Opened { headers, mut events } =
            self.client.stream_as("bedrock", &request.path, &request.body, invocation).await?;
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (run, session) = (header("x-craton-run-id"), header("x-amz-bedrock-agent-session-id"));
        let mut output = json!({ "runId": run, "sessionId": session });
        let mut text = Vec::new();
        while let Some(event) = events.next().await? {
            match event.kind.as_str() {
                "chunk" => {
                    let bytes = event.body["bytes"].as_str().unwrap_or_default();
                    text.extend(BASE64_STANDARD.decode(bytes).unwrap_or_default());
                }
                "returnControl" => output["returnControl"] = event.body,
                _ => {}
            }
        }
        output["completion"] = json!(String::from_utf8_lossy(&text));
        let (tokens, usd) = self.spent(run).await;
        Ok(Said { output, tokens, usd })
    }

    /// What a run cost, where its server says it. An answer is not lost over that.
    async fn spent(&self, run: Option<&str>) -> ((u64, u64), Option<f64>) {
        let Some(run) = run else { return ((0, 0), None) };
        let path = format!("/_craton/v1/runs/{}", crate::cmd::escaped(run));
        let view = self.client.get("craton", &path).await.unwrap_or_default();
        let usage = &view["run"]["usage"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        let priced = view["cost"]["unpriced"].as_u64() == Some(0);
        let usd = view["cost"]["total"].as_f64().filter(|_| priced);
        ((count("inputTokens"), count("outputTokens")), usd)
    }
}

fn answered(record: &Record, said: Said, (again, lost): (u32, u32)) -> Sent {
    let Said { output, tokens, usd } = said;
    Sent { line: record.answer(Ok(output)), is_error: false, again, tokens, usd, lost }
}

fn failed(record: &Record, failure: &Failure, (again, lost): (u32, u32)) -> Sent {
    let line = record.answer(Err(failure));
    Sent { line, is_error: true, again, tokens: (0, 0), usd: None, lost }
}

/// AWS: InvokeModel counts in headers (API reference of the SDKs; user guide, "Monitor with metrics").
fn counted(headers: &HeaderMap) -> Usage {
    let count = |name| headers.get(name).and_then(|n| n.to_str().ok()?.parse().ok()).unwrap_or(0);
    Usage {
        input_tokens: count("x-amzn-bedrock-input-token-count"),
        output_tokens: count("x-amzn-bedrock-output-token-count"),
        ..Usage::default()
    }
}

fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Broken(_) => true,
        Failure::Refused { code, .. } => AGAIN.contains(&code.as_str()),
    }
}

/// Full jitter: any length up to one that doubles. By the record, as nobody needs to be surprised.
fn wait(invocation: &str, attempt: u32) -> Duration {
    let most = WAIT.saturating_mul(1 << (attempt - 1).min(16)).min(LONGEST_WAIT);
    let sum = Sha256::digest(format!("{invocation} {attempt}").as_bytes());
    most.mul_f64(f64::from(u16::from_be_bytes([sum[0], sum[1]])) / f64::from(u16::MAX))
}
