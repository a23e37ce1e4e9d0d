//! Unix sockets of the server that jails may reach, each jail its own.
//!
//! They lie in a folder that nobody but the server's user can enter. A jail's init opens the folder
//! of its jail while it still is that user, and finds in it nothing of other jails.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use tokio::net::UnixListener;

/// The folder of all.
pub(crate) struct Sockets {
    root: PathBuf,
    next: AtomicU64,
}

/// The folder of one jail; goes with it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Sockets {
    /// Clears what an earlier server left.
    pub(crate) fn open(work_dir: &Path) -> io::Result<Sockets> {
        let root = work_dir.join("sockets");
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new().mode(0o700).create(&root)?;
        Ok(Sockets { root, next: AtomicU64::new(0) })
    }

    pub(crate) fn folder(&self) -> io::Result<Folder> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(number.to_string());
        fs::create_dir(&path)?;
        // Found by name, not listed, by the jail's user, who gets here through the init alone.
        fs::set_permissions(&path, Permissions::from_mode(0o711))?;
        Ok(Folder(path))
    }
}

impl Folder {
    /// A listener and the path that goes into a relay.
    pub(crate) fn listen(&self, name: &str) -> io::Result<(UnixListener, PathBuf)> {
        let path = self.0.join(name);
        // A socket's path has some hundred bytes; a data directory may have more.
        let folder = open_path(&self.0)?;
        let short = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        let listener = UnixListener::bind(short)?;
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        Ok((listener, path))
    }
}

fn open_path(folder: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits() as i32).open(folder)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next server clears what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}
