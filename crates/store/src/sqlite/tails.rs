//! What the writer remembers of the journals it appends to: the last number and digest of each run, so
//! that an append need not read the row before it.
//!
//! Two generations bound it: when the young one is full it becomes the old one, and what was not asked for
//! meanwhile is forgotten. Forgetting is always safe; the row is read again.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::limits;
use crate::tenant::Tenant;

/// The end of a run's journal. The default is the end of an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) seq: u64,
    pub(super) epoch: u64,
    pub(super) digest: [u8; 32],
}

/// INVARIANT: each row's digest covers the sealed payload and the digest before it, so a changed, missing or
/// reordered row shows, and verifying needs no key.
pub(super) fn chained(previous: &[u8; 32], sealed: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(sealed).finalize().into()
}

pub(super) fn digest(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}

#[derive(Default)]
pub(super) struct Tails {
    young: HashMap<String, Tail>,
    old: HashMap<String, Tail>,
    /// Runs the batch at work has moved; forgotten again if it fails.
    moved: Vec<String>,
}

impl Tails {
    pub(super) fn get(&mut self, tenant: &Tenant, run: &str) -> Option<Tail> {
        let key = key(tenant, run);
        if let Some(tail) = self.young.get(&key) {
            return Some(*tail);
        }
        let tail = self.old.remove(&key)?;
        self.keep(key, tail);
        Some(tail)
    }

    /// Remembers what is on disk.
    pub(super) fn learn(&mut self, tenant: &Tenant, run: &str, tail: Tail) {
        self.keep(key(tenant, run), tail);
    }

    /// Remembers what the batch at work has appended.
    pub(super) fn moved(&mut self, tenant: &Tenant, run: &str, tail: Tail) {
        let key = key(tenant, run);
        self.moved.push(key.clone());
        self.keep(key, tail);
    }

    pub(super) fn batch_done(&mut self) {
        self.moved.clear();
    }

    pub(super) fn batch_failed(&mut self) {
        for key in self.moved.drain(..) {
            self.young.remove(&key);
            self.old.remove(&key);
        }
    }

    pub(super) fn forget_all(&mut self) {
        *self = Tails::default();
    }

    fn keep(&mut self, key: String, tail: Tail) {
        if self.young.len() >= limits::REMEMBERED_RUNS && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, tail);
    }
}

fn key(tenant: &Tenant, run: &str) -> String {
    let mut key = String::with_capacity(tenant.key().len() + 1 + run.len());
    key.push_str(tenant.key());
    key.push('\0');
    key.push_str(run);
    key
}
