//! What goes to the terminal: the log on standard error, a verb's own words on standard output.
//!
//! Models, tools and servers have a say in what verbs print. It is shown without control
//! characters: nobody's text moves the cursor, renames the window or fills the clipboard.

use std::borrow::Cow;
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
    let _ = writeln!(std::io::stderr().lock(), "{}", clean(line));
}

/// A line for the person at the terminal. A closed pipe is their wish, not an error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", clean(line));
}

/// Empties the terminal, for a view that takes the place of the one before.
pub(crate) fn wipe() {
    let _ = write!(std::io::stdout().lock(), "\x1b[H\x1b[2J");
}

pub(crate) fn complain(message: &str) {
    aside(&format!("craton: {message}"));
}

/// Text that a terminal only shows. Lines and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(steers) {
        true => Cow::Owned(text.replace(steers, "")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left_in_a_text() {
        assert_eq!(clean("a\tb\nc ü"), "a\tb\nc ü");
        assert_eq!(clean("a\x1b[2Jb\x1b]52;c;eA==\x07c\r\u{9b}31md\x7f"), "a[2Jb]52;c;eA==c31md");
    }
}
