//! The tables, and how an older data directory becomes a newer one.
//!
//! Migrations only go forward: each is one step of SQL, applied once, in order, in one transaction. A released
//! step never changes. Every table begins its key with the tenant; every row that carries a payload says how to
//! label it, which key sealed it and what its sealed bytes digest to.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::error::StoreError;

const MIGRATIONS: &[&str] = &[FIRST, TALLIES];

// Tables with payloads are ordinary: rows of many runs share the page at the table's end, and one of up to
// 4 KB stays on it. WITHOUT ROWID would move all beyond 1 KB to a page of its own; measured on appends of
// 1,000 bytes, that more than doubles the CPU of a commit. Small rows without payload save a tree by it.
const FIRST: &str = "
CREATE TABLE documents (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    version INTEGER NOT NULL, form INTEGER NOT NULL, at INTEGER NOT NULL, expires_at INTEGER,
    label TEXT NOT NULL, digest BLOB NOT NULL, sealer TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT;
CREATE INDEX documents_expiring ON documents (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE journal (
    tenant TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
    at INTEGER NOT NULL, epoch INTEGER NOT NULL, version INTEGER NOT NULL,
    label TEXT NOT NULL, digest BLOB NOT NULL, sealer TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (tenant, run, seq)
) STRICT;

CREATE TABLE queue (
    tenant TEXT NOT NULL, run TEXT NOT NULL, lane TEXT NOT NULL, place INTEGER NOT NULL,
    state INTEGER NOT NULL, owner TEXT, epoch INTEGER NOT NULL,
    lease_until INTEGER NOT NULL, due INTEGER NOT NULL,
    PRIMARY KEY (tenant, run)
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX queue_place ON queue (place);
CREATE INDEX queue_lane ON queue (tenant, lane, place) WHERE state <> 2;

CREATE TABLE timers (
    tenant TEXT NOT NULL, id TEXT NOT NULL, due INTEGER NOT NULL,
    label TEXT NOT NULL, digest BLOB NOT NULL, sealer TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX timers_due ON timers (due);

CREATE TABLE counters (
    tenant TEXT NOT NULL, key TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID, STRICT;

CREATE TABLE blobs (
    tenant TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
    label TEXT NOT NULL, digest BLOB NOT NULL, sealer TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
";

const TALLIES: &str = "
CREATE TABLE tallies (
    tenant TEXT NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL, sums BLOB NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX tallies_expiring ON tallies (expires_at);
";

/// Brings the database up to this binary's schema, or refuses one that is ahead of it.
pub(super) fn migrate(connection: &mut Connection, dir: &Path) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    let found = version(connection)?;
    // INVARIANT: an older binary never writes into a newer schema.
    if found > known {
        return Err(StoreError::Newer { dir: dir.into(), found, known });
    }
    if found == known {
        return Ok(());
    }
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    step.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT",
    )?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        step.execute_batch(migration)?;
    }
    step.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?1)", [known])?;
    Ok(step.commit()?)
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    let meta = "SELECT 1 FROM sqlite_schema WHERE name = 'meta'";
    if connection.query_row(meta, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let version = "SELECT value FROM meta WHERE name = 'schema'";
    Ok(connection.query_row(version, [], |row| row.get(0)).optional()?.unwrap_or(0))
}
