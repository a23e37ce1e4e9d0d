//! What the conformance suite's clients in other languages need, from their registries: packages for
//! Node.js, and the build of the program that uses the AWS SDK for Rust.
//!
//! Everything lands under the target directory; the cases themselves are pytest's to run.

use std::fs;
use std::process::Command;

use crate::shell::{cargo, succeed, target};
use crate::{Outcome, root};

/// The first release line that the pinned packages run on.
const NODE: u32 = 20;

/// Installs what package-lock.json pins.
pub(crate) fn javascript() -> Outcome {
    needs_node()?;
    let (source, home) = (root().join("conformance/clients/js"), target().join("clients/js"));
    let stamp = home.join("installed");
    let pinned = fs::read_to_string(source.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pinned) {
        return Ok(());
    }
    fs::create_dir_all(&home)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), home.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    succeed(npm.current_dir(&home))?;
    fs::write(stamp, pinned)?;
    Ok(())
}

fn needs_node() -> Outcome {
    let advice = format!("install Node.js {NODE} or newer, with npm (https://nodejs.org)");
    let said = Command::new("node").arg("--version").output();
    let said = said.map_err(|e| format!("node does not start: {e}; {advice}"))?.stdout;
    let version = String::from_utf8_lossy(&said);
    let line = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    match line.parse::<u32>() {
        Ok(line) if line >= NODE => Ok(()),
        _ => Err(format!("node is {:?}; {advice}", version.trim()).into()),
    }
}

/// Builds the program; it has a lock file and a target directory of its own.
pub(crate) fn rust() -> Outcome {
    let manifest = root().join("conformance/clients/rust/Cargo.toml");
    succeed(cargo(&["fmt", "--check", "--manifest-path"]).arg(&manifest))?;
    let mut build = cargo(&["build", "--quiet", "--locked", "--manifest-path"]);
    build.arg(manifest).arg("--target-dir").arg(target().join("clients/rust"));
    succeed(&mut build)
}
