//! What server and init say to each other over the init's stdin, a socket.
//!
//! One letter goes down, one line comes back; from then on the socket is a life line, whose end is the
//! end of the jail. Between calls the server may say [`CLEAR`], which is answered by [`CLEARED`].

use std::fmt;
use std::io::{self, Read};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::limits;

/// End all but the process that was started, and empty what can be written to.
pub(crate) const CLEAR: u8 = b'c';
/// Nothing of what was there is left. Any other answer says that something is.
pub(crate) const CLEARED: u8 = b'.';

/// The server's whole letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) spec: Spec,
    pub(crate) manner: Manner,
    /// The descriptor that the init has for the process's stdin, if that is to have one.
    pub(crate) input: Option<i32>,
}

/// How the jail is to be built on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manner {
    /// Namespaces and a root of its own. Without them the process sees the host's files as far as
    /// Landlock lets it, and the host's loopback.
    pub(crate) rooms: bool,
    /// One of them for users. Root can do without.
    pub(crate) user_namespace: bool,
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
    pub(crate) const ALL: &[Layer] = &[
        Layer::User,
        Layer::Namespaces,
        Layer::Mounts,
        Layer::Network,
        Layer::Capabilities,
        Layer::NoNewPrivileges,
        Layer::Seccomp,
        Layer::Landlock,
        Layer::Limits,
        Layer::Cgroup,
    ];

    /// Without it, it is not the jail that is promised.
    pub(crate) fn is_required(self) -> bool {
        !matches!(self, Layer::Landlock | Layer::Cgroup)
    }

    /// What a person can do to have it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Layer::User => {
                "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), \
                 kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), \
                 user.max_user_namespaces above 0; Docker: --security-opt seccomp=unconfined \
                 --security-opt apparmor=unconfined"
            }
            Layer::Namespaces | Layer::Network => {
                "Docker: --security-opt seccomp=unconfined; elsewhere a kernel with PID_NS, \
                 IPC_NS, UTS_NS and NET_NS"
            }
            Layer::Mounts => {
                "kernel 5.12 or later; Docker: --security-opt systempaths=unconfined \
                 --security-opt apparmor=unconfined"
            }
            Layer::Capabilities | Layer::NoNewPrivileges | Layer::Limits => {
                "the kernel refuses what every kernel allows: look for a security module's word in \
                 its log"
            }
            Layer::Seccomp => "a kernel with CONFIG_SECCOMP_FILTER",
            Layer::Landlock => {
                "kernel 5.13 or later, with landlock in its lsm= parameter (CONFIG_LSM)"
            }
            Layer::Cgroup => {
                "run the server in a cgroup that it may divide: systemd's Delegate=yes; Docker: \
                 --cgroupns=private with /sys/fs/cgroup writable"
            }
        }
    }

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
    /// For want of something that there may be more of in a moment.
    pub(crate) passing: bool,
}

impl Missing {
    pub(crate) fn lasting(layer: Layer, why: impl Into<String>) -> Missing {
        Missing { layer, why: why.into(), passing: false }
    }
}

/// A machine that is busy, not one that refuses.
fn is_passing(error: &io::Error) -> bool {
    let busy = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR];
    error.kind() == io::ErrorKind::TimedOut
        || Errno::from_io_error(error).is_some_and(|number| busy.contains(&number))
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
        self.map_err(|error| {
            let error = error.into();
            let passing = is_passing(&error);
            Missing { layer, why: format!("{step}: {error}"), passing }
        })
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
