//! What goes to the terminal: the log on standard error, a verb's own words on standard output.

use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

/// `CRATON_LOG` chooses what is logged, as `tracing` directives such as `info` or `engine=debug`.
/// Lines are JSON where standard error is not a terminal.
pub(crate) fn start_log() {
    let filter = EnvFilter::try_from_env("CRATON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.compact().init();
    } else {
        log.json().init();
    }
}

/// A line for the person at the terminal. A closed pipe is their wish, not an error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

pub(crate) fn complain(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "craton: {message}");
}
