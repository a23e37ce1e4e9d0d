//! Python environments for suites, demo and peers: made on first use by venv, pip and uv.
//!
//! Nothing outside the target directory changes, but for uv's own cache of wheels.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell::{succeed, target};
use crate::{Outcome, debian, root};

/// Installs what pip would, in parallel: the 110 packages of the frameworks take 23 s instead of
/// 92 s, measured without caches. From PyPI as all the rest; MIT or Apache-2.0.
const UV: &str = "uv==0.13.8";

/// The Python that has what conformance/requirements.txt pins.
pub(crate) fn conformance() -> Result<PathBuf, Box<dyn std::error::Error>> {
    pinned("venv", "conformance/requirements.txt")
}

/// The Python that has the frameworks of a folder of conformance/clients/python.
pub(crate) fn clients(folder: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let pins = format!("conformance/clients/python/{folder}/requirements.txt");
    pinned(&format!("venv-{folder}"), &pins)
}

fn pinned(name: &str, pins: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let pins = std::fs::read_to_string(root().join(pins))?;
    let wanted: Vec<&str> = pins.split_whitespace().collect();
    environment(name, &wanted)
}

/// The Python of an environment under the target directory that has exactly `wanted`.
pub(crate) fn environment(
    name: &str,
    wanted: &[&str],
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    prepared(name, wanted, |python| {
        by_uv(python, wanted).or_else(|failure| {
            // A mirror that only pip is told of, for one.
            eprintln!("xtask: uv: {failure}; pip goes on");
            by_pip(python, wanted)
        })
    })
}

fn prepared(
    name: &str,
    wanted: &[&str],
    install: impl FnOnce(&Path) -> Outcome,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = target().join(name);
    let python = home.join("bin/python");
    let stamp = home.join("installed");
    let listed = wanted.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == listed) {
        return Ok(python);
    }
    make(&home)?;
    install(&python)?;
    std::fs::write(stamp, listed)?;
    Ok(python)
}

// Wheels alone: nothing is compiled here, and one dependency's newest source does not build.

fn by_uv(python: &Path, wanted: &[&str]) -> Outcome {
    let home = prepared("uv", &[UV], |python| by_pip(python, &[UV]))?;
    let mut uv = Command::new(home.with_file_name("uv"));
    uv.args(["pip", "install", "--quiet", "--python"]).arg(python);
    succeed(uv.args(["--only-binary", ":all:"]).args(wanted))
}

fn by_pip(python: &Path, wanted: &[&str]) -> Outcome {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    succeed(pip.args(["--only-binary", ":all:"]).args(wanted))
}

fn make(home: &Path) -> Outcome {
    if !has_ensurepip() {
        install_venv()?;
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home))
}

fn has_ensurepip() -> bool {
    let mut probe = Command::new("python3");
    probe.args(["-c", "import ensurepip, venv"]).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Debian keeps the half of venv that brings pip in a package of its own.
fn install_venv() -> Outcome {
    debian::install(&["python3-venv"], "python3 lacks venv or ensurepip")
}
