//! The way out of a jail: listeners inside, which the init makes and hands to the server.
//!
//! A socket stays in the network namespace in which it was made, whoever holds it. So the server
//! itself accepts what a jailed process connects to, and nothing in the jail has to copy a byte.
//! Only addresses of the jail's loopback are listened on; what becomes of a connection is not decided
//! here.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socket_with,
};

use super::Spec;
use crate::limits;

/// Gives the loopback its addresses and listens. For the init, as long as the network is its own.
pub(crate) fn open(spec: &Spec) -> io::Result<Vec<TcpListener>> {
    for address in &spec.addresses {
        add_to_loopback(*address).map_err(|e| said(format_args!("adding {address}"), &e))?;
    }
    let bind = |at| TcpListener::bind(at).map_err(|e| said(format_args!("listening on {at}"), &e));
    spec.listen.iter().map(bind).collect()
}

fn said(step: impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::other(format!("{step}: {error}"))
}

/// Sends `bytes`, and the listeners with them.
pub(crate) fn hand_over(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    listeners: &[TcpListener],
) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("more listeners than a message holds"));
    }
    // Far below what the socket's buffer holds, so that it goes as a whole.
    sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

const SPACE: usize = rustix::cmsg_space!(ScmRights(limits::JAIL_LISTENERS));

/// What is there of bytes and listeners; no bytes at the end of the line.
pub(crate) fn receive(
    from: BorrowedFd<'_>,
    bytes: &mut Vec<u8>,
    listeners: &mut Vec<TcpListener>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffer = [0; 4096];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors.map(TcpListener::from));
        }
    }
    bytes.extend_from_slice(&buffer[..received.bytes]);
    Ok(received.bytes)
}

/// The index of `lo` in a new network namespace, where it comes first.
const LOOPBACK: u32 = 1;

/// Makes an address one of the jail's own, so that what is sent to it arrives in the jail.
fn add_to_loopback(address: IpAddr) -> io::Result<()> {
    // The protocol is 0, NETLINK_ROUTE.
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&kernel, &new_address(address), SendFlags::empty())?;
    let mut answer = [0; 256];
    let (length, _) = recv(&kernel, &mut answer, RecvFlags::empty())?;
    // A header of 16 bytes, then the error, negative, or 0.
    let error = answer[..length].get(16..20).and_then(|bytes| bytes.try_into().ok());
    match error.map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// A message of rtnetlink(7): a header, an `ifaddrmsg`, and the address twice, as the local and as
/// the peer's.
fn new_address(address: IpAddr) -> Vec<u8> {
    const RTM_NEWADDR: u16 = 20;
    const REQUEST_ACK_CREATE: u16 = 0x1 | 0x4 | 0x400;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    /// Usable at once: nobody else is there who could have it.
    const IFA_F_NODAD: u8 = 2;
    let (family, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let bits = (octets.len() * 8) as u8;
    let mut body = vec![family as u8, bits, IFA_F_NODAD, 0];
    body.extend(LOOPBACK.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        body.extend(((4 + octets.len()) as u16).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(&octets);
    }
    let mut message = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(RTM_NEWADDR.to_ne_bytes());
    message.extend(REQUEST_ACK_CREATE.to_ne_bytes());
    // A sequence number and a port that nobody looks at.
    message.extend([0; 8]);
    message.extend(body);
    message
}
