//! What functions and tools need: interpreters, the folders of `[buckets]`, and somebody at the
//! URLs of `[functions.map]`, `[apis]` and the endpoints of `[forward]`.

use std::time::Duration;

use net::Egress;
use net::egress::{Entry, Rules};

use super::Finding;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(config: &Config, findings: &mut Vec<Finding>) {
    for probe in exec::probe(&config.functions).await {
        findings.push(match probe.found {
            Ok(found) => Finding::ok(probe.what, found),
            Err(why) => {
                // The reason ends with what to do.
                let (says, fix) = why.split_once("; ").unwrap_or((&why, "install it"));
                match probe.named {
                    true => Finding::fail(probe.what, says, fix),
                    false => Finding::warn(probe.what, says, fix),
                }
            }
        });
    }
    for (bucket, folder) in config.bucket_folders() {
        let (what, shown) = (format!("buckets {bucket}"), folder.display().to_string());
        findings.push(match std::fs::read_dir(&folder) {
            Ok(_) => Finding::ok(what, shown),
            Err(why) => {
                let fix = "make the folder, or correct its path under [buckets]";
                Finding::fail(what, format!("{shown} is no folder to read: {why}"), fix)
            }
        });
    }
    for (function, url) in &config.functions.map {
        let fix = "start what serves the function, or correct the URL";
        findings.push(somebody_at(url, format!("functions.map {function}"), fix).await);
    }
    apis(config, findings).await;
    for (service, endpoint) in config.forward_endpoints() {
        let fix = "start what serves it, or correct its endpoint";
        findings.push(somebody_at(endpoint, format!("forward {service}"), fix).await);
    }
}

/// What `craton up` would refuse, such as a secret that is not there; then, who is there.
async fn apis(config: &Config, findings: &mut Vec<Finding>) {
    if let Err(why) = config.apis() {
        findings.push(Finding::fail("apis", why, "correct the section, or set what it names"));
        return;
    }
    for (what, url) in config.api_urls() {
        findings.push(somebody_at(url, what, "start what serves it, or correct the URL").await);
    }
}

async fn somebody_at(url: &str, what: String, fix: &str) -> Finding {
    match reach(url).await {
        Ok(()) => Finding::ok(what, format!("{url} takes connections")),
        Err(why) => Finding::fail(what, format!("{url}: {why}"), fix),
    }
}

/// Opens a connection and closes it: a request could take effect.
async fn reach(url: &str) -> Result<(), String> {
    let entry = Entry::of_url(url).map_err(|e| e.to_string())?;
    let (host, port) = (entry.host().ok_or("it names no host")?, entry.port());
    let guard = Egress::new(Rules::closed().naming([entry]));
    match tokio::time::timeout(PATIENCE, guard.connect(&host, port)).await {
        Ok(connected) => connected.map(drop).map_err(|e| e.to_string()),
        Err(_) => Err(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}
