//! What a jailed process sees of files: a small tmpfs as root, the system's programs and libraries,
//! what its spec binds, and generated files where programs expect some.
//!
//! The new root lies over the host's /tmp for a moment; the host's tree is reached below `/host`
//! until everything is bound, and then is gone. Everything is read-only but /tmp, /dev/shm and what
//! the spec says; nothing is set-uid, and nothing but four devices is a device.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::pivot_root;

use super::idmap::{self, Mapped};
use super::letter::{At, Layer, Missing};
use super::namespaces::USER_NAME;
use super::{Bind, Spec};
use crate::limits;

const HOST: &str = "/host";

/// Folders of programs and libraries; on most systems all but the first are links into it.
const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Settings that programs and libraries need and that hold nobody's secrets.
pub(crate) const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Files of /proc that tell of the host or act on it. Most refuse an ordinary user anyway.
const HIDDEN_FILES: &[&str] = &[
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
];
const HIDDEN_FOLDERS: &[&str] = &["acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "tty"];

/// What is left of the building when the walls stand.
pub(crate) struct Built {
    /// /proc/sys as it was before it became read-only.
    pub(crate) sysctls: Option<OwnedFd>,
}

/// Who a jail is for: user and group.
pub(crate) struct Tenant {
    /// As this process sees them, for what it makes.
    pub(crate) here: (u32, u32),
    /// As the process in the jail will see itself.
    pub(crate) inside: (u32, u32),
    /// This process may be anybody.
    pub(crate) of_root: bool,
}

/// Builds the root and moves into it.
pub(crate) fn build(spec: &Spec, tenant: &Tenant) -> Result<Built, Missing> {
    let owner = tenant.here;
    let layer = Layer::Mounts;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).at(layer, "making mounts private")?;
    enter_new_root().at(layer, "pivot_root")?;
    let built = (|| {
        for path in SYSTEM {
            system(path).at(layer, path)?;
        }
        settings(spec, tenant.inside)?;
        devices(owner).at(layer, "/dev")?;
        tmpfs("/tmp", &writable(u64::from(spec.limits.tmp_mb) << 20, owner)).at(layer, "/tmp")?;
        // Last, because an interpreter may live in /tmp.
        for bind in &spec.binds {
            place(bind).at(layer, bind.target.display())?;
        }
        let built = proc().at(layer, "/proc")?;
        for shared in &spec.mounts {
            share(shared, tenant).at(layer, shared.target.display())?;
        }
        Ok(built)
    })()?;
    rustix::process::chdir("/").at(layer, "chdir")?;
    unmount(HOST, UnmountFlags::DETACH).at(layer, "leaving the host's files")?;
    fs::remove_dir(HOST).at(layer, HOST)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(c"/", flags, c"").at(layer, "making the root read-only")?;
    Ok(built)
}

fn enter_new_root() -> io::Result<()> {
    tmpfs("/tmp", &format!("size={},nr_inodes=4096,mode=755", limits::ROOT_BYTES))?;
    rustix::process::chdir("/tmp")?;
    fs::create_dir("host")?;
    pivot_root(".", "host")?;
    rustix::process::chdir("/")?;
    Ok(())
}

fn on_host(path: &Path) -> PathBuf {
    Path::new(HOST).join(path.strip_prefix("/").unwrap_or(path))
}

fn tmpfs(target: &str, options: &str) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = std::ffi::CString::new(options)?;
    Ok(mount("tmpfs", target, "tmpfs", flags, &*options)?)
}

fn writable(bytes: u64, (user, group): (u32, u32)) -> String {
    let inodes = limits::TMP_INODES;
    format!("size={bytes},nr_inodes={inodes},mode=1777,uid={user},gid={group}")
}

/// A link stays a link; a folder is bound.
fn system(path: &str) -> io::Result<()> {
    let host = on_host(Path::new(path));
    match fs::symlink_metadata(&host) {
        Ok(about) if about.is_symlink() => symlink(fs::read_link(&host)?, path),
        Ok(_) => bind(&host, Path::new(path), false),
        Err(_) => Ok(()),
    }
}

fn settings(spec: &Spec, inside: (u32, u32)) -> Result<(), Missing> {
    for path in SETTINGS {
        let host = on_host(Path::new(path));
        // A link that leads out of what is bound says nothing here, and is left out.
        if fs::symlink_metadata(&host).is_ok_and(|about| !about.is_symlink()) {
            bind(&host, Path::new(path), false).at(Layer::Mounts, path)?;
        } else if let Ok(target) = fs::read_link(&host) {
            make_parent(Path::new(path)).at(Layer::Mounts, path)?;
            symlink(target, path).at(Layer::Mounts, path)?;
        }
    }
    fs::create_dir_all("/etc").at(Layer::Mounts, "/etc")?;
    for (name, text) in generated(spec, inside) {
        fs::write(Path::new("/etc").join(name), text).at(Layer::Mounts, name)?;
    }
    Ok(())
}

/// Names are known from the hosts file, and from the server.
fn generated(spec: &Spec, (user, group): (u32, u32)) -> [(&'static str, String); 6] {
    let mut hosts = "127.0.0.1 localhost craton\n::1 localhost\n".to_owned();
    for (name, address) in &spec.hosts {
        let _ = writeln!(hosts, "{address} {name}");
    }
    let name = USER_NAME;
    [
        ("passwd", format!("root:x:0:0::/:/bin/sh\n{name}:x:{user}:{group}::/tmp:/bin/sh\n")),
        ("group", format!("root:x:0:\n{name}:x:{group}:\n")),
        ("hosts", hosts),
        ("hostname", "craton\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
        // By TCP, because there are no datagrams: to the server, which answers for all of them.
        ("resolv.conf", "nameserver 127.0.0.1\noptions use-vc timeout:5 attempts:1\n".to_owned()),
    ]
}

/// A link stays one: interpreters find their libraries by where their program leads.
fn place(wanted: &Bind) -> io::Result<()> {
    let source = on_host(&wanted.source);
    match fs::read_link(&source) {
        Ok(leads) => make_parent(&wanted.target).and_then(|()| symlink(leads, &wanted.target)),
        Err(_) => bind(&source, &wanted.target, wanted.writable),
    }
}

/// A folder whose owner the jail's user is, if that is somebody else and the kernel can say so.
fn share(shared: &Bind, tenant: &Tenant) -> io::Result<()> {
    // The server has followed the links. Who has put one there since is not to be followed.
    let links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = openat2(CWD, on_host(&shared.source), folder, Mode::empty(), links)?;
    fs::create_dir_all(&shared.target)?;
    let owner = fstat(&source)?;
    let mapped = Mapped { owner: (owner.st_uid, owner.st_gid), seen_as: tenant.here };
    // What is mounted below it belongs to it.
    let as_it_is = || idmap::bind(&source, &shared.target, OpenTreeFlags::AT_RECURSIVE, None);
    // An ordinary user's jail has its user's files, and nobody else to be.
    if !tenant.of_root || mapped.owner == mapped.seen_as {
        as_it_is()?;
    } else {
        match idmap::bind(&source, &shared.target, OpenTreeFlags::empty(), Some(mapped)) {
            Ok(()) => {}
            // A file system without such mounts: what everybody may read is still to be read.
            Err(_) if !shared.writable => as_it_is()?,
            Err(error) => return Err(error),
        }
    }
    set_attributes(&shared.target, attributes(shared.writable))
}

fn bind(source: &Path, target: &Path, writable: bool) -> io::Result<()> {
    if fs::metadata(source)?.is_dir() {
        fs::create_dir_all(target)?;
    } else {
        make_parent(target)?;
        drop(fs::OpenOptions::new().create(true).append(true).open(target)?);
    }
    mount_bind_recursive(source, target)?;
    set_attributes(target, attributes(writable))
}

fn attributes(writable: bool) -> u64 {
    let read_only = if writable { 0 } else { ATTR_RDONLY };
    read_only | ATTR_NOSUID | ATTR_NODEV
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn devices(owner: (u32, u32)) -> io::Result<()> {
    for name in DEVICES {
        let (host, here) = (on_host(&Path::new("/dev").join(name)), Path::new("/dev").join(name));
        make_parent(&here)?;
        fs::write(&here, "")?;
        mount_bind_recursive(&host, &here)?;
        set_attributes(&here, ATTR_NOSUID | ATTR_NOEXEC)?;
    }
    for (link, target) in
        [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        symlink(target, Path::new("/dev").join(link))?;
    }
    tmpfs("/dev/shm", &writable(limits::SHM_BYTES, owner))
}

fn proc() -> io::Result<Built> {
    fs::create_dir_all("/proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, c"")?;
    let sysctls =
        openat(CWD, "/proc/sys", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    for name in HIDDEN_FILES {
        let path = Path::new("/proc").join(name);
        if path.exists() {
            mount_bind_recursive("/dev/null", &path)?;
        }
    }
    for name in HIDDEN_FOLDERS {
        let path = Path::new("/proc").join(name);
        if path.is_dir() {
            let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", &path, "tmpfs", flags, c"size=4k,nr_inodes=1,mode=555")?;
        }
    }
    mount_bind_recursive("/proc/sys", "/proc/sys")?;
    set_attributes(Path::new("/proc/sys"), ATTR_RDONLY)?;
    Ok(Built { sysctls: sysctls.ok() })
}

const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;

/// Sets flags on a mount and all below it, which a remount cannot. From kernel 5.12 on.
fn set_attributes(target: &Path, set: u64) -> io::Result<()> {
    let tree = openat(CWD, target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    idmap::set_attributes(&tree, libc::AT_RECURSIVE, set, 0)
}
