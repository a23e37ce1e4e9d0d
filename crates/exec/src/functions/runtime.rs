//! Which runtimes there are, and what is executed for each of them.
//!
//! One table, [`RUNTIMES`], says which family a runtime's name belongs to; each family has a file of
//! its own that turns a function into a [`Launch`]. From there on all runtimes are the same to the
//! rest of this crate: a process that speaks the Runtime API. Nothing here starts a process of a
//! function.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::function::{ExecError, Function};
use crate::functions::containment::Places;
use crate::functions::node::Node;
use crate::functions::packages::SeenPackages;
use crate::functions::provided;
use crate::functions::python::Python;
use crate::jail::Family;

/// Every runtime that is served. A name that ends in a dot stands for all that begin with it.
///
/// AWS: the names (Lambda developer guide, "Lambda runtimes").
const RUNTIMES: &[(&str, Family)] = &[
    ("python3.", Family::Python),
    ("nodejs18.x", Family::Node),
    ("nodejs20.x", Family::Node),
    ("nodejs22.x", Family::Node),
    ("nodejs24.x", Family::Node),
    ("nodejs26.x", Family::Node),
    ("provided", Family::Provided),
    ("provided.al2", Family::Provided),
    ("provided.al2023", Family::Provided),
];

fn family(runtime: &str) -> Option<Family> {
    let is = |name: &str| runtime == name || (name.ends_with('.') && runtime.starts_with(name));
    RUNTIMES.iter().find(|(name, _)| is(name)).map(|(_, family)| *family)
}

/// Why functions of a runtime cannot be run, as a sentence that names what can; none where they can.
pub fn refusal(runtime: &str) -> Option<String> {
    if family(runtime).is_some() {
        return None;
    }
    let name = |(name, _): &(&str, Family)| match name.strip_suffix('.') {
        Some(stem) => format!("{stem}.x"),
        None => (*name).to_owned(),
    };
    let names = RUNTIMES.iter().map(name).collect::<Vec<_>>().join(", ");
    Some(format!("runtime {runtime} is not served; {names} are"))
}

/// What is executed for one function. Paths are those that the process sees.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// The interpreter's folder, first on the function's PATH.
    pub(crate) bin: Option<PathBuf>,
    /// Variables of this runtime; the function's own win over them.
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) family: Family,
    /// Files of the host that the interpreter needs beside the system's, at the same place.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) packages: Option<SeenPackages>,
}

/// What becomes of a process after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It takes the next, as on AWS.
    Warm,
    /// It does the work in forks, and what a fork leaves is cleared away before the next call.
    Forks,
    /// It has done its duty.
    Single,
}

impl Reuse {
    /// Only a jail's init can clear away what forks leave.
    pub(crate) fn of(function: &Function, jailed: bool) -> Reuse {
        match (function.clean, family(&function.runtime), jailed) {
            (false, _, _) => Reuse::Warm,
            (true, Some(Family::Python), true) => Reuse::Forks,
            (true, _, _) => Reuse::Single,
        }
    }
}

/// Why nothing can be executed. One variant per reaction.
#[derive(Debug)]
pub(crate) enum Unlaunched {
    /// The machine lacks something; the message says what to install or to set.
    Host(ExecError),
    /// The package is at fault; its caller gets this as the function's error.
    Entrypoint(String),
}

/// The families, each with what it keeps between starts.
pub(crate) struct Runtimes {
    /// Where the bootstraps lie, `LAMBDA_RUNTIME_DIR` of functions.
    directory: PathBuf,
    venv: PathBuf,
    python: Python,
    node: Node,
}

impl Runtimes {
    /// Writes the bootstraps; interpreters are looked for when the first function needs them.
    pub(crate) fn open(config: &Config, work_dir: &Path) -> io::Result<Runtimes> {
        let directory = work_dir.join("runtime");
        fs::create_dir_all(&directory)?;
        let venv = work_dir.join("venv");
        fs::create_dir_all(&venv)?;
        Ok(Runtimes {
            python: Python::open(config, &directory, venv.clone())?,
            node: Node::open(config, &directory)?,
            directory,
            venv,
        })
    }

    /// The folders of a function whose package is unpacked at `code`.
    pub(crate) fn places(&self, code: PathBuf) -> Places {
        Places { code, runtime: self.directory.clone(), packages: self.venv.clone() }
    }

    /// `host` and `seen` are the same folders, here and for the process.
    pub(crate) async fn launch(
        &self,
        function: &Function,
        host: &Places,
        seen: &Places,
    ) -> Result<Launch, Unlaunched> {
        let reuse = Reuse::of(function, host != seen);
        match family(&function.runtime) {
            Some(Family::Python) => self.python.launch(host, seen, reuse).await.map_err(on_host),
            Some(Family::Node) => self.node.launch(function, seen).await.map_err(on_host),
            Some(Family::Provided) => provided::launch(host, seen).map_err(Unlaunched::Entrypoint),
            None => Err(on_host(refusal(&function.runtime).unwrap_or_default())),
        }
    }
}

fn on_host(message: String) -> Unlaunched {
    Unlaunched::Host(ExecError::Refused(message))
}

/// Puts a bootstrap in its place, whole or not at all.
pub(crate) fn write_bootstrap(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let (half, place) = (folder.join(format!(".{name}")), folder.join(name));
    fs::write(&half, text)?;
    fs::rename(half, place)
}

#[cfg(test)]
mod tests {
    use super::{Family, family, refusal};

    #[track_caller]
    fn check(runtime: &str, expected: Option<Family>) {
        assert_eq!(family(runtime), expected, "{runtime}");
        assert_eq!(refusal(runtime).is_none(), expected.is_some(), "{runtime}");
    }

    #[test]
    fn a_runtime_belongs_to_one_family_or_is_refused() {
        check("python3.13", Some(Family::Python));
        check("nodejs20.x", Some(Family::Node));
        check("provided", Some(Family::Provided));
        check("provided.al2023", Some(Family::Provided));
        for name in ["python2.7", "nodejs16.x", "nodejs20", "provided.al3", "java21", "go1.x", ""] {
            check(name, None);
        }
    }
}
