//! The way out of a jail: connections to a loopback address inside go to a Unix socket of the
//! server, which decides what becomes of them.
//!
//! Runs in the init, in threads that do nothing but copy. It reads nothing of what passes.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::Relay;

/// A relay whose socket can be found after the host's files are gone.
pub(crate) struct Prepared {
    listen: std::net::SocketAddrV4,
    folder: OwnedFd,
    name: PathBuf,
}

/// Opens the sockets' folders, as long as the host's files are there.
pub(crate) fn prepare(relays: &[Relay]) -> io::Result<Vec<Prepared>> {
    let prepared = relays.iter().map(|relay| {
        let (Some(folder), Some(name)) = (relay.socket.parent(), relay.socket.file_name()) else {
            return Err(io::Error::other(format!("{} is no socket", relay.socket.display())));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, folder, flags, Mode::empty())?;
        Ok(Prepared { listen: relay.listen, folder, name: name.into() })
    });
    prepared.collect()
}

/// Listens, so that whoever connects from now on waits instead of being refused.
pub(crate) fn listen(prepared: Vec<Prepared>) -> io::Result<Vec<(TcpListener, Prepared)>> {
    prepared.into_iter().map(|relay| Ok((TcpListener::bind(relay.listen)?, relay))).collect()
}

/// Begins to pass connections on.
pub(crate) fn serve(listening: Vec<(TcpListener, Prepared)>) {
    for (listener, relay) in listening {
        thread::spawn(move || {
            for inside in listener.incoming().flatten() {
                // Nobody behind it: the connection closes, which is all there is to say here.
                let Ok(outside) = relay.connect() else { continue };
                thread::spawn(move || join(inside, outside));
            }
        });
    }
}

impl Prepared {
    fn connect(&self) -> io::Result<UnixStream> {
        let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        UnixStream::connect(PathBuf::from(folder).join(&self.name))
    }
}

fn join(inside: TcpStream, outside: UnixStream) {
    let _ = inside.set_nodelay(true);
    let (Ok(mut from_inside), Ok(mut to_outside)) = (inside.try_clone(), outside.try_clone())
    else {
        return;
    };
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_inside, &mut to_outside);
        let _ = to_outside.shutdown(Shutdown::Write);
    });
    let (mut from_outside, mut to_inside) = (outside, inside);
    let _ = io::copy(&mut from_outside, &mut to_inside);
    let _ = to_inside.shutdown(Shutdown::Write);
    let _ = up.join();
}
