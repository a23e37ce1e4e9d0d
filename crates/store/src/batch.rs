//! What goes in: one tenant's changes and the preconditions they rest on, all or nothing.
//!
//! Operations apply in the order in which they were added, and each sees those before it: an
//! `append` may follow the `enqueue` that gives its run an epoch, and a `dequeue` comes after the
//! run's last `append`.

use bytes::Bytes;

use crate::error::StoreError;
use crate::record::Record;
use crate::tenant::Tenant;

/// Changes of one tenant. See the module for the order in which they apply.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) tenant: Tenant,
    pub(crate) at: i64,
    pub(crate) ops: Vec<Op>,
    /// Set when the payloads are sealed, on the way into the backend.
    pub(crate) key_id: &'static str,
    /// A record that could not be written as JSON; reported when the batch is submitted.
    pub(crate) broken: Option<StoreError>,
}

/// Who works on a run, and until when nobody else may.
pub(crate) type Lease = (String, i64);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    ExpectVersion { kind: &'static str, id: String, version: u64 },
    Put(Put),
    Delete { kind: &'static str, id: String },
    Append(Append),
    Enqueue { run: String, lane: String, due: i64, lease: Option<Lease> },
    Park { run: String, epoch: u64 },
    Unpark { run: String, lease: Option<Lease> },
    Dequeue { run: String, epoch: u64 },
    Release { run: String, epoch: u64 },
    Timer { id: String, due: i64, payload: Bytes },
    ClearTimer { id: String },
    Add(Add),
    Tally(Tally),
    Blob { id: String, body: Bytes },
    DeleteBlob { id: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) form: u32,
    pub(crate) label: &'static str,
    pub(crate) expires_at: Option<i64>,
    pub(crate) body: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) run: String,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    pub(crate) version: u32,
    pub(crate) label: String,
    pub(crate) payload: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) struct Add {
    pub(crate) key: String,
    pub(crate) delta: i64,
    pub(crate) floor: Option<i64>,
    pub(crate) ceiling: Option<i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) key: String,
    pub(crate) sums: Vec<i64>,
    pub(crate) expires_at: i64,
}

impl Batch {
    /// `at_ms` is the time written on journal rows, blobs and documents.
    pub fn new(tenant: &Tenant, at_ms: i64) -> Batch {
        Batch { tenant: tenant.clone(), at: at_ms, ops: Vec::new(), key_id: "", broken: None }
    }

    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The document must stand at this version; 0 means that it must not exist.
    pub fn expect_version<T: Record>(&mut self, id: &str, version: u64) -> &mut Batch {
        self.op(Op::ExpectVersion { kind: T::KIND, id: id.into(), version })
    }

    /// Writes the document; its version grows by one from whatever stands.
    pub fn put<T: Record>(&mut self, id: &str, value: &T) -> &mut Batch {
        self.put_record(id, value, None)
    }

    /// As `put`, and [`crate::Store::purge_expired`] may remove it from `expires_at` on.
    pub fn put_until<T: Record>(&mut self, id: &str, value: &T, expires_at: i64) -> &mut Batch {
        self.put_record(id, value, Some(expires_at))
    }

    /// Removes the document if it is there.
    pub fn delete<T: Record>(&mut self, id: &str) -> &mut Batch {
        self.op(Op::Delete { kind: T::KIND, id: id.into() })
    }

    /// Adds the journal's next row. `seq` must be the next (from 1) and `epoch` the queue row's.
    #[expect(clippy::too_many_arguments, reason = "the columns of one row, each named once")]
    pub fn append(
        &mut self,
        run: &str,
        seq: u64,
        epoch: u64,
        version: u32,
        label: &str,
        payload: impl Into<Bytes>,
    ) -> &mut Batch {
        self.op(Op::Append(Append {
            run: run.into(),
            seq,
            epoch,
            version,
            label: label.into(),
            payload: payload.into(),
        }))
    }

    /// Puts the run at the end of its lane: ready at epoch 0, or leased at epoch 1, which needs a
    /// lane without another run that is not parked.
    pub fn enqueue(
        &mut self,
        run: &str,
        lane: &str,
        due: i64,
        lease: Option<(&str, i64)>,
    ) -> &mut Batch {
        let (run, lane) = (run.into(), lane.into());
        self.op(Op::Enqueue { run, lane, due, lease: lease.map(owned) })
    }

    /// Takes the run out of its lane until it is unparked. Its epoch stays.
    pub fn park(&mut self, run: &str, epoch: u64) -> &mut Batch {
        self.op(Op::Park { run: run.into(), epoch })
    }

    /// Puts a parked run at the end of its lane, with the next epoch; with a lease under the same
    /// rule as `enqueue`.
    pub fn unpark(&mut self, run: &str, lease: Option<(&str, i64)>) -> &mut Batch {
        self.op(Op::Unpark { run: run.into(), lease: lease.map(owned) })
    }

    /// The run is over.
    pub fn dequeue(&mut self, run: &str, epoch: u64) -> &mut Batch {
        self.op(Op::Dequeue { run: run.into(), epoch })
    }

    /// Gives a lease back: the run is ready again, in its old place.
    pub fn release(&mut self, run: &str, epoch: u64) -> &mut Batch {
        self.op(Op::Release { run: run.into(), epoch })
    }

    /// Sets or moves the timer.
    pub fn timer(&mut self, id: &str, due: i64, payload: impl Into<Bytes>) -> &mut Batch {
        self.op(Op::Timer { id: id.into(), due, payload: payload.into() })
    }

    pub fn clear_timer(&mut self, id: &str) -> &mut Batch {
        self.op(Op::ClearTimer { id: id.into() })
    }

    /// Adds to the counter (0 until first used), unless it would leave the range. Without one, what
    /// leaves 64 bits stays at their end.
    pub fn add(
        &mut self,
        key: &str,
        delta: i64,
        floor: Option<i64>,
        ceiling: Option<i64>,
    ) -> &mut Batch {
        self.op(Op::Add(Add { key: key.into(), delta, floor, ceiling }))
    }

    /// Adds to the sums that stand side by side under a key (0 until first used); what leaves 64 bits
    /// stays at their end. [`crate::Store::purge_expired`] may remove them from the latest
    /// `expires_at` on.
    pub fn tally(&mut self, key: &str, sums: &[i64], expires_at: i64) -> &mut Batch {
        self.op(Op::Tally(Tally { key: key.into(), sums: sums.into(), expires_at }))
    }

    pub fn blob(&mut self, id: &str, body: impl Into<Bytes>) -> &mut Batch {
        self.op(Op::Blob { id: id.into(), body: body.into() })
    }

    pub fn delete_blob(&mut self, id: &str) -> &mut Batch {
        self.op(Op::DeleteBlob { id: id.into() })
    }

    fn put_record<T: Record>(&mut self, id: &str, value: &T, until: Option<i64>) -> &mut Batch {
        match serde_json::to_vec(value) {
            Ok(body) => self.op(Op::Put(Put {
                kind: T::KIND,
                id: id.into(),
                form: T::VERSION,
                label: T::LABEL,
                expires_at: until,
                body: body.into(),
            })),
            Err(cause) => {
                self.broken = Some(StoreError::Unwritable {
                    kind: T::KIND.into(),
                    id: id.into(),
                    cause: cause.to_string(),
                });
                self
            }
        }
    }

    fn op(&mut self, op: Op) -> &mut Batch {
        self.ops.push(op);
        self
    }

    /// What it adds to counters, out of it into a batch of its own; `None` if it adds nothing.
    pub(crate) fn take_counters(&mut self) -> Option<Batch> {
        let is_add = |op: &mut Op| matches!(op, Op::Add(_));
        let ops: Vec<Op> = self.ops.extract_if(.., is_add).collect();
        (!ops.is_empty()).then(|| Batch { ops, ..Batch::new(&self.tenant, self.at) })
    }

    /// What takes back all that this one adds to counters.
    pub(crate) fn reversed(&self) -> Batch {
        let mut back = Batch::new(&self.tenant, self.at);
        for op in &self.ops {
            if let Op::Add(add) = op {
                back.add(&add.key, add.delta.saturating_neg(), None, None);
            }
        }
        back
    }

    /// Every payload in the batch, for the sealer.
    pub(crate) fn payloads(&mut self) -> impl Iterator<Item = &mut Bytes> {
        self.ops.iter_mut().filter_map(|op| match op {
            Op::Put(put) => Some(&mut put.body),
            Op::Append(append) => Some(&mut append.payload),
            Op::Timer { payload, .. } => Some(payload),
            Op::Blob { body, .. } => Some(body),
            Op::ExpectVersion { .. }
            | Op::Delete { .. }
            | Op::Enqueue { .. }
            | Op::Park { .. }
            | Op::Unpark { .. }
            | Op::Dequeue { .. }
            | Op::Release { .. }
            | Op::ClearTimer { .. }
            | Op::Add(_)
            | Op::Tally(_)
            | Op::DeleteBlob { .. } => None,
        })
    }
}

fn owned((owner, until): (&str, i64)) -> Lease {
    (owner.to_owned(), until)
}
