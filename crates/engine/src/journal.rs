//! A run's journal as the engine writes and reads it: entries of stamped events.

use bytes::Bytes;
use craton_core::agent::event::Event;
use serde::{Deserialize, Serialize};
use store::{StoreError, Tenant};

use crate::Inner;

/// Version of the journal's payload: a list of stamped events as JSON.
pub(crate) const EVENTS: u32 = 1;

/// An event and the moment when it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    pub at: i64,
    pub event: Event,
}

pub(crate) fn encode(events: &[Stamped]) -> Bytes {
    Bytes::from(serde_json::to_vec(events).expect("events are plain data"))
}

/// The events of a run from its journal, in order, with the next sequence number.
pub(crate) async fn load(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
) -> Result<(Vec<Stamped>, u64), StoreError> {
    let (mut events, mut next) = (Vec::new(), 1);
    loop {
        let page = inner.store.journal(tenant, run, next, inner.limits.journal_page).await?;
        let full = page.len() == inner.limits.journal_page;
        for entry in page {
            next = entry.seq + 1;
            match serde_json::from_slice::<Vec<Stamped>>(&entry.payload) {
                Ok(stamped) => events.extend(stamped),
                Err(cause) => {
                    tracing::error!(run, seq = entry.seq, %cause, "a journal entry is unreadable");
                }
            }
        }
        if !full {
            return Ok((events, next));
        }
    }
}
