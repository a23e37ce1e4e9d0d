//! The one place that writes: takes work in groups and makes each group durable with one sync.
//!
//! It runs on its own thread for a data directory, and inside the caller for a memory store.

use std::fmt::Display;

use rusqlite::{Connection, ErrorCode};

use super::tails::Tails;
use crate::backend::{Done, Outcome, Work};
use crate::batch::{Batch, Op};
use crate::error::{CommitError, Conflict, Precondition, StoreError};

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) tails: Tails,
    /// The last place given out in the queue.
    pub(super) place: i64,
    broken: bool,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Result<Writer, StoreError> {
        let last = "SELECT coalesce(max(place), 0) FROM queue";
        let place = connection.query_row(last, [], |row| row.get(0))?;
        Ok(Writer { connection, tails: Tails::default(), place, broken: false })
    }

    /// Whether the disk failed in a way after which nothing written can be trusted.
    pub(super) fn broken(&self) -> bool {
        self.broken
    }

    /// Does all of it in one transaction; the outcomes come in the order of the work, and an `Ok` among
    /// them is durable.
    pub(super) fn transact(&mut self, works: &[&Work]) -> Vec<Outcome> {
        match self.group(works) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.give_up(&error);
                works.iter().map(|_| Err(StoreError::Database(error.to_string()).into())).collect()
            }
        }
    }

    fn group(&mut self, works: &[&Work]) -> rusqlite::Result<Vec<Outcome>> {
        self.run("BEGIN IMMEDIATE")?;
        let outcomes = match self.together(works) {
            Ok(outcomes) => outcomes,
            // A batch alone in its group needs no savepoint: the transaction itself goes.
            Err(failed) if works.len() == 1 => vec![Err(failed)],
            Err(_) => {
                self.run("ROLLBACK")?;
                self.run("BEGIN IMMEDIATE")?;
                self.one_by_one(works)?
            }
        };
        let any = outcomes.iter().any(Result::is_ok);
        self.run(if any { "COMMIT" } else { "ROLLBACK" })?;
        Ok(outcomes)
    }

    /// Batches hardly ever fail, so a group is written without savepoints, which would copy every
    /// page that a batch touches. The first failure ends the attempt.
    fn together(&mut self, works: &[&Work]) -> Result<Vec<Outcome>, CommitError> {
        let done: Result<Vec<Done>, CommitError> =
            works.iter().map(|work| self.perform(work)).collect();
        match &done {
            Ok(_) => self.tails.batch_done(),
            Err(_) => self.tails.batch_failed(),
        }
        Ok(done?.into_iter().map(Ok).collect())
    }

    fn one_by_one(&mut self, works: &[&Work]) -> rusqlite::Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(works.len());
        for work in works {
            let outcome = self.under_savepoint(work)?;
            match outcome {
                Ok(_) => self.tails.batch_done(),
                Err(_) => self.tails.batch_failed(),
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// INVARIANT: a failed batch leaves nothing behind and does not touch the others of its group.
    fn under_savepoint(&mut self, work: &Work) -> rusqlite::Result<Outcome> {
        self.run("SAVEPOINT batch")?;
        let outcome = self.perform(work);
        if outcome.is_err() {
            // After some failures (disk full) SQLite has already ended the whole transaction; then
            // this fails as well and the group is given up.
            self.run("ROLLBACK TO batch")?;
        }
        self.run("RELEASE batch")?;
        Ok(outcome)
    }

    fn give_up(&mut self, error: &rusqlite::Error) {
        self.tails.forget_all();
        if !self.connection.is_autocommit() && self.run("ROLLBACK").is_err() {
            self.broken = true;
        }
        // INVARIANT: after a failed sync nothing commits. The kernel may have dropped the pages it could
        // not write, and a later sync would then vouch for a log with a hole.
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            self.broken = true;
        }
    }

    fn perform(&mut self, work: &Work) -> Outcome {
        match work {
            Work::Commit(batch) => self.commit(batch).map(|()| Done::Committed),
            Work::Claim(claim) => Ok(Done::Claimed(self.claim(claim)?)),
            Work::Renew { owner, until } => Ok(Done::Counted(self.renew(owner, *until)?)),
            Work::Purge { now, limit } => Ok(Done::Counted(self.purge(*now, *limit)?)),
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        for op in &batch.ops {
            self.apply(batch, op)?;
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch, op: &Op) -> Result<(), CommitError> {
        match op {
            Op::ExpectVersion { kind, id, version } => {
                self.expect_version(batch, kind, id, *version)
            }
            Op::Put(put) => self.put(batch, put),
            Op::Delete { kind, id } => self.delete(batch, kind, id),
            Op::Append(append) => self.append(batch, append),
            Op::Enqueue { run, lane, due, lease } => {
                self.enqueue(&batch.tenant, run, lane, *due, lease.as_ref())
            }
            Op::Park { run, epoch } => self.park(&batch.tenant, run, *epoch),
            Op::Unpark { run, lease } => self.unpark(&batch.tenant, run, lease.as_ref()),
            Op::Dequeue { run, epoch } => self.dequeue(&batch.tenant, run, *epoch),
            Op::Release { run, epoch } => self.release(&batch.tenant, run, *epoch),
            Op::Timer { id, due, payload } => self.timer(batch, id, *due, payload),
            Op::ClearTimer { id } => self.clear_timer(batch, id),
            Op::Add(add) => self.add(batch, add),
            Op::Tally(tally) => self.tally(batch, tally),
            Op::Blob { id, body } => self.blob(batch, id, body),
            Op::DeleteBlob { id } => self.delete_blob(batch, id),
        }
    }

    /// Runs one statement without parameters, prepared once.
    fn run(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}

/// A number of ours as SQLite keeps it.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn conflict(
    what: Precondition,
    (kind, id): (&'static str, &str),
    expected: &dyn Display,
    found: &dyn Display,
) -> CommitError {
    CommitError::Conflict(Conflict {
        what,
        kind,
        id: id.into(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
