//! Configurations that come with their requests and are no resource: kept for as long as a run may
//! name them, and not for ever, since each request may bring another.

use std::collections::HashMap;
use std::sync::Mutex;

use craton_core::agent::turn::{Agent, Unfit};
use store::{Batch, CommitError, Tenant};

use crate::Engine;
use crate::record::Pinned;

/// A configuration that is in use is written again once a day. Ours.
const DAY: i64 = 24 * 3_600_000;

/// Until when a configuration is kept, as far as this process has seen to it.
pub(crate) type Kept = Mutex<HashMap<(Tenant, String), i64>>;

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl Engine {
    /// Keeps a configuration that turns can run, and gives its digest. One that is kept for long
    /// enough is neither compiled nor written again.
    pub async fn keep(&self, tenant: &Tenant, pinned: &Pinned) -> Result<String, KeepError> {
        let inner = &self.0;
        let digest = pinned.digest();
        let key = (tenant.clone(), digest.clone());
        // A turn that begins now may wait for its client, and is shown for a while after its end.
        let needed = self.now() + inner.limits.parked_millis + inner.text_millis(&pinned.config);
        let known = inner.kept.lock().expect("no holder of this lock panics").get(&key).copied();
        if known.is_some_and(|until| until >= needed) {
            return Ok(digest);
        }
        Agent::new(pinned.config.clone())?;
        let until = needed + DAY;
        let mut batch = Batch::new(tenant, self.now());
        batch.put_until(&digest, pinned, until);
        inner.store.commit(batch).await?;
        let mut kept = inner.kept.lock().expect("no holder of this lock panics");
        if kept.len() >= inner.limits.cached_agents {
            kept.clear();
        }
        kept.insert(key, until);
        Ok(digest)
    }
}
