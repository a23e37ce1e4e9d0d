//! A server that is a child of this process: the protocol over its standard input and output.
//!
//! It is contained as functions are, by the same house: it sees the system's programs and libraries,
//! what its own program is installed in, and the folders and hosts that its section names. It ends
//! with its connection, and with this process however that ends. What it says on standard error goes
//! to the log. Nothing here speaks the protocol.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use net::egress::Advice;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::config::McpConfig;
use super::program;
use crate::functions::Functions;
use crate::functions::containment::{Containment, House, Unhoused, without_links};
use crate::functions::gate::{Gate, Plan};
use crate::functions::logs::Output;
use crate::functions::usage::Usage;
use crate::jail::backend::{self, Contained, Streams};
use crate::jail::{Bind, Family, Limits, Spec};
use crate::limits;

const ADVICE: Advice = Advice {
    unlisted: "name it under hosts of the server's section [mcp.NAME] in craton.toml",
    own: "only hosts of the server's section in craton.toml, naming exactly this host and port, \
          opens it",
};

/// The child behind a connection; dropping it ends all that it started.
pub(crate) struct Process {
    gate: Option<Gate>,
    log: Output,
    _closing: oneshot::Sender<()>,
}

/// Its two ends here.
pub(crate) type Pipes = (pipe::Receiver, pipe::Sender);

impl Process {
    /// A call begins: what it may send and receive is whole again.
    pub(crate) fn refill(&self) {
        if let Some(gate) = &self.gate {
            gate.refill();
        }
    }

    /// The last that it said on standard error.
    pub(crate) fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.log.take().finish()).trim().to_owned()
    }
}

/// Starts the command of a server, or says why it cannot.
pub(crate) async fn start(
    server: &str,
    config: &McpConfig,
    functions: &Functions,
) -> Result<(Process, Pipes), String> {
    let containment = functions.containment();
    let house = containment.house().await.map_err(|none| match none {
        Unhoused::Busy(why) | Unhoused::Lacks(why) => why,
    })?;
    let mut spec = spec(config, containment, house).await?;
    let plan = || Plan::of_program(functions.config(), &config.hosts, ADVICE);
    let plan = house.has_rooms().then(plan).transpose()?;
    if let Some(plan) = &plan {
        (spec.listen, spec.addresses, spec.hosts) = (plan.listen(), plan.addresses(), plan.hosts());
    }
    let backend = containment.backend(house);
    let begun = begin(server, |streams| backend.start(&spec, streams));
    let unstarted = |why: String| {
        let command = config.command.as_deref().unwrap_or_default();
        format!("its command {command} did not start: {why}")
    };
    let (mut contained, log, pipes) = begun.map_err(|e| unstarted(e.to_string()))?;
    let built = contained.built().await.map_err(|wall| unstarted(wall.to_string()))?;
    let gate =
        plan.map(|plan| Ok::<_, io::Error>(Gate::open(plan, taken(built.listeners)?, log.clone())));
    let gate = gate.transpose().map_err(|e| unstarted(e.to_string()))?;
    let (closing, closed) = oneshot::channel();
    tokio::spawn(keep(server.to_owned(), contained, closed));
    Ok((Process { gate, log, _closing: closing }, pipes))
}

fn begin(
    server: &str,
    start: impl FnOnce(Streams) -> io::Result<Contained>,
) -> io::Result<(Contained, Output, Pipes)> {
    let (its_input, stdin) = io::pipe()?;
    let (stdout, its_output) = io::pipe()?;
    let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?;
    let stdin = pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?;
    let (log, _, errors) = Output::open(&format!("MCP server {server}"))?;
    let streams = Streams { input: Some(its_input.into()), output: its_output.into(), errors };
    Ok((start(streams)?, log, (stdout, stdin)))
}

fn taken(listeners: Vec<std::net::TcpListener>) -> io::Result<Vec<TcpListener>> {
    let take = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listeners.into_iter().map(take).collect()
}

/// Holds what the child needs to live, and reaps it.
async fn keep(server: String, mut contained: Contained, closed: oneshot::Receiver<()>) {
    let group = contained.group();
    let usage = group.map(|group| Usage::new(group, contained.overhead));
    tokio::select! {
        _ = contained.child.wait() => {}
        // The other end is dropped, never used.
        _ = closed => {}
        used = outgrown(usage) => {
            let limit = limits::MCP_MEMORY_MB;
            tracing::warn!(server, "an MCP server is ended: it holds {used} MB, more than {limit}");
        }
    }
    if let Some(group) = group {
        backend::kill(group);
    }
    let _ = contained.child.wait().await;
}

/// Resolves when it holds more memory than it may.
async fn outgrown(usage: Option<Usage>) -> u64 {
    let limit = limits::MCP_MEMORY_MB;
    loop {
        tokio::time::sleep(limits::WATCH).await;
        if let Some(used) = usage.and_then(|usage| usage.above(limit)) {
            return used;
        }
    }
}

async fn spec(
    config: &McpConfig,
    containment: &Containment,
    house: &House,
) -> Result<Spec, String> {
    let command = config.command.as_deref().unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let found = program::find(command, &path).await?;
    let path = if house.has_rooms() { path_inside(&found.program) } else { path };
    let bind =
        |source, target: &Path, writable| Bind { source, target: target.to_owned(), writable };
    let share = |(folder, writable): (&Path, bool)| {
        let source = containment.shown(folder);
        let source = source.map_err(|why| format!("folders: {}: {why}", folder.display()))?;
        Ok::<_, String>(bind(source, folder, writable))
    };
    Ok(Spec {
        program: found.program,
        args: config.args.clone(),
        env: variables(config, path)?,
        directory: "/tmp".into(),
        family: Family::Provided,
        binds: found.roots.iter().map(|root| bind(without_links(root), root, false)).collect(),
        mounts: config.folders()?.into_iter().map(share).collect::<Result<_, _>>()?,
        listen: vec![],
        addresses: vec![],
        hosts: vec![],
        limits: Limits {
            memory_mb: limits::MCP_MEMORY_MB,
            tmp_mb: limits::TMP_MB,
            processes: limits::JAIL_PROCESSES,
            files: limits::JAIL_FILES,
        },
    })
}

fn path_inside(program: &Path) -> String {
    let folder = program.parent().unwrap_or(Path::new("/usr/bin"));
    format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display())
}

fn variables(config: &McpConfig, path: String) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), path)]);
    env.insert("LANG".to_owned(), "en_US.UTF-8".to_owned());
    env.extend(config.env.clone());
    for (name, secret) in &config.secrets {
        env.insert(name.clone(), secret.read()?.to_string());
    }
    Ok(env)
}
