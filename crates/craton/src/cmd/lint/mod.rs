//! `craton lint AGENT`: an agent's tools judged by the checklist for tools.
//!
//! `look` reads the agent by AWS's own operations, `subject` is what the rules see of it, `rules`
//! are pure, `words` knows verbs, `report` shows what was found. It changes nothing and asks no
//! model: the same agent gets the same findings.
//!
//! The exit code is for scripts: 0 where nothing has to be done, 1 where something has, 2 where
//! that cannot be said.

mod look;
mod report;
mod rules;
mod subject;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use self::report::Report;
use self::rules::Severity;
use self::subject::{Shown, Subject};
use crate::aws::AGENT;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::telemetry::{complain, say};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The agent's name or id.
    agent: String,
    /// Name or id of an alias: the version that it leads to. Default: the working draft.
    #[arg(long)]
    alias: Option<String>,
    /// A version of the agent.
    #[arg(long = "version", value_name = "NUMBER", conflicts_with = "alias")]
    number: Option<String>,
    /// The configuration that the server has, for what `[tools]` sets. Default: none.
    #[arg(long, value_name = "craton.toml")]
    config: Option<PathBuf>,
    /// Fails on warnings as well as on errors.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    endpoint: Endpoint,
    /// Findings and scores as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Ends with 0 if nothing is wrong, 1 if there are errors, 2 if that cannot be said.

Examples:
  craton lint support                    the working draft of the agent named support
  craton lint support --alias live       what its alias live leads to
  craton lint support --strict --json    for a pipeline: warnings fail as well

docs/lint.md has each rule.";

pub(crate) fn run(args: &Args) -> ExitCode {
    match super::wait_for(judge(args)) {
        Ok(fine) => ExitCode::from(u8::from(!fine)),
        Err(message) => {
            complain(&message);
            ExitCode::from(2)
        }
    }
}

/// Shows what was found; whether that is fine.
async fn judge(args: &Args) -> Result<bool, String> {
    let policies = Config::read(args.config.as_deref())?.tools;
    let client = args.endpoint.client(AGENT)?;
    let (alias, number) = (args.alias.as_deref(), args.number.as_deref());
    let seen = look::look(&client, &args.agent, alias, number).await?;
    let shown = Shown {
        groups: &seen.groups,
        functions: &seen.functions,
        answers: &seen.answers,
        policies: &policies,
    };
    let subject = Subject::of(&seen.instruction, &shown);
    let findings = rules::examine(&subject);
    let report = Report { seen: &seen, subject: &subject, findings: &findings };
    match args.json {
        true => say(&super::trace::json(&report.json())),
        // What others wrote cannot begin a line of its own.
        false => report.lines().iter().for_each(|line| say(&line.replace(['\n', '\r'], " "))),
    }
    let warned = args.strict && report.count(Severity::Warning) > 0;
    Ok(report.count(Severity::Error) == 0 && !warned)
}
