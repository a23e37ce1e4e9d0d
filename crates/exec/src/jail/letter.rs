//! What server and init say to each other over the init's stdin, a socket.
//!
//! One letter goes down, one line comes back; from then on the socket is a life line: the server
//! says nothing more, and its end is the end of the jail.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::Spec;
use crate::limits;

/// The server's whole letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) spec: Spec,
    pub(crate) manner: Manner,
}

/// How the jail is to be built on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manner {
    /// Namespaces and a root of its own. Without them the process sees the host's files as far as
    /// Landlock lets it, and the host's loopback.
    pub(crate) rooms: bool,
    /// The unprivileged user of the host that the process is, where the server may choose.
    pub(crate) host_user: Option<u32>,
    /// Build everything, start nothing.
    pub(crate) rehearse: bool,
}

/// The init's one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Started {
        /// Layers that are not there and that the jail does without.
        without: Vec<Missing>,
    },
    Failed(Missing),
}

/// A wall of the jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Layer {
    /// User namespace: an identity that is nobody outside.
    User,
    /// Pid, ipc, uts and cgroup namespaces.
    Namespaces,
    /// Mount namespace and a root of its own.
    Mounts,
    /// Network namespace with nothing but a loopback.
    Network,
    Capabilities,
    NoNewPrivileges,
    Seccomp,
    Landlock,
    Limits,
    Cgroup,
}

impl Layer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Layer::User => "user namespace",
            Layer::Namespaces => "pid, ipc and uts namespaces",
            Layer::Mounts => "mount namespace and root",
            Layer::Network => "network namespace",
            Layer::Capabilities => "capabilities dropped",
            Layer::NoNewPrivileges => "no_new_privs",
            Layer::Seccomp => "seccomp",
            Layer::Landlock => "Landlock",
            Layer::Limits => "limits",
            Layer::Cgroup => "cgroup",
        }
    }
}

/// A layer that could not be had, with the step that failed and what the kernel said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) layer: Layer,
    pub(crate) why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer.name(), self.why)
    }
}

/// Says which step of which layer failed.
pub(crate) trait At<T> {
    fn at(self, layer: Layer, step: impl fmt::Display) -> Result<T, Missing>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, layer: Layer, step: impl fmt::Display) -> Result<T, Missing> {
        self.map_err(|error| Missing { layer, why: format!("{step}: {}", error.into()) })
    }
}

impl Letter {
    /// Its length, then JSON.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).ok().filter(|n| *n <= limits::LETTER_BYTES);
        let length = length.ok_or_else(|| io::Error::other("its description is too long"))?;
        Ok([&length.to_le_bytes()[..], &json].concat())
    }

    pub(crate) fn read(mut from: impl Read) -> io::Result<Letter> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > limits::LETTER_BYTES {
            return Err(io::Error::other("its description is too long"));
        }
        let mut json = vec![0; length as usize];
        from.read_exact(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}
