//! Counts the fsync and fdatasync calls of a running process from outside.
//!
//! `perf stat` counts at the kernel's tracepoint and costs next to nothing; where it may not be
//! used, `strace` does the same and slows the process, which is why counting is never done in a
//! timed run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Running;
use crate::{Error, limits};

pub(crate) struct Counting {
    tool: Tool,
    output: std::path::PathBuf,
    running: Running,
}

#[derive(Clone, Copy)]
enum Tool {
    Perf,
    Strace,
}

impl Counting {
    pub(crate) async fn attach(id: u32, dir: &Path) -> Result<Counting, Error> {
        let output = dir.join("syncs");
        let tool = if perf_works() { Tool::Perf } else { Tool::Strace };
        let id = id.to_string();
        let mut command = match tool {
            Tool::Perf => {
                let mut perf = Command::new("perf");
                perf.args(["stat", "-x", ",", "-e", EVENTS, "-p", &id, "-o"]).arg(&output);
                perf
            }
            Tool::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-p", &id, "-o"]);
                strace.arg(&output);
                strace
            }
        };
        let running = Running::start(command.stderr(Stdio::null()))?;
        // Neither says when it is attached; both are within this time.
        tokio::time::sleep(limits::WARM_UP).await;
        Ok(Counting { tool, output, running })
    }

    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        if self.running.ended() {
            return Err("syncs cannot be counted: neither perf nor strace may attach".into());
        }
        self.running.interrupt()?;
        std::thread::sleep(Duration::from_millis(50));
        let text = std::fs::read_to_string(&self.output)?;
        Ok(match self.tool {
            Tool::Perf => text.lines().filter_map(|line| field(line, ',', 0)).sum(),
            // Columns: % time, seconds, usecs/call, calls, errors if any, name.
            Tool::Strace => {
                let rows = text.lines().filter(|line| line.trim_end().ends_with("sync"));
                rows.filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok()).sum()
            }
        })
    }
}

const EVENTS: &str = "syscalls:sys_enter_fsync,syscalls:sys_enter_fdatasync";

fn perf_works() -> bool {
    let mut perf = Command::new("perf");
    perf.args(["stat", "-e", EVENTS, "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    perf.status().is_ok_and(|status| status.success())
}

fn field(line: &str, separator: char, at: usize) -> Option<u64> {
    line.split(separator).nth(at)?.trim().parse().ok()
}
