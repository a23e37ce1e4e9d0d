//! Starting a contained process: the seam behind which a jail, a plain process, and some day a
//! WebAssembly runtime or a micro-VM stand alike.
//!
//! A backend starts what a [`Spec`] says and hands back a child of the server: its end is the end of
//! all that the process started, and it ends when its life line closes. What the process does, and
//! for how long, is not its matter.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as Line;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::Spec;
use super::cgroup::{Cgroups, Group};
use super::letter::{self, At, Layer, Letter, Manner, Missing, Reply};
use crate::limits;

/// What a start leaves in the server's hands.
pub(crate) struct Contained {
    pub(crate) child: Child,
    /// How many processes of the child's line are the backend's own and not the function's.
    pub(crate) overhead: usize,
    /// Kept until the child is reaped.
    pub(crate) cgroup: Option<Group>,
    /// Closing it ends the process and all that it started.
    pub(crate) line: UnixStream,
    /// To be written to the line, and answered by one [`Reply`].
    letter: Option<Vec<u8>>,
}

/// What the init says when it is done.
#[derive(Default)]
pub(crate) struct Built {
    /// Walls that are not there and that the jail does without.
    pub(crate) without: Vec<Missing>,
    /// Inside the jail, in the order in which its [`Spec`] names them.
    pub(crate) listeners: Vec<TcpListener>,
}

/// What the process has as stdin, stdout and stderr.
pub(crate) struct Streams {
    /// Nothing to be read, if there is none. Otherwise a pipe.
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: Stdio,
    pub(crate) errors: Stdio,
}

pub(crate) trait Backend: Send + Sync {
    fn start(&self, spec: &Spec, streams: Streams) -> io::Result<Contained>;
}

impl Contained {
    /// Resolves when the walls stand. An error is the wall that could not be built.
    pub(crate) async fn built(&mut self) -> Result<Built, Missing> {
        let Some(letter) = self.letter.take() else { return Ok(Built::default()) };
        let exchange = async {
            // An init that ended at once says so by its end, not here.
            let _ = self.line.write_all(&letter).await;
            let (mut reply, mut listeners) = (Vec::new(), Vec::new());
            while !reply.ends_with(b"\n") && self.hear(&mut reply, &mut listeners).await? > 0 {}
            Ok::<_, io::Error>((reply, listeners))
        };
        let (reply, listeners) = match tokio::time::timeout(limits::JAIL_BUILT, exchange).await {
            Ok(reply) => reply.at(Layer::Limits, "hearing of the init")?,
            Err(late) => return Err(late).at(Layer::Limits, "building it"),
        };
        match serde_json::from_slice(&reply) {
            Ok(Reply::Started { without }) => Ok(Built { without, listeners }),
            Ok(Reply::Failed(missing)) => Err(missing),
            Err(_) => {
                let why = "its init ended without a word".to_owned();
                Err(Missing::lasting(Layer::Limits, why))
            }
        }
    }

    #[cfg(target_os = "linux")]
    async fn hear(
        &self,
        reply: &mut Vec<u8>,
        listeners: &mut Vec<TcpListener>,
    ) -> io::Result<usize> {
        let hear = || super::listeners::receive(self.line.as_fd(), reply, listeners);
        self.line.async_io(Interest::READABLE, hear).await
    }

    #[cfg(not(target_os = "linux"))]
    async fn hear(&self, _: &mut Vec<u8>, _: &mut Vec<TcpListener>) -> io::Result<usize> {
        Err(io::Error::other("there are no jails on this system"))
    }

    /// The group of the child, which is killed as one.
    pub(crate) fn group(&self) -> Option<Pid> {
        self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
    }
}

/// Has a jail's init end all but the process that it started, and empty what can be written to.
/// Any other answer than its word that this is done is a reason to end the jail.
pub(crate) async fn clear(line: &mut UnixStream) -> io::Result<()> {
    let exchange = async {
        line.write_all(&[letter::CLEAR]).await?;
        line.read_u8().await
    };
    match tokio::time::timeout(limits::JAIL_CLEARED, exchange).await {
        Ok(Ok(letter::CLEARED)) => Ok(()),
        Ok(Ok(_)) => Err(io::Error::other("something of the last call is left")),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Ends the child and all that is in its group. It may have ended in this moment, which is what was
/// wanted.
pub(crate) fn kill(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

/// The binary once more, as the init of a jail.
pub(crate) struct Jail {
    pub(crate) init: std::path::PathBuf,
    pub(crate) manner: Manner,
    pub(crate) cgroups: Option<Arc<Cgroups>>,
}

impl Backend for Jail {
    fn start(&self, spec: &Spec, streams: Streams) -> io::Result<Contained> {
        let input = streams.input.as_ref().map(AsRawFd::as_raw_fd);
        let letter = Letter { spec: spec.clone(), manner: self.manner, input }.to_bytes()?;
        let mut command = Command::new(&self.init);
        command.arg0(super::INIT_NAME).current_dir("/");
        let mut contained = spawn(command, streams, Some(letter), 2)?;
        if let (Some(cgroups), Some(init)) = (&self.cgroups, contained.child.id()) {
            // Before its letter the init does nothing.
            let group = cgroups.group(&spec.limits)?;
            group.add(init)?;
            contained.cgroup = Some(group);
        }
        Ok(contained)
    }
}

/// A process beside the server, with its rights: what there is where there are no jails.
pub(crate) struct Plain;

/// Runs the arguments, beside a watcher that ends the whole group when stdin closes.
///
/// The watcher is a shell that sleeps in a read. A program of somebody else's cannot be asked to
/// watch, and a signal at the parent's death would follow the thread that started it, not the server.
///
/// The first argument is what is to be read from; a shell need not know descriptors above 9, so that
/// it is opened by its name.
const WATCHED: &str = "exec 4<\"$1\" 3<&0 <&4 4<&-; shift; \
                       (read -r _ <&3; kill -KILL 0) </dev/null >/dev/null 2>&1 & \
                       exec 3<&-; exec \"$@\"";

impl Backend for Plain {
    fn start(&self, spec: &Spec, streams: Streams) -> io::Result<Contained> {
        let input = match &streams.input {
            Some(input) => format!("/dev/fd/{}", input.as_raw_fd()),
            None => "/dev/null".to_owned(),
        };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", WATCHED, "sh", &input]).arg(&spec.program).args(&spec.args);
        shell.env_clear().envs(&spec.env).current_dir(&spec.directory);
        spawn(shell, streams, None, 0)
    }
}

fn spawn(
    mut command: Command,
    streams: Streams,
    letter: Option<Vec<u8>>,
    overhead: usize,
) -> io::Result<Contained> {
    let (ours, theirs) = Line::pair()?;
    ours.set_nonblocking(true)?;
    if letter.is_some() {
        command.env_clear();
    }
    command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(streams.output)
        .stderr(streams.errors)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(input) = &streams.input {
        inherit(&mut command, input.as_raw_fd());
    }
    let child = command.spawn()?;
    Ok(Contained { child, overhead, cgroup: None, line: UnixStream::from_std(ours)?, letter })
}

/// The child has this descriptor of ours under the same number.
fn inherit(command: &mut Command, descriptor: RawFd) {
    // SAFETY: between fork and exec it makes one system call, which touches no memory.
    unsafe {
        command.pre_exec(move || match libc::fcntl(descriptor, libc::F_SETFD, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}
