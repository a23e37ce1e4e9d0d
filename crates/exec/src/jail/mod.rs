//! What a process of a function is locked into, and the two ways to start one.
//!
//! The server describes a process by a [`Spec`] and hands it to a [`Backend`]: the jail, which is
//! this binary once more as the first process of namespaces of its own, or a plain process beside
//! the server. Nothing here knows the Lambda Runtime API, pools or calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) mod backend;
pub(crate) mod cgroup;
#[cfg(target_os = "linux")]
mod clearing;
#[cfg(target_os = "linux")]
mod idmap;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod landlock;
pub(crate) mod layers;
pub(crate) mod letter;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod listeners;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod seccomp;

/// The name under which the server starts its own binary as init.
const INIT_NAME: &str = "craton-jail";

/// The jail's init, if this process was started to be one; then it does not return. To be called
/// before anything else in `main`.
pub fn become_init_if_asked() {
    #[cfg(target_os = "linux")]
    if std::env::args_os().next().is_some_and(|name| name == INIT_NAME) {
        init::run()
    }
}

/// All that a process is started with. It travels to the jail's init through a pipe, because
/// arguments and variables of a process can be read by others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Paths here and in `args` are those that the process sees.
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub directory: PathBuf,
    pub family: Family,
    /// What of the host's files is there; nothing else is.
    pub binds: Vec<Bind>,
    /// Folders that the operator shares: what their owner may do there, the process may.
    pub mounts: Vec<Bind>,
    /// What of the network is there; nothing else is. The server gets the listeners.
    pub listen: Vec<SocketAddr>,
    /// Addresses of the jail's loopback besides its own.
    pub addresses: Vec<IpAddr>,
    /// Lines of the jail's hosts file, beside `localhost`.
    pub hosts: Vec<(String, Ipv4Addr)>,
    pub limits: Limits,
}

/// Runtimes that need the same system calls and bear the same limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    Python,
    Node,
    Provided,
}

/// A file or folder of the host at a place in the jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute; at most its last name is a link, which is then a link in the jail too.
    pub source: PathBuf,
    pub target: PathBuf,
    pub writable: bool,
}

/// What a process may use, beside the server's own watch on memory and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_mb: u32,
    /// Of `/tmp`.
    pub tmp_mb: u32,
    /// Processes and threads together.
    pub processes: u32,
    /// Open files of one process.
    pub files: u32,
}
