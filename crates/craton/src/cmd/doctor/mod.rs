//! `craton doctor`: tries what a server would need, and says of each thing what is missing.
//!
//! It takes the flags of `craton up` and looks at what those would use. It starts no server and
//! changes nothing; of a provider it asks a few tokens, of a tool's URL a connection. No key is
//! ever printed.

mod environment;
mod machine;
mod providers;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use super::Done;
use crate::config::Config;
use crate::data;
use crate::telemetry::say;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration that `craton up` gets. Default: none.
    #[arg(long, value_name = "craton.toml")]
    config: Option<PathBuf>,
    /// Directory of the store. Default: the user's data home.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address that `craton up` listens on.
    #[arg(long, default_value = "127.0.0.1:4747", value_name = "HOST:PORT")]
    listen: String,
    /// Accept any credentials, as `craton up --dev` does.
    #[arg(long)]
    dev: bool,
}

const EXAMPLES: &str = "\
Examples:
  craton doctor                          what `craton up` would find
  craton doctor --config craton.toml     with your providers, functions and keys

Each line is ok, warn or FAIL, with what to do under it; the last one says whether a server would be
ready. The exit code is 1 if anything failed.";

/// What came of one check.
#[derive(Debug)]
struct Finding {
    state: State,
    what: String,
    says: String,
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Ok,
    /// It works, but perhaps not as it is meant.
    Warn,
    Fail,
}

impl Finding {
    fn ok(what: impl Into<String>, says: impl Into<String>) -> Finding {
        Finding { state: State::Ok, what: what.into(), says: says.into(), fix: None }
    }

    fn warn(what: impl Into<String>, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        let (what, says, fix) = (what.into(), says.into(), Some(fix.into()));
        Finding { state: State::Warn, what, says, fix }
    }

    fn fail(what: impl Into<String>, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { state: State::Fail, ..Finding::warn(what, says, fix) }
    }
}

pub(crate) fn run(args: &Args) -> Done {
    let findings = super::wait_for(async { Ok(examine(args).await) })?;
    findings.iter().for_each(shown);
    say(&readiness(&findings));
    match findings.iter().filter(|finding| finding.state == State::Fail).count() {
        0 => Ok(()),
        fails => Err(format!(
            "{fails} of {} checks failed; each says above what to do (CR0028)",
            findings.len()
        )),
    }
}

/// Whether a server would do its work here, and what keeps it from that, in one line.
fn readiness(findings: &[Finding]) -> String {
    let of = |state| findings.iter().filter(move |finding| finding.state == state);
    let ok = of(State::Ok).count();
    let in_a_line = |finding: &Finding| {
        format!("{}: {}", finding.what, finding.says.lines().next().unwrap_or_default())
    };
    let fails: Vec<String> = of(State::Fail).map(in_a_line).collect();
    if !fails.is_empty() {
        return format!("not ready, because {}", fails.join("; and "));
    }
    let mut warned: Vec<&str> = of(State::Warn).map(|finding| finding.what.as_str()).collect();
    warned.dedup();
    match warned.as_slice() {
        [] => format!("ready: {ok} ok, nothing failed"),
        some => format!("ready: {ok} ok, nothing failed, to look at: {}", some.join(", ")),
    }
}

async fn examine(args: &Args) -> Vec<Finding> {
    let mut findings = Vec::new();
    let data_dir = args.data_dir.clone().unwrap_or_else(data::home);
    let listen = tokio::net::lookup_host(&args.listen).await.ok().and_then(|mut all| all.next());
    let config = configuration(args, &mut findings);
    let answers = match listen {
        Some(address) => machine::port(address, &mut findings).await,
        None => {
            let says = format!("{} is no address", args.listen);
            findings.push(Finding::fail(
                "address",
                says,
                "write --listen HOST:PORT, as 127.0.0.1:4747",
            ));
            false
        }
    };
    machine::data_directory(&data_dir, answers, &mut findings);
    machine::files(&mut findings);
    if let Some(config) = config {
        let loopback = listen.is_none_or(|address| address.ip().is_loopback());
        let dev = args.dev || config.dev.unwrap_or(loopback && !config.has_keys());
        keys(&config, dev, listen, &mut findings);
        providers::examine(&config, dev, &mut findings).await;
        tools::examine(&config, &mut findings).await;
    }
    environment::roots(net::Roots::unread(), &mut findings);
    environment::examine(&args.listen, &|name| std::env::var(name).ok(), &mut findings);
    findings
}

fn configuration(args: &Args, findings: &mut Vec<Finding>) -> Option<Config> {
    let what = "configuration";
    match Config::read(args.config.as_deref()) {
        Ok(config) => {
            let says = args.config.as_ref().map_or_else(
                || "none; --config FILE has providers, keys and limits".to_owned(),
                |path| format!("{} is valid", path.display()),
            );
            findings.push(Finding::ok(what, says));
            Some(config)
        }
        Err(why) => {
            let fix = "docs/craton-toml.md has every key; what depends on the file was not tried";
            findings.push(Finding::fail(what, why, fix));
            None
        }
    }
}

fn keys(config: &Config, dev: bool, address: Option<SocketAddr>, findings: &mut Vec<Finding>) {
    let Some(address) = address else { return };
    let what = "callers";
    match config.front(dev).check(address) {
        Ok(()) if dev => findings.push(Finding::ok(what, "any credentials (dev mode)")),
        Ok(()) => findings.push(Finding::ok(what, "the access keys in craton.toml")),
        Err(why) => findings.push(Finding::fail(
            what,
            why.to_string(),
            "see docs/access.md and docs/craton-toml.md",
        )),
    }
}

fn shown(finding: &Finding) {
    let mark = match finding.state {
        State::Ok => "ok  ",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    let mut says = finding.says.lines();
    say(&format!("{mark}  {}: {}", finding.what, says.next().unwrap_or_default()));
    says.for_each(|line| say(&format!("      {line}")));
    if let Some(fix) = &finding.fix {
        say(&format!("      → {fix}"));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn readiness_is_one_line_that_names_what_is_in_the_way() {
        let (ok, warn) =
            (Finding::ok("open files", "many"), Finding::warn("region", "none", "fix"));
        expect!["ready: 1 ok, nothing failed"].assert_eq(&readiness(&[ok]));
        let twice = [Finding::ok("a", "b"), warn, Finding::warn("region", "two", "fix")];
        expect!["ready: 1 ok, nothing failed, to look at: region"].assert_eq(&readiness(&twice));
        let failed = [
            Finding::fail("provider cloud", "answers 401\nwith a page", "fix"),
            Finding::warn("region", "none", "fix"),
            Finding::fail("address", "is taken", "fix"),
        ];
        expect!["not ready, because provider cloud: answers 401; and address: is taken"]
            .assert_eq(&readiness(&failed));
    }
}
