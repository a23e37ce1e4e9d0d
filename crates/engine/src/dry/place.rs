//! The places of dry runs among the runs under way: counted where live runs are, so that one header opens
//! no second server beside the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::request::InvokeError;
use crate::{Engine, Inner};

/// The dry runs of this process.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: AtomicUsize,
    /// Turned on when those that are left are called off.
    over: watch::Sender<bool>,
}

impl Places {
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// The process does not wait for them any longer.
    pub(crate) fn call_off(&self) {
        self.over.send_replace(true);
    }
}

/// One of them, until it is dropped.
pub(super) struct Place(Arc<Inner>);

impl Place {
    pub(super) async fn called_off(&self) {
        // The sender is as old as the place.
        let _ = self.0.dry.over.subscribe().wait_for(|over| *over).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.dry.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Engine {
    /// A place for one more, by the rule for live runs.
    pub(super) fn dry_place(&self) -> Result<Place, InvokeError> {
        self.has_room()?;
        self.0.dry.taken.fetch_add(1, Ordering::SeqCst);
        Ok(Place(self.0.clone()))
    }

    /// Runs under way, the dry ones too.
    pub(crate) fn under_way(&self) -> usize {
        self.running() + self.0.dry.taken()
    }

    /// Whether another run may begin.
    pub(crate) fn has_room(&self) -> Result<(), InvokeError> {
        if self.0.draining.load(Ordering::SeqCst) {
            return Err(InvokeError::Throttled("the server is stopping".to_owned()));
        }
        let under_way = self.under_way();
        if under_way >= self.0.limits.runs {
            let message = format!("{under_way} turns are under way, which is the limit");
            return Err(InvokeError::Throttled(message));
        }
        Ok(())
    }
}
