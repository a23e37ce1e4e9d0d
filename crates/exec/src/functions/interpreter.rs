//! Interpreters that this machine may have, and other programs that are run to their end.
//!
//! An interpreter is looked up once and asked for its real path, so that a shim does not run on each
//! start. Nothing here knows functions.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::limits;

/// One kind of interpreter: how to find it, and what to say where it is not.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The program on the PATH.
    pub(crate) program: &'static str,
    /// Arguments with which it prints its path, then its version as `major minor`, then the folders
    /// it is installed in.
    pub(crate) probe: &'static [&'static str],
    /// The oldest version that runs the bootstrap.
    pub(crate) least: (u32, u32),
    /// What to install or to set.
    pub(crate) advice: &'static str,
}

/// An interpreter that was found and answered.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) executable: PathBuf,
    pub(crate) version: (u32, u32),
    /// What of the machine's files it needs beside the system's.
    pub(crate) roots: Vec<PathBuf>,
}

/// Looks for the interpreter on first use; a failure is looked at again by the next call.
#[derive(Debug)]
pub(crate) struct Interpreter {
    kind: &'static Kind,
    configured: Option<PathBuf>,
    found: OnceCell<Found>,
}

impl Interpreter {
    pub(crate) fn new(kind: &'static Kind, configured: Option<PathBuf>) -> Self {
        Interpreter { kind, configured, found: OnceCell::new() }
    }

    /// The error says what to install or to set.
    pub(crate) async fn get(&self) -> Result<&Found, String> {
        self.found.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<Found, String> {
        let program = self.configured.clone().unwrap_or_else(|| self.kind.program.into());
        let mut command = Command::new(&program);
        command.args(self.kind.probe);
        let advice = self.kind.advice;
        let wrong = |what: String| {
            format!("{} cannot run functions: {what}; {advice} (CR0017)", program.display())
        };
        let output = run(command, limits::PROBE).await.map_err(wrong)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = parse(&text).ok_or_else(|| wrong(format!("it says {text:?}")))?;
        let ((major, minor), (least, and)) = (found.version, self.kind.least);
        if found.version < self.kind.least {
            return Err(wrong(format!("it is version {major}.{minor}, older than {least}.{and}")));
        }
        tracing::info!(
            interpreter = %found.executable.display(),
            "functions run on this interpreter, version {major}.{minor}"
        );
        Ok(found)
    }
}

fn parse(text: &str) -> Option<Found> {
    let mut lines = text.lines();
    let executable = PathBuf::from(lines.next()?);
    let (major, minor) = lines.next()?.split_once(' ')?;
    let version = (major.parse().ok()?, minor.parse().ok()?);
    let roots = roots(&executable, lines.map(PathBuf::from));
    executable.is_absolute().then_some(Found { executable, version, roots })
}

/// The folders that an interpreter says it is installed in, and those of its program and of what
/// that links to.
fn roots(executable: &Path, told: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let linked = executable.canonicalize().ok();
    let homes = [Some(executable.to_owned()), linked].into_iter().flatten().map(|program| {
        match program.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent) {
            Some(home) if home.parent().is_some() => home.to_owned(),
            _ => program,
        }
    });
    let mut roots: Vec<PathBuf> = told.chain(homes).collect();
    let system = |path: &PathBuf| {
        path.parent().is_none() || ["/usr", "/bin", "/lib"].iter().any(|s| path.starts_with(s))
    };
    roots.retain(|path| !system(path) && path.exists());
    roots.sort();
    // One that lies in another is there with it.
    roots.dedup_by(|inner, outer| inner.starts_with(&*outer));
    roots
}

/// Runs a command to its end; the error is its last words.
pub(crate) async fn run(mut command: Command, limit: Duration) -> Result<Output, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => output.map_err(|e| e.to_string())?,
        Err(_) => return Err(format!("no answer within {} seconds", limit.as_secs())),
    };
    if output.status.success() {
        return Ok(output);
    }
    let words = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let words = String::from_utf8_lossy(&words);
    let last = words.lines().rfind(|l| l.to_lowercase().contains("error")).or(words.lines().last());
    Err(format!("{} ({})", last.unwrap_or("no message").trim(), output.status))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, version: Option<(u32, u32)>) {
        assert_eq!(parse(text).map(|found| found.version), version, "{text}");
    }

    #[test]
    fn an_answer_is_a_path_and_a_version() {
        check("/usr/bin/python3\n3 11\n", Some((3, 11)));
        check("/usr/bin/node\n20 20\n", Some((20, 20)));
        check("node\n20 20\n", None);
        check("/usr/bin/python3\nthree\n", None);
        check("", None);
    }
}
