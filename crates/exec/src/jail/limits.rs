//! Limits that the kernel holds for each process of the jail, whether there are cgroups or not.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Family, Spec};
use crate::limits;

/// Sets them for this process and what it becomes.
pub(crate) fn apply(spec: &Spec, rooms: bool) -> io::Result<()> {
    let mut wanted = vec![
        (Resource::Core, 0),
        (Resource::Nofile, u64::from(spec.limits.files)),
        (Resource::Memlock, limits::LOCKED_BYTES),
        (Resource::Msgqueue, limits::LOCKED_BYTES),
    ];
    if rooms {
        // Counted for each user of the user namespace. Outside it would count the server's own.
        wanted.push((Resource::Nproc, u64::from(spec.limits.processes)));
    }
    if spec.mounts.iter().all(|mount| !mount.writable) {
        // A folder of the operator's may hold larger files than /tmp.
        wanted.push((Resource::Fsize, u64::from(spec.limits.tmp_mb) << 20));
    }
    if let Some(bytes) = address_space(spec) {
        wanted.push((Resource::As, bytes));
    }
    wanted.into_iter().try_for_each(|(resource, most)| lower(resource, most))
}

/// Python asks for what it needs, with room for the arenas that numeric libraries reserve. V8 and
/// Go reserve far more than they use, and abort when they do not get it.
fn address_space(spec: &Spec) -> Option<u64> {
    match spec.family {
        Family::Python => {
            let memory = u64::from(spec.limits.memory_mb) << 20;
            Some(2 * memory + limits::RESERVED_BYTES)
        }
        Family::Node | Family::Provided => None,
    }
}

/// Never above what this process itself may.
fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}
