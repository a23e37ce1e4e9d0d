//! Every query, as a function of a connection. Used by the readers, and by the writer for the
//! preconditions of a batch, which then see what the transaction has written so far.
//!
//! A limit is written `?N + 0`: SQLite looks at a bare parameter there while it plans, and then
//! plans again, from the text on, whenever the parameter is bound anew.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::tails::{Tail, chained};
use super::writer::int;
use crate::backend::{Sealed, SealedDocument, Span};
use crate::error::StoreError;
use crate::row::{Entry, QueueState, Queued, Timer};
use crate::tenant::Tenant;

type Read<T> = rusqlite::Result<T>;

pub(super) fn document(
    connection: &Connection,
    tenant: &Tenant,
    kind: &str,
    id: &str,
) -> Read<Option<SealedDocument>> {
    let sql = "SELECT id, version, form, sealer, body FROM documents
        WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    one(connection, sql, params![tenant.key(), kind, id], document_row)
}

pub(super) fn documents(
    connection: &Connection,
    tenant: &Tenant,
    span: &Span<'_>,
) -> Read<Vec<SealedDocument>> {
    let end = after_prefix(span.prefix);
    let limit = rows(span.limit);
    if span.backwards {
        // Both bounds are exclusive, so the lower of the two is the bound.
        let before = match (span.from, end.as_deref()) {
            (Some(from), Some(end)) => Some(from.min(end)),
            (from, end) => from.or(end),
        };
        let sql = "SELECT id, version, form, sealer, body FROM documents
            WHERE tenant = ?1 AND kind = ?2 AND id >= ?3 AND (?4 IS NULL OR id < ?4)
            ORDER BY id DESC LIMIT ?5 + 0";
        let values = params![tenant.key(), span.kind, span.prefix, before, limit];
        return many(connection, sql, values, document_row);
    }
    let sql = "SELECT id, version, form, sealer, body FROM documents
        WHERE tenant = ?1 AND kind = ?2 AND id >= ?3 AND (?4 IS NULL OR id < ?4)
            AND (?5 IS NULL OR id > ?5)
        ORDER BY id LIMIT ?6 + 0";
    let lowest = span.from.map_or(span.prefix, |from| from.max(span.prefix));
    let values = params![tenant.key(), span.kind, lowest, end, span.from, limit];
    many(connection, sql, values, document_row)
}

/// The least text above every text that begins with `prefix`; none above the last.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next =
            if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

pub(super) fn journal(
    connection: &Connection,
    tenant: &Tenant,
    run: &str,
    from: u64,
    limit: usize,
) -> Read<Vec<(Entry, String)>> {
    let sql = "SELECT seq, at, epoch, version, label, payload, sealer FROM journal
        WHERE tenant = ?1 AND run = ?2 AND seq >= ?3 ORDER BY seq LIMIT ?4 + 0";
    many(connection, sql, params![tenant.key(), run, int(from), rows(limit)], |row| {
        let entry = Entry {
            seq: number(row, 0)?,
            at: row.get(1)?,
            epoch: number(row, 2)?,
            version: row.get(3)?,
            label: row.get(4)?,
            payload: bytes(row, 5)?,
        };
        Ok((entry, row.get(6)?))
    })
}

pub(super) fn tail(connection: &Connection, tenant: &Tenant, run: &str) -> Read<Option<Tail>> {
    let sql = "SELECT seq, epoch, digest FROM journal
        WHERE tenant = ?1 AND run = ?2 ORDER BY seq DESC LIMIT 1";
    one(connection, sql, params![tenant.key(), run], |row| {
        Ok(Tail { seq: number(row, 0)?, epoch: number(row, 1)?, digest: row.get(2)? })
    })
}

/// Jumps from run to run through the key instead of reading every entry.
pub(super) fn runs(
    connection: &Connection,
    tenant: &Tenant,
    after: &str,
    limit: usize,
) -> Read<Vec<String>> {
    let sql = "SELECT run FROM journal WHERE tenant = ?1 AND run > ?2 ORDER BY run LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found: Vec<String> = Vec::new();
    while found.len() < limit {
        let last = found.last().map_or(after, String::as_str);
        let next = statement.query_row(params![tenant.key(), last], |row| row.get(0)).optional()?;
        let Some(next) = next else { break };
        found.push(next);
    }
    Ok(found)
}

/// Walks the run's chain of digests; gives the number of its entries.
pub(super) fn verify_journal(
    connection: &Connection,
    tenant: &Tenant,
    run: &str,
) -> Result<u64, StoreError> {
    let sql = "SELECT seq, digest, payload FROM journal
        WHERE tenant = ?1 AND run = ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![tenant.key(), run])?;
    let mut tail = Tail::default();
    while let Some(row) = rows.next()? {
        let seq = number(row, 0)?;
        let broken = |cause: &str| StoreError::Broken { run: run.into(), seq, cause: cause.into() };
        if seq != tail.seq + 1 {
            return Err(broken("the entry before it is missing"));
        }
        tail.seq = seq;
        tail.digest =
            chained(&tail.digest, row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?);
        if row.get::<_, [u8; 32]>(1)? != tail.digest {
            return Err(broken("its digest is not that of its payload and the entries before it"));
        }
    }
    Ok(tail.seq)
}

pub(super) fn queued(connection: &Connection, after: u64, limit: usize) -> Read<Vec<Queued>> {
    let sql = "SELECT tenant, run, lane, place, state, owner, epoch, lease_until, due FROM queue
        WHERE place > ?1 ORDER BY place LIMIT ?2 + 0";
    many(connection, sql, params![int(after), rows(limit)], queue_row)
}

pub(super) fn queued_run(
    connection: &Connection,
    tenant: &Tenant,
    run: &str,
) -> Read<Option<Queued>> {
    let sql = "SELECT tenant, run, lane, place, state, owner, epoch, lease_until, due FROM queue
        WHERE tenant = ?1 AND run = ?2";
    one(connection, sql, params![tenant.key(), run], queue_row)
}

pub(super) fn lane(
    connection: &Connection,
    tenant: &Tenant,
    lane: &str,
    limit: usize,
) -> Read<Vec<Queued>> {
    let sql = "SELECT tenant, run, lane, place, state, owner, epoch, lease_until, due
        FROM queue INDEXED BY queue_lane
        WHERE tenant = ?1 AND lane = ?2 AND state <> 2 ORDER BY place LIMIT ?3 + 0";
    many(connection, sql, params![tenant.key(), lane, rows(limit)], queue_row)
}

/// Rows that may be leased now. Reads the index of rows that are not parked, however many wait parked.
pub(super) fn claimable(connection: &Connection, now: i64, limit: usize) -> Read<Vec<Queued>> {
    let sql = "SELECT tenant, run, lane, place, state, owner, epoch, lease_until, due
        FROM queue AS mine INDEXED BY queue_lane
        WHERE state <> 2 AND due <= ?1 AND (state = 0 OR lease_until <= ?1)
            AND NOT EXISTS (
                SELECT 1 FROM queue AS other INDEXED BY queue_lane
                WHERE other.tenant = mine.tenant AND other.lane = mine.lane
                    AND other.place < mine.place AND other.state <> 2)
        ORDER BY place LIMIT ?2 + 0";
    many(connection, sql, params![now, rows(limit)], queue_row)
}

pub(super) fn due_timers(
    connection: &Connection,
    prefix: &str,
    now: i64,
    limit: usize,
) -> Read<Vec<(Timer, String)>> {
    let sql = "SELECT tenant, id, due, payload, sealer FROM timers
        WHERE due <= ?1 AND substr(id, 1, length(?2)) = ?2
        ORDER BY due, tenant, id LIMIT ?3 + 0";
    many(connection, sql, params![now, prefix, rows(limit)], |row| {
        let timer = Timer {
            tenant: tenant_of(row, 0)?,
            id: row.get(1)?,
            due: row.get(2)?,
            payload: bytes(row, 3)?,
        };
        Ok((timer, row.get(4)?))
    })
}

pub(super) fn counter(connection: &Connection, tenant: &Tenant, key: &str) -> Read<i64> {
    let sql = "SELECT value FROM counters WHERE tenant = ?1 AND key = ?2";
    Ok(one(connection, sql, params![tenant.key(), key], |row| row.get(0))?.unwrap_or(0))
}

pub(super) fn tallies(
    connection: &Connection,
    tenant: &Tenant,
    (after, below): (&str, &str),
    limit: usize,
) -> Read<Vec<(String, Vec<i64>)>> {
    let sql = "SELECT key, sums FROM tallies
        WHERE tenant = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4 + 0";
    let values = params![tenant.key(), after, below, rows(limit)];
    many(connection, sql, values, |row| Ok((row.get(0)?, sums(row, 1)?)))
}

/// Eight bytes each, the lowest first.
pub(super) fn sums(row: &Row<'_>, at: usize) -> Read<Vec<i64>> {
    let body = row.get_ref(at)?.as_blob()?;
    Ok(body.as_chunks().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect())
}

pub(super) fn blob(connection: &Connection, tenant: &Tenant, id: &str) -> Read<Option<Sealed>> {
    let sql = "SELECT sealer, body FROM blobs WHERE tenant = ?1 AND id = ?2";
    one(connection, sql, params![tenant.key(), id], |row| sealed(row, 0))
}

pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    row: impl FnOnce(&Row<'_>) -> Read<T>,
) -> Read<Option<T>> {
    connection.prepare_cached(sql)?.query_row(values, row).optional()
}

fn many<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    row: impl FnMut(&Row<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(values, row)?.collect()
}

fn document_row(row: &Row<'_>) -> Read<SealedDocument> {
    Ok(SealedDocument {
        id: row.get(0)?,
        version: number(row, 1)?,
        form: row.get(2)?,
        sealed: sealed(row, 3)?,
    })
}

fn queue_row(row: &Row<'_>) -> Read<Queued> {
    let state: i64 = row.get(4)?;
    Ok(Queued {
        tenant: tenant_of(row, 0)?,
        run: row.get(1)?,
        lane: row.get(2)?,
        place: number(row, 3)?,
        state: QueueState::from_number(state)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(4, state))?,
        owner: row.get(5)?,
        epoch: number(row, 6)?,
        lease_until: row.get(7)?,
        due: row.get(8)?,
    })
}

fn sealed(row: &Row<'_>, first: usize) -> Read<Sealed> {
    Ok(Sealed { key_id: row.get(first)?, bytes: bytes(row, first + 1)? })
}

fn bytes(row: &Row<'_>, column: usize) -> Read<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn tenant_of(row: &Row<'_>, column: usize) -> Read<Tenant> {
    Ok(Tenant::from_key(row.get_ref(column)?.as_str()?))
}

fn number(row: &Row<'_>, column: usize) -> Read<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}
