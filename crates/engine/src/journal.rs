//! A run's journal as the engine writes and reads it: entries of stamped events.

use bytes::Bytes;
use craton_core::agent::event::Event;
use serde::{Deserialize, Serialize};
use store::{Entry, StoreError, Tenant};

use crate::{Inner, past};

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

/// One row of a run's journal: what became durable together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    /// Which hold of the run wrote it.
    pub(crate) epoch: u64,
    pub(crate) events: Vec<Stamped>,
}

/// A page of a run's journal, from a sequence number on. Empty where it ends. What the turn read of
/// its session is filled in.
pub(crate) async fn rows(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    from: u64,
) -> Result<Vec<Row>, StoreError> {
    let page = inner.store.journal(tenant, run, from, inner.limits.journal_page).await?;
    let row = |entry: &Entry| {
        let events = decode(run, entry)?;
        Ok(Row { seq: entry.seq, epoch: entry.epoch, events })
    };
    let mut rows = page.iter().map(row).collect::<Result<Vec<Row>, StoreError>>()?;
    let events = rows.iter_mut().flat_map(|row| &mut row.events);
    for started in events.filter_map(|stamped| stamped.event.started_mut()) {
        for past in started.pasts_mut() {
            past::fill(inner, tenant, past).await?;
        }
    }
    Ok(rows)
}

/// The events of a run from its journal, in order, with the next sequence number.
pub(crate) async fn load(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
) -> Result<(Vec<Stamped>, u64), StoreError> {
    let (mut events, mut next) = (Vec::new(), 1);
    loop {
        let page = rows(inner, tenant, run, next).await?;
        let full = page.len() == inner.limits.journal_page;
        for row in page {
            next = row.seq + 1;
            events.extend(row.events);
        }
        if !full {
            return Ok((events, next));
        }
    }
}

/// INVARIANT: an entry that cannot be read ends the reading. A turn folded without it could make a
/// call again that it has made.
fn decode(run: &str, entry: &Entry) -> Result<Vec<Stamped>, StoreError> {
    let unreadable = |cause: String| StoreError::Unreadable {
        kind: "journal entry".to_owned(),
        id: format!("{run}/{}", entry.seq),
        cause,
    };
    if entry.version > EVENTS {
        let form = entry.version;
        return Err(unreadable(format!("its form is {form}, this craton knows up to {EVENTS}")));
    }
    serde_json::from_slice(&entry.payload).map_err(|cause| unreadable(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(version: u32, payload: Bytes) -> Entry {
        Entry { seq: 7, at: 1, epoch: 1, version, label: String::new(), payload }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error_and_never_skipped() {
        let events = vec![Stamped { at: 1, event: Event::Finished { text: "done".to_owned() } }];
        assert_eq!(decode("r", &entry(EVENTS, encode(&events))), Ok(events));
        let newer = decode("r", &entry(EVENTS + 1, encode(&[]))).unwrap_err();
        let said =
            "journal entry r/7 cannot be read: its form is 2, this craton knows up to 1 (CR0006)";
        assert_eq!(newer.to_string(), said);
        let unknown = br#"[{"at":1,"event":{"type":"fromTheFuture"}}]"#;
        assert!(decode("r", &entry(EVENTS, Bytes::from_static(unknown))).is_err());
    }
}
