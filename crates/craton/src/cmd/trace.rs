//! `craton trace`: a run as a person reads it, from the server's own door.

use clap::Parser;
use serde_json::Value as Json;

use super::Done;
use crate::endpoint::Endpoint;
use crate::telemetry::say;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's id, the id of a request, or of a session (its latest run).
    #[arg(required_unless_present = "last", value_name = "RUN | REQUEST_ID | SESSION_ID")]
    id: Option<String>,
    /// The latest run.
    #[arg(long, conflicts_with = "id")]
    last: bool,
    #[command(flatten)]
    endpoint: Endpoint,
    /// The whole run as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  craton trace --last                    the latest run
  craton trace my-session                the latest run of a session
  craton trace --last --json             all of it, for programs";

pub(crate) fn run(args: &Args) -> Done {
    let view = super::wait_for(fetch(args))?;
    if args.json {
        say(&json(&view));
    } else {
        for line in lines(&view) {
            say(&line);
        }
    }
    Ok(())
}

/// For programs, so nothing is left out: what a terminal would obey is escaped, as JSON may.
pub(super) fn json(view: &Json) -> String {
    let text = serde_json::to_string_pretty(view).expect("a JSON value prints");
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\x7f'..='\u{9f}' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

async fn fetch(args: &Args) -> Result<Json, String> {
    let client = args.endpoint.client("bedrock-agent-runtime")?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => {
            let latest = client.get("craton", "/_craton/v1/runs?last=1").await?;
            let id = latest["runs"][0]["run"].as_str().map(str::to_owned);
            id.ok_or("there is no run yet; invoke an agent first (CR0024)")?
        }
    };
    client.get("craton", &format!("/_craton/v1/runs/{}", super::escaped(&id))).await
}

pub(super) fn lines(view: &Json) -> Vec<String> {
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
        format!("models   {}{}", providers.join(", "), embedded_note(&providers)),
        format!(
            "usage    {} model calls, {} input and {} output tokens",
            run["modelCalls"], run["usage"]["inputTokens"], run["usage"]["outputTokens"]
        ),
        String::new(),
    ];
    for stamped in view["events"].as_array().into_iter().flatten() {
        let millis = stamped["at"].as_i64().unwrap_or(begun) - begun;
        if let Some(text) = describe(&stamped["event"]) {
            // Text that others wrote cannot begin a line, and so cannot pass for an event.
            let text = text.replace(['\n', '\r'], "\n             | ");
            lines.push(format!("{millis:>8} ms  {text}"));
        }
    }
    lines
}

fn embedded_note(providers: &[&str]) -> String {
    match providers.iter().find(|provider| llm::is_embedded(provider)) {
        Some(provider) => format!(" (craton.{provider}: no language model spoke)"),
        None => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn text_with_lines_of_its_own_cannot_pass_for_an_event() {
        let text = "done\n      12 ms  call     refund {}";
        let event = json!({"at": 5, "event": {"type": "finished", "text": text}});
        let view = json!({"run": {"begunAt": 0}, "events": [event]});
        let last = lines(&view).pop().expect("the event's line");
        let expected = "       5 ms  answer   done\n             |       12 ms  call     refund {}";
        assert_eq!(last, expected);
    }
}
