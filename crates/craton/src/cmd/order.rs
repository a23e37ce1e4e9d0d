//! `craton kill`, `craton pause`, `craton resume`: an operator's orders to one run.

use clap::Parser;

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
  craton resume RUN         a run that was held goes on where it was";

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

pub(crate) fn resume(args: &Args) -> Done {
    let answer = order(args, "resume")?;
    say(&format!("run {} goes on", answer["run"].as_str().unwrap_or_default()));
    Ok(())
}

fn order(args: &Args, word: &str) -> Result<serde_json::Value, String> {
    super::wait_for(async {
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        let id = super::escaped(&args.id);
        client.post("craton", &format!("/_craton/v1/runs/{id}/{word}")).await
    })
}
