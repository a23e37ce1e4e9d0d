//! `craton kill`, `craton pause`, `craton resume`: an operator's orders to one run.

use clap::Parser;
use serde_json::Value as Json;

use super::Done;
use crate::endpoint::Endpoint;
use crate::telemetry::say;

pub(crate) const KILL: &str = "\
Examples:
  craton kill RUN           the run ends; what was under way and may have changed something is unknown
  craton kill my-session    the latest run of a session";
pub(crate) const PAUSE: &str = "\
Examples:
  craton pause RUN          what is under way ends and is recorded, nothing new begins
  craton pause my-session   the latest run of a session";
pub(crate) const RESUME: &str = "\
Examples:
  craton resume RUN                 a run that was held, or that a budget stopped, goes on where it was
  craton resume RUN --raise 2.50    and may spend so many dollars more
  craton resume RUN --raise-tokens 20000";

#[derive(Parser)]
pub(crate) struct Args {
    /// A run's id, the id of a request, or of a session (its latest run).
    #[arg(value_name = "RUN | REQUEST_ID | SESSION_ID")]
    id: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Calls under way that may change something are recorded as unknown.
pub(crate) fn kill(args: &Args) -> Done {
    let answer = order(args, "cancel")?;
    let run = answer["run"].as_str().unwrap_or_default();
    if answer["cancelled"] != true {
        return Err(format!("run {run} is over already, there is nothing to kill (CR0035)"));
    }
    say(&format!("run {run} is called off"));
    Ok(())
}

pub(crate) fn pause(args: &Args) -> Done {
    let answer = order(args, "pause")?;
    let run = answer["run"].as_str().unwrap_or_default();
    say(&format!(
        "run {run} is held: what is under way ends, nothing new begins; `craton resume {run}` lets \
         it go on"
    ));
    Ok(())
}

#[derive(Parser)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    order: Args,
    /// Dollars that this run may spend above its budgets.
    #[arg(long, value_name = "DOLLARS")]
    raise: Option<f64>,
    /// Tokens that this run may spend above its budgets.
    #[arg(long, value_name = "TOKENS")]
    raise_tokens: Option<u64>,
}

pub(crate) fn resume(args: &ResumeArgs) -> Done {
    let mut body = serde_json::Map::new();
    body.extend(args.raise.map(|dollars| ("dollars".to_owned(), dollars.into())));
    body.extend(args.raise_tokens.map(|tokens| ("tokens".to_owned(), tokens.into())));
    let body = Some(Json::Object(body)).filter(|body| body != &serde_json::json!({}));
    let answer = send(&args.order, "resume", body.as_ref())?;
    say(&format!("run {} goes on", answer["run"].as_str().unwrap_or_default()));
    Ok(())
}

fn order(args: &Args, word: &str) -> Result<Json, String> {
    send(args, word, None)
}

fn send(args: &Args, word: &str, body: Option<&Json>) -> Result<Json, String> {
    super::wait_for(async {
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        let path = format!("/_craton/v1/runs/{}/{word}", super::escaped(&args.id));
        match body {
            None => client.post("craton", &path).await,
            Some(body) => client.post_json("craton", &path, body).await,
        }
    })
}
