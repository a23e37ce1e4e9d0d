//! Python functions: an interpreter of the machine, and the bootstrap that runs handlers in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::config::Config;
use crate::functions::containment::Places;
use crate::functions::interpreter::{Interpreter, Kind};
use crate::functions::packages::{ManagedPackages, SeenPackages};
use crate::functions::runtime::{Launch, Reuse, write_bootstrap};
use crate::jail::Family;

const BOOTSTRAP: &str = include_str!("bootstrap.py");
const BOOTSTRAP_NAME: &str = "bootstrap.py";

pub(crate) static KIND: Kind = Kind {
    program: "python3",
    probe: &[
        "-I",
        "-S",
        "-c",
        "import sys; print(sys.executable); print('%d %d' % sys.version_info[:2]); \
         print(sys.prefix, sys.base_prefix, sys.exec_prefix, sep='\\n')",
    ],
    // The first with what the bootstrap uses (-X pycache_prefix, site under -S).
    least: (3, 8),
    advice: "install Python 3, or set functions.python in craton.toml",
};

pub(crate) struct Python {
    interpreter: Interpreter,
    venv: PathBuf,
    requirement: String,
    packages: OnceCell<Arc<ManagedPackages>>,
}

impl Python {
    pub(crate) fn open(config: &Config, directory: &Path, venv: PathBuf) -> io::Result<Python> {
        write_bootstrap(directory, BOOTSTRAP_NAME, BOOTSTRAP)?;
        Ok(Python {
            interpreter: Interpreter::new(&KIND, config.python.clone()),
            venv,
            requirement: config.boto3.clone(),
            packages: OnceCell::new(),
        })
    }

    /// The error says what to install or to set.
    pub(crate) async fn launch(
        &self,
        host: &Places,
        seen: &Places,
        reuse: Reuse,
    ) -> Result<Launch, String> {
        let found = self.interpreter.get().await?;
        let made = || async {
            let (venv, requirement) = (self.venv.clone(), self.requirement.clone());
            Arc::new(ManagedPackages::new(venv, requirement, found.clone()))
        };
        let managed = self.packages.get_or_init(made).await.clone();
        let packages = SeenPackages { managed, root: seen.packages.clone() };
        // Isolated: neither PYTHON* variables, nor the user's, nor the host's site-packages. A
        // handler sees its own code, the standard library and the managed packages, as on AWS.
        let mut args = ["-I", "-S", "-X", "utf8"].map(str::to_owned).to_vec();
        if host == seen {
            let cache = seen.runtime.join("pycache");
            args.extend(["-X".to_owned(), format!("pycache_prefix={}", cache.display())]);
        } else {
            // Nothing that others read can be written from a jail.
            args.push("-B".to_owned());
        }
        args.push(seen.runtime.join(BOOTSTRAP_NAME).display().to_string());
        args.push(if reuse == Reuse::Forks { "fork" } else { "warm" }.to_owned());
        args.extend(packages.present().map(|path| path.display().to_string()));
        Ok(Launch {
            program: found.executable.clone(),
            args,
            bin: found.executable.parent().map(Path::to_owned),
            env: Vec::new(),
            family: Family::Python,
            roots: found.roots.clone(),
            packages: Some(packages),
        })
    }
}
