//! The handle of all functions: finds or starts a process, hands the event over, says what
//! happened.
//!
//! A process that died before it took the event is replaced once and silently; one that died with
//! the event in hand is answered for, as AWS does, and the outcome is marked as unknown. Nothing is
//! ever called twice here.

mod answer;
mod code;
mod connections;
pub(crate) mod containment;
mod environment;
pub(crate) mod gate;
pub(crate) mod interpreter;
pub(crate) mod logs;
pub(crate) mod node;
mod packages;
mod pool;
mod process;
mod provided;
pub(crate) mod python;
mod report;
mod runtime;
mod runtime_api;
pub(crate) mod usage;

pub use gate::refused_hosts;
pub use runtime::refusal;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};

use self::runtime::{Reuse, Runtimes, Unlaunched};
use crate::config::Config;
use crate::function::{CodeError, ExecError, Function, Invocation, Invoked};
use crate::functions::answer::{answer_for_entrypoint, answer_for_start, call_once};
use crate::functions::code::Packages;
use crate::functions::containment::{Containment, Unhoused};
use crate::functions::gate::Plan;
use crate::functions::pool::Pool;
use crate::functions::process::{Process, Start};
use crate::limits;

/// A cheap handle; its processes end with the last clone.
#[derive(Clone)]
pub struct Functions(Arc<Inner>);

struct Inner {
    config: Config,
    code: Packages,
    runtimes: Runtimes,
    containment: Containment,
    pools: Mutex<HashMap<PoolKey, Arc<Pool>>>,
    processes: Arc<Semaphore>,
    closing: watch::Sender<bool>,
    sweeper: OnceCell<()>,
}

/// One ARN may stand for several versions.
#[derive(PartialEq, Eq, Hash)]
struct PoolKey {
    arn: String,
    version: String,
}

impl Functions {
    /// Prepares the directories; interpreters are looked for when the first function needs them.
    pub fn open(config: Config) -> io::Result<Functions> {
        fs::create_dir_all(&config.work_dir)?;
        let work_dir = config.work_dir.canonicalize()?;
        Ok(Functions(Arc::new(Inner {
            code: Packages::open(work_dir.join("code"), limits::CODE_BYTES)?,
            runtimes: Runtimes::open(&config, &work_dir)?,
            containment: Containment::new(&config),
            pools: Mutex::new(HashMap::new()),
            processes: Arc::new(Semaphore::new(limits::PROCESSES)),
            closing: watch::Sender::new(false),
            sweeper: OnceCell::new(),
            config: Config { work_dir, ..config },
        })))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// What holds for everything that is started here.
    pub(crate) fn containment(&self) -> &Containment {
        &self.0.containment
    }

    /// Whether the code of this digest (SHA-256 in lower-case hex) is unpacked.
    pub fn has_code(&self, digest: &str) -> bool {
        self.0.code.directory(digest).is_some()
    }

    /// Unpacks a deployment package; `digest` is checked against it.
    pub async fn unpack(&self, digest: &str, zip: Bytes) -> Result<(), CodeError> {
        let (inner, digest) = (self.0.clone(), digest.to_owned());
        match tokio::task::spawn_blocking(move || inner.code.unpack(&digest, &zip)).await {
            Ok(done) => done,
            Err(stopped) => Err(CodeError::Io(io::Error::other(stopped))),
        }
    }

    /// Removes unpacked code that no function has any more. Code that a function here still runs,
    /// perhaps of another account with the same package, stays.
    pub async fn remove_code(&self, digest: &str) -> io::Result<()> {
        if self.0.pools().values().any(|pool| pool.function.code == digest) {
            return Ok(());
        }
        let (inner, digest) = (self.0.clone(), digest.to_owned());
        let removed = tokio::task::spawn_blocking(move || inner.code.remove(&digest)).await;
        removed.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
    }

    /// Calls a function and waits for its answer.
    pub async fn invoke(
        &self,
        function: &Function,
        call: Invocation,
    ) -> Result<Invoked, ExecError> {
        let call = check(function, call)?;
        if *self.0.closing.borrow() {
            return Err(ExecError::NotSent("the server is stopping".to_owned()));
        }
        let mut closing = self.0.closing.subscribe();
        tokio::select! {
            biased;
            done = self.run(function, &call) => done,
            _ = closing.wait_for(|closing| *closing) =>
                Err(ExecError::Lost(format!("function {}: the server stopped", function.name))),
        }
    }

    /// Stops the warm processes of a function and its versions, after it was changed or deleted.
    /// Calls in flight finish.
    pub async fn forget(&self, arn: &str) {
        let of_function = |key: &PoolKey| {
            key.arn.strip_prefix(arn).is_some_and(|r| r.is_empty() || r.starts_with(':'))
        };
        self.0.pools().retain(|key, pool| {
            let keep = !of_function(key);
            if !keep {
                pool.retire();
            }
            keep
        });
    }

    /// Stops every process; calls in flight end as lost.
    pub async fn shutdown(&self) {
        self.0.closing.send_replace(true);
        for (_, pool) in self.0.pools().drain() {
            pool.retire();
        }
    }

    async fn run(&self, function: &Function, call: &Invocation) -> Result<Invoked, ExecError> {
        let pool = self.0.pool(function, call);
        let _place = pool.admit(call.times).await?;
        if let Some(process) = pool.take() {
            if let Some(invoked) = hand_over(&pool, process, call).await? {
                self.prepare_next(&pool, call).await;
                return Ok(invoked);
            }
            tracing::debug!(function = function.name, "an idle process had died; starting another");
        }
        let mut process = match self.0.start(function, call).await {
            Ok(process) => process,
            Err(Unlaunched::Host(error)) => return Err(error),
            Err(Unlaunched::Entrypoint(what)) => {
                return Ok(answer_for_entrypoint(function, call, what));
            }
        };
        self.sweep().await;
        if let Err(ended) = process.ready().await {
            return answer_for_start(function, &process, call, ended);
        }
        self.prepare_next(&pool, call).await;
        hand_over(&pool, process, call).await?.ok_or_else(|| {
            ExecError::NotSent(format!(
                "function {}: its process ended while it idled",
                function.name
            ))
        })
    }

    /// Starts a process ahead of the next call, where each serves one alone. That call hears of what
    /// goes wrong here, because it finds no process.
    async fn prepare_next(&self, pool: &Arc<Pool>, call: &Invocation) {
        let function = &pool.function;
        let Ok(house) = self.0.containment.look_once().await else { return };
        let single = Reuse::of(function, house.has_rooms()) == Reuse::Single;
        let idle = !single || !pool.is_empty() || *self.0.closing.borrow();
        if idle || pool.preparing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (functions, pool, call) = (self.clone(), pool.clone(), call.clone());
        tokio::spawn(async move {
            if let Ok(mut process) = functions.0.start(&pool.function, &call).await
                && process.ready().await.is_ok()
            {
                pool.give(process);
            }
            pool.preparing.store(false, Ordering::Release);
        });
    }

    /// Begins the stopping of idle processes with the first process there is.
    async fn sweep(&self) {
        let inner = Arc::downgrade(&self.0);
        let age = Duration::from_secs(self.0.config.idle_seconds.max(1));
        self.0.sweeper.get_or_init(|| async { drop(tokio::spawn(sweep(inner, age))) }).await;
    }
}

/// Calls a process within the caller's times; `None` if it did not take the event.
async fn hand_over(
    pool: &Arc<Pool>,
    process: Process,
    call: &Invocation,
) -> Result<Option<Invoked>, ExecError> {
    if call.times.is_late() {
        pool.give(process);
        let name = &pool.function.name;
        let why = "its time to be sent was over before a process was ready";
        return Err(ExecError::NotSent(format!("function {name}: {why}")));
    }
    let called = call_once(pool, process, call);
    match call.times.limit {
        None => Ok(called.await),
        Some(limit) => {
            tokio::time::timeout(limit, called).await.map_err(|_| ExecError::TimedOut(limit))
        }
    }
}

/// Refuses what cannot run at all, and brings the client context into one line.
fn check(function: &Function, mut call: Invocation) -> Result<Invocation, ExecError> {
    if let Some(refusal) = refusal(&function.runtime) {
        return Err(ExecError::Refused(format!("function {}: {refusal}", function.name)));
    }
    if call.payload.len() > limits::REQUEST_BYTES {
        // AWS: RequestTooLargeException (Invoke).
        return Err(ExecError::Refused(format!(
            "{} byte payload is too large for a synchronous call (limit {} bytes)",
            call.payload.len(),
            limits::REQUEST_BYTES
        )));
    }
    if let Some(context) = &call.client_context {
        let parsed = serde_json::from_str::<serde_json::Value>(context)
            .map_err(|e| ExecError::Refused(format!("client context is not JSON: {e}")))?;
        call.client_context = Some(parsed.to_string());
    }
    Ok(call)
}

impl Inner {
    fn pools(&self) -> MutexGuard<'_, HashMap<PoolKey, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool of exactly this configuration; one of an earlier configuration is retired.
    fn pool(&self, function: &Function, call: &Invocation) -> Arc<Pool> {
        let key = PoolKey { arn: function.arn.clone(), version: function.version.clone() };
        let mut pools = self.pools();
        if let Some(pool) = pools.get(&key) {
            if pool.function == *function && pool.surroundings == call.surroundings {
                return pool.clone();
            }
            pool.retire();
        }
        let places = self.config.max_concurrency.max(1);
        let pool = Arc::new(Pool::new(function.clone(), call.surroundings.clone(), places));
        pools.insert(key, pool.clone());
        pool
    }

    async fn start(&self, function: &Function, call: &Invocation) -> Result<Process, Unlaunched> {
        let name = &function.name;
        let code = self.code.directory(&function.code).ok_or_else(|| {
            let message = format!("function {name}: its code {} is not unpacked", function.code);
            Unlaunched::Host(ExecError::NotSent(message))
        })?;
        let refused = |why| Unlaunched::Host(ExecError::Refused(format!("function {name}: {why}")));
        let house = self.containment.house().await.map_err(|unhoused| match unhoused {
            Unhoused::Lacks(why) => refused(why),
            Unhoused::Busy(why) => {
                Unlaunched::Host(ExecError::NotSent(format!("function {name}: {why}")))
            }
        })?;
        let mounts = self.containment.mounts(function, house).map_err(refused)?;
        let surroundings = &call.surroundings;
        let host = self.runtimes.places(code);
        let launch = self.runtimes.launch(function, &host, &house.seen(&host)).await?;
        let place = self.room().map_err(Unlaunched::Host)?;
        let plan = house.has_rooms().then(|| Plan::of(&self.config, function, surroundings));
        let plan = plan.transpose().map_err(refused)?;
        let backend = self.containment.backend(house);
        let start = Start { function, surroundings, launch, host, mounts, house, backend, plan };
        Process::start(start, place).await.map_err(|e| {
            let message = format!("function {name}: starting a process: {e}");
            Unlaunched::Host(match e.kind() {
                // Such as a zero byte in a variable: it will not start next time either.
                io::ErrorKind::InvalidInput => ExecError::Refused(message),
                _ => ExecError::NotSent(message),
            })
        })
    }

    /// A place among all processes; the longest idle one makes room when there is none.
    fn room(&self) -> Result<OwnedSemaphorePermit, ExecError> {
        for _ in 0..2 {
            if let Ok(place) = self.processes.clone().try_acquire_owned() {
                return Ok(place);
            }
            let pools = self.pools();
            if let Some(pool) = pools.values().filter(|p| !p.is_empty()).min_by_key(|p| p.oldest())
            {
                pool.stop_oldest();
            }
        }
        let limit = limits::PROCESSES;
        Err(ExecError::Throttled(format!("all {limit} processes of functions are busy").into()))
    }

    /// Stops what idles for too long and forgets pools that nobody uses.
    fn stop_idle(&self, age: Duration) {
        self.pools().retain(|_, pool| {
            pool.stop_older_than(age);
            !pool.is_empty() || Arc::strong_count(pool) > 1
        });
    }
}

async fn sweep(inner: Weak<Inner>, age: Duration) {
    let mut ticks = tokio::time::interval((age / 2).min(limits::IDLE_WATCH));
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        inner.stop_idle(age);
        let pools: Vec<Arc<Pool>> = inner.pools().values().cloned().collect();
        let look = move || pools.iter().for_each(|pool| pool.stop_outgrown());
        // It ends early only with the server.
        let _ = tokio::task::spawn_blocking(look).await;
    }
}
