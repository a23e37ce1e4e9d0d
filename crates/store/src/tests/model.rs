//! Random batches on the store and on a model made of maps: same refusals, same state, after every step.
//!
//! The model is the specification at its plainest: it copies everything, applies the batch in order and throws
//! the copy away if a precondition fails.

use std::collections::BTreeMap;

use super::script::{Note, block_on};
use crate::batch::{Lease, Op};
use crate::{Batch, CommitError, Precondition, QueueState, Queued, Store, Tenant};

#[test]
fn the_store_does_what_a_model_of_maps_does() {
    for seed in 0..8 {
        compare(seed, 150);
    }
}

fn compare(seed: u64, steps: usize) {
    let mut store = Store::memory().unwrap();
    let mut model = Model::default();
    let mut dice = Dice(seed);
    for step in 0..steps {
        let context = format!("seed {seed} step {step}");
        match dice.below(12) {
            0 => {
                let now = dice.below(30) as i64;
                let mut claimed = block_on(store.claim(now, "claimer", now + 5, 2)).unwrap();
                claimed.iter_mut().for_each(|row| row.place = model.place(row));
                assert_eq!(claimed, model.claim(now, "claimer", now + 5, 2), "{context}");
            }
            1 => {
                let until = dice.below(40) as i64;
                let renewed = block_on(store.renew("claimer", 0, until)).unwrap();
                assert_eq!(renewed, model.renew("claimer", until), "{context}");
            }
            2 if step % 8 == 0 => store = store.reopen().unwrap(),
            _ => {
                let batch = dice.batch(&model);
                let expected = model.commit(&batch);
                let found = block_on(store.commit(batch.clone())).map_err(|error| match error {
                    CommitError::Conflict(conflict) => conflict.what,
                    CommitError::Store(error) => panic!("{context}: {error}"),
                });
                assert_eq!(found, expected, "{context}: {batch:?}");
            }
        }
        let state = block_on(Model::read(&store));
        assert_eq!(state, model, "{context}");
        lanes_are_in_order(&state.queue);
    }
}

/// At most one leased row in a lane, and it is the first of those that are not parked.
fn lanes_are_in_order(queue: &BTreeMap<(Tenant, String), Queued>) {
    let mut first: BTreeMap<(&Tenant, &str), &Queued> = BTreeMap::new();
    let mut rows: Vec<&Queued> = queue.values().collect();
    rows.sort_by_key(|row| row.place);
    for row in rows.into_iter().filter(|row| row.state != QueueState::Parked) {
        let ahead = first.entry((&row.tenant, &row.lane)).or_insert(row);
        assert!(ahead.run == row.run || row.state == QueueState::Ready, "{row:?} beside {ahead:?}");
    }
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    documents: BTreeMap<(Tenant, String), (u64, String)>,
    journal: BTreeMap<(Tenant, String), Vec<Row>>,
    queue: BTreeMap<(Tenant, String), Queued>,
    timers: BTreeMap<(Tenant, String), (i64, Vec<u8>)>,
    counters: BTreeMap<(Tenant, String), i64>,
    blobs: BTreeMap<(Tenant, String), Vec<u8>>,
}

/// Epoch and payload of a journal row.
type Row = (u64, Vec<u8>);

const NAMES: [&str; 4] = ["w", "x", "y", "z"];

fn tenants() -> [Tenant; 2] {
    [Tenant::new("1", "r"), Tenant::new("2", "r")]
}

impl Model {
    /// The store's whole state, through its reads.
    async fn read(store: &Store) -> Model {
        let mut found = Model::default();
        for t in tenants() {
            for (id, note) in store.list::<Note>(&t, "", None, 100).await.unwrap() {
                found.documents.insert((t.clone(), id), (note.version, note.value.text));
            }
            for run in store.runs(&t, None, 100).await.unwrap() {
                let entries = store.journal(&t, &run, 0, 10_000).await.unwrap();
                assert_eq!(store.verify_journal(&t, &run).await.unwrap(), entries.len() as u64);
                let rows = entries.iter().map(|e| (e.epoch, e.payload.to_vec())).collect();
                found.journal.insert((t.clone(), run), rows);
            }
            for name in NAMES {
                let key = (t.clone(), name.to_owned());
                match store.counter(&t, name).await.unwrap() {
                    0 => None,
                    value => found.counters.insert(key.clone(), value),
                };
                if let Some(body) = store.blob(&t, name).await.unwrap() {
                    found.blobs.insert(key, body.to_vec());
                }
            }
        }
        for row in store.queued(0, 100).await.unwrap() {
            found.queue.insert((row.tenant.clone(), row.run.clone()), row);
        }
        for timer in store.due_timers("", i64::MAX, 100).await.unwrap() {
            let value = (timer.due, timer.payload.to_vec());
            found.timers.insert((timer.tenant, timer.id), value);
        }
        found.renumber();
        found
    }

    /// Places as ranks: the store may leave gaps, only their order means something.
    fn renumber(&mut self) {
        let mut rows: Vec<&mut Queued> = self.queue.values_mut().collect();
        rows.sort_by_key(|row| row.place);
        for (rank, row) in rows.into_iter().enumerate() {
            row.place = rank as u64 + 1;
        }
    }

    fn place(&self, row: &Queued) -> u64 {
        self.queue[&(row.tenant.clone(), row.run.clone())].place
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Precondition> {
        let mut next = self.clone();
        for op in &batch.ops {
            next.apply(&batch.tenant, op)?;
        }
        next.renumber();
        *self = next;
        Ok(())
    }

    fn apply(&mut self, t: &Tenant, op: &Op) -> Result<(), Precondition> {
        let key = |id: &str| (t.clone(), id.to_owned());
        match op {
            Op::ExpectVersion { id, version, .. } => {
                let found = self.documents.get(&key(id)).map_or(0, |(version, _)| *version);
                return ensure(found == *version, Precondition::Version);
            }
            Op::Put(put) => {
                let note: Note = serde_json::from_slice(&put.body).unwrap();
                let version = self.documents.get(&key(&put.id)).map_or(0, |(version, _)| *version);
                self.documents.insert(key(&put.id), (version + 1, note.text));
            }
            Op::Delete { id, .. } => {
                self.documents.remove(&key(id));
            }
            Op::Append(row) => {
                let epoch = self.queue.get(&key(&row.run)).map(|queued| queued.epoch);
                ensure(epoch == Some(row.epoch), Precondition::Epoch)?;
                let seen = self.journal.get(&key(&row.run)).map_or(0, Vec::len) as u64;
                ensure(row.seq == seen + 1, Precondition::Seq)?;
                let rows = self.journal.entry(key(&row.run)).or_default();
                rows.push((row.epoch, row.payload.to_vec()));
            }
            Op::Enqueue { run, lane, due, lease } => {
                ensure(!self.queue.contains_key(&key(run)), Precondition::State)?;
                let last = self.journal.get(&key(run)).and_then(|rows| rows.last());
                let epoch = last.map_or(0, |(epoch, _)| epoch + 1).max(u64::from(lease.is_some()));
                let row = Queued {
                    tenant: t.clone(),
                    run: run.clone(),
                    lane: lane.clone(),
                    place: 0,
                    state: QueueState::Ready,
                    owner: None,
                    epoch,
                    lease_until: 0,
                    due: *due,
                };
                self.join(row, lease.as_ref())?;
            }
            Op::Park { run, epoch } => {
                let row = self.at(&key(run), *epoch)?;
                stand(row, QueueState::Parked, None);
            }
            Op::Unpark { run, lease } => {
                let row = self.queue.get(&key(run)).cloned();
                let row = row.filter(|row| row.state == QueueState::Parked);
                let mut row = row.ok_or(Precondition::State)?;
                row.epoch += 1;
                self.join(row, lease.as_ref())?;
            }
            Op::Dequeue { run, epoch } => {
                self.at(&key(run), *epoch)?;
                self.queue.remove(&key(run));
            }
            Op::Release { run, epoch } => {
                let row = self.at(&key(run), *epoch)?;
                ensure(row.state == QueueState::Leased, Precondition::State)?;
                stand(row, QueueState::Ready, None);
            }
            Op::Timer { id, due, payload } => {
                self.timers.insert(key(id), (*due, payload.to_vec()));
            }
            Op::ClearTimer { id } => {
                self.timers.remove(&key(id));
            }
            Op::Add(add) => {
                let found = *self.counters.get(&key(&add.key)).unwrap_or(&0);
                let next = match (add.floor, add.ceiling) {
                    (None, None) => Some(found.saturating_add(add.delta)),
                    (floor, ceiling) => found.checked_add(add.delta).filter(|next| {
                        (floor.unwrap_or(i64::MIN)..=ceiling.unwrap_or(i64::MAX)).contains(next)
                    }),
                };
                let next = next.ok_or(Precondition::Counter)?;
                self.counters.insert(key(&add.key), next);
                self.counters.retain(|_, value| *value != 0);
            }
            // A script has them: `sums_stand_side_by_side_until_they_expire`.
            Op::Tally(_) => {}
            Op::Blob { id, body } => {
                self.blobs.insert(key(id), body.to_vec());
            }
            Op::DeleteBlob { id } => {
                self.blobs.remove(&key(id));
            }
        }
        Ok(())
    }

    /// To the end of its lane, with a lease only into an empty one.
    fn join(&mut self, mut row: Queued, lease: Option<&Lease>) -> Result<(), Precondition> {
        let busy = self.queue.values().any(|other| {
            other.tenant == row.tenant
                && other.lane == row.lane
                && other.state != QueueState::Parked
        });
        ensure(!(busy && lease.is_some()), Precondition::Lane)?;
        row.place = self.queue.values().map(|other| other.place).max().unwrap_or(0) + 1;
        match lease {
            Some(lease) => stand(&mut row, QueueState::Leased, Some(lease)),
            None => stand(&mut row, QueueState::Ready, None),
        }
        self.queue.insert((row.tenant.clone(), row.run.clone()), row);
        Ok(())
    }

    fn at(&mut self, key: &(Tenant, String), epoch: u64) -> Result<&mut Queued, Precondition> {
        self.queue.get_mut(key).filter(|row| row.epoch == epoch).ok_or(Precondition::Epoch)
    }

    fn claim(&mut self, now: i64, owner: &str, until: i64, limit: usize) -> Vec<Queued> {
        let mut rows: Vec<Queued> = self.queue.values().cloned().collect();
        rows.sort_by_key(|row| row.place);
        rows.retain(|row| row.state != QueueState::Parked);
        let mut lanes = Vec::new();
        rows.retain(|row| {
            let lane = (row.tenant.clone(), row.lane.clone());
            let first = !lanes.contains(&lane);
            lanes.push(lane);
            let free = row.state == QueueState::Ready || row.lease_until <= now;
            first && free && row.due <= now
        });
        rows.truncate(limit);
        for row in &mut rows {
            row.epoch += 1;
            stand(row, QueueState::Leased, Some(&(owner.to_owned(), until)));
            self.queue.insert((row.tenant.clone(), row.run.clone()), row.clone());
        }
        rows
    }

    fn renew(&mut self, owner: &str, until: i64) -> u64 {
        let mut renewed = 0;
        for row in self.queue.values_mut().filter(|row| row.owner.as_deref() == Some(owner)) {
            row.lease_until = until;
            renewed += 1;
        }
        renewed
    }
}

fn stand(row: &mut Queued, state: QueueState, lease: Option<&Lease>) {
    row.state = state;
    row.owner = lease.map(|(owner, _)| owner.clone());
    row.lease_until = lease.map_or(0, |(_, until)| *until);
}

fn ensure(holds: bool, what: Precondition) -> Result<(), Precondition> {
    if holds { Ok(()) } else { Err(what) }
}

/// A small generator (SplitMix64), so that a seed says everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len() as u64) as usize]
    }

    /// Mostly what would succeed, so that the state grows; sometimes what is stale or early.
    fn batch(&mut self, model: &Model) -> Batch {
        let tenant = tenants()[self.below(2) as usize].clone();
        let mut batch = Batch::new(&tenant, 1);
        for _ in 0..=self.below(3) {
            self.op(model, &tenant, &mut batch);
        }
        batch
    }

    fn op(&mut self, model: &Model, tenant: &Tenant, batch: &mut Batch) {
        let name = self.name();
        let key = (tenant.clone(), name.to_owned());
        let slip = u64::from(self.below(8) == 0);
        let epoch = model.queue.get(&key).map_or(0, |row| row.epoch) + slip;
        let lease = Some(("claimer", self.below(40) as i64)).filter(|_| self.below(2) == 0);
        let text = format!("{}", self.below(1000));
        match self.below(15) {
            0 => {
                let found = model.documents.get(&key).map_or(0, |(version, _)| *version);
                batch.expect_version::<Note>(name, found + slip)
            }
            1 => batch.put(name, &Note { text }),
            2 => batch.delete::<Note>(name),
            3..=5 => {
                let next = model.journal.get(&key).map_or(0, Vec::len) as u64 + 1;
                batch.append(name, next + self.below(8) / 7, epoch, 1, "", text)
            }
            6 | 7 => batch.enqueue(name, ["p", "q"][self.below(2) as usize], 3, lease),
            8 => batch.park(name, epoch),
            9 => batch.unpark(name, lease),
            10 => batch.dequeue(name, epoch),
            11 => batch.release(name, epoch),
            12 => match slip {
                0 => batch.timer(name, self.below(9) as i64, text),
                _ => batch.clear_timer(name),
            },
            13 => {
                let near = self.below(7) as i64 - 3;
                // Sums beyond the type, too.
                let delta = [near, near, near, i64::MAX, i64::MIN][self.below(5) as usize];
                let (low, high) = (Some(-4), Some(4));
                let (floor, ceiling) =
                    [(low, high), (low, None), (None, high), (None, None)][self.below(4) as usize];
                batch.add(name, delta, floor, ceiling)
            }
            _ => match slip {
                0 => batch.blob(name, text),
                _ => batch.delete_blob(name),
            },
        };
    }
}
