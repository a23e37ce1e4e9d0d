//! The floor's storage: one thread writes, in groups, to a SQLite file that syncs each commit.
//!
//! Tables, keys, pragmas and sizes are those of Craton's store: an entry per append, a queue row
//! per run, documents for run, request and session. Nothing is checked, chained or sealed.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use crate::{Error, limits};

/// Bytes of the rows that an agent turn of this task writes: payload, digest, label and numbers, as measured.
const ACCEPTED: usize = 1240;
const SAID: usize = 610;
const RETURNED: usize = 285;
const ANSWERED: usize = 355;
const RUN: usize = 450;
const REPEAT: usize = 190;
const SESSION: usize = 1010;

const TENANT: &str = "000000000000/us-east-1";

const TABLES: &str = "
CREATE TABLE documents (tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    expires_at INTEGER, body BLOB NOT NULL, PRIMARY KEY (tenant, kind, id)) STRICT;
CREATE INDEX documents_expiring ON documents (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE journal (tenant TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    payload BLOB NOT NULL, PRIMARY KEY (tenant, run, seq)) STRICT;
CREATE TABLE queue (tenant TEXT NOT NULL, run TEXT NOT NULL, lane TEXT NOT NULL,
    place INTEGER NOT NULL, PRIMARY KEY (tenant, run)) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX queue_place ON queue (place);
CREATE INDEX queue_lane ON queue (tenant, lane, place);
";

/// One commit of a turn.
pub(crate) enum Write {
    Begin { run: String },
    Said { run: String, step: usize },
    Returned { run: String, step: usize },
    End { run: String },
}

struct Job {
    write: Write,
    done: oneshot::Sender<()>,
}

pub(crate) struct Journal(SyncSender<Job>);

impl Journal {
    pub(crate) fn open(dir: &Path) -> Result<Journal, Error> {
        std::fs::create_dir_all(dir)?;
        let db = Connection::open(dir.join("floor.db"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -4096)?;
        db.pragma_update(None, "wal_autocheckpoint", limits::WAL_PAGES)?;
        db.execute_batch(TABLES)?;
        let (door, jobs) = sync_channel(limits::WAITING);
        std::thread::Builder::new().name("floor-writer".into()).spawn(move || {
            if let Err(failure) = write(&db, &jobs) {
                eprintln!("floor: {failure}");
            }
        })?;
        Ok(Journal(door))
    }

    /// Takes its place in the order at once; durable when it resolves.
    pub(crate) fn commit(&self, write: Write) -> impl Future<Output = Result<(), Error>> + use<> {
        let (done, durable) = oneshot::channel();
        let sent = self.0.send(Job { write, done });
        async move {
            sent.map_err(|_| "the writer has stopped")?;
            Ok(durable.await?)
        }
    }
}

fn write(db: &Connection, jobs: &Receiver<Job>) -> rusqlite::Result<()> {
    let mut group = Vec::with_capacity(limits::GROUP);
    let mut place = 0;
    while let Ok(first) = jobs.recv() {
        group.push(first);
        while group.len() < limits::GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for job in &group {
            place += 1;
            apply(db, &job.write, place)?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        for job in group.drain(..) {
            // Whoever dropped its end does not want to know.
            let _ = job.done.send(());
        }
    }
    Ok(())
}

fn apply(db: &Connection, write: &Write, place: i64) -> rusqlite::Result<()> {
    match write {
        Write::Begin { run } => {
            let sql = "INSERT INTO queue VALUES (?1, ?2, ?3, ?4)";
            db.prepare_cached(sql)?.execute(params![TENANT, run, lane(run), place])?;
            append(db, run, 1, ACCEPTED)?;
            put(db, "run", run, None, RUN)?;
            put(db, "repeat", run, Some(place), REPEAT)
        }
        Write::Said { run, step } => append(db, run, 2 + 2 * step, SAID),
        Write::Returned { run, step } => append(db, run, 3 + 2 * step, RETURNED),
        Write::End { run } => {
            append(db, run, 8, ANSWERED)?;
            put(db, "run", run, None, RUN)?;
            let sql = "DELETE FROM queue WHERE tenant = ?1 AND run = ?2";
            db.prepare_cached(sql)?.execute(params![TENANT, run])?;
            put(db, "session", &lane(run), Some(place), SESSION)
        }
    }
}

fn lane(run: &str) -> String {
    format!("{run}/BENCHAGENT/TSTALIASID")
}

fn append(db: &Connection, run: &str, seq: usize, bytes: usize) -> rusqlite::Result<()> {
    let sql = "INSERT INTO journal VALUES (?1, ?2, ?3, ?4)";
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    db.prepare_cached(sql)?.execute(params![TENANT, run, seq, filler(bytes)])?;
    Ok(())
}

fn put(
    db: &Connection,
    kind: &str,
    id: &str,
    expires_at: Option<i64>,
    bytes: usize,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET expires_at = ?4, body = ?5";
    db.prepare_cached(sql)?.execute(params![TENANT, kind, id, expires_at, filler(bytes)])?;
    Ok(())
}

fn filler(bytes: usize) -> &'static [u8] {
    static FILLER: [u8; 4096] = [b'x'; 4096];
    &FILLER[..bytes]
}
