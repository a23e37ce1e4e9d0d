//! A server that is a child of this process: the protocol over its standard input and output.
//!
//! It gets an environment built from nothing and a process group of its own, which ends with its
//! connection. Its input ends with this process, by which servers know that they are not needed any
//! more. What it says on standard error goes to the log, in bounded lines.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::config::McpConfig;
use crate::limits;

/// The child behind a connection; dropping it ends the whole group.
pub(crate) struct Process {
    _child: Child,
    group: Option<Pid>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Starts the command of a server, or says why it cannot.
pub(crate) fn start(
    server: &str,
    config: &McpConfig,
) -> Result<(Process, ChildStdout, ChildStdin), String> {
    let mut child = command(config)?.spawn().map_err(|e| {
        let command = config.command.as_deref().unwrap_or_default();
        format!("its command {command} did not start: {e}")
    })?;
    let pipes = (child.stdout.take(), child.stdin.take(), child.stderr.take());
    let (Some(stdout), Some(stdin), Some(stderr)) = pipes else {
        return Err("its command has no pipes".to_owned());
    };
    tokio::spawn(log(server.to_owned(), stderr));
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok((Process { _child: child, group }, stdout, stdin))
}

fn command(config: &McpConfig) -> Result<Command, String> {
    let mut command = Command::new(config.command.as_deref().unwrap_or_default());
    command.args(&config.args).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LANG", "en_US.UTF-8");
    command.envs(&config.env);
    for (name, secret) in &config.secrets {
        command.env(name, secret.read()?);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

async fn log(server: String, stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut lines).take(limits::MCP_LOG_LINE);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                tracing::debug!(server, line = line.trim_end(), "an MCP server says");
            }
        }
    }
}
