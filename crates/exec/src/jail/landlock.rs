//! A second wall around files, should the mounts have a hole; the only one where there are no
//! mounts. Rules hold for the process and all that it starts.
//!
//! Needs kernel 5.13 with Landlock in its list of modules. Newer kernels add signals and abstract
//! sockets of processes outside, and ports.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::mounts::SETTINGS;
use super::{Bind, Spec};

/// The newest that this code knows; older kernels do what they can of it.
const NEWEST: ABI = ABI::V6;

/// In rooms the mounts decide what there is.
const ROOM_READABLE: &[&str] = &["/"];
const ROOM_WRITABLE: &[&str] = &["/tmp", "/dev", "/proc"];

/// Without rooms: what of the host a runtime reads, and nothing that may hold a secret.
const HOST_READABLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/proc",
];
const HOST_WRITABLE: &[&str] =
    &["/tmp", "/dev/shm", "/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// The rules, open files included, made while there is still memory to be had.
pub(crate) fn rules(spec: &Spec, rooms: bool) -> io::Result<RulesetCreated> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let (read, all) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
    let (readable, writable) = match rooms {
        true => (ROOM_READABLE.to_vec(), ROOM_WRITABLE),
        false => ([HOST_READABLE, SETTINGS].concat(), HOST_WRITABLE),
    };
    let grant_all = |rules, paths: &[&str], access| {
        paths.iter().try_fold(rules, |rules, path| grant(rules, Path::new(path), access))
    };
    let rules = grant_all(rules, &readable, read)?;
    let rules = grant_all(rules, writable, all)?;
    let seen = |bind: &Bind| if rooms { bind.target.clone() } else { bind.source.clone() };
    spec.binds.iter().chain(&spec.mounts).try_fold(rules, |rules, bind| {
        grant(rules, &seen(bind), if bind.writable { all } else { read })
    })
}

fn grant(
    rules: RulesetCreated,
    path: &Path,
    mut access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    let Ok(about) = path.metadata() else { return Ok(rules) };
    if !about.is_dir() {
        access &= AccessFs::from_file(NEWEST);
    }
    let file = PathFd::new(path).map_err(io::Error::other)?;
    rules.add_rule(PathBeneath::new(file, access)).map_err(io::Error::other)
}

/// True when the kernel holds them.
pub(crate) fn apply(rules: RulesetCreated) -> io::Result<bool> {
    let status = rules.restrict_self().map_err(io::Error::other)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
