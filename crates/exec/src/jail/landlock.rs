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

use super::{Bind, Spec};

/// The newest that this code knows; older kernels do what they can of it.
const NEWEST: ABI = ABI::V6;

/// Folders of a jail that may be written to, beside what the spec binds.
const WRITABLE: &[&str] = &["/tmp", "/dev/shm", "/dev", "/proc"];

/// Without rooms: what of the host a runtime reads.
const READABLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc",
    "/proc",
    "/dev",
];

/// The rules, open files included, made while there is still memory to be had.
pub(crate) fn rules(spec: &Spec, rooms: bool) -> io::Result<RulesetCreated> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let (read, all) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
    let rules = if rooms {
        READABLE_ROOM.iter().try_fold(rules, |rules, path| grant(rules, Path::new(path), read))?
    } else {
        READABLE.iter().try_fold(rules, |rules, path| grant(rules, Path::new(path), read))?
    };
    let rules =
        WRITABLE.iter().try_fold(rules, |rules, path| grant(rules, Path::new(path), all))?;
    let seen = |bind: &Bind| if rooms { bind.target.clone() } else { bind.source.clone() };
    spec.binds.iter().try_fold(rules, |rules, bind| {
        grant(rules, &seen(bind), if bind.writable { all } else { read })
    })
}

const READABLE_ROOM: &[&str] = &["/"];

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
