//! Tries what functions need of this machine, without running one: for `craton doctor`.

use tokio::process::Command;

use crate::config::Config;
use crate::functions::interpreter::{Interpreter, Kind, run};
use crate::functions::{node, python};
use crate::limits;

/// A thing that functions need, and where it is or why it cannot be used.
#[derive(Debug)]
pub struct Probe {
    pub what: &'static str,
    pub found: Result<String, String>,
    /// The configuration names it, so its lack is a mistake and not a choice.
    pub named: bool,
}

/// Python, Node, and what pip needs to install boto3.
pub async fn probe(config: &Config) -> Vec<Probe> {
    let python = Interpreter::new(&python::KIND, config.python.clone());
    let node = Interpreter::new(&node::KIND, config.node.clone());
    let mut probes = vec![
        interpreter("Python functions", &python::KIND, &python, config.python.is_some()).await,
        interpreter("Node functions", &node::KIND, &node, config.node.is_some()).await,
    ];
    if let Ok(found) = python.get().await {
        let mut command = Command::new(&found.executable);
        command.args(["-I", "-c", "import ensurepip, venv"]);
        let needed = run(command, limits::PROBE).await;
        let found = needed.map(|_| format!("{} comes by pip when needed", config.boto3));
        let found = found.map_err(|why| {
            format!(
                "{why}; {} cannot be installed for handlers: install Python's venv (Debian: \
                 apt-get install python3-venv), or package boto3 with the function (CR0018)",
                config.boto3
            )
        });
        probes.push(Probe { what: "boto3 of Python functions", found, named: false });
    }
    probes
}

async fn interpreter(
    what: &'static str,
    kind: &Kind,
    interpreter: &Interpreter,
    named: bool,
) -> Probe {
    let found = interpreter.get().await.map(|found| {
        let (major, minor) = found.version;
        format!("{} {major}.{minor} at {}", kind.program, found.executable.display())
    });
    Probe { what, found, named }
}
