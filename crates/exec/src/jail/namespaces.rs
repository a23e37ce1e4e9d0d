//! Who a jailed process is: user, pid, network, ipc, uts and cgroup namespaces, and the way out of
//! every privilege.
//!
//! An ordinary user makes the user namespace first, because only inside it may it do the rest. Root
//! makes the mounts first, as itself, because inside it could no longer read what only root can; then
//! it becomes an unprivileged user of the host, so that even a hole in the namespaces is not root.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{DumpableBehavior, getegid, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    unshare_unsafe,
};

use super::letter::{At, Layer, Missing};

/// AWS: the user and group that handlers run as (`id` in a function of the managed runtimes).
pub(crate) const USER: u32 = 993;
pub(crate) const GROUP: u32 = 990;
pub(crate) const USER_NAME: &str = "sbx_user1051";

/// All but the user, mount and pid namespaces, which have their own places in the order.
fn rest() -> UnshareFlags {
    UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP
}

/// What must happen before the process that becomes pid 1 is forked.
pub(crate) fn leave(as_root: bool) -> Result<(), Missing> {
    if as_root {
        return unshare(UnshareFlags::NEWPID | UnshareFlags::NEWNS, Layer::Namespaces);
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // Apart from the rest, so that a refusal names the right layer.
    unshare(UnshareFlags::NEWUSER, Layer::User)?;
    map(user, group)?;
    unshare(rest() | UnshareFlags::NEWPID | UnshareFlags::NEWNS, Layer::Namespaces)
}

/// Root becomes `user` and enters a user namespace in which nobody else exists, if there is one.
pub(crate) fn step_down(user: u32, user_namespace: bool) -> Result<(), Missing> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    // Without these bits the kernel takes the capabilities with the identity, and unprivileged
    // user namespaces may be switched off.
    let keep = CapabilitiesSecureBits::KEEP_CAPS | CapabilitiesSecureBits::NO_SETUID_FIXUP;
    set_capabilities_secure_bits(keep).at(Layer::User, "keeping capabilities")?;
    set_thread_groups(&[]).at(Layer::User, "setgroups")?;
    set_thread_res_gid(gid, gid, gid).at(Layer::User, format_args!("setresgid {user}"))?;
    set_thread_res_uid(uid, uid, uid).at(Layer::User, format_args!("setresuid {user}"))?;
    // A change of identity makes /proc/self root's, and the maps lie there.
    set_dumpable_behavior(DumpableBehavior::Dumpable).at(Layer::User, "dumpable")?;
    if user_namespace {
        unshare(UnshareFlags::NEWUSER, Layer::User)?;
        map(user, user)?;
    }
    unshare(rest(), Layer::Network)
}

fn unshare(flags: UnshareFlags, layer: Layer) -> Result<(), Missing> {
    // SAFETY: the flags have no FILES, and this process has one thread.
    unsafe { unshare_unsafe(flags) }.at(layer, "unshare")
}

/// One user and one group exist inside; whatever else there is belongs to nobody.
fn map(user: u32, group: u32) -> Result<(), Missing> {
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .at(Layer::User, format_args!("writing {file}"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{USER} {user} 1"))?;
    write("gid_map", format!("{GROUP} {group} 1"))
}

/// The last acts with privileges of the new namespaces. `sysctls` are those of its own users.
pub(crate) fn furnish(sysctls: Option<&OwnedFd>) -> Result<(), Missing> {
    rustix::system::sethostname(b"craton").at(Layer::Namespaces, "sethostname")?;
    raise_loopback().at(Layer::Network, "bringing up lo")?;
    if let Some(sysctls) = sysctls {
        // Seccomp refuses them too; this holds for what seccomp cannot see.
        forbid_nested(sysctls).at(Layer::User, "max_user_namespaces")?;
    }
    Ok(())
}

fn forbid_nested(sysctls: &OwnedFd) -> io::Result<()> {
    let file = openat(sysctls, "user/max_user_namespaces", OFlags::WRONLY, Mode::empty())?;
    rustix::io::write(&file, b"0")?;
    Ok(())
}

fn raise_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: zeroes are a valid ifreq, whose name is then "lo".
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the request lives during the call and is what SIOCSIFFLAGS reads.
    let done =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives up every capability, and every way to get one back by executing something.
pub(crate) fn drop_capabilities() -> Result<(), Missing> {
    let layer = Layer::Capabilities;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last one that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            // Only who has capabilities may give them up for its children, and who has none
            // gets none through no_new_privs.
            Err(rustix::io::Errno::PERM) => break,
            Err(error) => return Err(error).at(layer, "bounding set"),
        }
    }
    clear_ambient_capability_set().at(layer, "ambient set")?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).at(layer, "capset")
}
