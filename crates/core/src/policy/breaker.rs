//! The circuit breaker of one tool: whether a call may go through now, and what its outcome changes.
//!
//! Closed it counts, over a window that rolls. Open it lets nothing through. When its cooldown is
//! over it lets exactly one call try. Times are milliseconds and come in with each question, so that
//! the same questions always get the same answers. What counts as a failure is the engine's to say.

use std::collections::VecDeque;

use super::Breaker;
use crate::limits;

/// Into how many slices a window is counted: what is older than it leaves with its slice.
const SLICES: i64 = 1_000;

/// One tool's breaker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Circuit {
    phase: Phase,
    /// The oldest first; only those in which a call ended.
    slices: VecDeque<Slice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: i64,
        /// How often in a row it has opened.
        times: u32,
    },
    /// One call tries.
    HalfOpen { since: i64, times: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    number: i64,
    calls: u32,
    failures: u32,
}

/// What a call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Pass,
    /// It alone may try, and its outcome decides.
    Probe,
    /// Not before this time.
    Shut {
        until: i64,
    },
}

/// How a call that went through ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Well,
    Badly,
    /// It says nothing of the tool.
    Unsaid,
}

/// A breaker as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// Calls that ended in the window, and how many of them failed.
    pub calls: u32,
    pub failures: u32,
    /// When one call may try.
    pub until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half-open",
        }
    }
}

impl Circuit {
    /// A call wants to go through.
    pub fn ask(&mut self, now: i64) -> Gate {
        match self.phase {
            Phase::Closed => Gate::Pass,
            Phase::Open { until, .. } if now < until => Gate::Shut { until },
            Phase::Open { times, .. } => {
                self.phase = Phase::HalfOpen { since: now, times };
                Gate::Probe
            }
            Phase::HalfOpen { .. } => Gate::Shut { until: now },
        }
    }

    /// A call that went through has ended. What was under way when the breaker opened changes
    /// nothing any more.
    pub fn told(&mut self, set: &Breaker, gate: Gate, ending: Ending, now: i64) {
        match (gate, self.phase) {
            (Gate::Pass, Phase::Closed) => self.count(set, ending, now),
            (Gate::Probe, Phase::HalfOpen { times, .. }) => match ending {
                Ending::Well => *self = Circuit::default(),
                Ending::Badly => self.open(set, times.saturating_add(1), now),
                Ending::Unsaid => self.phase = Phase::Open { until: now, times },
            },
            (Gate::Pass | Gate::Probe | Gate::Shut { .. }, _) => {}
        }
    }

    /// The call that was to try was given up: another may, at once.
    pub fn forsake(&mut self) {
        if let Phase::HalfOpen { since, times } = self.phase {
            self.phase = Phase::Open { until: since, times };
        }
    }

    /// The tool is called in a loop: it opens, whatever the tool answers, unless it is turned off.
    pub fn trip(&mut self, set: &Breaker, now: i64) {
        if self.phase == Phase::Closed && !set.is_off() {
            self.open(set, 1, now);
        }
    }

    pub fn standing(&self, set: &Breaker, now: i64) -> Standing {
        let oldest = oldest(set, now);
        let counted = self.slices.iter().filter(|slice| slice.number > oldest);
        let (calls, failures) = counted.fold((0, 0), |(calls, failures), slice| {
            (calls + slice.calls, failures + slice.failures)
        });
        let (state, until) = match self.phase {
            Phase::Closed => (State::Closed, None),
            Phase::Open { until, .. } => (State::Open, Some(until)),
            Phase::HalfOpen { .. } => (State::HalfOpen, None),
        };
        Standing { state, calls, failures, until }
    }

    /// Whether forgetting it would change nothing.
    pub fn is_idle(&self, set: &Breaker, now: i64) -> bool {
        self.phase == Phase::Closed && self.standing(set, now).calls == 0
    }

    fn count(&mut self, set: &Breaker, ending: Ending, now: i64) {
        let failed = match ending {
            Ending::Unsaid => return,
            Ending::Well => 0,
            Ending::Badly => 1,
        };
        let (oldest, number) = (oldest(set, now), now / slice_millis(set));
        while self.slices.front().is_some_and(|slice| slice.number <= oldest) {
            self.slices.pop_front();
        }
        match self.slices.back_mut() {
            // A clock that was set back counts into the newest slice.
            Some(last) if last.number >= number => {
                last.calls += 1;
                last.failures += failed;
            }
            _ => self.slices.push_back(Slice { number, calls: 1, failures: failed }),
        }
        if failed == 1 && self.fails_too_often(set, now) {
            self.open(set, 1, now);
        }
    }

    fn fails_too_often(&self, set: &Breaker, now: i64) -> bool {
        let Standing { calls, failures, .. } = self.standing(set, now);
        // A share such as 0.15 has no exact double; a whole call is far more than the difference.
        let allowed = set.failure_share * f64::from(calls) + 1e-6;
        calls >= set.least_calls && f64::from(failures) > allowed
    }

    fn open(&mut self, set: &Breaker, times: u32, now: i64) {
        let longest = limits::BREAKER_COOLDOWN_SECONDS.max(set.cooldown_seconds);
        let doubled = set.cooldown_seconds.saturating_mul(1 << (times - 1).min(32));
        let millis = i64::try_from(doubled.min(longest)).unwrap_or(i64::MAX).saturating_mul(1000);
        // What was counted stays, for whoever asks why; it goes when a call has tried and went well.
        self.phase = Phase::Open { until: now.saturating_add(millis), times };
    }
}

fn slice_millis(set: &Breaker) -> i64 {
    let window = i64::try_from(set.window_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    (window / SLICES).max(1)
}

/// The newest slice that the window has left behind.
fn oldest(set: &Breaker, now: i64) -> i64 {
    now / slice_millis(set) - SLICES
}
