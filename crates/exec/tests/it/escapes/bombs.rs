//! Bombs: a call that asks for everything gets its share, ends with AWS's answer, and nobody else
//! notices.
//!
//! While one explodes, another function of the same server is called over and over. Outside a jail
//! every bomb gets what it asks for, else it would prove nothing here.

use std::time::{Duration, Instant};

use exec::{Function, Functions};
use serde_json::{Value, json};

use super::stage::{self, Kind, Stage};
use crate::invocation;

struct Bomb {
    name: &'static str,
    /// Parts of what a call may end with in the jail; one of them has to be there.
    ends: &'static [&'static str],
    /// Part of what it says where nothing stops it; nothing when it cannot be let loose there.
    control: Option<&'static str>,
}

const fn bomb(
    name: &'static str,
    ends: &'static [&'static str],
    control: Option<&'static str>,
) -> Bomb {
    Bomb { name, ends, control }
}

/// What AWS says of a process that was ended for its memory.
const KILLED: &str = "Runtime.OutOfMemory";
const TIMED_OUT: &str = "Sandbox.Timedout";

const BOMBS: &[Bomb] = &[
    bomb("processes", &["refused: EAGAIN", KILLED], Some("1100 processes")),
    bomb("threads", &["refused: can't start new thread"], Some("1100 threads")),
    bomb(
        "memory_of_one_process",
        &["refused: MemoryError", "refused: ENOMEM", KILLED],
        Some("384 MB"),
    ),
    bomb("memory_of_many_processes", &[KILLED], Some("400 MB")),
    bomb("memory_in_files_without_names", &["refused: ENOSYS"], Some("384 MB")),
    bomb("memory_shared_by_number", &["refused: ENOSYS"], Some("384 MB")),
    bomb("semaphores_by_number", &["refused: ENOSYS"], Some("2048000 semaphores")),
    bomb("messages_by_number", &["refused: ENOSYS"], Some("64 queues")),
    bomb("all_asynchronous_requests_of_the_machine", &["refused: ENOSYS"], Some("4096 requests")),
    bomb("memory_in_shared_files", &["refused: ENOSPC"], Some("384 MB")),
    bomb("the_disk", &["refused: ENOSPC"], Some("800 MB on disk")),
    bomb("a_file_that_is_too_long", &["refused: EFBIG"], Some("a file of a terabyte")),
    bomb("files_without_end", &["refused: ENOSPC"], Some("66000 files")),
    bomb("descriptors", &["refused: EMFILE"], Some("3000 descriptors")),
    bomb("the_log", &["32 MB of log"], Some("32 MB of log")),
    bomb("the_answer", &["Function.ResponseSizeTooLarge"], None),
    bomb("time_without_end", &[TIMED_OUT], None),
    bomb("standing_still", &[TIMED_OUT], None),
    bomb("a_process_that_stays", &[TIMED_OUT], None),
    bomb("everything_in_sight_is_killed", &["Runtime.ExitError"], None),
    bomb("the_first_process_is_killed", &["the first process lives"], None),
    bomb("connections_to_its_runtime", &["300 connections", "refused"], None),
    bomb("a_request_without_end_to_its_runtime", &["refused: cut off"], None),
    bomb("answers_for_other_calls", &["refused: answered"], None),
    bomb("limits_are_raised", &["refused: not allowed"], None),
];

#[test]
fn bombs_hurt_nobody_but_their_own_call_where_the_server_is_root() {
    stage::set(
        "root",
        "bombs::bombs_hurt_nobody_but_their_own_call_where_the_server_is_root",
        explode_all,
    );
}

#[test]
fn bombs_hurt_nobody_but_their_own_call_where_the_server_is_an_ordinary_user() {
    stage::set(
        "nobody",
        "bombs::bombs_hurt_nobody_but_their_own_call_where_the_server_is_an_ordinary_user",
        explode_all,
    );
}

/// The controls, which no identity makes a difference to, are root's alone.
async fn explode_all(stage: Stage) {
    let kinds: &[Kind] =
        if stage.is_privileged() { &[Kind::Process, Kind::Jail] } else { &[Kind::Jail] };
    let mut wrong = Vec::new();
    for kind in kinds {
        let functions = stage.open(*kind);
        let ward = Ward::new(&stage, &functions, *kind).await;
        for bomb in BOMBS.iter().cycle().take(BOMBS.len() * rounds(*kind)) {
            wrong.extend(ward.explode(bomb).await);
        }
        functions.shutdown().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The long form looks for what is left behind by one bomb and felt by a later one.
fn rounds(kind: Kind) -> usize {
    let long = kind == Kind::Jail && std::env::var_os("CRATON_LONG").is_some();
    if long { 10 } else { 1 }
}

/// A server with a function that explodes and one that does not.
struct Ward<'a> {
    functions: &'a Functions,
    kind: Kind,
    bomber: Function,
    bystander: Function,
    world: Value,
}

const SECONDS: u64 = 1;
/// On a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(5);

impl<'a> Ward<'a> {
    async fn new(stage: &Stage, functions: &'a Functions, kind: Kind) -> Ward<'a> {
        let jailed = kind == Kind::Jail;
        let files = [
            ("main.py", include_str!("attempts/bomb.py")),
            ("bombs.py", include_str!("attempts/bombs.py")),
            ("common.py", include_str!("attempts/common.py")),
        ];
        let mut bomber = stage.function(functions, "bomber", &files).await;
        // In the control nothing but the machine is to be the limit.
        bomber.memory_mb = if jailed { 256 } else { 4096 };
        let calm = "def handler(event, context): return event";
        let bystander = stage.function(functions, "bystander", &[("main.py", calm)]).await;
        let daemon = format!("bomb-{}-{kind:?}", std::process::id());
        let mut world = stage.world.clone();
        world["jailed"] = json!(jailed);
        world["seconds"] = json!(3 * SECONDS);
        world["daemon"] = json!(daemon[..daemon.len().min(15)]);
        Ward { functions, kind, bomber, bystander, world }
    }

    /// What is wrong about it.
    async fn explode(&self, bomb: &Bomb) -> Option<String> {
        let jailed = self.kind == Kind::Jail;
        let expected = match (jailed, bomb.control) {
            (true, _) => bomb.ends.to_vec(),
            (false, Some(control)) => vec![control],
            (false, None) => return None,
        };
        let mut bomber = self.bomber.clone();
        let waits = bomb.ends == [TIMED_OUT];
        bomber.timeout = Duration::from_secs(if waits { SECONDS } else { 60 });
        let event = json!({ "bomb": bomb.name, "world": self.world });
        let began = Instant::now();
        let (ended, slowest) = self.beside(self.call(&bomber, event)).await;
        let took = began.elapsed();
        stage::report(&format!(
            "{:?} {}: {ended:.100} in {took:?}, others {slowest:?}",
            self.kind, bomb.name
        ));
        let name = bomb.name.replace('_', " ");
        if !expected.iter().any(|part| ended.contains(part)) {
            return Some(format!("{:?}: {name}: ended with {ended:.300}", self.kind));
        }
        if slowest > PATIENCE {
            return Some(format!("{name}: another function had to wait {slowest:?}"));
        }
        let after = self.call(&bomber, json!({})).await;
        if !self.daemon_ends().await {
            return Some(format!("{name}: its daemon lives"));
        }
        (after != "\"well\"").then(|| format!("{name}: the next call got {after:.300}"))
    }

    /// The payload, or an error's type and message.
    async fn call(&self, function: &Function, event: Value) -> String {
        match self.functions.invoke(function, invocation(&event)).await {
            Ok(invoked) => String::from_utf8_lossy(&invoked.payload).into_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// How long the slowest call of the bystander took meanwhile.
    async fn beside(&self, call: impl Future<Output = String>) -> (String, Duration) {
        let mut call = std::pin::pin!(call);
        let mut slowest = Duration::ZERO;
        loop {
            let began = Instant::now();
            tokio::select! {
                ended = &mut call => return (ended, slowest.max(began.elapsed())),
                answer = self.call(&self.bystander, json!("calm")) => {
                    assert_eq!(answer, "\"calm\"", "another function is as it was");
                    slowest = slowest.max(began.elapsed());
                }
            }
        }
    }

    /// The kernel takes a moment to end what was in a jail.
    async fn daemon_ends(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.daemon_lives() {
            if Instant::now() > until {
                return false;
            }
            self.call(&self.bystander, json!({})).await;
        }
        true
    }

    fn daemon_lives(&self) -> bool {
        let name = self.world["daemon"].as_str().unwrap();
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        })
    }
}
