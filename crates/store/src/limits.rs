//! Every bound of the store, with the reason for its size.

use std::time::Duration;

/// Submissions that wait for the writer. Beyond this `submit` blocks its caller, which is the back
/// pressure a full disk queue should have: at 64 runs in flight the queue holds about as many.
pub(crate) const WAITING_SUBMISSIONS: usize = 4096;

/// Batches under one sync. A sync costs about a millisecond and a small batch 20 µs, so a group of
/// this size spends most of its time on work; a larger one only makes its first member wait longer.
pub(crate) const GROUP: usize = 256;

/// From this many batches in a group on, the writer gathers for a moment before it writes the next.
/// Measured with 64 agent turns in flight on two cores: 0.2 to 0.35 syncs per turn instead of 0.4 to
/// 0.7, at the same throughput. A smaller number would also slow 16 in flight, by a tenth.
pub(crate) const BUSY_GROUP: usize = 24;
pub(crate) const GATHER: Duration = Duration::from_micros(500);

/// Rows in one page of a list. Far above every page size of AWS's APIs (at most 1,000).
pub(crate) const PAGE: usize = 10_000;

/// Reader connections kept open while idle. More may exist for a moment, one per thread that reads.
pub(crate) const IDLE_READERS: usize = 4;

/// Runs whose last digest the writer remembers, twice over (a young and an old generation). Runs in
/// flight are some thousands at most; an entry is about 150 bytes.
pub(crate) const REMEMBERED_RUNS: usize = 4096;

/// Prepared statements per connection: more than the statements there are.
pub(crate) const STATEMENTS: usize = 64;

/// Page cache of the writer and of a reader, in KiB. The operating system caches the file as well;
/// these save system calls only, and idle memory is a stated budget (25 MB for the process).
pub(crate) const WRITER_CACHE_KIB: i64 = 4096;
pub(crate) const READER_CACHE_KIB: i64 = 512;

/// Pages of write-ahead log after which the checkpoint thread starts (4 MiB, SQLite's own default).
pub(crate) const CHECKPOINT_PAGES: i32 = 1000;

/// Pages of write-ahead log after which the writer itself finishes the checkpoint between two groups,
/// so that the log starts over (32 MiB). By then the thread has copied all but the newest pages. At twice
/// this number commits wait until it is done.
pub(crate) const WAL_PAGES: i32 = 8000;

/// How long a connection waits for another's lock. Only recovery and the moment the log starts over
/// hold one; both are over in milliseconds.
pub(crate) const LOCK_WAIT_MS: u64 = 5000;
