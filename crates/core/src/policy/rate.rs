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

/// A bucket that holds one minute's worth and fills evenly. What costs more than it holds is let
/// through once it is full.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Minute {
    /// When it is full again, in milliseconds.
    full: f64,
}

const MINUTE: f64 = 60_000.0;

impl Minute {
    /// How long, in milliseconds, until there is so much of the rate's minute.
    pub fn wait(&self, rate: f64, amount: f64, now: i64) -> f64 {
        let now = now as f64;
        let cost = (amount * MINUTE / rate).min(MINUTE);
        (self.full.max(now) + cost - MINUTE - now).max(0.0)
    }

    pub fn take(&mut self, rate: f64, amount: f64, now: i64) {
        self.full = self.full.max(now as f64) + amount * MINUTE / rate;
    }

    /// What was taken and not used.
    pub fn give_back(&mut self, rate: f64, amount: f64) {
        self.full -= amount * MINUTE / rate;
    }

    pub fn is_full(&self, now: i64) -> bool {
        self.full <= now as f64
    }
}
