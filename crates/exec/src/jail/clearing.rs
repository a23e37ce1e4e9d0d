//! Between two calls that must not see each other: ends every process but the runtime, and empties
//! every folder that can be written to and is the jail's own.
//!
//! Runs in pid 1. What it cannot clear away it reports, and then the whole jail is ended. Folders that
//! an operator lent the function are the operator's, and stay as they are.

use std::fs::{self, DirEntry, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// What the mounts let a process write to.
const WRITABLE: &[&str] = &["/tmp", "/dev/shm"];

/// As the mounts have them.
const MODE: u32 = 0o1777;

/// Times that processes are looked for: one may begin another while it is being ended.
const ROUNDS: usize = 200;

pub(super) fn clear(keep: Pid) -> io::Result<()> {
    end_all_but(keep)?;
    WRITABLE.iter().try_for_each(|folder| empty(Path::new(folder)))
}

fn end_all_but(keep: Pid) -> io::Result<()> {
    for _ in 0..ROUNDS {
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
        thread::yield_now();
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
    let names = names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
    names.into_iter().try_for_each(|name| Ok(rustix::fs::removexattr(folder, name)?))
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
