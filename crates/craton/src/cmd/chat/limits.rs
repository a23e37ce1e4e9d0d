//! What a chat keeps within bounds.

use std::time::Duration;

/// How long one turn may take: as long as the server gives a turn that is under way. Ctrl-C ends the
/// wait sooner.
pub(super) const TURN: Duration = Duration::from_secs(3600);
/// AWS: `inputText` is at most 25,000,000 characters (API reference, InvokeAgent).
pub(super) const LINE_BYTES: u64 = 25_000_000;
/// Names that an error shows.
pub(super) const NAMES_SHOWN: usize = 8;
/// Characters of a tool's answer, or of one argument, that a line shows.
pub(super) const SHOWN: usize = 160;
