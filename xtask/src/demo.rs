//! `cargo xtask demo`: builds the server and plays examples/support-agent against it.
//!
//! What is played and which claims are checked stands in examples/support-agent/play.py.

use std::process::Command;

use crate::shell::{cargo, succeed, target};
use crate::{Outcome, python, root};

const USAGE: &str = "usage: cargo xtask demo [--model ID --config craton.toml]";

pub(crate) fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|a| a == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    println!("building craton …");
    succeed(&mut cargo(&["build", "--quiet", "--package", "craton"]))?;
    succeed(play()?.args(arguments))
}

/// The command that plays the example, with a server that is built already.
pub(crate) fn play() -> Result<Command, Box<dyn std::error::Error>> {
    let mut play = Command::new(python::conformance()?);
    play.arg(root().join("examples/support-agent/play.py"));
    play.arg("--craton").arg(target().join("debug/craton"));
    play.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(play)
}
