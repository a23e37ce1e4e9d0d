//! The queue: who may work on a run, and whose turn it is in a lane.
//!
//! INVARIANT: of a lane's rows that are not parked, at most one is leased, and it is the first. Runs join at
//! the end (`enqueue`, `unpark`), with a lease only if they are alone; only the first is claimed; a lease that
//! is given back keeps its place. Whoever takes a row gets an epoch nobody held before.

use rusqlite::params;

use super::read;
use super::writer::{Writer, conflict, int};
use crate::backend::Claim;
use crate::batch::Lease;
use crate::error::{CommitError, Precondition, StoreError};
use crate::row::{QueueState, Queued};
use crate::tenant::Tenant;

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "the columns of one row, each named once")]
    pub(super) fn enqueue(
        &mut self,
        tenant: &Tenant,
        run: &str,
        lane: &str,
        due: i64,
        lease: Option<&Lease>,
    ) -> Result<(), CommitError> {
        if let Some(there) = read::queued_run(&self.connection, tenant, run)? {
            let found = format!("{} at epoch {}", there.state.name(), there.epoch);
            return Err(conflict(Precondition::State, ("run", run), &"a run not queued", &found));
        }
        if lease.is_some() {
            self.need_free_lane(tenant, lane)?;
        }
        let sql = "INSERT INTO queue
            (tenant, run, lane, place, state, owner, epoch, lease_until, due)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let place = self.next_place();
        let (state, owner, until) = standing(lease);
        let epoch = self.first_epoch(tenant, run, lease.is_some())?;
        self.connection.prepare_cached(sql)?.execute(params![
            tenant.key(),
            run,
            lane,
            place,
            state as i64,
            owner,
            int(epoch),
            until,
            due,
        ])?;
        Ok(())
    }

    /// 0, or 1 with a lease; beyond what its journal has seen if the run was queued once before.
    fn first_epoch(&mut self, tenant: &Tenant, run: &str, leased: bool) -> rusqlite::Result<u64> {
        let tail = self.tail(tenant, run)?;
        let unseen = if tail.seq == 0 { 0 } else { tail.epoch + 1 };
        Ok(unseen.max(u64::from(leased)))
    }

    pub(super) fn park(&self, tenant: &Tenant, run: &str, epoch: u64) -> Result<(), CommitError> {
        self.need(tenant, run, epoch)?;
        let sql = "UPDATE queue SET state = ?3, owner = NULL, lease_until = 0
            WHERE tenant = ?1 AND run = ?2";
        let parked = QueueState::Parked as i64;
        self.connection.prepare_cached(sql)?.execute(params![tenant.key(), run, parked])?;
        Ok(())
    }

    pub(super) fn unpark(
        &mut self,
        tenant: &Tenant,
        run: &str,
        lease: Option<&Lease>,
    ) -> Result<(), CommitError> {
        let there = read::queued_run(&self.connection, tenant, run)?;
        let Some(there) = there.filter(|there| there.state == QueueState::Parked) else {
            let there = read::queued_run(&self.connection, tenant, run)?;
            let found = there.map_or("not queued", |there| there.state.name());
            return Err(conflict(Precondition::State, ("run", run), &"parked", &found));
        };
        if lease.is_some() {
            self.need_free_lane(tenant, &there.lane)?;
        }
        let sql = "UPDATE queue
            SET place = ?3, state = ?4, owner = ?5, lease_until = ?6, epoch = epoch + 1
            WHERE tenant = ?1 AND run = ?2";
        let place = self.next_place();
        let (state, owner, until) = standing(lease);
        let values = params![tenant.key(), run, place, state as i64, owner, until];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    pub(super) fn dequeue(
        &self,
        tenant: &Tenant,
        run: &str,
        epoch: u64,
    ) -> Result<(), CommitError> {
        let sql = "DELETE FROM queue WHERE tenant = ?1 AND run = ?2 AND epoch = ?3";
        let values = params![tenant.key(), run, int(epoch)];
        if self.connection.prepare_cached(sql)?.execute(values)? == 1 {
            return Ok(());
        }
        self.need(tenant, run, epoch).map(|_| ())
    }

    pub(super) fn release(
        &self,
        tenant: &Tenant,
        run: &str,
        epoch: u64,
    ) -> Result<(), CommitError> {
        let there = self.need(tenant, run, epoch)?;
        if there.state != QueueState::Leased {
            let found = there.state.name();
            return Err(conflict(Precondition::State, ("run", run), &"leased", &found));
        }
        let sql = "UPDATE queue SET state = ?3, owner = NULL, lease_until = 0
            WHERE tenant = ?1 AND run = ?2";
        let ready = QueueState::Ready as i64;
        self.connection.prepare_cached(sql)?.execute(params![tenant.key(), run, ready])?;
        Ok(())
    }

    pub(super) fn claim(&self, claim: &Claim) -> Result<Vec<Queued>, StoreError> {
        let mut rows = read::claimable(&self.connection, claim.now, claim.limit)?;
        let sql = "UPDATE queue SET state = ?3, owner = ?4, lease_until = ?5, epoch = ?6
            WHERE tenant = ?1 AND run = ?2";
        let mut lease = self.connection.prepare_cached(sql)?;
        for row in &mut rows {
            row.state = QueueState::Leased;
            row.owner = Some(claim.owner.clone());
            row.lease_until = claim.until;
            row.epoch += 1;
            let (key, run, epoch) = (row.tenant.key(), &row.run, int(row.epoch));
            lease.execute(params![key, run, row.state as i64, claim.owner, claim.until, epoch])?;
        }
        Ok(rows)
    }

    pub(super) fn renew(&self, owner: &str, until: i64) -> Result<u64, StoreError> {
        let sql = "UPDATE queue INDEXED BY queue_lane SET lease_until = ?2
            WHERE state <> 2 AND state = 1 AND owner = ?1";
        Ok(self.connection.prepare_cached(sql)?.execute(params![owner, until])? as u64)
    }

    /// The run's row, which must be there at this epoch.
    fn need(&self, tenant: &Tenant, run: &str, epoch: u64) -> Result<Queued, CommitError> {
        match read::queued_run(&self.connection, tenant, run)? {
            Some(there) if there.epoch == epoch => Ok(there),
            Some(there) => Err(conflict(Precondition::Epoch, ("run", run), &epoch, &there.epoch)),
            None => Err(conflict(
                Precondition::Epoch,
                ("run", run),
                &epoch,
                &"a run that is not queued",
            )),
        }
    }

    fn need_free_lane(&self, tenant: &Tenant, lane: &str) -> Result<(), CommitError> {
        match read::lane(&self.connection, tenant, lane, 1)?.first() {
            None => Ok(()),
            Some(busy) => {
                let found = format!("run {} {}", busy.run, busy.state.name());
                Err(conflict(Precondition::Lane, ("lane", lane), &"nobody", &found))
            }
        }
    }

    /// Places only grow while the store is open, so a reader that pages by place misses nobody.
    fn next_place(&mut self) -> i64 {
        self.place += 1;
        self.place
    }
}

fn standing(lease: Option<&Lease>) -> (QueueState, Option<&str>, i64) {
    match lease {
        None => (QueueState::Ready, None, 0),
        Some((owner, until)) => (QueueState::Leased, Some(owner), *until),
    }
}
