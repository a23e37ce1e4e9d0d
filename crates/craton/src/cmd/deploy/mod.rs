//! `craton deploy FILE`: makes the server's agents and functions what a file says.
//!
//! The file is read (`file`, `wish`), the server looked at (`found`), the difference shown as a
//! plan (`plan`), and the plan carried out by AWS's own operations (`act`). Nothing is remembered
//! between two deploys, here or on the server: the plan is a comparison, and an empty one changes
//! nothing. docs/deploy.md is the reference.

mod act;
mod file;
mod found;
mod package;
mod plan;
mod wish;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Parser;

use self::act::Actor;
use self::file::Mistake;
use self::plan::{Known, Mark, Step};
use self::wish::Wish;
use super::Done;
use crate::aws::AGENT;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::stream::Failure;
use crate::telemetry::say;

pub(crate) use self::file::line_of;
pub(crate) use self::wish::Source;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to deploy: agents, their action groups and aliases, functions.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only show the plan.
    #[arg(long)]
    plan: bool,
    /// Do not ask. Without a terminal nobody is asked.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Examples:
  craton deploy agent.yaml               show the plan, ask, carry it out
  craton deploy agent.yaml --plan        show it and change nothing
  craton deploy agent.yaml --yes         carry it out without asking

A second deploy of the same file changes nothing. The file: docs/deploy.md.";

/// What a deploy left on the server, as far as the file names it.
#[derive(Debug, PartialEq)]
pub(crate) struct Deployed {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Name, id and version of the file's aliases.
    pub(crate) aliases: Vec<(String, String, String)>,
}

pub(crate) fn run(args: &Args) -> Done {
    super::wait_for(deploy(args))
}

async fn deploy(args: &Args) -> Done {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|e| {
        format!("{name} cannot be read: {e}; give the path of a deploy file (CR0025)")
    })?;
    let source = Source {
        name: &name,
        text: &text,
        folder: args.file.parent().unwrap_or(Path::new("")),
        variable: &|name| std::env::var(name).ok(),
    };
    let client = args.endpoint.client(AGENT)?;
    let ask = !args.yes && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let go = || match (args.plan, ask) {
        (true, _) => Ok(false),
        (false, true) => agreed(),
        (false, false) => Ok(true),
    };
    match carry_out(&client, &source, &go, &|line| say(line)).await? {
        None if args.plan => {}
        None => say("nothing was changed"),
        Some(deployed) => lines(&deployed).iter().for_each(|line| say(line)),
    }
    Ok(())
}

/// Deploys without asking. `tell` hears a line for the plan and each step.
pub(crate) async fn apply(
    client: &Client,
    source: &Source<'_>,
    tell: &dyn Fn(&str),
) -> Result<Vec<Deployed>, String> {
    let done = carry_out(client, source, &|| Ok(true), tell).await?;
    Ok(done.unwrap_or_default())
}

/// Nothing if `go` says no to the plan.
async fn carry_out(
    client: &Client,
    source: &Source<'_>,
    go: &dyn Fn() -> Result<bool, String>,
    tell: &dyn Fn(&str),
) -> Result<Option<Vec<Deployed>>, String> {
    let wish = wish::read(source).map_err(|mistakes| refusal(source.name, &mistakes))?;
    let found = found::look(client, &wish)
        .await
        .map_err(|e| format!("what the server has could not be read: {e} (CR0027)"))?;
    let steps = plan::plan(&wish, &found);
    let changes = steps.iter().filter(|step| step.act.is_some()).count();
    shown(&steps, source.name, client.endpoint()).iter().for_each(|line| tell(line));
    for alias in plan::left_alone(&wish, &found) {
        tell(&format!("  alias {alias} is not in the file; it stays as it is"));
    }
    if changes > 0 && !go()? {
        return Ok(None);
    }
    let known = Known::of(&found);
    let mut actor = Actor { client, wish: &wish, known };
    for step in &steps {
        let Some(act) = &step.act else { continue };
        actor.perform(act).await.map_err(|failure| {
            format!(
                "{} could not be {}: {failure}; what was done before stays, and the same command \
                 goes on from there (CR0027)",
                step.what,
                done(step.mark)
            )
        })?;
        tell(&format!("{} {}", done(step.mark), step.what));
    }
    deployed(client, &wish).await.map(Some).map_err(|e| e.coded())
}

fn refusal(name: &str, mistakes: &[Mistake]) -> String {
    let line = |mistake: &Mistake| match mistake.line {
        Some(line) => format!("{name}:{line}: {}", mistake.what),
        None => format!("{name}: {}", mistake.what),
    };
    let lines: Vec<String> = mistakes.iter().map(line).collect();
    format!("the file cannot be deployed, and nothing was changed:\n{}\n(CR0026)", lines.join("\n"))
}

fn done(mark: Mark) -> &'static str {
    match mark {
        Mark::Create => "created",
        Mark::Update => "updated",
        Mark::Delete => "deleted",
        Mark::Prepare => "prepared",
        Mark::Same => "left",
    }
}

fn shown(steps: &[Step], name: &str, endpoint: &str) -> Vec<String> {
    let count = |mark: Mark| steps.iter().filter(|step| step.mark == mark).count();
    let same = count(Mark::Same);
    if same == steps.len() {
        return vec![format!("nothing to do: {endpoint} has all {same} things of {name}")];
    }
    let mut lines = vec![format!("plan for {name} at {endpoint}")];
    lines.extend(steps.iter().map(|step| {
        let sign = match step.mark {
            Mark::Create => "+ create ",
            Mark::Update => "~ update ",
            Mark::Delete => "- delete ",
            Mark::Prepare => "~ prepare",
            Mark::Same => "  same   ",
        };
        let about = if step.about.is_empty() { String::new() } else { ": ".to_owned() };
        format!("  {sign} {}{about}{}", step.what, step.about.join(", "))
    }));
    let (create, update, delete) = (count(Mark::Create), count(Mark::Update), count(Mark::Delete));
    lines.push(format!(
        "{create} to create, {update} to update, {delete} to delete, {same} the same"
    ));
    lines
}

fn agreed() -> Result<bool, String> {
    let mut out = std::io::stdout().lock();
    let asked = write!(out, "carry it out? [y/N] ").and_then(|()| out.flush());
    asked.map_err(|e| format!("the terminal cannot be written to: {e}; use --yes (CR0023)"))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| format!("the terminal cannot be read: {e}; use --yes (CR0023)"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The ids by which clients call what the file names, as the server has them now.
async fn deployed(client: &Client, wish: &Wish) -> Result<Vec<Deployed>, Failure> {
    let found = found::look(client, wish).await?;
    let mut all = Vec::new();
    for agent in &wish.agents {
        let Some(found) = found.agents.get(&agent.name) else { continue };
        let alias = |name: &String| {
            let alias = found.aliases.iter().find(|alias| alias.name == *name)?;
            Some((alias.name.clone(), alias.id.clone(), alias.version.clone()))
        };
        let aliases = agent.aliases.iter().filter_map(|wish| alias(&wish.name)).collect();
        all.push(Deployed { name: agent.name.clone(), id: found.id.clone(), aliases });
    }
    Ok(all)
}

fn lines(deployed: &[Deployed]) -> Vec<String> {
    let mut lines = Vec::new();
    for agent in deployed {
        lines.push(format!("agent {}: {}", agent.name, agent.id));
        for (name, id, version) in &agent.aliases {
            lines.push(format!("  alias {name}: {id}, version {version}"));
        }
        if agent.aliases.is_empty() {
            lines.push("  alias TSTALIASID: the working draft".to_owned());
        }
        lines.push(format!("  talk to it: craton chat {}", agent.name));
    }
    lines
}
