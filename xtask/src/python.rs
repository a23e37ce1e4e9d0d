//! Python environments for suites, demo and peers: made on first use by venv and pip alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shell::{succeed, target};
use crate::{Outcome, root};

/// The Python that has what conformance/requirements.txt pins.
pub(crate) fn conformance() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let pinned = std::fs::read_to_string(root().join("conformance/requirements.txt"))?;
    let wanted: Vec<&str> = pinned.split_whitespace().collect();
    environment("venv", &wanted)
}

/// The Python of an environment under the target directory that has exactly `wanted`.
pub(crate) fn environment(
    name: &str,
    wanted: &[&str],
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = target().join(name);
    let python = home.join("bin/python");
    let stamp = home.join("installed");
    let listed = wanted.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == listed) {
        return Ok(python);
    }
    make(&home)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Wheels alone: nothing is compiled here, and one dependency's newest source does not build.
    pip.args(["--only-binary", ":all:"]).args(wanted);
    succeed(&mut pip)?;
    std::fs::write(stamp, listed)?;
    Ok(python)
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
    let advice =
        "python3 lacks venv or ensurepip; install them (Debian: apt-get install python3-venv)";
    let ask = Command::new("id").arg("-u").output()?;
    let may = ask.stdout.trim_ascii() == b"0" && Path::new("/usr/bin/apt-get").exists();
    if !may {
        return Err(advice.into());
    }
    succeed(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-qq", "-y", "--no-install-recommends", "python3-venv"]);
    succeed(install.env("DEBIAN_FRONTEND", "noninteractive"))
}
