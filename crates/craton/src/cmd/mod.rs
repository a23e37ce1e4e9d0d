//! The verbs. Each returns what went wrong as a sentence for the person at the terminal.

pub(crate) mod batch;
pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod completion;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod effects;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod fork;
pub(crate) mod lint;
pub(crate) mod order;
pub(crate) mod ps;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod test;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod up;

use tokio::signal::unix::{SignalKind, signal};

pub(crate) type Done = Result<(), String>;

/// An id as it stands in an address.
pub(crate) fn escaped(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Runs a verb that speaks to a server, on this thread.
pub(crate) fn wait_for<T>(verb: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime did not start: {e} (CR0023)"))?
        .block_on(verb)
}

/// Resolves at Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
