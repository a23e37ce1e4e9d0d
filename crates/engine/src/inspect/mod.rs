//! What operators see of runs, and the few things they may do to them.

mod diff;
mod hold;
mod list;
mod standing;
mod totals;

#[cfg(test)]
pub(crate) use diff::diverge;
pub use diff::{Cause, Diff, Divergence};
pub use hold::Held;
pub use list::{Listed, RunPage, Wanted};
pub use standing::{Standing, State};
pub(crate) use totals::Tally;
pub use totals::Totals;

use std::time::Duration;

use craton_core::agent::state::Turn;
use serde::Serialize;
use serde_json::{Value as Json, json};
use store::{CommitError, QueueState, StoreError, Tenant};

use crate::journal::{self, Stamped};
use crate::ledger::{self, LedgerRow};
use crate::live::Out;
use crate::record::{RequestAlias, RunRecord, RunStatus};
use crate::steps::{self, Step};
use crate::{Engine, session, trace};

/// How often a run that is called off is looked at, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOKS: u32 = 500;

/// The reason that clients read when a run was called off here.
pub(crate) const OPERATOR: &str = "by an operator";

/// A run with everything that the journal holds of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    pub run: RunRecord,
    /// What the run has said to its last request: `text`, `returnControl` or `error`. None while it
    /// is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Json>,
    pub events: Vec<Stamped>,
    /// `TracePart`s in the shape of the wire, whether the client asked for them or not.
    pub trace: Vec<Json>,
    /// What took its time, with what each model was sent; a collaborator's steps inside its own.
    pub steps: Vec<Step>,
    /// The stages that the agent goes without, by AWS's names.
    pub skipped: Vec<&'static str>,
    /// What became of its calls that may change something.
    pub effects: Vec<LedgerRow>,
}

impl Engine {
    /// A run by its own id, by the id of a request that it answered, or by its session's id,
    /// which means the latest run there.
    pub async fn find_run(
        &self,
        tenant: &Tenant,
        id: &str,
    ) -> Result<Option<RunRecord>, StoreError> {
        let store = &self.0.store;
        if let Some(found) = store.get::<RunRecord>(tenant, id).await? {
            return Ok(Some(found.value));
        }
        if let Some(alias) = store.get::<RequestAlias>(tenant, id).await? {
            let found = store.get::<RunRecord>(tenant, &alias.value.run).await?;
            return Ok(found.map(|found| found.value));
        }
        Ok(self.runs(tenant, Some(id), 1).await?.pop())
    }

    pub async fn view(&self, tenant: &Tenant, id: &str) -> Result<Option<RunView>, StoreError> {
        let Some(record) = self.find_run(tenant, id).await? else { return Ok(None) };
        let (events, _) = journal::load(&self.0, tenant, &record.run).await?;
        let rows = ledger::rows_of(&self.0.store, tenant, &record.run).await?;
        let effects: Vec<LedgerRow> = rows.into_iter().map(|row| row.value).collect();
        let agent = self.0.agent(tenant, &record.config).await?;
        let Some(agent) = agent else {
            tracing::warn!(run = record.run, "a run's pinned configuration is missing");
            let (answer, trace, steps, skipped) = (None, Vec::new(), Vec::new(), Vec::new());
            return Ok(Some(RunView {
                run: record,
                answer,
                events,
                trace,
                steps,
                skipped,
                effects,
            }));
        };
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        let said = trace::stretch(&events, &agent, &record, &turn.request);
        let trace = trace::full(&events, &agent, &record).into_iter().map(Json::from).collect();
        let mut steps = steps::steps(&events, &agent);
        steps::mark(&mut steps, &effects);
        let (answer, skipped) = (said.and_then(answer), agent.skipped());
        Ok(Some(RunView { run: record, answer, events, trace, steps, skipped, effects }))
    }

    /// Calls a run off: one under way ends at its next event, a parked one at once. `false` if it
    /// is over already. A call under way that may change something is recorded as unknown.
    pub async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<bool, CommitError> {
        let found = self.find_run(tenant, id).await.map_err(CommitError::Store)?;
        let Some(run) = found.map(|record| record.run) else { return Ok(false) };
        for look in 0..LOOKS {
            let Some(record) = session::run_record(&self.0, tenant, &run).await? else {
                return Ok(false);
            };
            let called_off = match record.status {
                RunStatus::Running => self.cancel_running(tenant, &run).await,
                RunStatus::Parked => self.cancel_parked(tenant, &record).await,
                RunStatus::Cancelled => return Ok(look > 0),
                RunStatus::Answered | RunStatus::GaveUp | RunStatus::Failed => return Ok(false),
            };
            match called_off {
                Ok(true) => return Ok(true),
                // Somebody took the run meanwhile; the next look finds who.
                Ok(false) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(false)
    }

    /// `false` if it has to be looked at again.
    async fn cancel_parked(
        &self,
        tenant: &Tenant,
        record: &RunRecord,
    ) -> Result<bool, CommitError> {
        let found = session::current(&self.0, tenant, &record.session_key()).await;
        let parked = found.map_err(CommitError::Store)?.value.parked;
        let Some(parked) = parked.filter(|parked| parked.run == record.run) else {
            return Ok(false);
        };
        session::call_off_parked(&self.0, tenant, &parked, OPERATOR).await?;
        Ok(true)
    }

    /// A run that waits for its session ends at once, one that a task drives at its next event. A
    /// task on its way to park the run does not hear the word: `false`, look again.
    async fn cancel_running(&self, tenant: &Tenant, run: &str) -> Result<bool, CommitError> {
        let found = self.0.store.queued_run(tenant, run).await.map_err(CommitError::Store)?;
        let live = self.0.live.get(tenant, run);
        if let Some(row) = found.filter(|row| row.state == QueueState::Ready) {
            session::call_off(&self.0, tenant, run, row.epoch, OPERATOR).await?;
            if let Some(live) = live {
                let code = "ConflictException".to_owned();
                let message = format!("the turn was called off: {OPERATOR}");
                live.push(Out::Fault { code, message });
                self.0.live.end(tenant, run, &live);
            }
            return Ok(true);
        }
        if let Some(live) = &live {
            live.cancel.notify_one();
        }
        Ok(false)
    }
}

/// The end of a stretch, as one value.
fn answer(outs: Vec<Out>) -> Option<Json> {
    let mut text: Option<String> = None;
    for out in outs {
        match out {
            Out::Chunk(piece) => text.get_or_insert_default().push_str(&piece),
            Out::ReturnControl(payload) => {
                return Some(json!({ "returnControl": Json::from(*payload) }));
            }
            Out::Fault { code, message } => {
                return Some(json!({ "error": { "code": code, "message": message } }));
            }
            Out::Trace(_) => {}
        }
    }
    text.map(|text| json!({ "text": text }))
}
