//! The handle that the rest of the program holds.
//!
//! It seals and opens payloads, checks page sizes, and leaves the rest to the backend. Cloning it is
//! cheap; the last clone to go closes the database after what was submitted is on disk.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::backend::{
    Backend, Claim, Crash, Done, Outcome, Sealed, SealedDocument, Span, Submitted, Work,
};
use crate::batch::Batch;
use crate::beside;
use crate::error::{CommitError, StoreError};
use crate::limits;
use crate::record::{Document, Record, Versioned};
use crate::row::{Entry, Queued, Timer};
use crate::seal::{Plain, Sealer};
use crate::sqlite;
use crate::tenant::Tenant;

#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Box<dyn Backend>,
    sealer: Box<dyn Sealer>,
    /// Where counters stand, if not here.
    counters: Option<Store>,
}

/// A page of documents: id and value.
pub type Page<T> = Vec<(String, Versioned<T>)>;

impl Store {
    /// Opens the data directory, creating it if needed and bringing its schema forward. One process
    /// at a time: a second gets [`StoreError::InUse`].
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        Ok(Store::over(Box::new(sqlite::Sqlite::open(path)?)))
    }

    /// Whether a process has this data directory open. Makes and changes nothing.
    pub fn in_use(path: &Path) -> bool {
        sqlite::in_use(path)
    }

    /// A store over a temporary directory that is gone with the last handle. It does not sync, and
    /// commits run inside the call, so a single-threaded program sees the same order every time.
    pub fn memory() -> Result<Store, StoreError> {
        Ok(Store::over(Box::new(sqlite::Sqlite::memory()?)))
    }

    /// A memory store whose counters are another's. What a batch adds to them goes there first, under
    /// their ceilings, and is taken back should the rest of the batch fail. Needs a runtime.
    pub fn memory_counting_in(counters: &Store) -> Result<Store, StoreError> {
        let backend = Box::new(sqlite::Sqlite::memory()?);
        let (sealer, counters) = (Box::new(Plain), Some(counters.clone()));
        Ok(Store(Arc::new(Inner { backend, sealer, counters })))
    }

    /// A memory store that stops after `commits` changes: see [`Store::crash_after`].
    pub fn memory_crashing_after(commits: u64) -> Result<Store, StoreError> {
        let store = Store::memory()?;
        store.crash_after(commits)?;
        Ok(store)
    }

    fn over(backend: Box<dyn Backend>) -> Store {
        Store(Arc::new(Inner { backend, sealer: Box::new(Plain), counters: None }))
    }

    /// Lets `commits` more changes (commits, claims, renewals, purges that succeed) through; after
    /// the last has been answered every call fails with [`StoreError::Closed`]. Memory stores only.
    pub fn crash_after(&self, commits: u64) -> Result<(), StoreError> {
        self.0.backend.crash_after(Crash { after: commits, answered: true })
    }

    /// As [`Store::crash_after`], but the last change is never answered: it is in the data, and its
    /// caller too gets [`StoreError::Closed`]. Memory stores only.
    pub fn crash_unanswered_after(&self, commits: u64) -> Result<(), StoreError> {
        self.0.backend.crash_after(Crash { after: commits, answered: false })
    }

    /// A fresh handle on the data of a memory store, as a restart would see it. Ends this one.
    pub fn reopen(&self) -> Result<Store, StoreError> {
        Ok(Store::over(self.0.backend.reopen()?))
    }

    /// Durable as a whole when it resolves to `Ok`; without a trace when it does not. Batches that
    /// wait at the same time share one sync.
    pub async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.submit(batch).await
    }

    /// Enqueues at once, in the order of calls. Dropping the result does not undo it. Blocks while
    /// thousands of batches wait.
    pub fn submit(&self, mut batch: Batch) -> Pending {
        if let Some(broken) = batch.broken.take() {
            return Pending(Submitted::Now(Some(Err(broken.into()))));
        }
        if let Some(counters) = &self.0.counters
            && let Some(added) = batch.take_counters()
        {
            return Pending(beside::submit(counters, added, (self.clone(), batch)));
        }
        self.seal(&mut batch);
        Pending(self.0.backend.submit(Work::Commit(batch)))
    }

    pub async fn get<T: Record>(
        &self,
        t: &Tenant,
        id: &str,
    ) -> Result<Option<Versioned<T>>, StoreError> {
        let Some(row) = self.0.backend.document(t, T::KIND, id).await? else { return Ok(None) };
        self.opened(t, T::KIND, row)?.read().map(Some)
    }

    /// The records whose ids begin with `prefix` and come after `after`, in ascending order of id.
    pub async fn list<T: Record>(
        &self,
        t: &Tenant,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<T>, StoreError> {
        self.page(t, Span { kind: T::KIND, prefix, from: after, backwards: false, limit }).await
    }

    /// The records whose ids begin with `prefix` and come before `before`, in descending order of id.
    pub async fn list_back<T: Record>(
        &self,
        t: &Tenant,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<T>, StoreError> {
        self.page(t, Span { kind: T::KIND, prefix, from: before, backwards: true, limit }).await
    }

    /// The run's journal from entry `from` on.
    pub async fn journal(
        &self,
        t: &Tenant,
        run: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = self.0.backend.journal(t, run, from, page_of(limit)?).await?;
        rows.into_iter()
            .map(|(mut entry, key_id)| {
                entry.payload = self.0.sealer.open(t, &key_id, entry.payload)?;
                Ok(entry)
            })
            .collect()
    }

    /// The number of the run's last journal entry, 0 if it has none.
    pub async fn last_seq(&self, t: &Tenant, run: &str) -> Result<u64, StoreError> {
        Ok(self.0.backend.last(t, run).await?.map_or(0, |last| last.seq))
    }

    /// The tenant's runs that have a journal, by id, after `after`.
    pub async fn runs(
        &self,
        t: &Tenant,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.0.backend.runs(t, after.unwrap_or_default(), page_of(limit)?).await
    }

    /// Recomputes the chain of digests over the run's sealed payloads; gives the number of entries.
    pub async fn verify_journal(&self, t: &Tenant, run: &str) -> Result<u64, StoreError> {
        self.0.backend.verify_journal(t, run).await
    }

    /// Every tenant's queue rows in order of place, after place `after` (0 for the first page).
    pub async fn queued(&self, after: u64, limit: usize) -> Result<Vec<Queued>, StoreError> {
        self.0.backend.queued(after, page_of(limit)?).await
    }

    /// One run's queue row.
    pub async fn queued_run(&self, t: &Tenant, run: &str) -> Result<Option<Queued>, StoreError> {
        self.0.backend.queued_run(t, run).await
    }

    /// A lane's rows that are not parked, in order of place.
    pub async fn lane(
        &self,
        t: &Tenant,
        lane: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, StoreError> {
        self.0.backend.lane(t, lane, page_of(limit)?).await
    }

    /// Leases to `owner` rows of any tenant that are due, ready or with an expired lease, and first of
    /// their lane. Each gets the next epoch, which shuts out whoever held it before.
    pub async fn claim(
        &self,
        now: i64,
        owner: &str,
        until: i64,
        limit: usize,
    ) -> Result<Vec<Queued>, StoreError> {
        let claim = Claim { now, owner: owner.into(), until, limit: page_of(limit)? };
        match self.change(Work::Claim(claim)).await? {
            Done::Claimed(rows) => Ok(rows),
            Done::Committed | Done::Counted(_) => Ok(Vec::new()),
        }
    }

    /// Moves the end of every lease that `owner` still holds to `until`; gives their number. A lease
    /// that ran out (before `now`) but that nobody has taken is renewed too: its epoch still stands.
    pub async fn renew(&self, owner: &str, _now: i64, until: i64) -> Result<u64, StoreError> {
        self.count(Work::Renew { owner: owner.into(), until }).await
    }

    /// Every tenant's timers that are due and whose ids begin with `prefix`, the earliest first.
    pub async fn due_timers(
        &self,
        prefix: &str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<Timer>, StoreError> {
        let rows = self.0.backend.due_timers(prefix, now, page_of(limit)?).await?;
        rows.into_iter()
            .map(|(mut timer, key_id)| {
                timer.payload = self.0.sealer.open(&timer.tenant, &key_id, timer.payload)?;
                Ok(timer)
            })
            .collect()
    }

    /// 0 for a counter never used.
    pub async fn counter(&self, t: &Tenant, key: &str) -> Result<i64, StoreError> {
        match &self.0.counters {
            Some(counters) => counters.0.backend.counter(t, key).await,
            None => self.0.backend.counter(t, key).await,
        }
    }

    /// Keys between `after` and `below`, neither included, with the sums under them, in order of key.
    pub async fn tallies(
        &self,
        t: &Tenant,
        (after, below): (&str, &str),
        limit: usize,
    ) -> Result<Vec<(String, Vec<i64>)>, StoreError> {
        self.0.backend.tallies(t, (after, below), limit).await
    }

    pub async fn blob(&self, t: &Tenant, id: &str) -> Result<Option<Bytes>, StoreError> {
        let Some(Sealed { key_id, bytes }) = self.0.backend.blob(t, id).await? else {
            return Ok(None);
        };
        self.0.sealer.open(t, &key_id, bytes).map(Some)
    }

    /// Removes every tenant's documents that expired at or before `now`, with the journals of those
    /// labelled [`crate::JOURNALED`]; gives the documents' number. Until
    /// then they are still read: the store has no clock to hide them by.
    pub async fn purge_expired(&self, now: i64, limit: usize) -> Result<usize, StoreError> {
        let count = self.count(Work::Purge { now, limit: page_of(limit)? }).await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    async fn page<T: Record>(&self, t: &Tenant, span: Span<'_>) -> Result<Page<T>, StoreError> {
        page_of(span.limit)?;
        let rows = self.0.backend.documents(t, span).await?;
        rows.into_iter()
            .map(|row| {
                let document = self.opened(t, T::KIND, row)?;
                let value = document.read()?;
                Ok((document.id, value))
            })
            .collect()
    }

    async fn count(&self, work: Work) -> Result<u64, StoreError> {
        match self.change(work).await? {
            Done::Counted(count) => Ok(count),
            Done::Committed | Done::Claimed(_) => Ok(0),
        }
    }

    async fn change(&self, work: Work) -> Result<Done, StoreError> {
        match self.0.backend.submit(work).await {
            Ok(done) => Ok(done),
            Err(CommitError::Store(error)) => Err(error),
            // Only batches have preconditions.
            Err(CommitError::Conflict(conflict)) => Err(StoreError::Database(conflict.to_string())),
        }
    }

    fn seal(&self, batch: &mut Batch) {
        batch.key_id = self.0.sealer.key_id(&batch.tenant);
        let tenant = batch.tenant.clone();
        for payload in batch.payloads() {
            *payload = self.0.sealer.seal(&tenant, std::mem::take(payload));
        }
    }

    fn opened(&self, t: &Tenant, kind: &str, row: SealedDocument) -> Result<Document, StoreError> {
        Ok(Document {
            kind: kind.into(),
            id: row.id,
            version: row.version,
            form: row.form,
            body: self.0.sealer.open(t, &row.sealed.key_id, row.sealed.bytes)?,
        })
    }
}

fn page_of(limit: usize) -> Result<usize, StoreError> {
    if limit > limits::PAGE {
        return Err(StoreError::PageTooLarge { asked: limit, most: limits::PAGE });
    }
    Ok(limit)
}

/// A submitted batch. It commits whether or not anybody waits.
#[must_use = "a conflict is only told to whoever waits; drop it on purpose if that is meant"]
pub struct Pending(Submitted);

impl Future for Pending {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.map(|_| ()))
    }
}

impl Future for Submitted {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let closed = || Err(CommitError::Store(StoreError::Closed));
        match &mut *self {
            Submitted::Now(outcome) => Poll::Ready(outcome.take().unwrap_or_else(closed)),
            Submitted::Later(reply) => {
                Pin::new(reply).poll(cx).map(|told| told.unwrap_or_else(|_| closed()))
            }
        }
    }
}
