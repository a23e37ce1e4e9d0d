//! Who is measured, and how each is started and driven.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::agent_loop::Bench;
use crate::craton::Tool;
use crate::process::{Running, Talking};
use crate::report::Figures;
use crate::{Error, craton, limits, load};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Floor,
    /// With a tool that declares nothing, so that every call waits for its intent's commit.
    Craton,
    /// With the tool declared as one that only reads.
    CratonRead,
    /// With the tool as a Python function of Craton's own, declared as one that only reads.
    CratonPython,
    /// A library of bench/peers/libraries.py, in process as it is used: it has no wire of its own.
    Library(&'static str),
}

impl Peer {
    pub(crate) const ALL: [Peer; 8] = [
        Peer::Floor,
        Peer::Craton,
        Peer::CratonRead,
        Peer::CratonPython,
        Peer::Library("langgraph-sqlite"),
        Peer::Library("langgraph-postgres"),
        Peer::Library("openai-agents-sqlite"),
        Peer::Library("strands"),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Floor => "floor",
            Peer::Craton => "craton",
            Peer::CratonRead => "craton-read",
            Peer::CratonPython => "craton-python",
            Peer::Library(name) => name,
        }
    }

    /// Commits of one turn that somebody waits for, from the design: of the eight, the accepted
    /// request, each intent of a tool that may change something, and the end.
    pub(crate) fn awaited(self) -> Option<usize> {
        match self {
            Peer::Floor | Peer::Craton => Some(5),
            Peer::CratonRead | Peer::CratonPython => Some(2),
            Peer::Library(_) => None,
        }
    }
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Peer, String> {
        let known = Peer::ALL.map(Peer::name).join(", ");
        let found = Peer::ALL.into_iter().find(|peer| peer.name() == name);
        found.ok_or_else(|| format!("{name} is no peer; there are {known}"))
    }
}

/// A peer that runs.
pub(crate) enum Subject {
    Wire { running: Running, address: SocketAddr, agent: String },
    Script(Talking),
}

impl Subject {
    pub(crate) async fn start(bench: &Bench, peer: Peer, dir: &Path) -> Result<Subject, Error> {
        match peer {
            Peer::Floor => floor(bench, dir).await,
            Peer::Craton => wire(bench, dir, Tool::Url(None)).await,
            Peer::CratonRead => wire(bench, dir, Tool::Url(Some("read"))).await,
            Peer::CratonPython => wire(bench, dir, Tool::Python).await,
            Peer::Library(name) => library(bench, dir, name),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match self {
            Subject::Wire { running, .. } => running.id(),
            Subject::Script(talking) => talking.running.id(),
        }
    }

    pub(crate) async fn warm_up(&mut self) -> Result<(), Error> {
        self.drive(16, limits::WARM_UP.as_secs_f64()).await.map(|_| ())
    }

    pub(crate) async fn drive(
        &mut self,
        concurrency: usize,
        seconds: f64,
    ) -> Result<Figures, Error> {
        match self {
            Subject::Wire { address, agent, .. } => {
                let alias = "TSTALIASID".to_owned();
                let (address, agent) = (*address, agent.clone());
                load::drive(&load::Args { address, agent, alias, concurrency, seconds }).await
            }
            Subject::Script(talking) => {
                let line = talking.ask(&format!("{concurrency} {seconds}"))?;
                Ok(serde_json::from_str(&line)?)
            }
        }
    }
}

async fn floor(bench: &Bench, dir: &Path) -> Result<Subject, Error> {
    let address = free_address()?;
    let mut floor = Command::new(std::env::current_exe()?);
    floor.args(["floor", "--listen", &address.to_string(), "--world", &bench.world.to_string()]);
    let mut running = Running::start(floor.arg("--data-dir").arg(dir))?;
    craton::ready(address, &mut running).await?;
    Ok(Subject::Wire { running, address, agent: "BENCHAGENT".to_owned() })
}

async fn wire(bench: &Bench, dir: &Path, tool: Tool) -> Result<Subject, Error> {
    let setup = bench.craton(tool)?;
    let mut running = setup.start(dir)?;
    craton::ready(setup.listen, &mut running).await?;
    let agent = craton::deploy(setup.listen, tool).await?;
    Ok(Subject::Wire { running, address: setup.listen, agent })
}

fn library(bench: &Bench, dir: &Path, name: &str) -> Result<Subject, Error> {
    let python = bench.args.python.as_ref().ok_or_else(|| format!("{name} needs --python"))?;
    let mut command = Command::new(python);
    command.arg(&bench.args.peers_script).arg(name).arg(bench.world.to_string()).arg(dir);
    let mut talking = Talking::start(command.stderr(Stdio::inherit()))?;
    talking.hear()?;
    Ok(Subject::Script(talking))
}

/// An address that is free now; nobody else on this machine takes it in the next moment.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
