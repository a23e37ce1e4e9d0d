//! What reads give back beside documents: journal entries, queue rows and timers.

use bytes::Bytes;

use crate::tenant::Tenant;

/// One row of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub at: i64,
    pub epoch: u64,
    /// The form of the payload, as its writer numbered it.
    pub version: u32,
    pub label: String,
    pub payload: Bytes,
}

/// A run that is not over: waiting, at work, or parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub tenant: Tenant,
    pub run: String,
    pub lane: String,
    pub place: u64,
    pub state: QueueState,
    pub owner: Option<String>,
    pub epoch: u64,
    pub lease_until: i64,
    pub due: i64,
}

/// Where a queued run stands. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    Ready = 0,
    Leased = 1,
    /// Waits for somebody outside and holds no lane.
    Parked = 2,
}

impl QueueState {
    pub(crate) fn from_number(number: i64) -> Option<QueueState> {
        match number {
            0 => Some(QueueState::Ready),
            1 => Some(QueueState::Leased),
            2 => Some(QueueState::Parked),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            QueueState::Ready => "ready",
            QueueState::Leased => "leased",
            QueueState::Parked => "parked",
        }
    }
}

/// Something to do at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    pub tenant: Tenant,
    pub id: String,
    pub due: i64,
    pub payload: Bytes,
}
