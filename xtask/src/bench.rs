//! `cargo xtask bench NAME`: builds what is measured in release mode, makes the environment of the
//! Python peers, and hands over to the `bench` crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, root};

const USAGE: &str = "usage: cargo xtask bench agent-loop [--seconds N] [--rounds N] [--peers LIST]";

/// Pinned: a figure is one of these versions.
const LANGGRAPH: [&str; 7] = [
    "langgraph==1.2.22",
    "langchain==1.4.7",
    "langgraph-checkpoint-sqlite==3.1.2",
    "langchain-openai==1.7.3",
    "aiosqlite==0.22.1",
    "httpx==0.28.1",
    "uvloop==0.23.0",
];

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match name.as_str() {
        "agent-loop" => agent_loop(rest),
        other => Err(format!("there is no benchmark {other}\n{USAGE}").into()),
    }
}

fn agent_loop(arguments: &[String]) -> Outcome {
    build()?;
    let mut bench = Command::new(release("bench"));
    bench.arg("agent-loop").args(arguments).current_dir(root());
    bench.arg("--craton").arg(release("craton")).arg("--dir").arg(target());
    let peers = arguments.iter().skip_while(|a| *a != "--peers").nth(1);
    if peers.is_none_or(|list| list.contains("langgraph")) {
        bench.arg("--python").arg(python()?);
    }
    succeed(&mut bench)
}

fn build() -> Outcome {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--package", "craton", "--package", "bench"]);
    succeed(cargo.current_dir(root()))
}

/// The Python of an environment that has LangGraph; made on first use, by pip alone.
fn python() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = target().join("bench-venv");
    let python = home.join("bin/python");
    let stamp = home.join("installed");
    let wanted = LANGGRAPH.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Wheels alone: one dependency's newest source package does not build.
    pip.args(["--only-binary", ":all:"]).args(LANGGRAPH);
    succeed(&mut pip)?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("{command:?} does not start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

fn release(binary: &str) -> PathBuf {
    target().join("release").join(binary)
}

fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    std::path::absolute(chosen.unwrap_or_else(|| Path::new("target").to_owned()))
        .unwrap_or_else(|_| root().join("target"))
}
