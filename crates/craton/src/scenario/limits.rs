//! What keeps a test within bounds.

use std::time::Duration;

/// A file of scenarios; thousands fit.
pub(crate) const FILE_BYTES: u64 = 16 << 20;
/// How long a scenario may take, unless it says otherwise: some turns of a slow model.
pub(crate) const SCENARIO_SECONDS: u64 = 120;
/// Hand-offs of one turn. An agent that asks for more goes round in a circle.
pub(crate) const HAND_OFFS: usize = 32;
/// Scenarios under way at once, unless somebody says otherwise: a small machine keeps up.
pub(crate) const AT_ONCE: u8 = 4;
/// How long turns of a server of its own may go on once all scenarios are over.
pub(crate) const DRAIN_SECONDS: u64 = 1;
/// A judge's word, which is short.
pub(crate) const JUDGE_TOKENS: u64 = 400;
/// How long a judge may take.
pub(crate) const JUDGE: Duration = Duration::from_secs(60);
/// Characters of an answer or an argument that a report shows.
pub(crate) const SHOWN: usize = 300;
/// How much longer than the scenario a request may take.
pub(crate) const GRACE_SECONDS: u64 = 5;
