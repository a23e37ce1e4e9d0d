//! How long to wait before a call is attempted again.
//!
//! Full jitter: any length up to one that doubles, so that callers who failed together do not come
//! back together. The random number comes in; nothing here draws one. Whether a call may be
//! repeated at all is its effect class's to say.

use core::time::Duration;

use super::Retry;

impl Retry {
    /// The pause before the attempt after the `done`th, `min(uniform(0, base·2ⁿ), max)` with n from 0.
    pub fn pause(&self, done: u32, draw: u64) -> Duration {
        let n = i32::try_from(done.saturating_sub(1)).unwrap_or(i32::MAX);
        // 53 bits are what a double holds exactly.
        let part = (draw >> 11) as f64 / (1u64 << 53) as f64;
        let seconds = part * self.base_seconds * 2f64.powi(n);
        Duration::from_secs_f64(seconds.min(self.max_seconds).max(0.0))
    }

    /// The pause where the tool may have said how long it wants to be left alone. `None` where that
    /// is longer than anybody waits.
    pub fn pause_after(&self, done: u32, draw: u64, wanted: Option<Duration>) -> Option<Duration> {
        let longest = Duration::from_secs_f64(self.max_seconds.max(0.0));
        match wanted {
            Some(wanted) if wanted > longest => None,
            Some(wanted) => Some(self.pause(done, draw).max(wanted)),
            None => Some(self.pause(done, draw)),
        }
    }
}
