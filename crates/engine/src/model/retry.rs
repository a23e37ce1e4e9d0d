//! Whether a call that failed is made again, and after how long.
//!
//! Full jitter, so that clients who failed together do not come back together; no earlier than the
//! provider asks for. All calls of a provider share what may be asked again: under a full outage
//! that is soon used up, and each call is made once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use craton_core::policy::Retry;
use craton_core::policy::breaker::Ending;
use llm::{ModelError, ModelErrorKind};

/// The longest that a call waits because a provider asks it to; the client waits as long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// Repeats that a provider has in store, and what a call that went well adds.
const STORED: f64 = 10.0;
const EARNED: f64 = 0.1;
/// What time alone adds in a second, so that rare calls have repeats too.
const PER_SECOND: f64 = 1.0;

/// What a provider may be asked again.
pub(crate) struct Spare(Mutex<Stored>);

struct Stored {
    repeats: f64,
    at: i64,
}

impl Default for Spare {
    fn default() -> Self {
        Spare(Mutex::new(Stored { repeats: STORED, at: i64::MIN / 2 }))
    }
}

impl Spare {
    pub(crate) fn earn(&self) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.repeats = (stored.repeats + EARNED).min(STORED);
    }

    /// Takes one repeat, if there is one.
    pub(crate) fn take(&self, now: i64) -> bool {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// How long to wait before the attempt after the `done`th, if another may do better within the time
/// that a client can wait for it.
pub(crate) fn pause(retry: &Retry, done: u32, draw: u64, error: &ModelError) -> Option<Duration> {
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
