//! `craton trace --open`: a link to the run's page, and a browser where there is a display.

use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::client::Client;
use crate::cmd::escaped;

/// The address that shows the run once, within a minute.
pub(super) async fn link(client: &Client, view: &Json) -> Result<String, String> {
    let run = view["run"]["run"].as_str().unwrap_or_default();
    let path = format!("/_craton/v1/links?run={}", escaped(run));
    let link = client.post("craton", &path).await?;
    let path = link["path"].as_str().ok_or("the server gave no link (CR0020)")?;
    Ok(format!("{}{path}", client.endpoint()))
}

/// Opens a browser on this machine's display, if it has one. Whether it comes up is to be seen.
pub(super) fn show(address: &str) {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let opener = match () {
        () if cfg!(target_os = "macos") => "open",
        () if set("DISPLAY") || set("WAYLAND_DISPLAY") => "xdg-open",
        () => return,
    };
    let mut browser = Command::new(opener);
    browser.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without such a program the printed link is all there is.
    drop(browser.spawn());
}
