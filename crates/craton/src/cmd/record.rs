//! `craton record`: a run, or all runs of its session, as a file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::Value as Json;

use super::Done;
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, say};

/// A long session is rendered and played once before it comes.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's id, the id of a request, or of a session (its latest run).
    #[arg(value_name = "RUN | REQUEST_ID | SESSION_ID")]
    run: String,
    /// The file to write. Default: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// All runs of its session, the last 50.
    #[arg(long)]
    session: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Secrets that the server knows, and what has their form, are masked.

Examples:
  craton record RUN -o run.yaml                  one run with all that it heard and sent
  craton record my-session --session -o s.yaml   a whole conversation
  craton replay run.yaml                         plays it again";

pub(crate) fn run(args: &Args) -> Done {
    let recorded = super::wait_for(async {
        let client = args.endpoint.client("bedrock-agent-runtime")?.patient(PATIENCE);
        let query = if args.session { "?session=true" } else { "" };
        let run = super::escaped(&args.run);
        client.get("craton", &format!("/_craton/v1/runs/{run}/cassette{query}")).await
    })?;
    let text = recorded["cassette"].as_str().unwrap_or_default();
    match &args.output {
        None => say(text.trim_end()),
        Some(file) => std::fs::write(file, text)
            .map_err(|e| format!("{} cannot be written: {e} (CR0023)", file.display()))?,
    }
    tell(&recorded, args.output.as_ref());
    Ok(())
}

fn tell(recorded: &Json, file: Option<&PathBuf>) {
    let into = file.map(|file| format!(" into {}", file.display())).unwrap_or_default();
    let (runs, masked) = (&recorded["runs"], &recorded["masked"]);
    let replayed = &recorded["replayed"];
    let (events, requests) = (&replayed["events"], &replayed["requests"]);
    aside(&format!(
        "recorded {runs} runs, {events} events, {requests} requests{into}; {masked} places masked"
    ));
    if replayed["same"] != true {
        aside("it does not replay as it was: craton itself has changed since");
    }
}
