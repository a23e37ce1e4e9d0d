//! Running other programs, and where they leave what they make.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, root};

/// Runs a command to its end; its output is the user's to see.
pub(crate) fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("{command:?} does not start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Cargo's directory of what is built.
pub(crate) fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    std::path::absolute(chosen.unwrap_or_else(|| Path::new("target").to_owned()))
        .unwrap_or_else(|_| root().join("target"))
}
