//! What can go wrong, one variant per reaction a caller may have.

use std::fmt;
use std::path::PathBuf;

/// The store could not do it, whatever the data says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(
        "data directory {} is in use by another craton process; stop it or choose another directory (CR0004)",
        .0.display()
    )]
    InUse(PathBuf),
    #[error(
        "data directory {} has schema version {found}, this craton knows up to {known}; run the newer craton (CR0005)",
        .dir.display()
    )]
    Newer { dir: PathBuf, found: i64, known: i64 },
    #[error("data directory {}: {cause} (CR0003)", .dir.display())]
    Directory { dir: PathBuf, cause: String },
    /// It stopped: shut down, or a sync failed and nothing after it could be trusted.
    #[error("the store is closed (CR0006)")]
    Closed,
    #[error("{kind} {id} cannot be read: {cause} (CR0006)")]
    Unreadable { kind: String, id: String, cause: String },
    #[error("{kind} {id} cannot be written: {cause} (CR0006)")]
    Unwritable { kind: String, id: String, cause: String },
    #[error("journal of run {run} does not verify at entry {seq}: {cause} (CR0006)")]
    Broken { run: String, seq: u64, cause: String },
    #[error("a page of {asked} rows was asked for, {most} is the most; read page by page")]
    PageTooLarge { asked: usize, most: usize },
    #[error("the database failed: {0} (CR0006)")]
    Database(String),
    #[error("only a memory store can {0}")]
    NotInMemory(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(cause: rusqlite::Error) -> StoreError {
        StoreError::Database(cause.to_string())
    }
}

/// Why a batch left no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for CommitError {
    fn from(cause: rusqlite::Error) -> CommitError {
        CommitError::Store(cause.into())
    }
}

/// A precondition of the batch did not hold: somebody else was first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {kind} {id}: expected {expected}, found {found}")]
pub struct Conflict {
    pub what: Precondition,
    /// The record's kind, or `run`, `lane`, `counter`.
    pub kind: &'static str,
    pub id: String,
    pub expected: String,
    pub found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The version of a document.
    Version,
    /// The next sequence number of a run's journal.
    Seq,
    /// The fencing epoch of a run's queue row.
    Epoch,
    /// The state of a run's queue row: there already, not parked, not leased.
    State,
    /// A session lane carries one run at a time.
    Lane,
    /// The range of a counter.
    Counter,
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precondition::Version => "version",
            Precondition::Seq => "next sequence",
            Precondition::Epoch => "epoch",
            Precondition::State => "state",
            Precondition::Lane => "holder",
            Precondition::Counter => "value",
        })
    }
}
