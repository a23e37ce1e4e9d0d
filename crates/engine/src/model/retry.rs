//! Whether a call that failed is made again, and after how long.
//!
//! Full jitter, so that clients who failed together do not come back together; no earlier than the
//! provider asks for. All calls of a provider share what may be asked again: under a full outage
//! that is soon used up, and each call is made once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use craton_core::policy::Retry;
use craton_core::policy::breaker::Ending;
use llm::{ModelError, ModelErrorKind};

use super::doors::Door;
use crate::Inner;

/// The longest that a call waits because a provider asks it to; the client waits as long.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// Repeats that a provider has in store, and what a call that went well adds.
const STORED: f64 = 10.0;
const EARNED: f64 = 0.1;
/// What time alone adds in a second, so that rare calls have repeats too.
const PER_SECOND: f64 = 1.0;

/// What a provider may be asked again.
pub(crate) struct Spare {
    stored: Mutex<Stored>,
    /// Nothing was taken lately, so a call that goes well has nothing to add.
    full: AtomicBool,
}

struct Stored {
    repeats: f64,
    at: i64,
}

impl Default for Spare {
    fn default() -> Self {
        let stored = Mutex::new(Stored { repeats: STORED, at: i64::MIN / 2 });
        Spare { stored, full: AtomicBool::new(true) }
    }
}

impl Spare {
    pub(crate) fn earn(&self) {
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.repeats = (stored.repeats + EARNED).min(STORED);
        self.full.store(stored.repeats >= STORED, Ordering::Relaxed);
    }

    /// Takes one repeat, if there is one.
    pub(crate) fn take(&self, now: i64) -> bool {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        self.full.store(false, Ordering::Relaxed);
        let passed = now.saturating_sub(stored.at).max(0) as f64 / 1000.0;
        stored.at = now;
        stored.repeats = (stored.repeats + passed * PER_SECOND).min(STORED);
        let any = stored.repeats >= 1.0;
        if any {
            stored.repeats -= 1.0;
        }
        any
    }
}

/// How long to wait before the next attempt of a request that failed, after so many, the last of which
/// was a breaker's probe or not; `None` if there is to be none.
pub(crate) fn repeat(
    inner: &Inner,
    door: Option<&Arc<Door>>,
    (done, probe): (u32, bool),
    error: &ModelError,
) -> Option<Duration> {
    let retry = &inner.gateway.doors.rates.retry;
    let pause = pause(retry, done, inner.ids.draw(), error).filter(|_| !probe)?;
    if !door.is_none_or(|door| door.spare.take(inner.clock.now())) {
        return None;
    }
    tracing::warn!(attempts = done, error = %error.message, "asking the model again");
    Some(pause)
}

/// How long to wait before the attempt after the `done`th, if another may do better within the time
/// that a client can wait for it.
fn pause(retry: &Retry, done: u32, draw: u64, error: &ModelError) -> Option<Duration> {
    if done >= retry.attempts || !passes(error) {
        return None;
    }
    let wanted = error.retry_after.unwrap_or_default();
    (wanted <= LONGEST_RETRY_AFTER).then(|| wanted + retry.pause(done, draw))
}

/// Whether it may go better in a while.
fn passes(error: &ModelError) -> bool {
    match error.kind {
        ModelErrorKind::Throttled | ModelErrorKind::Unavailable => true,
        ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::Unsupported
        | ModelErrorKind::OverBudget
        | ModelErrorKind::TooLong
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => false,
    }
}

/// Whether another model may answer what this one did not.
pub(crate) fn falls_back(error: &ModelError) -> bool {
    match error.kind {
        ModelErrorKind::Throttled
        | ModelErrorKind::Unavailable
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed
        | ModelErrorKind::NotMapped => true,
        // The key, or the model's name there; any other refusal is of the call itself.
        ModelErrorKind::Refused => matches!(error.status, Some(401 | 403 | 404)),
        ModelErrorKind::Unsupported | ModelErrorKind::OverBudget | ModelErrorKind::TooLong => false,
    }
}

/// What a failure says of its provider.
pub(crate) fn ending(error: &ModelError) -> Ending {
    match error.kind {
        ModelErrorKind::Unavailable | ModelErrorKind::TimedOut => Ending::Badly,
        // It is there, and wants less or something else.
        ModelErrorKind::Throttled
        | ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::Unsupported
        | ModelErrorKind::OverBudget
        | ModelErrorKind::TooLong
        | ModelErrorKind::Malformed => Ending::Unsaid,
    }
}

/// The same of a model that stands in: whatever sends a call on to the next model counts, also a
/// throttle. So in an outage of all of them few calls ask one after another.
pub(crate) fn ending_of_stand_in(error: &ModelError) -> Ending {
    if falls_back(error) { Ending::Badly } else { Ending::Unsaid }
}
