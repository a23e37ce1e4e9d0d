//! What a process has used, as the kernel counts it, and an end for those we start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// A process of ours; it ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Running, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Running(started.map_err(|cause| format!("{name} does not start: {cause}"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }

    /// Asks it to end, and waits.
    pub(crate) fn interrupt(&mut self) -> Result<(), Error> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(id, Signal::INT)?;
        self.0.wait()?;
        Ok(())
    }
}

/// A process that takes a line and answers with one.
pub(crate) struct Talking {
    pub(crate) running: Running,
    ear: ChildStdin,
    mouth: BufReader<ChildStdout>,
}

impl Talking {
    pub(crate) fn start(command: &mut Command) -> Result<Talking, Error> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (ear, mouth) = (child.stdin.take(), child.stdout.take());
        let running = Running(child);
        let ear = ear.ok_or("a process without standard input")?;
        let mouth = BufReader::new(mouth.ok_or("a process without standard output")?);
        Ok(Talking { running, ear, mouth })
    }

    pub(crate) fn ask(&mut self, line: &str) -> Result<String, Error> {
        writeln!(self.ear, "{line}")?;
        self.hear()
    }

    pub(crate) fn hear(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        if self.mouth.read_line(&mut line)? == 0 {
            return Err("the process ended instead of answering".into());
        }
        Ok(line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU of a process in milliseconds, user and system, all its threads.
pub(crate) fn cpu_millis(id: u32) -> Result<f64, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name before the last parenthesis may hold spaces; then come state (field 3) and on.
    let fields = stat.rsplit_once(')').ok_or("an unreadable stat file")?.1;
    let field = |at: usize| -> Result<f64, Error> {
        Ok(fields.split_whitespace().nth(at - 3).ok_or("a short stat file")?.parse()?)
    };
    // The kernel reports ticks of 10 ms on every Linux that Rust supports (USER_HZ).
    Ok((field(14)? + field(15)?) * 10.0)
}

/// Resident memory in megabytes (10^6 bytes).
pub(crate) fn rss_mb(id: u32) -> Result<f64, Error> {
    status_mb(id, "VmRSS:")
}

/// The most that it ever was.
pub(crate) fn peak_rss_mb(id: u32) -> Result<f64, Error> {
    status_mb(id, "VmHWM:")
}

fn status_mb(id: u32, field: &str) -> Result<f64, Error> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = kib.ok_or_else(|| format!("no {field} in the status"))?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
