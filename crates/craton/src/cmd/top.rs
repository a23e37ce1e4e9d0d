//! `craton top`: what runs, and how fast, again and again.
//!
//! On a terminal each view takes the place of the one before; elsewhere they follow each other.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Parser;
use engine::env::{Clock as _, System};
use serde_json::Value as Json;

use super::{Done, ps};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::telemetry::{say, wipe};

/// Lines of runs in one view.
const ROWS: usize = 30;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// One view, with the rates of one interval, and the end.
    #[arg(long)]
    once: bool,
    /// Seconds between two views.
    #[arg(long, default_value_t = 2, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Examples:
  craton top                             until Ctrl-C
  craton top --once --interval 10        one view, with the rates of ten seconds";

pub(crate) fn run(args: &Args) -> Done {
    super::wait_for(watch(args))
}

async fn watch(args: &Args) -> Done {
    let client = args.endpoint.client("bedrock-agent-runtime")?;
    let on_terminal = std::io::stdout().is_terminal() && !args.once;
    let mut before = totals(&client).await?;
    loop {
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
        let now = totals(&client).await?;
        let live = ps::fetch(&client, None).await?;
        if on_terminal {
            wipe();
        }
        view(client.endpoint(), &before, &now, &live).iter().for_each(|line| say(line));
        if args.once {
            return Ok(());
        }
        before = now;
    }
}

async fn totals(client: &Client) -> Result<Json, String> {
    client.get("craton", "/_craton/v1/totals").await
}

fn view(endpoint: &str, before: &Json, now: &Json, live: &ps::Live) -> Vec<String> {
    let count =
        |state: &str| live.runs.iter().filter(|run| run["standing"]["state"] == state).count();
    let states = ["running", "waiting", "parked", "pending", "paused"];
    let counts: Vec<String> =
        states.iter().map(|state| format!("{} {state}", count(state))).collect();
    let more = if live.more { " and more" } else { "" };
    let mut lines = vec![
        format!("{endpoint}  {} live{more}: {}", live.runs.len(), counts.join(", ")),
        rates(before, now),
        String::new(),
    ];
    let shown = &live.runs[..live.runs.len().min(ROWS)];
    lines.extend(ps::table(shown, System::default().now()));
    lines.push(String::new());
    lines
}

fn rates(before: &Json, now: &Json) -> String {
    let number = |of: &Json, name: &str| of[name].as_f64().unwrap_or(0.0);
    let seconds = ((number(now, "at") - number(before, "at")) / 1000.0).max(0.001);
    // A server that began anew counts from nothing.
    let rate = |name| ((number(now, name) - number(before, name)) / seconds).max(0.0);
    format!(
        "per second: {:.1} turns begun, {:.1} ended, {:.1} model calls, {:.1} tool calls, {:.0} \
         input and {:.0} output tokens",
        rate("turnsBegun"),
        rate("turnsEnded"),
        rate("modelCalls"),
        rate("toolCalls"),
        rate("inputTokens"),
        rate("outputTokens"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::rates;

    #[test]
    fn rates_are_differences_over_time_and_never_below_nothing() {
        let before = json!({"at": 1000, "turnsBegun": 10, "turnsEnded": 10, "modelCalls": 20,
            "toolCalls": 9, "inputTokens": 1000, "outputTokens": 500});
        let now = json!({"at": 3000, "turnsBegun": 13, "turnsEnded": 12, "modelCalls": 27,
            "toolCalls": 1, "inputTokens": 1400, "outputTokens": 501});
        assert_eq!(
            rates(&before, &now),
            "per second: 1.5 turns begun, 1.0 ended, 3.5 model calls, 0.0 tool calls, 200 input \
             and 0 output tokens"
        );
    }
}
