//! How many calls a second go to a tool.
//!
//! A bucket that holds one second's calls and fills evenly. It is counted in time alone: when the
//! next call would be due if all came evenly spread. Times are milliseconds and come in.

use core::time::Duration;

/// What has been let through lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// When the next call would be due, in milliseconds.
    due: f64,
}

impl Pace {
    /// How long a call has to wait for its turn, which it then has. `None` if that is longer than it
    /// can: it has no turn then.
    pub fn admit(&mut self, per_second: f64, now: i64, patience: Duration) -> Option<Duration> {
        let (now, between) = (now as f64, 1000.0 / per_second);
        // Below one call a second the bucket holds the one call.
        let ahead = (1000.0 - between).max(0.0);
        let due = self.due.max(now);
        let wait = (due - ahead - now).max(0.0);
        if wait > patience.as_secs_f64() * 1000.0 {
            return None;
        }
        self.due = due + between;
        Some(Duration::from_secs_f64(wait / 1000.0))
    }
}
