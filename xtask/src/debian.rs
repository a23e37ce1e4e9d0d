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
