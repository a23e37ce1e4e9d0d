//! How long a tool over the network may take, from how long it took lately.
//!
//! A tool that answers in 50 ms and is silent for a second will hardly answer in three. The limit is
//! the 99th of a hundred recent durations, times a factor, between a floor and the cap. It is for
//! the first attempt of a call that may be repeated: the others get the whole cap, so that a tool that
//! has become slower is learnt of, and no call is left in doubt for the sake of speed.

use core::time::Duration;

use crate::limits;

/// The last durations of one tool, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    millis: Vec<u32>,
    next: usize,
}

impl Recent {
    pub fn note(&mut self, took: Duration) {
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        match self.millis.len() < limits::RECENT_DURATIONS {
            true => self.millis.push(millis),
            false => self.millis[self.next] = millis,
        }
        self.next = (self.next + 1) % limits::RECENT_DURATIONS;
    }

    /// The limit of a first attempt; the cap where too little is known.
    pub fn limit(&self, cap: Duration) -> Duration {
        let floor = limits::ADAPTIVE_FLOOR.min(cap);
        match self.p99() {
            Some(p99) => (p99 * limits::ADAPTIVE_FACTOR).clamp(floor, cap),
            None => cap,
        }
    }

    fn p99(&self) -> Option<Duration> {
        if self.millis.len() < limits::RECENT_DURATIONS / 2 {
            return None;
        }
        let mut sorted = self.millis.clone();
        let place = sorted.len() * 99 / 100;
        let (_, p99, _) = sorted.select_nth_unstable(place);
        Some(Duration::from_millis(u64::from(*p99)))
    }
}
