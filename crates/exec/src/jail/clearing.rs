//! Between two calls that must not see each other: ends every process but the runtime, empties every
//! folder that can be written to and is the jail's own, and looks whether the runtime is as it was.
//!
//! Runs in pid 1. What it cannot clear away it reports, and then the whole jail is ended. Folders that
//! an operator lent the function are the operator's, and stay as they are.

use std::fs::{self, DirEntry, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};

/// What the mounts let a process write to.
const WRITABLE: &[&str] = &["/tmp", "/dev/shm"];

/// As the mounts have them.
const MODE: u32 = 0o1777;

/// How long processes are looked for, since one may begin another while it is being ended and a large
/// one takes a while, and how often.
const PATIENCE: Duration = Duration::from_millis(800);
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// The runtime between two calls.
pub(super) struct Keeper {
    pid: Pid,
    /// As it was when it had served nobody.
    state: Option<String>,
}

impl Keeper {
    pub(super) fn new(pid: Pid) -> Keeper {
        Keeper { pid, state: None }
    }

    pub(super) fn clear(&mut self) -> io::Result<()> {
        end_all_but(self.pid)?;
        WRITABLE.iter().try_for_each(|folder| empty(Path::new(folder)))?;
        for output in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
            // Shared with the runtime, and what a call made of it is its own affair.
            let flags = rustix::fs::fcntl_getfl(output)?;
            rustix::fs::fcntl_setfl(output, flags - OFlags::NONBLOCK)?;
        }
        let now = state(self.pid)?;
        let first = self.state.get_or_insert_with(|| now.clone());
        if *first == now { Ok(()) } else { Err(io::Error::other("the runtime was changed")) }
    }
}

/// What processes of one user may change in each other: limits, priorities, processors, and whether
/// it is stopped.
fn state(pid: Pid) -> io::Result<String> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_nonzero()));
    let (limits, status, stat) = (read("limits")?, read("status")?, read("stat")?);
    let processors = status.lines().find(|line| line.starts_with("Cpus_allowed:"));
    let (_, stat) = stat.rsplit_once(") ").ok_or(io::ErrorKind::InvalidData)?;
    let fields = stat.split(' ').collect::<Vec<_>>();
    if matches!(fields.first(), Some(&("T" | "t"))) {
        return Err(io::Error::other("the runtime was stopped"));
    }
    // Counted from the state, which is the third field: priority, nice, rt_priority, policy.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    let priorities = [18, 19, 40, 41].map(field).join(" ");
    // SAFETY: it takes numbers and returns one.
    let io = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid.as_raw_nonzero().get()) };
    Ok(format!("{limits}{}\n{priorities}\n{io}", processors.unwrap_or_default()))
}

fn end_all_but(keep: Pid) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut found = false;
        for pid in processes()?.filter(|pid| *pid != Pid::INIT && *pid != keep) {
            if !is_over(pid) {
                found = true;
                // It may end by itself meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if !found {
            return Ok(());
        }
        thread::sleep(LOOK_AGAIN);
    }
    Err(io::Error::other("processes come as fast as they are ended"))
}

fn processes() -> io::Result<impl Iterator<Item = Pid>> {
    let number = |entry: DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(fs::read_dir("/proc")?.flatten().filter_map(number).filter_map(Pid::from_raw))
}

/// Gone, or waiting to be asked how it ended.
fn is_over(pid: Pid) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else {
        return true;
    };
    // The name stands in brackets and may hold anything; the state follows it.
    status.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn empty(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(MODE))?;
    forget_attributes(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn forget_attributes(folder: &Path) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::listxattr(folder, &mut names) {
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    // Lists of who may do what among them; of security's own, processes cannot write any.
    let given = |name: &&[u8]| !name.is_empty() && !name.starts_with(b"security.");
    let mut names = names[..length].split(|byte| *byte == 0).filter(given);
    names.try_for_each(|name| Ok(rustix::fs::removexattr(folder, name)?))
}

/// Folders may have been closed to their owner, who may open them again.
fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
