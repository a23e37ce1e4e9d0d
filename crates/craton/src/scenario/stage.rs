//! Where scenarios are played: a server of their own, or one that runs.
//!
//! One's own is in this process, on a free port of the loopback, with a data directory that is thrown
//! away. It asks no network unless its configuration names providers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::limits;
use crate::client::Client;
use crate::cmd::up::Server;
use crate::config::Config;
use crate::endpoint;
use crate::telemetry;

/// Where to play.
pub(crate) enum Stage {
    Own { config: Option<PathBuf> },
    Running { endpoint: String },
}

impl Stage {
    pub(crate) fn of(endpoint: Option<&str>, config: Option<PathBuf>) -> Result<Stage, String> {
        Ok(match endpoint {
            Some(given) => Stage::Running { endpoint: endpoint::checked("--endpoint", given)? },
            None => Stage::Own { config },
        })
    }

    /// A client of the server that was running before and still does afterwards.
    pub(crate) fn running(&self) -> Option<Client> {
        match self {
            Stage::Own { .. } => None,
            Stage::Running { endpoint } => Some(Client::new(endpoint)),
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Stage::Own { .. })
    }

    /// Does the work on a runtime of its own, with a client of the server.
    pub(crate) fn hold<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, String>,
    ) -> Result<T, String> {
        match self {
            Stage::Running { endpoint } => {
                let client = Client::new(endpoint);
                crate::cmd::wait_for(async {
                    // A server that is not there is said once, not by each scenario.
                    client.get("craton", "/_craton/v1/health").await?;
                    work(&client).await
                })
            }
            Stage::Own { config } => own(config.as_deref(), work),
        }
    }
}

fn own<T>(
    config: Option<&Path>,
    work: impl AsyncFnOnce(&Client) -> Result<T, String>,
) -> Result<T, String> {
    let config = Config::read(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("the runtime did not start: {e} (CR0023)"))?;
    let home = tempfile::Builder::new().prefix("craton-test-").tempdir();
    let home = home.map_err(|e| {
        format!("no temporary directory can be made: {e}; set TMPDIR to one that can be written (CR0023)")
    })?;
    let done = runtime.block_on(serve(config, home.path(), work));
    runtime.shutdown_timeout(Duration::from_secs(limits::DRAIN_SECONDS));
    done
}

async fn serve<T>(
    config: Config,
    home: &Path,
    work: impl AsyncFnOnce(&Client) -> Result<T, String>,
) -> Result<T, String> {
    telemetry::start_log_in(&home.join("craton.log"))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener =
        listener.map_err(|e| format!("no port of 127.0.0.1 can be listened on: {e} (CR0009)"))?;
    let address =
        listener.local_addr().map_err(|e| format!("the listener has no address: {e} (CR0023)"))?;
    let front = front::Config { drain_seconds: limits::DRAIN_SECONDS, ..config.front(true) };
    let server = Server::open(config, front, listener, &home.join("data")).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let done = work(&Client::new(&format!("http://{address}"))).await;
    drop(stop);
    serving.await.map_err(|e| format!("the server stopped: {e} (CR0023)"))??;
    done
}
