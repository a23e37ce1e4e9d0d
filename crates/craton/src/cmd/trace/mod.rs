//! `craton trace`: a run as a person reads it, from the server's own door.

mod open;
mod told;

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
    /// With what each model was sent.
    #[arg(long, conflicts_with = "json")]
    prompts: bool,
    /// Prints a link that shows the run in a browser, once and within a minute, and opens it where
    /// there is a display.
    #[arg(long, conflicts_with_all = ["json", "prompts"])]
    open: bool,
}

pub(super) use told::lines;

const EXAMPLES: &str = "\
Examples:
  craton trace --last                    the latest run
  craton trace my-session                the latest run of a session
  craton trace --last --prompts          with what each model was sent, byte for byte
  craton trace --last --open             as a page in a browser
  craton trace --last --json             all of it, for programs";

pub(crate) fn run(args: &Args) -> Done {
    if args.open {
        return open_page(args);
    }
    let view = super::wait_for(fetch(args))?;
    if args.json {
        say(&json(&view));
    } else {
        told::lines(&view, args.prompts).iter().for_each(|line| say(line));
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

fn open_page(args: &Args) -> Done {
    let address = super::wait_for(async {
        let view = fetch(args).await?;
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        open::link(&client, &view).await
    })?;
    say(&address);
    open::show(&address);
    Ok(())
}
