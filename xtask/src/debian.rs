//! Packages of Debian's that the steps need, installed where that is allowed: by root, on Debian.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::shell::succeed;

/// The browser that the pages are tested in, and the server that drives it.
pub(crate) fn browser() -> Outcome {
    let mut probe = Command::new("chromedriver");
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    install(&["chromium", "chromium-driver"], "there is no chromedriver for the tests of the pages")
}

/// What handlers of the conformance suite are compiled with and speak to: Go (475 MB, half a minute),
/// PostgreSQL, and a certificate authority of their own.
pub(crate) fn handlers() -> Outcome {
    let mut missing = vec![("go", "golang-go"), ("initdb", "postgresql"), ("openssl", "openssl")];
    missing.retain(|(program, _)| !is_there(program));
    let missing: Vec<&str> = missing.into_iter().map(|(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing, "there is no Go, PostgreSQL or openssl for the handlers of the suite")
}

/// On the path, or where Debian keeps the programs of PostgreSQL.
fn is_there(program: &str) -> bool {
    let postgresql = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(postgresql.map(|v| v.path().join("bin")));
    folders.any(|folder| folder.join(program).is_file())
}

/// Installs packages, or says what is missing and how to get it.
pub(crate) fn install(packages: &[&str], missing: &str) -> Outcome {
    let ask = Command::new("id").arg("-u").output()?;
    let may = ask.stdout.trim_ascii() == b"0" && Path::new("/usr/bin/apt-get").exists();
    if !may {
        let packages = packages.join(" ");
        return Err(format!("{missing}; install it (Debian: apt-get install {packages})").into());
    }
    succeed(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-qq", "-y", "--no-install-recommends"]).args(packages);
    succeed(install.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
}
