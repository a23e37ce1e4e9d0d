//! The writer inside the caller: what is submitted is done when the call returns. Memory stores only, and
//! with them the ability to stop after a given number of changes, as a crash would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::writer::Writer;
use crate::backend::{Crash, Outcome, Work};
use crate::error::StoreError;

pub(super) struct Inline {
    state: Mutex<State>,
    /// Removed with the last store over it.
    dir: Arc<TempDir>,
}

struct State {
    writer: Writer,
    crash: Option<Crash>,
}

impl Inline {
    pub(super) fn new(writer: Writer, dir: Arc<TempDir>) -> Inline {
        Inline { state: Mutex::new(State { writer, crash: None }), dir }
    }

    pub(super) fn dir(&self) -> Arc<TempDir> {
        self.dir.clone()
    }

    pub(super) fn crash_after(&self, crash: Crash, closed: &AtomicBool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.crash = Some(crash);
        if crash.after == 0 {
            closed.store(true, Ordering::Release);
        }
    }

    pub(super) fn perform(&self, work: &Work, closed: &AtomicBool) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed.into());
        }
        let outcome =
            state.writer.transact(&[work]).pop().unwrap_or(Err(StoreError::Closed.into()));
        let Some(crash) = state.crash.as_mut().filter(|_| outcome.is_ok()) else {
            return outcome;
        };
        crash.after = crash.after.saturating_sub(1);
        if crash.after > 0 {
            return outcome;
        }
        closed.store(true, Ordering::Release);
        if crash.answered { outcome } else { Err(StoreError::Closed.into()) }
    }
}
