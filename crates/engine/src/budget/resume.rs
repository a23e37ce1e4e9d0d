//! A run that a budget stopped goes on: an operator raised the cap, or gives this run more.

use std::time::Duration;

use craton_core::agent::event::Event;
use craton_core::agent::state::Turn;
use craton_core::budget::caps::Most;
use craton_core::budget::{Raise, Replenished};
use store::{CommitError, Tenant};

use crate::pending::{self, Woken};
use crate::{Engine, journal};

/// How often a run whose session is busy is tried, and how long in between.
const TRIES: u32 = 50;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// What became of the word that a run may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replenishing {
    /// It goes on. If its budget has no room still, it stops again.
    GoesOn,
    /// It was not stopped by a budget.
    NotHalted,
    /// Its session has another turn under way; try again.
    Busy,
}

impl Engine {
    /// Lets a run go on that a budget stopped, with so much on top of its caps; `own` are those that its
    /// agent sets now. `None` if there is no such run.
    pub async fn replenish(
        &self,
        tenant: &Tenant,
        id: &str,
        raise: Raise,
        own: Option<Vec<Most>>,
    ) -> Result<Option<Replenishing>, CommitError> {
        let found = self.find_run(tenant, id).await.map_err(CommitError::Store)?;
        let Some(run) = found.map(|record| record.run) else { return Ok(None) };
        let request = self.fresh_id();
        for _ in 0..TRIES {
            let loaded = journal::load(&self.0, tenant, &run).await.map_err(CommitError::Store)?;
            let turn = Turn::replay(loaded.0.iter().map(|stamped| &stamped.event));
            if turn.budget.halted.is_none() || turn.end.is_some() {
                return Ok(Some(Replenishing::NotHalted));
            }
            let (request, own) = (request.clone(), own.clone());
            let event = Event::Replenished(Replenished { request, raise, own });
            match pending::wake(self, tenant, &run, Some((Vec::new(), event))).await? {
                Woken::Up => return Ok(Some(Replenishing::GoesOn)),
                Woken::Busy | Woken::Gone(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
        Ok(Some(Replenishing::Busy))
    }
}
