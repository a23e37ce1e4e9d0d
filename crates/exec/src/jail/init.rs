//! The jail's init: this binary once more, started by the server for one process of a function.
//!
//! It runs before anything else of the binary, in one thread. It reads its letter from stdin, builds
//! the walls, and splits in three: a *watcher* outside, which is the server's child, ends as the
//! process ended and ends the jail when the server goes; *pid 1* inside, which hands its
//! listeners to the server and reaps; and the *process* itself, which gives up everything before it becomes the runtime.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus,
    kill_process, pidfd_open, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
    setsid, wait, waitpid,
};
use rustix::thread::set_no_new_privs;

use super::letter::{self, At, Layer, Letter, Manner, Missing, Reply};
use super::{clearing, landlock, limits, listeners, mounts, namespaces, seccomp};

/// What the shell says of a program that cannot be executed.
const NOT_EXECUTED: i32 = 127;
/// The jail itself could not be built; the reply has the reason.
const NOT_BUILT: i32 = 125;

/// Never returns. Nothing has happened in this process yet: no thread, no runtime, no log.
pub(crate) fn run() -> ! {
    let letter = match Letter::read(io::stdin().lock()) {
        Ok(letter) => letter,
        // The server is gone, or this was started by hand.
        Err(error) => fail(&Missing::lasting(Layer::Limits, format!("no letter: {error}"))),
    };
    close_others(letter.input);
    let as_root = letter.manner.rooms && letter.manner.host_user.is_some();
    if letter.manner.rooms
        && let Err(missing) = namespaces::leave(as_root)
    {
        fail(&missing);
    }
    let Ok((from_inside, to_outside)) = io::pipe() else { exit(NOT_BUILT) };
    match fork().at(Layer::Namespaces, "fork") {
        Ok(None) => {
            drop(from_inside);
            live(&letter, &to_outside.into())
        }
        Ok(Some(pid1)) => {
            drop(to_outside);
            let_go(letter.input);
            watch(pid1, File::from(OwnedFd::from(from_inside)))
        }
        Err(missing) => fail(&missing),
    }
}

/// Tells the server and ends.
fn fail(missing: &Missing) -> ! {
    say(&Reply::Failed(missing.clone()), &[]);
    exit(NOT_BUILT)
}

/// One line on stdin, which is a socket, and the listeners with it.
fn say(reply: &Reply, listening: &[TcpListener]) {
    let mut line = serde_json::to_vec(reply).unwrap_or_default();
    line.push(b'\n');
    // Nobody hears it when the server is gone, and then the life line ends us.
    let _ = listeners::hand_over(rustix::stdio::stdin(), &line, listening);
}

/// Whatever else the server had open at the moment of its fork.
fn close_others(input: Option<i32>) {
    let kept = input.and_then(|input| u32::try_from(input).ok()).filter(|kept| *kept > 2);
    let ranges = match kept {
        Some(kept) => vec![(3, kept - 1), (kept + 1, u32::MAX)],
        None => vec![(3, u32::MAX)],
    };
    for (first, last) in ranges.into_iter().filter(|(first, last)| first <= last) {
        // SAFETY: nothing in this process holds a descriptor above stderr yet.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

/// The two ends of a talk are the process's alone, so that the server hears when it closes one.
fn let_go(input: Option<i32>) {
    let Some(input) = input else { return };
    // SAFETY: the number is the server's, and nothing in this process owns it.
    unsafe { rustix::io::close(input) };
    if let Ok(null) = File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// The child gets nothing.
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so the child may do whatever it could.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Pid::from_raw(pid)),
    }
}

// ---- the watcher

/// Waits for the end of pid 1 or of the server, whichever comes first, and ends alike.
fn watch(pid1: Pid, mut from_inside: File) -> ! {
    if let Ok(pidfd) = pidfd_open(pid1, PidfdFlags::empty()) {
        let line = rustix::stdio::stdin();
        let mut both = [PollFd::new(&line, PollFlags::RDHUP), PollFd::new(&pidfd, PollFlags::IN)];
        while let Err(rustix::io::Errno::INTR) = poll(&mut both, None) {}
        if both[1].revents().is_empty() {
            // The server has closed its end.
            let _ = kill_process(pid1, Signal::KILL);
        }
    }
    let status = waitpid(Some(pid1), WaitOptions::empty());
    let mut signal = [0];
    match (from_inside.read(&mut signal), status) {
        (Ok(1), _) => end_by(i32::from(signal[0])),
        (_, Ok(Some((_, status)))) => end_as(status),
        _ => exit(NOT_BUILT),
    }
}

fn end_as(status: WaitStatus) -> ! {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => exit(code),
        (None, Some(signal)) => end_by(signal),
        (None, None) => exit(NOT_BUILT),
    }
}

/// Dies by the same signal, so that the server sees what happened and not who told it.
fn end_by(signal: i32) -> ! {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // SAFETY: plain calls with no memory of ours in them; the default action ends this process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    exit(128 + signal)
}

// ---- pid 1

fn live(letter: &Letter, to_outside: &OwnedFd) -> ! {
    match build(letter) {
        Err(missing) => fail(&missing),
        Ok(listening) => reside(letter, listening, to_outside),
    }
}

/// The listeners are what pid 1 holds when the walls stand.
fn build(letter: &Letter) -> Result<Vec<TcpListener>, Missing> {
    let Letter { spec, manner, .. } = letter;
    let mut listening = vec![];
    if manner.rooms {
        let built = mounts::build(spec, &tenant(*manner))?;
        if let Some(user) = manner.host_user {
            namespaces::step_down(user, manner.user_namespace)?;
        }
        let sysctls = built.sysctls.as_ref().filter(|_| manner.user_namespace);
        namespaces::furnish(sysctls)?;
        listening = listeners::open(spec).at(Layer::Network, "loopback")?;
    }
    namespaces::drop_capabilities()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Layer::Capabilities, "dumpable")?;
    set_parent_process_death_signal(Some(Signal::KILL)).at(Layer::Limits, "death signal")?;
    Ok(listening)
}

/// Root builds before it changes its identity, in the host's numbers.
fn tenant(manner: Manner) -> mounts::Tenant {
    let mapped = (namespaces::USER, namespaces::GROUP);
    let here = manner.host_user.map_or(mapped, |user| (user, user));
    let inside = if manner.user_namespace { mapped } else { here };
    mounts::Tenant { here, inside, of_root: manner.host_user.is_some() }
}

/// Starts the process, hands the listeners over and reaps until it ends.
fn reside(letter: &Letter, listening: Vec<TcpListener>, to_outside: &OwnedFd) -> ! {
    let mut without = vec![];
    let process = match start(letter, &mut without) {
        Ok(process) => process,
        Err(missing) => fail(&missing),
    };
    let_go(letter.input);
    say(&Reply::Started { without }, &listening);
    drop(listening);
    thread::spawn(move || heed(process));
    let status = reap(process);
    if let Some(signal) = status.terminating_signal() {
        // Pid 1 cannot die by a signal of its own.
        let _ = rustix::io::write(to_outside, &[signal.unsigned_abs() as u8]);
    }
    exit(status.exit_status().unwrap_or(NOT_BUILT))
}

/// Does what the server says, and ends with it. The watcher does that too; this is for the moment in
/// which it was killed itself.
fn heed(process: Pid) {
    let (mut word, mut keeper) = ([0], clearing::Keeper::new(process));
    while let Ok(1) = rustix::io::read(rustix::stdio::stdin(), &mut word) {
        let done = word[0] == letter::CLEAR && keeper.clear().is_ok();
        let answer = if done { letter::CLEARED } else { !letter::CLEARED };
        let _ = rustix::io::write(rustix::stdio::stdin(), &[answer]);
    }
    exit(NOT_BUILT)
}

/// Orphans of the jail come to pid 1, which forgets them.
fn reap(process: Pid) -> WaitStatus {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == process => return status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => exit(NOT_BUILT),
        }
    }
}

// ---- the process

/// Returns when the process is the runtime, or could not be executed.
fn start(letter: &Letter, without: &mut Vec<Missing>) -> Result<Pid, Missing> {
    let filters =
        seccomp::filters(letter.spec.family).at(Layer::Seccomp, "compiling the filters")?;
    let rules = landlock::rules(&letter.spec, letter.manner.rooms);
    let (mut heard, telling) = io::pipe().at(Layer::Limits, "pipe")?;
    let Some(process) = fork().at(Layer::Limits, "fork")? else {
        confine(letter, &filters, rules, &telling.into())
    };
    drop(telling);
    let mut said = Vec::new();
    heard.read_to_end(&mut said).at(Layer::Limits, "hearing of the process")?;
    for line in said.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Said::Without(missing)) => without.push(missing),
            Ok(Said::Failed(missing)) => return Err(missing),
            Err(error) => return Err(error).at(Layer::Limits, "hearing of the process"),
        }
    }
    Ok(process)
}

/// What the process says before it is the runtime.
#[derive(serde::Serialize, serde::Deserialize)]
enum Said {
    Without(Missing),
    Failed(Missing),
}

impl Said {
    fn tell(self, to: &OwnedFd) {
        let mut line = serde_json::to_vec(&self).unwrap_or_default();
        line.push(b'\n');
        // Who does not hear it sees the process end.
        let _ = rustix::io::write(to, &line);
    }
}

fn confine(
    letter: &Letter,
    filters: &seccomp::Filters,
    rules: io::Result<::landlock::RulesetCreated>,
    telling: &OwnedFd,
) -> ! {
    match confined(letter, filters, rules, telling) {
        Err(missing) => {
            Said::Failed(missing).tell(telling);
            exit(NOT_BUILT)
        }
        Ok(()) if letter.manner.rehearse => exit(0),
        Ok(()) => {}
    }
    let spec = &letter.spec;
    let error = Command::new(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.directory)
        .exec();
    let line = format!("{}: {error}\n", spec.program.display());
    // What a shell would have said, in the function's log.
    let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
    exit(NOT_EXECUTED)
}

/// Gives up one thing after the other; what gives up the right to do so comes last.
fn confined(
    letter: &Letter,
    filters: &seccomp::Filters,
    rules: io::Result<::landlock::RulesetCreated>,
    telling: &OwnedFd,
) -> Result<(), Missing> {
    let Letter { spec, manner, .. } = letter;
    set_parent_process_death_signal(Some(Signal::KILL)).at(Layer::Limits, "death signal")?;
    let null = File::open("/dev/null").at(Layer::Mounts, "/dev/null")?;
    let input = match letter.input {
        // SAFETY: the server has passed it on for this, and it stays open until the program is executed.
        Some(input) => unsafe { BorrowedFd::borrow_raw(input) },
        None => null.as_fd(),
    };
    rustix::stdio::dup2_stdin(input).at(Layer::Limits, "stdin")?;
    if manner.rooms {
        setsid().at(Layer::Namespaces, "setsid")?;
    }
    close_on_execute();
    set_no_new_privs(true).at(Layer::NoNewPrivileges, "prctl")?;
    match rules.and_then(landlock::apply) {
        Ok(true) => {}
        Ok(false) => {
            let why = "this kernel has it not, or not switched on".to_owned();
            Said::Without(Missing::lasting(Layer::Landlock, why)).tell(telling);
        }
        Err(error) => {
            let missing = Missing::lasting(Layer::Landlock, error.to_string());
            Said::Without(missing).tell(telling);
        }
    }
    limits::apply(spec, manner.rooms).at(Layer::Limits, "setrlimit")?;
    filters.apply().at(Layer::Seccomp, "seccomp")
}

/// The runtime inherits stdin, stdout and stderr, and nothing else.
fn close_on_execute() {
    const CLOSE_RANGE_CLOEXEC: i32 = 4;
    // SAFETY: it only marks descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC) };
}
