//! One process of a function, from its start to its end.
//!
//! It leads a process group of its own, which is killed as a whole, and hangs on a life line: when
//! the server ends in any way, the line closes and what contains the process ends it. It never serves
//! two calls at once; who may use it is the pool's matter.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::function::{Function, Invocation, Surroundings};
use crate::functions::containment::{House, Places, RUNTIME_API};
use crate::functions::environment;
use crate::functions::gate::{Gate, Plan};
use crate::functions::logs::Output;
use crate::functions::report::Verdict;
use crate::functions::runtime::{Launch, Reuse};
use crate::functions::runtime_api::{Answer, Call, Phase, RuntimeApi};
use crate::functions::usage::Usage;
use crate::jail::backend::{self, Backend, Streams};
use crate::jail::cgroup::Group;
use crate::jail::{Bind, Spec};
use crate::limits;

/// How many processes this server has started.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// What a process is started with.
pub(crate) struct Start<'a> {
    pub(crate) function: &'a Function,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) launch: Launch,
    /// Where the server has the function's files.
    pub(crate) host: Places,
    pub(crate) mounts: Vec<Bind>,
    pub(crate) house: &'a House,
    pub(crate) backend: Box<dyn Backend>,
    /// What a jailed process may reach.
    pub(crate) plan: Option<Plan>,
}

pub(crate) struct Process {
    pub(crate) output: Output,
    pub(crate) idle_since: Instant,
    /// How long the start took; told once, in the report of the first call.
    pub(crate) init: Option<Duration>,
    api: RuntimeApi,
    gate: Option<Gate>,
    group: Pid,
    pub(crate) usage: Usage,
    memory_mb: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
    pub(crate) reuse: Reuse,
    line: UnixStream,
    _place: OwnedSemaphorePermit,
}

/// How a start or a call ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(Bytes),
    /// The runtime reported an error of the function.
    Failed(Bytes),
    Stopped(Verdict),
    /// The process was gone before it took the event.
    NotTaken,
}

impl Process {
    pub(crate) async fn start(
        start: Start<'_>,
        place_among_all: OwnedSemaphorePermit,
    ) -> io::Result<Process> {
        let began = Instant::now();
        let Start { function, surroundings, mut launch, host, mounts, house, backend, plan } =
            start;
        let door = Door::open(plan).await?;
        let bin = launch.bin.take();
        let (variables, packages) = (std::mem::take(&mut launch.env), launch.packages.clone());
        let reuse = Reuse::of(function, house.has_rooms());
        let mut spec = house.spec(function, launch, &host);
        let seen = house.seen(&host);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let place = environment::Place {
            runtime_api: door.address()?,
            number,
            seen: &seen,
            bin: bin.as_deref(),
        };
        spec.env = environment::of(function, surroundings, &place, &variables);
        spec.mounts = mounts;
        door.furnish(&mut spec);
        let (output, stdout, stderr) = Output::open(&function.name)?;
        let streams = Streams { input: None, output: stdout, errors: stderr };
        let mut contained = backend.start(&spec, streams)?;
        let group =
            contained.group().ok_or_else(|| io::Error::other("the process ended at once"))?;
        // What it goes without was told when this machine was looked at.
        let built = contained.built().await;
        let built = built
            .map_err(|what| io::Error::other(format!("its jail could not be built: {what}")))?;
        let (listener, gate) = door.attend(built.listeners, &output)?;
        let (sender, exit) = watch::channel(None);
        tokio::spawn(reap(contained.child, contained.cgroup, sender));
        Ok(Process {
            output,
            idle_since: began,
            init: None,
            api: RuntimeApi::open(listener, packages, reuse),
            gate,
            group,
            usage: Usage::new(group, contained.overhead),
            memory_mb: function.memory_mb,
            exit,
            reuse,
            line: contained.line,
            _place: place_among_all,
        })
    }

    /// Asks the kernel, because the task that reaps it may not have run yet: an event that is handed
    /// to a process that is gone would have an unknown outcome for nothing.
    pub(crate) fn is_alive(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let running = || matches!(waitid(WaitId::Pid(self.group), look), Ok(None));
        self.exit.borrow().is_none() && running()
    }

    /// Waits until the process asks for its first event; anything else is the way it ended.
    pub(crate) async fn ready(&mut self) -> Result<(), Ended> {
        let began = Instant::now();
        let mut phase = self.api.phase();
        let mut exit = self.exit.clone();
        let known = tokio::select! {
            biased;
            phase = phase.wait_for(|phase| !matches!(phase, Phase::Starting)) =>
                phase.map(|phase| phase.clone()).unwrap_or(Phase::Starting),
            status = ended(&mut exit) =>
                return Err(Ended::Stopped(Verdict::Exited(describe(status)))),
            () = self.overdue(limits::INIT) =>
                return Err(Ended::Stopped(Verdict::TimedOut(limits::INIT))),
            verdict = self.outgrown() => return Err(Ended::Stopped(verdict)),
        };
        match known {
            Phase::Ready => {
                // One that grew since it was last looked at.
                if let Some(verdict) = self.has_outgrown() {
                    return Err(Ended::Stopped(verdict));
                }
                self.init = Some(began.elapsed().saturating_sub(self.api.paused()));
                // The first call finds what every later one will.
                let fresh = self.reuse != Reuse::Forks || self.refresh().await;
                if fresh { Ok(()) } else { Err(Ended::NotTaken) }
            }
            Phase::Failed(body) => Err(Ended::Failed(body)),
            Phase::Starting => Err(Ended::NotTaken),
        }
    }

    /// Hands over one event and waits for what becomes of it.
    pub(crate) async fn call(&self, function: &Function, invocation: &Invocation) -> Ended {
        let taken = Arc::new(AtomicBool::new(false));
        let (sender, answer) = oneshot::channel();
        let call = new_call(function, invocation, taken.clone(), sender);
        if let Some(gate) = &self.gate {
            gate.refill();
        }
        if !self.api.hand_over(call) {
            return Ended::NotTaken;
        }
        let mut exit = self.exit.clone();
        tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(Answer::Response(body)) => Ended::Answered(body),
                Ok(Answer::Error(body)) => Ended::Failed(body),
                Ok(Answer::TooLarge) => Ended::Stopped(Verdict::TooLarge),
                Err(_) => Ended::Stopped(Verdict::Exited(None)),
            },
            status = ended(&mut exit) => if taken.swap(true, Ordering::AcqRel) {
                Ended::Stopped(Verdict::Exited(describe(status)))
            } else {
                Ended::NotTaken
            },
            () = self.overdue(function.timeout) =>
                Ended::Stopped(Verdict::TimedOut(function.timeout)),
            verdict = self.outgrown() => Ended::Stopped(verdict),
        }
    }

    /// Resolves when the process has had its time, not counting what it waited for packages.
    async fn overdue(&self, limit: Duration) {
        let (began, paused) = (Instant::now(), self.api.paused());
        let mut left = limit;
        while !left.is_zero() {
            tokio::time::sleep(left).await;
            let waited = self.api.paused().saturating_sub(paused);
            let counted = began.elapsed().saturating_sub(waited);
            left = limit.saturating_sub(counted);
            if !left.is_zero() {
                // A pause may still go on: look again soon, and never in a tight loop.
                left = left.max(limits::WATCH);
            }
        }
    }

    /// Resolves when the process holds more memory than its function may.
    async fn outgrown(&self) -> Verdict {
        loop {
            tokio::time::sleep(limits::WATCH).await;
            if let Some(verdict) = self.has_outgrown() {
                return verdict;
            }
        }
    }

    fn has_outgrown(&self) -> Option<Verdict> {
        let used_mb = self.usage.above(self.memory_mb)?;
        Some(Verdict::OutOfMemory { used_mb })
    }

    /// Whether the next call may have this process, after nothing of the last one is left in it.
    pub(crate) async fn refresh(&mut self) -> bool {
        match self.reuse {
            Reuse::Warm => true,
            Reuse::Single => false,
            Reuse::Forks => {
                let cleared = backend::clear(&mut self.line).await.is_ok();
                self.api.forget_forks().await;
                if let Some(gate) = &self.gate {
                    gate.end_all().await;
                }
                // What was said after the answer is no part of the next call's log.
                self.output.take();
                cleared
            }
        }
    }

    pub(crate) fn peak_mb(&self) -> Option<u64> {
        self.usage.peak_mb()
    }

    /// Ends the process and all that it started.
    pub(crate) fn kill(&self) {
        if self.exit.borrow().is_none() {
            backend::kill(self.group);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a process reaches the server.
enum Door {
    /// On the host's loopback, beside whatever else the process reaches.
    Host(TcpListener),
    /// On its jail's, with what else it may reach.
    Jail(Box<Plan>),
}

impl Door {
    async fn open(plan: Option<Plan>) -> io::Result<Door> {
        match plan {
            Some(plan) => Ok(Door::Jail(Box::new(plan))),
            None => Ok(Door::Host(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?)),
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Door::Host(listener) => listener.local_addr(),
            Door::Jail(_) => Ok(RUNTIME_API.into()),
        }
    }

    fn furnish(&self, spec: &mut Spec) {
        let Door::Jail(plan) = self else { return };
        spec.listen = vec![RUNTIME_API.into()];
        spec.listen.extend(plan.listen());
        spec.addresses = plan.addresses();
        spec.hosts = plan.hosts();
    }

    /// `inside` are the listeners that the jail was furnished with, in their order.
    fn attend(
        self,
        inside: Vec<std::net::TcpListener>,
        log: &Output,
    ) -> io::Result<(TcpListener, Option<Gate>)> {
        let plan = match self {
            Door::Host(listener) => return Ok((listener, None)),
            Door::Jail(plan) => plan,
        };
        let mut inside = inside.into_iter().map(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let runtime_api = inside.next();
        let runtime_api = runtime_api.ok_or_else(|| io::Error::other("its jail has no door"))?;
        let rest = inside.collect::<io::Result<Vec<_>>>()?;
        Ok((runtime_api?, Some(Gate::open(*plan, rest, log.clone()))))
    }
}

/// Waits for the end of the process, then ends what is left of its group.
async fn reap(mut child: Child, cgroup: Option<Group>, exit: watch::Sender<Option<ExitStatus>>) {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let status = child.wait().await.unwrap_or_default();
    exit.send_replace(Some(status));
    if let Some(group) = group {
        // Usually nothing is left.
        backend::kill(group);
    }
    drop(cgroup);
}

async fn ended(exit: &mut watch::Receiver<Option<ExitStatus>>) -> ExitStatus {
    match exit.wait_for(Option::is_some).await {
        Ok(status) => status.unwrap_or_default(),
        Err(_) => ExitStatus::default(),
    }
}

/// In the words of AWS's logs: `exit status 1`, `signal: killed`.
fn describe(status: ExitStatus) -> Option<String> {
    let signal = |number| match number {
        4 => "illegal instruction".to_owned(),
        6 => "aborted".to_owned(),
        7 => "bus error".to_owned(),
        8 => "floating point exception".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        15 => "terminated".to_owned(),
        31 => "bad system call".to_owned(),
        other => other.to_string(),
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, number) => Some(format!("signal: {}", signal(number.unwrap_or_default()))),
    }
}

fn new_call(
    function: &Function,
    invocation: &Invocation,
    taken: Arc<AtomicBool>,
    answer: oneshot::Sender<Answer>,
) -> Call {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Call {
        request_id: invocation.request_id.clone(),
        deadline_ms: (now + function.timeout).as_millis(),
        arn: function.arn.clone(),
        trace_id: trace_id(now, &invocation.request_id),
        client_context: invocation.client_context.clone(),
        payload: invocation.payload.clone(),
        taken,
        answer,
    }
}

/// AWS: the X-Ray header, `Root=1-<seconds>-<96 bits>`; the bits are the request id's.
fn trace_id(now: Duration, request_id: &str) -> String {
    let digits = request_id.chars().filter(char::is_ascii_hexdigit).take(24).collect::<String>();
    format!("Root=1-{:08x}-{digits:0<24};Sampled=0", now.as_secs())
}
