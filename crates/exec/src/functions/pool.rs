//! The processes of one function in one configuration.
//!
//! A call first gets a place, then a warm process if one idles. The last one used comes first, so
//! that the others grow old and are stopped. Starting and calling are not done here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::function::{ExecError, Function, Surroundings, Times};
use crate::functions::process::Process;
use crate::functions::usage::Usage;
use crate::limits;

pub(crate) struct Pool {
    pub(crate) function: Function,
    pub(crate) surroundings: Surroundings,
    places: Semaphore,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Process>>,
    retired: AtomicBool,
    /// A process is being started ahead of a call.
    pub(crate) preparing: AtomicBool,
}

impl Pool {
    pub(crate) fn new(function: Function, surroundings: Surroundings, places: usize) -> Pool {
        Pool {
            function,
            surroundings,
            places: Semaphore::new(places),
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            retired: AtomicBool::new(false),
            preparing: AtomicBool::new(false),
        }
    }

    /// Waits for a place, in order; the queue and the wait are bounded.
    pub(crate) async fn admit(&self, times: Times) -> Result<SemaphorePermit<'_>, ExecError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(&self.waiting);
        if self.waiting.load(Ordering::Relaxed) > limits::QUEUE {
            return Err(self.throttled("too many calls are waiting"));
        }
        match tokio::time::timeout(times.patience(limits::QUEUE_WAIT), self.places.acquire()).await
        {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(self.throttled("it is being stopped")),
            Err(_) => Err(self.throttled("no process became free in time")),
        }
    }

    fn throttled(&self, why: &str) -> ExecError {
        let name = &self.function.name;
        ExecError::Throttled(
            format!(
                "function {name}: {why}; functions.max_concurrency in craton.toml sets how many run"
            )
            .into(),
        )
    }

    pub(crate) fn take(&self) -> Option<Process> {
        let mut idle = self.idle();
        while let Some(process) = idle.pop() {
            if process.is_alive() {
                return Some(process);
            }
        }
        None
    }

    /// Keeps a process for the next call, unless this pool's time is over.
    pub(crate) fn give(&self, mut process: Process) {
        process.idle_since = Instant::now();
        let mut idle = self.idle();
        if !self.retired.load(Ordering::Acquire) && process.is_alive() {
            idle.push(process);
        }
    }

    /// Stops what idles now and what comes back later.
    pub(crate) fn retire(&self) {
        let mut idle = self.idle();
        self.retired.store(true, Ordering::Release);
        idle.clear();
    }

    pub(crate) fn stop_older_than(&self, age: Duration) {
        self.idle().retain(|process| process.is_alive() && process.idle_since.elapsed() < age);
    }

    /// Stops what holds more memory than the function may while it idles. Looks at them outside of the
    /// lock, for reading accounts takes its time.
    pub(crate) fn stop_outgrown(&self) {
        let idle: Vec<Usage> = self.idle().iter().map(|process| process.usage).collect();
        for usage in idle {
            if let Some(used_mb) = usage.above(self.function.memory_mb) {
                let (name, limit_mb) = (&self.function.name, self.function.memory_mb);
                tracing::warn!(
                    function = name,
                    used_mb,
                    limit_mb,
                    "an idle process is out of memory"
                );
                self.idle().retain(|process| process.usage != usage);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.idle().is_empty()
    }

    /// When its longest idle process was last used.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.idle().iter().map(|process| process.idle_since).min()
    }

    pub(crate) fn stop_oldest(&self) {
        let mut idle = self.idle();
        if !idle.is_empty() {
            idle.remove(0);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a waiting call, also when it is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
