//! Tries what functions need of this machine, without running one: for `craton doctor`.

use tokio::process::Command;

use crate::config::Config;
use crate::functions::containment::{Containment, House, Unhoused};
use crate::functions::interpreter::{Interpreter, Kind, run};
use crate::functions::{node, python};
use crate::jail::letter::Layer;
use crate::limits;

/// A thing that functions need, and where it is or why it cannot be used.
#[derive(Debug)]
pub struct Probe {
    pub what: String,
    pub found: Result<String, String>,
    /// The configuration names it, so its lack is a mistake and not a choice.
    pub named: bool,
}

/// The jail, Python, Node, and what pip needs to install boto3.
pub async fn probe(config: &Config) -> Vec<Probe> {
    let mut probes = isolation(config).await;
    probes.extend(interpreters(config).await);
    probes
}

/// One line for what there is, and one for each layer that is not.
async fn isolation(config: &Config) -> Vec<Probe> {
    let containment = Containment::new(config);
    let refusal = match containment.house().await {
        Err(Unhoused::Lacks(why)) => Some(why),
        // Told below.
        Err(Unhoused::Busy(_)) | Ok(_) => None,
    };
    let house = containment.look_once().await;
    let line = |what: &str, found| Probe { what: what.to_owned(), found, named: false };
    let mut probes = vec![match &house {
        Err(busy) => line("isolation", Err(busy.clone())),
        Ok(House::Jail { layers, .. }) if layers.manner.is_none() => line(
            "isolation",
            Err("functions have the rights of the server; none of the layers below could be had, \
                 and functions.min_isolation = \"jail\" refuses calls then"
                .to_owned()),
        ),
        Ok(House::Process) => line(
            "isolation",
            Err("functions have the rights of the server; set functions.isolation = \"jail\""
                .to_owned()),
        ),
        Ok(House::Jail { layers, .. }) => {
            let there = Layer::ALL.iter().filter(|layer| layers.lacks(**layer).is_none());
            let there = there.map(|layer| layer.name()).collect::<Vec<_>>().join(", ");
            let level = if layers.shortfall().is_some() { "part of a jail" } else { "jail" };
            line("isolation", Ok(format!("{level}: {there}")))
        }
    }];
    if let Ok(House::Jail { layers, .. }) = house {
        probes.extend(layers.missing.iter().map(|missing| {
            let why = format!("{}; {}", missing.why, missing.layer.advice());
            line(&format!("isolation without {}", missing.layer.name()), Err(why))
        }));
    }
    // Split like the others: what is wrong, then what to do.
    let demanded = refusal.map(|why| {
        let what = "functions.min_isolation".to_owned();
        Probe { what, found: Err(format!("calls of functions are refused: {why}")), named: true }
    });
    probes.extend(demanded);
    probes
}

async fn interpreters(config: &Config) -> Vec<Probe> {
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
        let what = "boto3 of Python functions".to_owned();
        probes.push(Probe { what, found, named: false });
    }
    probes
}

async fn interpreter(what: &str, kind: &Kind, interpreter: &Interpreter, named: bool) -> Probe {
    let found = interpreter.get().await.map(|found| {
        let (major, minor) = found.version;
        format!("{} {major}.{minor} at {}", kind.program, found.executable.display())
    });
    Probe { what: what.to_owned(), found, named }
}
