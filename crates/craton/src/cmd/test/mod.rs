//! `craton test FILES…`: plays scenarios, says which failed and why, and writes reports.
//!
//! It ends with 0 where all passed, 1 where one did not, 2 where they could not be played, 130
//! where somebody interrupted it.

mod junit;
mod results;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use self::results::Results;
use crate::client::Client;
use crate::scenario::cassette;
use crate::scenario::file::Suite;
use crate::scenario::play::{Outcome, Played};
use crate::scenario::stage::Stage;
use crate::scenario::{Plan, limits, not_asked, perform, stand_in};
use crate::telemetry::{aside, complain, say};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files of scenarios.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The model of all agents. Default: what each agent says.
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// All agents on craton.rules: no key, no network.
    #[arg(long, conflicts_with = "model")]
    rules: bool,
    /// Recorded runs instead of models and tools; can be given again for more files.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "rules", "endpoint", "judge"])]
    cassette: Vec<PathBuf>,
    /// A running server. Default: one of its own, with a data directory that is thrown away.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Configuration of its own server, for providers. Default: none.
    #[arg(long, value_name = "craton.toml", conflicts_with = "endpoint")]
    config: Option<PathBuf>,
    /// The model that judges answers. Default: nobody does, and the report says so.
    #[arg(long, value_name = "ID")]
    judge: Option<String>,
    /// Scenarios under way at once.
    #[arg(long, value_name = "N", default_value_t = limits::AT_ONCE,
          value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Dollars, after which no scenario begins; those left out fail.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<f64>,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a summary in Markdown.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write all results as JSON, for a later `--baseline`.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Earlier results: the summary says what is otherwise and what it costs.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Ends with 0 if all scenarios passed, 1 if one did not, 2 if they could not be played, 130 if interrupted.

Examples:
  craton test scenarios/*.yaml --rules                       offline: no key, no network
  craton test support.yaml --cassette talk.yaml              what `craton record` wrote, no model
  craton test support.yaml --model anthropic.claude-haiku --config craton.toml --max-cost 0.50
  craton test support.yaml --junit out.xml --summary out.md  for CI
  craton test support.yaml --results now.json --baseline before.json

The files: docs/testing.md.";

/// As shells say it of what an interrupt ended.
const INTERRUPTED: u8 = 130;

pub(crate) fn run(args: &Args) -> ExitCode {
    match test(args) {
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => {
            complain("interrupted before its end; no report was written");
            ExitCode::from(INTERRUPTED)
        }
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

/// Whether all passed; nothing if somebody interrupted it.
fn test(args: &Args) -> Result<Option<bool>, String> {
    let suites = args.files.iter().map(|file| Suite::read(file)).collect::<Result<Vec<_>, _>>()?;
    let baseline = args.baseline.as_deref().map(Results::read).transpose()?;
    let stage = Stage::of(args.endpoint.as_deref(), args.config.clone())?;
    let Some(all) = played(args, &stage, &suites)? else { return Ok(None) };
    let results = Results::of(&all);
    last_line(&results);
    if let Some(model) = &args.model
        && let Some(by) = stand_in(model, &all)
    {
        aside(&not_asked(model, &by));
    }
    if let Some(file) = &args.junit {
        write(file, &junit::report(&all))?;
    }
    let parted = match (&baseline, stage.running()) {
        (Some(baseline), Some(client)) => super::wait_for(parted(&client, &results, baseline))?,
        _ => Vec::new(),
    };
    if let Some(file) = &args.summary {
        write(file, &summary::report(&results, baseline.as_ref(), &parted))?;
    }
    if let Some(file) = &args.results {
        write(file, &results.text())?;
    }
    if let Some(baseline) = &baseline {
        summary::differences(&results, baseline).iter().for_each(|line| say(line));
        parted.iter().for_each(|line| say(line));
    }
    Ok(Some(all.iter().all(|one| one.outcome == Outcome::Passed)))
}

/// Where runs part from those of the baseline, as `craton diff` says it, if the server still has both.
async fn parted(client: &Client, now: &Results, before: &Results) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for one in &now.scenarios {
        let Some(was) = before.find(one).filter(|was| was.did != one.did) else { continue };
        for (a, b) in was.runs.iter().zip(&one.runs) {
            let path = format!("/_craton/v1/runs/{}/diff/{}", super::escaped(a), super::escaped(b));
            // A run of another server, or one that retention took, has nothing to be compared with.
            let Ok(diff) = client.get("craton", &path).await else { continue };
            if diff["same"] != true {
                lines.push(format!("{}:", one.name));
                lines.extend(super::diff::lines(&diff).into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    Ok(lines)
}

fn played(args: &Args, stage: &Stage, suites: &[Suite]) -> Result<Option<Vec<Played>>, String> {
    if !args.cassette.is_empty() {
        return cassette::play_all(&args.cassette, suites, &tell).map(Some);
    }
    let model = if args.rules { Some("craton.rules") } else { args.model.as_deref() };
    let plan = Plan {
        judge: args.judge.as_deref(),
        at_once: args.jobs.into(),
        max_cost: args.max_cost,
        leave: !stage.is_own(),
    };
    stage.hold(async |client| perform(client, suites, model, &plan, &tell).await)
}

/// A scenario as it ends.
fn tell(played: &Played) {
    let used = &played.usage;
    let (word, why) = match &played.outcome {
        Outcome::Passed => ("ok  ", Vec::new()),
        Outcome::Failed(wrong) => ("FAIL", wrong.clone()),
        Outcome::Broke(why) => ("ERR ", vec![why.clone()]),
        Outcome::Skipped(why) => ("skip", vec![why.clone()]),
    };
    say(&format!(
        "{word} {} ({} ms, {} steps, {} tokens, ${:.6})",
        played.name,
        used.ms,
        used.steps,
        used.tokens(),
        used.usd
    ));
    let lines = why.iter().chain(&played.notes);
    lines.for_each(|line| say(&format!("       {}", line.replace('\n', " "))));
}

fn last_line(results: &Results) {
    let total = results.total();
    say(&format!(
        "{} passed, {} failed, {} left out; {} tokens, ${:.6}",
        results.count("passed"),
        results.count("failed") + results.count("broke"),
        results.count("skipped"),
        total.tokens(),
        total.usd
    ));
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text)
        .map_err(|e| format!("{} cannot be written: {e} (CR0023)", file.display()))
}
