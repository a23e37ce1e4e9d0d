//! Mounts on which one user of the host is seen as another.
//!
//! A server that is root shares a folder with a jail whose user is nobody's: on the shared mount the
//! folder's owner and the jail's user are the same, so that files are written as the owner's. The
//! kernel takes the mapping from a user namespace, made here by a child that does nothing else.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::exit;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Users and groups of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped {
    /// Whom the files belong to.
    pub(crate) owner: (u32, u32),
    /// Who is their owner on the mount.
    pub(crate) seen_as: (u32, u32),
}

/// Binds an open folder, where it is said with its owner seen as somebody else: from kernel 5.12 on,
/// for most file systems.
pub(crate) fn bind(
    source: impl AsFd,
    target: &Path,
    flags: OpenTreeFlags,
    mapped: Option<Mapped>,
) -> io::Result<()> {
    let new = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(source, "", flags | new | OpenTreeFlags::AT_EMPTY_PATH)?;
    if let Some(mapped) = mapped {
        let users = namespace(mapped)?;
        set_attributes(&tree, 0, ATTR_IDMAP, users.as_raw_fd().unsigned_abs().into())?;
    }
    Ok(move_mount(&tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A user namespace that maps the owner to who is seen.
fn namespace(mapped: Mapped) -> io::Result<File> {
    let (mut ready, telling) = io::pipe()?;
    // SAFETY: this process has one thread, so the child may do whatever it could.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => be_mapped(&telling.into()),
        pid => Pid::from_raw(pid).expect("a child has a number"),
    };
    drop(telling);
    let made = ready.read(&mut [0; 1]).and_then(|told| match told {
        0 => Err(io::Error::other("no user namespace for the mount")),
        _ => write_maps(child, mapped),
    });
    let _ = kill_process(child, Signal::KILL);
    let _ = waitpid(Some(child), WaitOptions::empty());
    made
}

fn write_maps(child: Pid, mapped: Mapped) -> io::Result<File> {
    let about = format!("/proc/{}", child.as_raw_nonzero());
    let line = |inside: u32, outside: u32| format!("{inside} {outside} 1");
    fs::write(format!("{about}/uid_map"), line(mapped.owner.0, mapped.seen_as.0))?;
    fs::write(format!("{about}/gid_map"), line(mapped.owner.1, mapped.seen_as.1))?;
    File::open(format!("{about}/ns/user"))
}

/// The child: enters the namespace, says so, and waits to be killed.
fn be_mapped(telling: &OwnedFd) -> ! {
    // SAFETY: the flags have no FILES, and this process has one thread.
    if unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }.is_ok() {
        let _ = rustix::io::write(telling, b".");
        loop {
            // SAFETY: it waits for a signal and does nothing else.
            unsafe { libc::pause() };
        }
    }
    exit(1)
}

const ATTR_IDMAP: u64 = 0x0010_0000;

/// `struct mount_attr` of the kernel.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes of the mount that `tree` is open on.
pub(crate) fn set_attributes(
    tree: impl AsFd,
    flags: i32,
    set: u64,
    user_namespace: u64,
) -> io::Result<()> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace };
    // SAFETY: path and structure live during the call, and the size is the structure's.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
