//! SQLite behind the handle: one connection writes, a few read, and a data directory belongs to one process.
//!
//! In reading order: `connection` and `schema` set up the file; `writer` makes groups durable, with `apply` and
//! `queue` for what a batch may hold; `read` has every query; `thread`, `inline` and `log` decide which thread does it.

mod apply;
mod connection;
mod inline;
mod log;
mod queue;
mod read;
mod schema;
mod tails;
mod thread;
mod writer;

use std::fs::{DirBuilder, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use tempfile::TempDir;

use self::connection::{Durability, Readers};
use self::inline::Inline;
use self::thread::WriterThread;
use self::writer::Writer;
use crate::backend::{Answer, Backend, Crash, Last, Sealed, SealedDocument, Span, Submitted, Work};
use crate::error::StoreError;
use crate::row::{Entry, Queued, Timer};
use crate::tenant::Tenant;

const DATABASE: &str = "craton.db";
const LOCK: &str = "craton.lock";

pub(crate) struct Sqlite {
    // Dropped in this order: the writer's connection closes last and takes the log with it, then the lock goes.
    readers: Readers,
    door: Door,
    closed: Arc<AtomicBool>,
    _lock: Option<File>,
}

/// Which thread does the writing.
enum Door {
    Thread(WriterThread),
    Inline(Box<Inline>),
}

impl Sqlite {
    pub(crate) fn open(dir: &Path) -> Result<Sqlite, StoreError> {
        let wrong = |cause: std::io::Error| StoreError::Directory {
            dir: dir.into(),
            cause: cause.to_string(),
        };
        create_private(dir).map_err(wrong)?;
        let lock = lock(dir)?;
        let file = dir.join(DATABASE);
        let connection = open_database(&file, dir).map_err(|error| match error {
            StoreError::Database(cause) => {
                let cause = format!("its {DATABASE} cannot be used: {cause}");
                StoreError::Directory { dir: dir.into(), cause }
            }
            error => error,
        })?;
        let closed = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(connection)?;
        let thread = WriterThread::start(writer, &file, closed.clone()).map_err(wrong)?;
        Ok(Sqlite {
            readers: Readers::new(&file),
            door: Door::Thread(thread),
            closed,
            _lock: Some(lock),
        })
    }

    pub(crate) fn memory() -> Result<Sqlite, StoreError> {
        let dir = tempfile::tempdir().map_err(|cause| StoreError::Directory {
            dir: std::env::temp_dir(),
            cause: cause.to_string(),
        })?;
        Sqlite::memory_in(Arc::new(dir))
    }

    fn memory_in(dir: Arc<TempDir>) -> Result<Sqlite, StoreError> {
        let file = dir.path().join(DATABASE);
        let mut connection = connection::writer(&file, Durability::Unsynced)?;
        schema::migrate(&mut connection, dir.path())?;
        Ok(Sqlite {
            readers: Readers::new(&file),
            door: Door::Inline(Box::new(Inline::new(Writer::new(connection)?, dir))),
            closed: Arc::new(AtomicBool::new(false)),
            _lock: None,
        })
    }

    fn read<'a, T: Send + 'a>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Answer<'a, T> {
        let answer = if self.closed.load(Ordering::Acquire) {
            Err(StoreError::Closed)
        } else {
            self.readers.with(read)
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.close();
        if let Door::Thread(thread) = &mut self.door {
            thread.finish();
        }
    }
}

impl Backend for Sqlite {
    fn submit(&self, work: Work) -> Submitted {
        if self.closed.load(Ordering::Acquire) {
            return Submitted::Now(Some(Err(StoreError::Closed.into())));
        }
        match &self.door {
            Door::Thread(thread) => thread.submit(work),
            Door::Inline(inline) => Submitted::Now(Some(inline.perform(&work, &self.closed))),
        }
    }

    fn document<'a>(
        &'a self,
        t: &'a Tenant,
        kind: &'static str,
        id: &'a str,
    ) -> Answer<'a, Option<SealedDocument>> {
        self.read(|c| Ok(read::document(c, t, kind, id)?))
    }

    fn documents<'a>(&'a self, t: &'a Tenant, span: Span<'a>) -> Answer<'a, Vec<SealedDocument>> {
        self.read(|c| Ok(read::documents(c, t, &span)?))
    }

    fn journal<'a>(
        &'a self,
        t: &'a Tenant,
        run: &'a str,
        from: u64,
        limit: usize,
    ) -> Answer<'a, Vec<(Entry, String)>> {
        self.read(|c| Ok(read::journal(c, t, run, from, limit)?))
    }

    fn last<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, Option<Last>> {
        self.read(|c| Ok(read::tail(c, t, run)?.map(|tail| Last { seq: tail.seq })))
    }

    fn runs<'a>(&'a self, t: &'a Tenant, after: &'a str, limit: usize) -> Answer<'a, Vec<String>> {
        self.read(|c| Ok(read::runs(c, t, after, limit)?))
    }

    fn verify_journal<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, u64> {
        self.read(|c| read::verify_journal(c, t, run))
    }

    fn queued(&self, after: u64, limit: usize) -> Answer<'_, Vec<Queued>> {
        self.read(|c| Ok(read::queued(c, after, limit)?))
    }

    fn queued_run<'a>(&'a self, t: &'a Tenant, run: &'a str) -> Answer<'a, Option<Queued>> {
        self.read(|c| Ok(read::queued_run(c, t, run)?))
    }

    fn lane<'a>(&'a self, t: &'a Tenant, lane: &'a str, limit: usize) -> Answer<'a, Vec<Queued>> {
        self.read(|c| Ok(read::lane(c, t, lane, limit)?))
    }

    fn due_timers<'a>(
        &'a self,
        prefix: &'a str,
        now: i64,
        limit: usize,
    ) -> Answer<'a, Vec<(Timer, String)>> {
        self.read(move |c| Ok(read::due_timers(c, prefix, now, limit)?))
    }

    fn counter<'a>(&'a self, t: &'a Tenant, key: &'a str) -> Answer<'a, i64> {
        self.read(|c| Ok(read::counter(c, t, key)?))
    }

    fn tallies<'a>(
        &'a self,
        t: &'a Tenant,
        span: (&'a str, &'a str),
        limit: usize,
    ) -> Answer<'a, Vec<(String, Vec<i64>)>> {
        self.read(move |c| Ok(read::tallies(c, t, span, limit)?))
    }

    fn blob<'a>(&'a self, t: &'a Tenant, id: &'a str) -> Answer<'a, Option<Sealed>> {
        self.read(|c| Ok(read::blob(c, t, id)?))
    }

    fn crash_after(&self, crash: Crash) -> Result<(), StoreError> {
        match &self.door {
            Door::Inline(inline) => {
                inline.crash_after(crash, &self.closed);
                Ok(())
            }
            Door::Thread(_) => Err(StoreError::NotInMemory("be stopped at a commit")),
        }
    }

    fn reopen(&self) -> Result<Box<dyn Backend>, StoreError> {
        match &self.door {
            Door::Inline(inline) => {
                self.closed.store(true, Ordering::Release);
                Ok(Box::new(Sqlite::memory_in(inline.dir())?))
            }
            Door::Thread(_) => Err(StoreError::NotInMemory("be reopened")),
        }
    }
}

/// The directory holds everything the server knows, so only its owner may look in.
fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// The writing connection to a database of today's schema.
fn open_database(file: &Path, dir: &Path) -> Result<Connection, StoreError> {
    let mut connection = connection::writer(file, Durability::Synced)?;
    schema::migrate(&mut connection, dir)?;
    Ok(connection)
}

pub(crate) fn in_use(dir: &Path) -> bool {
    let file = File::options().write(true).open(dir.join(LOCK));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// INVARIANT: one process per data directory. Epochs and places are counted in the writer's memory.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let wrong =
        |cause: std::io::Error| StoreError::Directory { dir: dir.into(), cause: cause.to_string() };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK))
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(dir.into())),
        Err(TryLockError::Error(cause)) => Err(wrong(cause)),
    }
}
