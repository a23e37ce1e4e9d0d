//! Interpreters that this machine may have, and other programs that are run to their end.
//!
//! An interpreter is looked up once and asked for its real path, so that a shim does not run on each
//! start. Nothing here knows functions.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::functions::containment::without_links;
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
            "an interpreter was found, version {major}.{minor}"
        );
        Ok(found)
    }
}

fn parse(text: &str) -> Option<Found> {
    let mut lines = text.lines();
    let executable = PathBuf::from(lines.next()?);
    let (major, minor) = lines.next()?.split_once(' ')?;
    let version = (major.parse().ok()?, minor.parse().ok()?);
    let told = lines.map(PathBuf::from).collect();
    let roots = roots(&executable, told, &homes());
    executable.is_absolute().then_some(Found { executable, version, roots })
}

/// Folders of people and services, whose files are their own.
fn homes() -> Vec<PathBuf> {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_accounts = accounts.lines().filter_map(|line| line.split(':').nth(5));
    let own = std::env::var("HOME").unwrap_or_default();
    of_accounts.chain([own.as_str()]).map(PathBuf::from).filter(|home| home.is_absolute()).collect()
}

/// The same of a program that cannot be asked; `told` is what is known of it.
pub(crate) fn roots_of(program: &Path, told: Vec<PathBuf>) -> Vec<PathBuf> {
    roots(program, told, &homes())
}

/// What jailed functions need to see of an interpreter: the folders that it says it is installed in,
/// that of the program which its links lead to, and the links.
fn roots(executable: &Path, told: Vec<PathBuf>, homes: &[PathBuf]) -> Vec<PathBuf> {
    let links = links(executable);
    let program = links.last().map_or(executable, PathBuf::as_path);
    let home = program.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent);
    let installed = told.into_iter().chain(home.map(Path::to_owned));
    let mut roots: Vec<PathBuf> =
        installed.flat_map(|folder| of_installation(folder, homes)).chain(links.clone()).collect();
    let system = |path: &PathBuf| {
        path.parent().is_none() || ["/usr", "/bin", "/lib"].iter().any(|s| path.starts_with(s))
    };
    roots.retain(|path| !system(path) && path.exists());
    roots.sort();
    // One that lies in another is there with it.
    roots.dedup_by(|inner, outer| inner.starts_with(&*outer));
    roots
}

/// A program and all that it is a link to, in turn.
fn links(executable: &Path) -> Vec<PathBuf> {
    let mut links = vec![executable.to_owned()];
    while let Some(target) = links.last().and_then(|link| link.read_link().ok()) {
        let next = links.last().and_then(|link| link.parent()).map(|folder| folder.join(target));
        let place = next.map(|next| without_links(&next));
        match place {
            Some(place) if links.len() <= limits::LINKS => links.push(place),
            _ => break,
        }
    }
    links
}

/// A whole folder, but not what somebody keeps beside the libraries of something installed in their
/// home or in its `.local`.
fn of_installation(folder: PathBuf, homes: &[PathBuf]) -> Vec<PathBuf> {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let holds = |home: &PathBuf| {
        let home = home.canonicalize().unwrap_or_else(|_| home.clone());
        home.starts_with(&real) || home.join(".local") == real
    };
    if homes.iter().any(holds) {
        return ["lib", "lib64"].map(|libraries| folder.join(libraries)).to_vec();
    }
    // The same twice, unless it is a link.
    vec![folder, real]
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
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use expect_test::{Expect, expect};

    use super::{parse, roots};

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

    /// What is shown of a home in which `links` and the files they lead to stand.
    #[track_caller]
    fn check_roots(links: &[(&str, &str)], told: &[&str], expected: &Expect) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for folder in ["bin", "lib", "app/bin", "uv/py/bin", ".local/bin", ".local/lib", ".ssh"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::write(home.join("bin/real"), "").unwrap();
        fs::write(home.join("uv/py/bin/python3.12"), "").unwrap();
        for (link, target) in links {
            symlink(target, home.join(link)).unwrap();
        }
        let executable = home.join(links.first().map_or("bin/real", |(link, _)| link));
        let told = told.iter().map(|folder| home.join(folder)).collect();
        let shown = roots(&executable, told, &[PathBuf::from("/nonexistent"), home.clone()]);
        let shown: Vec<_> =
            shown.iter().map(|root| root.strip_prefix(&home).unwrap().to_str().unwrap()).collect();
        expected.assert_eq(&shown.join(" "));
    }

    #[test]
    fn no_home_is_shown_for_an_interpreter_in_it() {
        // A link of the user's to the system's.
        check_roots(&[("bin/python3", "/usr/bin/env")], &[], &expect!["bin/python3"]);
        // As uv installs it.
        check_roots(
            &[(".local/bin/python", "../../uv/py/bin/python3.12")],
            &["uv/py", "uv/py"],
            &expect![".local/bin/python uv/py"],
        );
        // A virtual environment on it.
        check_roots(
            &[
                ("app/bin/python", "../../.local/bin/python"),
                (".local/bin/python", "../../uv/py/bin/python3.12"),
            ],
            &["app", "uv/py"],
            &expect![".local/bin/python app uv/py"],
        );
        // Built to be installed right there.
        check_roots(&[], &[".", "."], &expect!["bin/real lib"]);
        check_roots(&[], &[".local"], &expect![".local/lib bin/real lib"]);
    }
}
