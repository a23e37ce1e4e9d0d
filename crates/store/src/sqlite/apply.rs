//! Documents, journal rows, timers, counters and blobs of a batch. Each is one or two statements.

use rusqlite::{OptionalExtension, params};

use super::read;
use super::tails::{Tail, chained, digest};
use super::writer::{Writer, conflict, int};
use crate::batch::{Add, Append, Batch, Put, Tally};
use crate::error::{CommitError, Precondition, StoreError};
use crate::record::{BESIDE_JOURNAL, JOURNALED};
use crate::tenant::Tenant;

impl Writer {
    pub(super) fn expect_version(
        &self,
        batch: &Batch,
        kind: &'static str,
        id: &str,
        version: u64,
    ) -> Result<(), CommitError> {
        let sql = "SELECT version FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement
            .query_row(params![batch.tenant.key(), kind, id], |row| row.get::<_, i64>(0))
            .optional()?
            .unwrap_or(0);
        // INVARIANT: a document is written over only by someone who saw what stands there.
        if found != int(version) {
            return Err(conflict(Precondition::Version, (kind, id), &version, &found));
        }
        Ok(())
    }

    pub(super) fn put(&self, batch: &Batch, put: &Put) -> Result<(), CommitError> {
        let sql = "INSERT INTO documents
            (tenant, kind, id, version, form, at, expires_at, label, digest, sealer, body)
            VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT DO UPDATE SET version = version + 1, form = ?4, at = ?5, expires_at = ?6,
                label = ?7, digest = ?8, sealer = ?9, body = ?10";
        self.connection.prepare_cached(sql)?.execute(params![
            batch.tenant.key(),
            put.kind,
            put.id,
            put.form,
            batch.at,
            put.expires_at,
            put.label,
            digest(&put.body),
            batch.key_id,
            put.body.as_ref(),
        ])?;
        Ok(())
    }

    pub(super) fn delete(&self, batch: &Batch, kind: &str, id: &str) -> Result<(), CommitError> {
        let sql = "DELETE FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
        self.connection.prepare_cached(sql)?.execute(params![batch.tenant.key(), kind, id])?;
        Ok(())
    }

    /// The hot path: most commits are one of these and nothing else.
    pub(super) fn append(&mut self, batch: &Batch, row: &Append) -> Result<(), CommitError> {
        let tail = self.tail(&batch.tenant, &row.run)?;
        let next =
            Tail { seq: row.seq, epoch: row.epoch, digest: chained(&tail.digest, &row.payload) };
        if row.seq != tail.seq + 1 || !self.insert_entry(batch, row, &next)? {
            return Err(self.refused(batch, row, &tail)?);
        }
        self.tails.moved(&batch.tenant, &row.run, next);
        Ok(())
    }

    /// INVARIANT: only the holder of the run's current epoch appends. The queue row is looked at by the
    /// statement that inserts, so whoever was fenced off inserts nothing.
    fn insert_entry(&self, batch: &Batch, row: &Append, next: &Tail) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO journal
            (tenant, run, seq, at, epoch, version, label, digest, sealer, payload)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
            FROM queue WHERE tenant = ?1 AND run = ?2 AND epoch = ?5";
        let inserted = self.connection.prepare_cached(sql)?.execute(params![
            batch.tenant.key(),
            row.run,
            int(row.seq),
            batch.at,
            int(row.epoch),
            row.version,
            row.label,
            next.digest,
            batch.key_id,
            row.payload.as_ref(),
        ])?;
        Ok(inserted == 1)
    }

    /// Why the append did not happen. A stale epoch is told first: who is fenced off is behind in
    /// sequence as well, and must stop, not retry.
    fn refused(&self, batch: &Batch, row: &Append, tail: &Tail) -> rusqlite::Result<CommitError> {
        let about = ("run", row.run.as_str());
        Ok(match read::queued_run(&self.connection, &batch.tenant, &row.run)? {
            None => conflict(Precondition::Epoch, about, &row.epoch, &"a run that is not queued"),
            Some(queued) if queued.epoch != row.epoch => {
                conflict(Precondition::Epoch, about, &row.epoch, &queued.epoch)
            }
            Some(_) => conflict(Precondition::Seq, about, &row.seq, &(tail.seq + 1)),
        })
    }

    /// The end of the run's journal, from memory or from its last row.
    pub(super) fn tail(&mut self, tenant: &Tenant, run: &str) -> rusqlite::Result<Tail> {
        if let Some(tail) = self.tails.get(tenant, run) {
            return Ok(tail);
        }
        let tail = read::tail(&self.connection, tenant, run)?.unwrap_or_default();
        self.tails.learn(tenant, run, tail);
        Ok(tail)
    }

    pub(super) fn timer(
        &self,
        batch: &Batch,
        id: &str,
        due: i64,
        payload: &[u8],
    ) -> Result<(), CommitError> {
        let sql = "INSERT OR REPLACE INTO timers (tenant, id, due, label, digest, sealer, payload)
            VALUES (?1, ?2, ?3, '', ?4, ?5, ?6)";
        let key = batch.tenant.key();
        let values = params![key, id, due, digest(payload), batch.key_id, payload];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn clear_timer(&self, batch: &Batch, id: &str) -> Result<(), CommitError> {
        let sql = "DELETE FROM timers WHERE tenant = ?1 AND id = ?2";
        self.connection.prepare_cached(sql)?.execute(params![batch.tenant.key(), id])?;
        Ok(())
    }

    pub(super) fn add(&self, batch: &Batch, add: &Add) -> Result<(), CommitError> {
        let found = read::counter(&self.connection, &batch.tenant, &add.key)?;
        // INVARIANT: a counter never leaves the range its users state, nor that of its type. Without a
        // range nothing can be in its way: what was spent is noted, however much somebody counted.
        let free = add.floor.is_none() && add.ceiling.is_none();
        let sum =
            if free { Some(found.saturating_add(add.delta)) } else { found.checked_add(add.delta) };
        let next = sum.filter(|next| {
            add.floor.is_none_or(|floor| *next >= floor)
                && add.ceiling.is_none_or(|ceiling| *next <= ceiling)
        });
        let Some(next) = next else {
            let expected = format!("a sum {}", range(add.floor, add.ceiling));
            let found = format!("{found} {:+}", add.delta);
            return Err(conflict(Precondition::Counter, ("counter", &add.key), &expected, &found));
        };
        let sql = "INSERT OR REPLACE INTO counters (tenant, key, value) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![batch.tenant.key(), add.key, next])?;
        Ok(())
    }

    pub(super) fn tally(&self, batch: &Batch, tally: &Tally) -> Result<(), CommitError> {
        let (tenant, key) = (batch.tenant.key(), tally.key.as_str());
        let sql = "SELECT sums FROM tallies WHERE tenant = ?1 AND key = ?2";
        let mut found = self.connection.prepare_cached(sql)?;
        let found = found.query_row(params![tenant, key], |row| read::sums(row, 0)).optional()?;
        let mut sums = found.unwrap_or_default();
        sums.resize(sums.len().max(tally.sums.len()), 0);
        for (sum, more) in sums.iter_mut().zip(&tally.sums) {
            *sum = sum.saturating_add(*more);
        }
        let body: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let sql = "INSERT INTO tallies (tenant, key, expires_at, sums) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET sums = ?4, expires_at = max(expires_at, ?3)";
        let values = params![tenant, key, tally.expires_at, body];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn blob(&self, batch: &Batch, id: &str, body: &[u8]) -> Result<(), CommitError> {
        let sql = "INSERT OR REPLACE INTO blobs (tenant, id, at, label, digest, sealer, body)
            VALUES (?1, ?2, ?3, '', ?4, ?5, ?6)";
        let key = batch.tenant.key();
        let values = params![key, id, batch.at, digest(body), batch.key_id, body];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn delete_blob(&self, batch: &Batch, id: &str) -> Result<(), CommitError> {
        let sql = "DELETE FROM blobs WHERE tenant = ?1 AND id = ?2";
        self.connection.prepare_cached(sql)?.execute(params![batch.tenant.key(), id])?;
        Ok(())
    }

    /// INVARIANT: a journal, and what is kept beside it, goes in the change in which the document goes
    /// that leads to it.
    pub(super) fn purge(&mut self, now: i64, limit: usize) -> Result<u64, StoreError> {
        let due = "SELECT tenant, kind, id, label FROM documents
            WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at, rowid LIMIT ?2 + 0";
        let journals = format!(
            "DELETE FROM journal WHERE (tenant, run) IN (
                SELECT tenant, id FROM ({due}) WHERE label = '{JOURNALED}')"
        );
        // A slash is the sign before "0": what begins with it lies between the two.
        let beside = format!(
            "DELETE FROM documents WHERE rowid IN (
                SELECT kept.rowid FROM ({due}) AS gone JOIN documents AS kept
                ON kept.tenant = gone.tenant AND kept.kind = '{BESIDE_JOURNAL}'
                AND kept.id >= gone.id || '/' AND kept.id < gone.id || '0'
                WHERE gone.label = '{JOURNALED}')"
        );
        let documents = format!(
            "DELETE FROM documents WHERE (tenant, kind, id) IN (SELECT tenant, kind, id FROM ({due}))"
        );
        let values = params![now, read::rows(limit)];
        if self.connection.prepare_cached(&journals)?.execute(values)? > 0 {
            self.tails.forget_all();
            self.connection.prepare_cached(&beside)?.execute(values)?;
        }
        let gone = self.connection.prepare_cached(&documents)?.execute(values)?;
        let tallies = "DELETE FROM tallies WHERE (tenant, key) IN (
            SELECT tenant, key FROM tallies WHERE expires_at <= ?1 LIMIT ?2 + 0)";
        self.connection.prepare_cached(tallies)?.execute(values)?;
        Ok(gone as u64)
    }
}

fn range(floor: Option<i64>, ceiling: Option<i64>) -> String {
    match (floor, ceiling) {
        (Some(floor), Some(ceiling)) => format!("from {floor} to {ceiling}"),
        (Some(floor), None) => format!("of at least {floor}"),
        (None, Some(ceiling)) => format!("of at most {ceiling}"),
        (None, None) => "of 64 bits".into(),
    }
}
