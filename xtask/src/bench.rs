//! `cargo xtask bench NAME`: builds what is measured in release mode, makes the environment of the
//! Python peers, and hands over to the `bench` crate.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{cargo, succeed, target};
use crate::{Outcome, python, root};

const USAGE: &str = "usage: cargo xtask bench agent-loop [--seconds N] [--rounds N] [--peers LIST]
       cargo xtask bench streams [--streams N] [--words N] [--seconds N]
       cargo xtask bench team [--turns N] [--millis N]
       cargo xtask bench sessions [--turns N] [--rounds N] [--exchanges N] [--idle N]
       cargo xtask bench functions [--calls N] [--rounds N] [--cold N] [--seconds N]
       cargo xtask bench gateways [--seconds N] [--rounds N] [--peers LIST]
       cargo xtask bench routing [--scenarios FOLDER] [--prices FILE]
       cargo xtask bench http-tool [--calls N] [--rounds N]";

/// Pinned: a figure is one of these versions.
const LIBRARIES: [&str; 13] = [
    "langgraph==1.2.22",
    "langchain==1.4.7",
    "langgraph-checkpoint-sqlite==3.1.2",
    "langgraph-checkpoint-postgres==3.2.0",
    "langchain-openai==1.7.3",
    "aiosqlite==0.22.1",
    "psycopg==3.3.9",
    "psycopg-binary==3.3.9",
    "psycopg-pool==3.3.1",
    "openai-agents==0.20.0",
    "strands-agents==1.62.0",
    "httpx==0.28.1",
    "uvloop==0.23.0",
];

const TENSORZERO: [&str; 2] = ["tensorzero==2026.6.0", "openai==3.52.0"];
const LITELLM: [&str; 1] = ["litellm[proxy]==1.106.2"];
const PORTKEY: &str = "@portkey-ai/gateway@1.15.2";

/// Peers that need none of them.
const OURS: [&str; 4] = ["floor", "craton", "craton-read", "craton-python"];

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match name.as_str() {
        "agent-loop" => agent_loop(rest),
        "gateways" => gateways(rest),
        "functions" | "routing" | "sessions" | "streams" | "team" => of_craton(name, rest),
        "http-tool" => {
            succeed(&mut cargo(&["build", "--release", "--package", "bench"]))?;
            succeed(Command::new(release("bench")).arg(name).args(rest))
        }
        other => Err(format!("there is no benchmark {other}\n{USAGE}").into()),
    }
}

fn agent_loop(arguments: &[String]) -> Outcome {
    build()?;
    let mut bench = Command::new(release("bench"));
    bench.arg("agent-loop").args(arguments).current_dir(root());
    bench.arg("--craton").arg(release("craton")).arg("--dir").arg(target());
    let peers = arguments.iter().skip_while(|a| *a != "--peers").nth(1);
    if peers.is_none_or(|list| !list.split(',').all(|peer| OURS.contains(&peer))) {
        bench.arg("--python").arg(python::environment("bench-venv", &LIBRARIES)?);
    }
    succeed(&mut bench)
}

/// Gateways to models: two from PyPI, each in an environment of its own, one from npm.
fn gateways(arguments: &[String]) -> Outcome {
    build()?;
    let mut bench = Command::new(release("bench"));
    bench.arg("gateways").args(arguments).current_dir(root());
    bench.arg("--craton").arg(release("craton")).arg("--dir").arg(target());
    let peers = arguments.iter().skip_while(|a| *a != "--peers").nth(1);
    let wants = |name: &str| peers.is_none_or(|list| list.split(',').any(|peer| peer == name));
    if wants("tensorzero") {
        bench.arg("--tensorzero").arg(python::environment("tensorzero-venv", &TENSORZERO)?);
    }
    if wants("litellm") {
        bench.arg("--litellm").arg(python::environment("litellm-venv", &LITELLM)?);
    }
    if wants("portkey") {
        let folder = target().join("portkey");
        std::fs::create_dir_all(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", PORTKEY]).current_dir(&folder);
        succeed(&mut npm)?;
        bench.arg("--portkey").arg(folder);
    }
    succeed(&mut bench)
}

/// A benchmark that needs nothing but the binary.
fn of_craton(name: &str, arguments: &[String]) -> Outcome {
    build()?;
    let mut bench = Command::new(release("bench"));
    bench.arg(name).args(arguments).current_dir(root());
    succeed(bench.arg("--craton").arg(release("craton")).arg("--dir").arg(target()))
}

fn build() -> Outcome {
    succeed(&mut cargo(&["build", "--release", "--package", "craton", "--package", "bench"]))
}

fn release(binary: &str) -> PathBuf {
    target().join("release").join(binary)
}
