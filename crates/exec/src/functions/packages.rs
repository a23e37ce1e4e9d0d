//! The packages that Python handlers find without bundling them.
//!
//! They go to a virtual environment of their own, made the first time a handler asks for them;
//! handlers get its site-packages at the end of their path, never the host's packages.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::process::Command;
use tokio::sync::watch;

use crate::functions::interpreter::{Found, run};
use crate::limits;

/// boto3 for handlers that do not bundle it, as on AWS.
pub(crate) struct ManagedPackages {
    root: PathBuf,
    requirement: String,
    python: Found,
    state: Mutex<State>,
}

/// The packages as a process sees them, perhaps at another place.
#[derive(Clone)]
pub(crate) struct SeenPackages {
    pub(crate) managed: Arc<ManagedPackages>,
    pub(crate) root: PathBuf,
}

impl SeenPackages {
    /// Where the packages are, if an installation has finished.
    pub(crate) fn present(&self) -> Option<PathBuf> {
        self.managed.present().map(|directory| self.seen(&directory))
    }

    /// Installs them unless they are there. The error says how to do without.
    pub(crate) async fn ensure(&self) -> Result<PathBuf, String> {
        self.managed.ensure().await.map(|directory| self.seen(&directory))
    }

    fn seen(&self, directory: &Path) -> PathBuf {
        let below = directory.strip_prefix(&self.managed.root);
        self.root.join(below.expect("packages lie in their root"))
    }
}

enum State {
    NotAsked,
    Installing(watch::Receiver<Option<Result<PathBuf, String>>>),
    Failed { at: Instant, message: String },
}

impl ManagedPackages {
    pub(crate) fn new(root: PathBuf, requirement: String, python: Found) -> Self {
        ManagedPackages { root, requirement, python, state: Mutex::new(State::NotAsked) }
    }

    /// Where the packages are, if an installation has finished.
    fn present(&self) -> Option<PathBuf> {
        Some(self.site_packages(&self.place())).filter(|directory| directory.is_dir())
    }

    /// Installs them unless they are there. Many may ask; one installation runs, and goes on when
    /// those who asked are gone. The error says how to do without.
    async fn ensure(self: &Arc<Self>) -> Result<PathBuf, String> {
        if let Some(directory) = self.present() {
            return Ok(directory);
        }
        let mut installing = self.join_or_begin()?;
        match installing.wait_for(Option::is_some).await {
            Ok(done) => done.clone().expect("waited for it to be some"),
            Err(_) => Err("the installation was given up".to_owned()),
        }
    }

    fn join_or_begin(
        self: &Arc<Self>,
    ) -> Result<watch::Receiver<Option<Result<PathBuf, String>>>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            // A sender that is gone without a word was dropped by a panic: begin anew.
            State::Installing(receiver) if receiver.has_changed().is_ok() => {
                return Ok(receiver.clone());
            }
            State::Failed { at, message } if at.elapsed() < limits::INSTALL_RETRY => {
                return Err(message.clone());
            }
            State::Installing(_) | State::Failed { .. } | State::NotAsked => {}
        }
        let (sender, receiver) = watch::channel(None);
        *state = State::Installing(receiver.clone());
        let this = self.clone();
        tokio::spawn(async move {
            let done = this.install().await;
            this.settle(&done);
            sender.send_replace(Some(done));
        });
        Ok(receiver)
    }

    fn settle(&self, done: &Result<PathBuf, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match done {
            Ok(_) => State::NotAsked,
            Err(message) => State::Failed { at: Instant::now(), message: message.clone() },
        };
    }

    async fn install(&self) -> Result<PathBuf, String> {
        let half = self.root.join(format!(".half-{}", std::process::id()));
        let installed = self.install_into(&half).await;
        let placed = installed.and_then(|()| {
            std::fs::rename(&half, self.place()).map_err(|e| e.to_string())?;
            Ok(self.site_packages(&self.place()))
        });
        if placed.is_err() {
            // The next attempt clears it again.
            let _ = std::fs::remove_dir_all(&half);
        }
        placed.map_err(|cause| {
            tracing::warn!(requirement = self.requirement, cause, "packages were not installed");
            format!(
                "craton could not install {}: {cause}; to do without, package it with the \
                 function: pip install -t . boto3 (CR0018)",
                self.requirement
            )
        })
    }

    async fn install_into(&self, half: &Path) -> Result<(), String> {
        tracing::info!(requirement = self.requirement, "a handler imports boto3: installing it");
        // What an earlier process left behind; absent is the usual case.
        let _ = std::fs::remove_dir_all(half);
        let mut venv = Command::new(&self.python.executable);
        venv.args(["-I", "-m", "venv"]).arg(half);
        run(venv, limits::INSTALL).await.map_err(|e| format!("python -m venv: {e}"))?;
        tracing::info!("the virtual environment stands; pip is at work");
        let mut pip = Command::new(half.join("bin/python"));
        pip.args(["-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"])
            // Wheels only: installing must not run a package's own code.
            .args(["--only-binary", ":all:", "--", &self.requirement]);
        run(pip, limits::INSTALL).await.map_err(|e| format!("pip install: {e}"))?;
        tracing::info!(requirement = self.requirement, "installed");
        Ok(())
    }

    fn place(&self) -> PathBuf {
        let name = self.requirement.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        self.root.join(format!("py3.{}-{name}", self.python.version.1))
    }

    fn site_packages(&self, environment: &Path) -> PathBuf {
        environment.join(format!("lib/python3.{}/site-packages", self.python.version.1))
    }
}
