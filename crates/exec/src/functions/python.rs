//! Python functions: an interpreter of the machine, and the bootstrap that runs handlers in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::config::Config;
use crate::functions::interpreter::{Interpreter, Kind};
use crate::functions::packages::ManagedPackages;
use crate::functions::runtime::{Launch, write_bootstrap};

const BOOTSTRAP: &str = include_str!("bootstrap.py");

pub(crate) static KIND: Kind = Kind {
    program: "python3",
    probe: &[
        "-I",
        "-S",
        "-c",
        "import sys; print(sys.executable); print('%d %d' % sys.version_info[:2])",
    ],
    // The first with what the bootstrap uses (-X pycache_prefix, site under -S).
    least: (3, 8),
    advice: "install Python 3, or set functions.python in craton.toml",
};

pub(crate) struct Python {
    interpreter: Interpreter,
    bootstrap: PathBuf,
    cache: PathBuf,
    venv: PathBuf,
    requirement: String,
    packages: OnceCell<Arc<ManagedPackages>>,
}

impl Python {
    pub(crate) fn open(config: &Config, directory: &Path, venv: PathBuf) -> io::Result<Python> {
        Ok(Python {
            interpreter: Interpreter::new(&KIND, config.python.clone()),
            bootstrap: write_bootstrap(directory, "bootstrap.py", BOOTSTRAP)?,
            cache: directory.join("pycache"),
            venv,
            requirement: config.boto3.clone(),
            packages: OnceCell::new(),
        })
    }

    /// The error says what to install or to set.
    pub(crate) async fn launch(&self) -> Result<Launch, String> {
        let found = self.interpreter.get().await?;
        let made = || async {
            let (venv, requirement) = (self.venv.clone(), self.requirement.clone());
            Arc::new(ManagedPackages::new(venv, requirement, found.clone()))
        };
        let packages = self.packages.get_or_init(made).await.clone();
        // Isolated: neither PYTHON* variables, nor the user's, nor the host's site-packages. A
        // handler sees its own code, the standard library and the managed packages, as on AWS.
        let mut args = ["-I", "-S", "-X", "utf8", "-X"].map(Into::into).to_vec();
        args.push(format!("pycache_prefix={}", self.cache.display()).into());
        args.push(self.bootstrap.clone().into());
        args.extend(packages.present().map(Into::into));
        Ok(Launch {
            program: found.executable.clone(),
            args,
            bin: found.executable.parent().map(Path::to_owned),
            env: Vec::new(),
            watches_stdin: true,
            packages: Some(packages),
        })
    }
}
