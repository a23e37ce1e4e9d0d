//! Caps of the engine. Each number is a default that `craton.toml` may change.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Turns that wait for their session; one more is throttled. Ours.
    pub waiting_per_session: usize,
    /// Runs under way in one process, waiting ones included; one more is throttled. Ours.
    pub runs: usize,
    /// How long a repeated request finds its run. AWS: SDKs repeat within minutes.
    pub repeat_millis: i64,
    /// How long a lease lasts without renewal.
    pub lease_millis: i64,
    /// How long a hand-off waits for its results before the turn is called off. Requirement G4:
    /// sessions are kept 30 days.
    pub parked_millis: i64,
    /// Compiled configurations kept in memory.
    pub cached_agents: usize,
    /// Journal entries read at once.
    pub journal_page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            waiting_per_session: 100,
            runs: 10_000,
            repeat_millis: 3_600_000,
            lease_millis: 30_000,
            parked_millis: 30 * 24 * 3_600_000,
            cached_agents: 1_000,
            journal_page: 500,
        }
    }
}
