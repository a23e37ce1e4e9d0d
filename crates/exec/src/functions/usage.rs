//! How much memory a process and all that it started hold, as the kernel accounts for it.
//!
//! Pages that processes share are counted once where it matters: a sum of resident sizes that is too
//! large is looked at again by proportional sizes before anybody is ended for it.

use std::fs;

use rustix::process::Pid;

/// The processes below one child of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    child: Pid,
    /// How many of the line from the child down are not the function's.
    overhead: usize,
}

impl Usage {
    pub(crate) fn new(child: Pid, overhead: usize) -> Usage {
        Usage { child, overhead }
    }

    /// What they hold, in MB, if it is more than `limit_mb`; nothing where the kernel does not tell.
    pub(crate) fn above(&self, limit_mb: u32) -> Option<u64> {
        let all = self.processes();
        let more = |used: &u64| *used > u64::from(limit_mb);
        let resident = sum(&all, "status", "VmRSS:").filter(more)?;
        if all.len() == 1 {
            return Some(resident);
        }
        Some(sum(&all, "smaps_rollup", "Pss:").unwrap_or(resident)).filter(more)
    }

    /// The most that those which still live have held.
    pub(crate) fn peak_mb(&self) -> Option<u64> {
        sum(&self.processes(), "status", "VmHWM:")
    }

    fn processes(&self) -> Vec<i32> {
        let mut generation = vec![self.child.as_raw_nonzero().get()];
        for _ in 0..self.overhead {
            generation = generation.iter().flat_map(|pid| children(*pid)).collect();
        }
        let mut all = generation.clone();
        while !generation.is_empty() {
            generation = generation.iter().flat_map(|pid| children(*pid)).collect();
            all.extend(&generation);
        }
        all
    }
}

/// Of all its threads.
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return vec![] };
    let lists =
        threads.flatten().filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<i32> {
    list.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// A field of the kernel's account of each, added up, in MB; processes that have ended count nothing.
fn sum(processes: &[i32], file: &str, field: &str) -> Option<u64> {
    let known = processes.iter().filter_map(|pid| kilobytes(*pid, file, field));
    let all = known.reduce(|sum, one| sum + one)?;
    Some(all.div_ceil(1024))
}

fn kilobytes(pid: i32, file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
