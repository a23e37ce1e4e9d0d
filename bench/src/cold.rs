//! Cold start: from exec to the first answer over HTTP, and what the process weighs when idle.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::craton::{self, Setup};
use crate::report::{self, round};
use crate::{Error, limits, process};

/// When start-up work is over and nothing has been asked yet.
const IDLE_AFTER: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Cold {
    bench: &'static str,
    peer: &'static str,
    ready_empty_ms: f64,
    ready_existing_ms: f64,
    idle_rss_mb: f64,
    binary_mb: f64,
}

pub(crate) async fn measure(setup: &Setup, parent: &Path) -> Result<(), Error> {
    let (mut empty, mut existing) = (Vec::new(), Vec::new());
    let mut idle_rss_mb = 0.0;
    for start in 0..limits::STARTS {
        let dir = tempfile::tempdir_in(parent)?;
        empty.push(ready_millis(setup, dir.path()).await?);
        let began = Instant::now();
        let mut running = setup.start(dir.path())?;
        craton::ready(setup.listen, &mut running).await?;
        existing.push(began.elapsed().as_secs_f64() * 1e3);
        if start == 0 {
            tokio::time::sleep(IDLE_AFTER).await;
            idle_rss_mb = process::rss_mb(running.id())?;
        }
    }
    report::print(&Cold {
        bench: "cold-start",
        peer: "craton",
        ready_empty_ms: report::median(&mut empty),
        ready_existing_ms: report::median(&mut existing),
        idle_rss_mb: round(idle_rss_mb),
        binary_mb: round(std::fs::metadata(&setup.binary)?.len() as f64 / 1e6),
    });
    Ok(())
}

async fn ready_millis(setup: &Setup, dir: &Path) -> Result<f64, Error> {
    let began = Instant::now();
    let mut running = setup.start(dir)?;
    craton::ready(setup.listen, &mut running).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
