//! What goes to the terminal: the log on standard error, a verb's own words on standard output.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};

use std::path::Path;

use tracing_subscriber::EnvFilter;

/// `CRATON_LOG` chooses what is logged, as `tracing` directives such as `info` or `engine=debug`.
/// Lines are JSON where standard error is not a terminal.
pub(crate) fn start_log() {
    let log = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.compact().init();
    } else {
        log.json().init();
    }
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("CRATON_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The same log in a file of its own, for a verb that has the terminal for something else.
pub(crate) fn start_log_in(path: &Path) -> Result<(), String> {
    let file = File::create(path)
        .map_err(|e| format!("the log {} cannot be written: {e} (CR0023)", path.display()))?;
    tracing_subscriber::fmt().with_env_filter(filter()).with_writer(file).json().init();
    Ok(())
}

/// What a verb says beside its result.
pub(crate) fn aside(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line for the person at the terminal. A closed pipe is their wish, not an error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

pub(crate) fn complain(message: &str) {
    aside(&format!("craton: {message}"));
}
