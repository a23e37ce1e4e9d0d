//! `craton trace`: a run as a person reads it, from the server's own door.

use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use engine::env::{Clock as _, System};
use front::sigv4::Signer;
use http::{Request, header};
use serde_json::Value as Json;

use super::Done;
use crate::telemetry::say;

const PATIENCE: Duration = Duration::from_secs(10);
/// A journal is text of at most some megabytes.
const ANSWER_BYTES: usize = 64 << 20;

#[derive(Parser)]
pub(crate) struct Args {
    /// A run's id, the id of a request, or of a session (its latest run).
    #[arg(required_unless_present = "last", value_name = "RUN | REQUEST_ID | SESSION_ID")]
    id: Option<String>,
    /// The latest run.
    #[arg(long, conflicts_with = "id")]
    last: bool,
    /// The server to ask.
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4747")]
    endpoint: String,
    /// The whole run as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime did not start: {e}"))?;
    let view = runtime.block_on(fetch(args))?;
    if args.json {
        say(&serde_json::to_string_pretty(&view).expect("a JSON value prints"));
    } else {
        for line in lines(&view) {
            say(&line);
        }
    }
    Ok(())
}

async fn fetch(args: &Args) -> Result<Json, String> {
    let client = net::Client::new(net::Config::default());
    let id = match &args.id {
        Some(id) => id.clone(),
        None => {
            let latest = get(&client, &args.endpoint, "/runs?last=1").await?;
            let id = latest["runs"][0]["run"].as_str().map(str::to_owned);
            id.ok_or("there is no run yet; invoke an agent first")?
        }
    };
    get(&client, &args.endpoint, &format!("/runs/{id}")).await
}

async fn get(client: &net::Client, endpoint: &str, path: &str) -> Result<Json, String> {
    let url = format!("{}/_craton/v1{path}", endpoint.trim_end_matches('/'));
    let request = Request::get(&url).header(header::ACCEPT, "application/json");
    let mut request = request.body(Bytes::new()).map_err(|e| format!("{url} is no URL: {e}"))?;
    sign(&mut request)?;
    let unreachable = |e| format!("no answer from {endpoint}: {e}; is `craton up` running there?");
    let response = client.send(request, PATIENCE).await.map_err(unreachable)?;
    let status = response.status();
    let body = response.into_body().bytes(ANSWER_BYTES).await.map_err(unreachable)?;
    let json: Json = serde_json::from_slice(&body)
        .map_err(|_| format!("{endpoint} answered {status} without JSON; is it craton?"))?;
    if !status.is_success() {
        let why = json["message"].as_str().unwrap_or("no reason given");
        return Err(format!("{endpoint} answered {status}: {why}"));
    }
    Ok(json)
}

/// Signs with the keys of the environment, if there are any: a server in dev mode asks for none.
fn sign(request: &mut Request<Bytes>) -> Result<(), String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(access_key), Some(secret_key)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    else {
        return Ok(());
    };
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let session_token = variable("AWS_SESSION_TOKEN");
    let signer = Signer {
        access_key: &access_key,
        secret_key: &secret_key,
        session_token: session_token.as_deref(),
        region: region.as_deref().unwrap_or("us-east-1"),
        service: "craton",
    };
    let uri = request.uri().clone();
    let host = uri.authority().map_or("", http::uri::Authority::as_str);
    let now = System::default().now();
    let signed = signer.get(host, uri.path(), uri.query().unwrap_or_default(), now);
    let signed = signed.map_err(|refusal| format!("the request cannot be signed: {refusal:?}"))?;
    request.headers_mut().extend(signed);
    Ok(())
}

fn lines(view: &Json) -> Vec<String> {
    let run = &view["run"];
    let word = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
    let begun = run["begunAt"].as_i64().unwrap_or(0);
    let providers: Vec<&str> =
        run["providers"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut lines = vec![
        format!("run      {}", word("run")),
        format!(
            "agent    {} version {} alias {}",
            word("agentId"),
            word("agentVersion"),
            word("aliasId")
        ),
        format!("session  {}", word("sessionId")),
        format!("status   {}", word("status")),
        format!("models   {}{}", providers.join(", "), rules_note(&providers)),
        format!(
            "usage    {} model calls, {} input and {} output tokens",
            run["modelCalls"], run["usage"]["inputTokens"], run["usage"]["outputTokens"]
        ),
        String::new(),
    ];
    for stamped in view["events"].as_array().into_iter().flatten() {
        let millis = stamped["at"].as_i64().unwrap_or(begun) - begun;
        if let Some(text) = describe(&stamped["event"]) {
            lines.push(format!("{millis:>8} ms  {text}"));
        }
    }
    lines
}

fn rules_note(providers: &[&str]) -> &'static str {
    if providers.contains(&llm::RULES) { " (craton.rules: no language model spoke)" } else { "" }
}

/// One line for an event, `None` for what a reader does not need.
fn describe(event: &Json) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    Some(match event["type"].as_str()? {
        "accepted" => format!("user     {}", text("inputText")),
        "started" => return None,
        "asked" if event["intent"] == "call" => {
            format!("call     {} {} ({})", text("tool"), event["input"], text("effect"))
        }
        "asked" => format!("model    asked, step {}", event["step"]),
        "modelSaid" => said(event),
        "modelFailed" | "failed" => format!("failed   {}: {}", text("code"), text("message")),
        "toolReturned" => {
            let outcome = &event["outcome"];
            let body = outcome["body"].as_str().or_else(|| outcome["message"].as_str());
            let kind = outcome["outcome"].as_str().unwrap_or_default();
            format!("{kind:<8} {} ({} ms)", body.unwrap_or_default(), event["millis"])
        }
        "refused" => format!("refused  {}", text("message")),
        "parked" => format!("handed   to the client, invocation {}", text("invocationId")),
        "resumed" => format!("resumed  with {} results", results(event)),
        "cancelled" => format!("called off: {}", text("reason")),
        "gaveUp" => "gave up".to_owned(),
        "finished" => format!("answer   {}", text("text")),
        other => other.to_owned(),
    })
}

fn results(event: &Json) -> usize {
    event["results"].as_array().map_or(0, Vec::len)
}

fn said(event: &Json) -> String {
    let blocks = event["reply"]["content"].as_array().cloned().unwrap_or_default();
    let parts: Vec<String> = blocks
        .iter()
        .filter_map(|block| match (&block["text"], &block["toolUse"]["name"]) {
            (Json::String(text), _) => Some(text.trim().to_owned()),
            (_, Json::String(name)) => Some(format!("[uses {name}]")),
            _ => None,
        })
        .collect();
    let provider = event["provider"].as_str().unwrap_or_default();
    format!("{provider:<8} {} ({} ms)", parts.join(" "), event["millis"])
}
