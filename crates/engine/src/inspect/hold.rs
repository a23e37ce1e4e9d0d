//! Holds runs and lets them go on, on an operator's word.
//!
//! The order is an event of the run's journal, so it outlives the process. A run that a task drives
//! gets it between two events; one that waits or is parked has it written from here. Nothing that
//! is under way is stopped.

use std::time::Duration;

use craton_core::agent::event::Event;
use store::{Batch, CommitError, QueueState, Queued, Tenant};

use crate::journal::{self, Stamped};
use crate::record::RunRecord;
use crate::{Engine, session};

/// How often the journal is looked at for the order, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOKS: u32 = 500;

/// What became of an order to hold a run, or to let it go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It stands as wanted, and that is durable.
    Done,
    /// The run is over.
    Over,
    /// Nobody took the order in time, such as where the store fails.
    Unheard,
}

impl Engine {
    /// Holds a run (`wanted`) or lets it go on. `None` if there is no such run.
    pub async fn hold(
        &self,
        tenant: &Tenant,
        id: &str,
        wanted: bool,
    ) -> Result<Option<Held>, CommitError> {
        let found = self.find_run(tenant, id).await.map_err(CommitError::Store)?;
        let Some(run) = found.map(|record| record.run) else { return Ok(None) };
        for look in 0..LOOKS {
            let Some(record) = session::run_record(&self.0, tenant, &run).await? else {
                return Ok(None);
            };
            if record.ended_at.is_some() {
                // One that was let go on may have come to its end since.
                let went_on = !wanted && look > 0;
                return Ok(Some(if went_on { Held::Done } else { Held::Over }));
            }
            if record.paused_at.is_some() == wanted {
                return Ok(Some(Held::Done));
            }
            self.order(tenant, record, wanted).await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(Some(Held::Unheard))
    }

    async fn order(
        &self,
        tenant: &Tenant,
        record: RunRecord,
        wanted: bool,
    ) -> Result<(), CommitError> {
        if let Some(live) = self.0.live.get(tenant, &record.run) {
            live.hold.send_replace(wanted);
            if live.is_driven() {
                return Ok(());
            }
        }
        let found = self.0.store.queued_run(tenant, &record.run).await;
        let row = found.map_err(CommitError::Store)?;
        let Some(row) = row.filter(|row| row.state != QueueState::Leased) else { return Ok(()) };
        match self.write_order(tenant, record, &row, wanted).await {
            // Somebody took the run meanwhile; the next look finds who.
            Err(CommitError::Conflict(_)) => Ok(()),
            done => done,
        }
    }

    /// For a run that no task drives, at the epoch it was found with.
    async fn write_order(
        &self,
        tenant: &Tenant,
        mut record: RunRecord,
        row: &Queued,
        wanted: bool,
    ) -> Result<(), CommitError> {
        let at = self.now();
        let loaded = journal::load(&self.0, tenant, &record.run).await;
        let (_, next) = loaded.map_err(CommitError::Store)?;
        let event = if wanted { Event::Paused } else { Event::Continued };
        let payload = journal::encode(&[Stamped { at, event }]);
        record.paused_at = wanted.then_some(at);
        let mut batch = Batch::new(tenant, at);
        batch.append(&record.run, next, row.epoch, journal::EVENTS, "agent", payload);
        batch.put(&record.run, &record);
        self.0.store.commit(batch).await
    }
}
