//! An operator says what became of a call whose reply was lost.
//!
//! Where the call's turn waits for that, the word becomes the call's outcome, an event of the run
//! like any other. Where the turn has gone on, it changes the row and lifts the session's refusal
//! of identical calls, in one commit.

use std::collections::BTreeSet;
use std::time::Duration;

use craton_core::agent::event::{Call, Ruling};
use craton_core::agent::state::Turn;
use store::{Batch, CommitError, StoreError, Tenant, Versioned};

use super::list::{row_of, rows_of};
use super::row::{self, LedgerRow, State};
use crate::record::{RunRecord, Session};
use crate::run::Path;
use crate::session::Closing;
use crate::tool::doubt;
use crate::{Engine, Inner, journal, session};

/// How often a row is looked at that changes, or whose run is under way, and the time in between.
const LOOKS: u32 = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What somebody found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Whether the call took effect; `None` says only that somebody looked.
    pub done: Option<bool>,
    /// What the tool would have answered.
    pub result: Option<String>,
    /// Who says so.
    pub by: String,
}

/// Why a call was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no run {0}")]
    NoRun(String),
    #[error("no call of unknown outcome has the key {0}")]
    NoEffect(String),
    #[error("the call {key} is {}: there is nothing to resolve", state.word())]
    Known { key: String, state: State },
    #[error("the call {key} was resolved otherwise already, by {by}")]
    Otherwise { key: String, by: String },
    #[error("the turn waits for what became of call {0}: say whether it was done or not")]
    OutcomeNeeded(String),
    #[error("run {0} is under way and could not take the word; try again once it is over")]
    Busy(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One look at a row.
enum Look {
    /// The row as it stands now, if there is one.
    Done(Option<Box<LedgerRow>>),
    Again,
}

impl Engine {
    /// Takes somebody's word for what became of a call; gives the row as it is then. Calls of
    /// journals that are older than the ledger have none.
    pub async fn resolve(
        &self,
        tenant: &Tenant,
        id: &str,
        key: &str,
        resolution: &Resolution,
    ) -> Result<Option<LedgerRow>, ResolveError> {
        let Some(record) = self.find_run(tenant, id).await? else {
            return Err(ResolveError::NoRun(id.to_owned()));
        };
        for _ in 0..LOOKS {
            if let Look::Done(row) = self.resolve_once(tenant, &record, key, resolution).await? {
                return Ok(row.map(|row| *row));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(ResolveError::Busy(record.run))
    }

    async fn resolve_once(
        &self,
        tenant: &Tenant,
        record: &RunRecord,
        key: &str,
        resolution: &Resolution,
    ) -> Result<Look, ResolveError> {
        let session = session::current(&self.0, tenant, &record.session_key()).await?;
        let of = (record.run.as_str(), &session.value);
        let row = row_of(&self.0.store, tenant, of, key).await?;
        let Some(row) = row else {
            return self.lift(tenant, session, (key, None), resolution).await;
        };
        match row.value.state {
            State::Ambiguous => {}
            // Somebody looked and did not say what they found.
            State::Resolved if row.value.ruling.as_ref().is_some_and(|of| of.done.is_none()) => {}
            State::Resolved => return resolved_before(row.value, resolution),
            state => return Err(ResolveError::Known { key: key.to_owned(), state }),
        }
        let run = self.0.store.get::<RunRecord>(tenant, &row.value.run).await?;
        let Some(run) = run.map(|found| found.value) else {
            return Err(ResolveError::NoRun(row.value.run));
        };
        if run.ended_at.is_none() {
            if let Some((path, call)) = self.waiting(tenant, &run.run, key).await? {
                return self.close(tenant, &run.run, (path, call), resolution).await;
            }
            // Its turn would bring the refusal back, unless it meets what is written here.
            if session.value.session_id.is_empty() {
                return Ok(Look::Again);
            }
        }
        self.lift(tenant, session, (key, Some(row)), resolution).await
    }

    /// The call under a key whose turn waits for somebody's word.
    async fn waiting(
        &self,
        tenant: &Tenant,
        run: &str,
        key: &str,
    ) -> Result<Option<(Path, Call)>, StoreError> {
        let (events, _) = journal::load(&self.0, tenant, run).await?;
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        let mut pending = turn.all_pending().into_iter();
        let found = pending.find(|(_, call, of)| call.key == key && of.doubt.is_some());
        Ok(found.map(|(path, call, _)| (path, call)))
    }

    /// The word is the outcome that the turn waits for.
    async fn close(
        &self,
        tenant: &Tenant,
        run: &str,
        (path, call): (Path, Call),
        resolution: &Resolution,
    ) -> Result<Look, ResolveError> {
        if resolution.done.is_none() {
            return Err(ResolveError::OutcomeNeeded(call.key));
        }
        let event = doubt::ruled(&call, resolution.ruling(), resolution.result.clone(), 0);
        match self.hand_over(tenant, run, (path, event)).await {
            // The next look finds the row as the event left it.
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(Look::Again),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The row says what became of the call, and the session refuses identical ones no longer.
    async fn lift(
        &self,
        tenant: &Tenant,
        session: Versioned<Session>,
        (key, row): (&str, Option<Versioned<LedgerRow>>),
        resolution: &Resolution,
    ) -> Result<Look, ResolveError> {
        let now = self.now();
        let mut batch = Batch::new(tenant, now);
        let Versioned { version, value: mut held } = session;
        let before = held.unknown.len();
        held.unknown.retain(|effect| effect.key != key);
        if row.is_none() && held.unknown.len() == before {
            return Err(ResolveError::NoEffect(key.to_owned()));
        }
        if !held.session_id.is_empty() {
            let name = Session::key(&held.agent_id, &held.alias_id, &held.session_id);
            batch.expect_version::<Session>(&name, version);
            let keep = held.lapses_at.unwrap_or(now + self.0.limits.parked_millis);
            batch.put_until(&name, &held, keep);
        }
        let row = row.map(|found| {
            batch.expect_version::<LedgerRow>(&found.value.id(), found.version);
            let row = resolution.of(found.value, now);
            batch.put(&row.id(), &row);
            Box::new(row)
        });
        match self.0.store.commit(batch).await {
            Ok(()) => Ok(Look::Done(row)),
            // A turn there wrote meanwhile, or another operator.
            Err(CommitError::Conflict(_)) => Ok(Look::Again),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

impl Resolution {
    fn ruling(&self) -> Ruling {
        Ruling { by: self.by.clone(), done: self.done }
    }

    fn of(&self, row: LedgerRow, now: i64) -> LedgerRow {
        LedgerRow {
            state: State::Resolved,
            ruling: Some(self.ruling()),
            result: self.result.as_deref().map(row::short),
            changed_at: now,
            ..row
        }
    }
}

/// The same word may be said twice.
fn resolved_before(row: LedgerRow, resolution: &Resolution) -> Result<Look, ResolveError> {
    let known = row.ruling.as_ref();
    let same = resolution.done.is_none() || known.is_some_and(|of| of.done == resolution.done);
    match same {
        true => Ok(Look::Done(Some(Box::new(row)))),
        false => Err(ResolveError::Otherwise {
            by: known.map(|ruling| ruling.by.clone()).unwrap_or_default(),
            key: row.key,
        }),
    }
}

/// The calls of a turn that were unknown when they closed, and that somebody has resolved since.
///
/// INVARIANT: a row that is resolved and a session that refuses its call do not stand side by side.
/// Whoever resolves writes the session too, so that of two who write at once one looks again.
pub(crate) async fn settled(
    inner: &Inner,
    tenant: &Tenant,
    closing: &Closing<'_>,
) -> Result<BTreeSet<String>, StoreError> {
    if closing.turn.all_unknown().is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = rows_of(&inner.store, tenant, &closing.record.run).await?.into_iter();
    let resolved = rows.filter(|row| row.value.state == State::Resolved);
    Ok(resolved.map(|row| row.value.key).collect())
}
