//! The seam between the handle and a database. Private: what the rest of the program may ask is on
//! [`crate::Store`]. A backend sees sealed payloads only.
//!
//! Answers are futures, because a database across a network needs them. SQLite computes its reads
//! on the spot and returns a finished one.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::oneshot;

use crate::batch::Batch;
use crate::error::{CommitError, StoreError};
use crate::row::{Entry, Queued, Timer};
use crate::tenant::Tenant;

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Something that changes the data. All changes go through one door, in order.
#[derive(Debug)]
pub(crate) enum Work {
    Commit(Batch),
    Claim(Claim),
    Renew { owner: String, until: i64 },
    Purge { now: i64, limit: usize },
}

#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) now: i64,
    pub(crate) owner: String,
    pub(crate) until: i64,
    pub(crate) limit: usize,
}

/// What a [`Work`] came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    Committed,
    Claimed(Vec<Queued>),
    Counted(u64),
}

pub(crate) type Outcome = Result<Done, CommitError>;

/// An outcome, or the promise of one.
pub(crate) enum Submitted {
    Now(Option<Outcome>),
    Later(oneshot::Receiver<Outcome>),
}

/// Where a memory store stops, for tests of what comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Changes that still commit.
    pub(crate) after: u64,
    /// Whether the last of them is answered before the store stops.
    pub(crate) answered: bool,
}

/// The rows of one kind whose ids begin with `prefix`, on one side of `from`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) kind: &'static str,
    pub(crate) prefix: &'a str,
    pub(crate) from: Option<&'a str>,
    pub(crate) backwards: bool,
    pub(crate) limit: usize,
}

/// A document row, its body still sealed.
pub(crate) struct SealedDocument {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) form: u32,
    pub(crate) sealed: Sealed,
}

pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) bytes: bytes::Bytes,
}

/// The last row of a run's journal.
pub(crate) struct Last {
    pub(crate) seq: u64,
}

pub(crate) trait Backend: Send + Sync {
    /// Takes the work at once, in the order of calls; it is done even if nobody waits for it.
    fn submit(&self, work: Work) -> Submitted;

    fn document<'a>(
        &'a self,
        t: &'a Tenant,
        kind: &'static str,
        id: &'a str,
    ) -> Answer<'a, Option<SealedDocument>>;
    fn documents<'a>(&'a self, t: &'a Tenant, span: Span<'a>) -> Answer<'a, Vec<SealedDocument>>;
    /// Entries carry sealed payloads, each with its key beside it.
    fn journal<'a>(
        &'a self,
        t: &'a Tenant,
        run: &'a str,
        from: u64,
        limit: usize,
    ) -> Answer<'a, Vec<(Entry, String)>>;
    fn last<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, Option<Last>>;
    fn runs<'a>(&'a self, t: &'a Tenant, after: &'a str, limit: usize) -> Answer<'a, Vec<String>>;
    fn verify_journal<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, u64>;
    fn queued(&self, after: u64, limit: usize) -> Answer<'_, Vec<Queued>>;
    fn queued_run<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, Option<Queued>>;
    fn lane<'a>(&'a self, t: &'a Tenant, lane: &'a str, limit: usize) -> Answer<'a, Vec<Queued>>;
    fn due_timers<'a>(
        &'a self,
        prefix: &'a str,
        now: i64,
        limit: usize,
    ) -> Answer<'a, Vec<(Timer, String)>>;
    fn counter<'a>(&'a self, t: &'a Tenant, key: &'a str) -> Answer<'a, i64>;
    fn tallies<'a>(
        &'a self,
        t: &'a Tenant,
        span: (&'a str, &'a str),
        limit: usize,
    ) -> Answer<'a, Vec<(String, Vec<i64>)>>;
    fn blob<'a>(&'a self, t: &'a Tenant, id: &'a str) -> Answer<'a, Option<Sealed>>;

    /// Only a memory backend can be told to stop, and be opened again over the same data.
    fn crash_after(&self, _: Crash) -> Result<(), StoreError> {
        Err(StoreError::NotInMemory("be stopped at a commit"))
    }
    fn reopen(&self) -> Result<Box<dyn Backend>, StoreError> {
        Err(StoreError::NotInMemory("be reopened"))
    }
}
