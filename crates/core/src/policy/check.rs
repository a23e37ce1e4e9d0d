//! What no tool could be run under, said with the key that is to blame.

use super::{Breaker, Retry, ToolPolicy};
use crate::agent::tool::Effect;
use crate::limits;

impl ToolPolicy {
    /// What is wrong with it, as a sentence for whoever wrote it that begins with the key.
    pub fn check(&self) -> Result<(), String> {
        seconds("timeout_seconds", self.timeout_seconds)?;
        at_least_one("send_within_seconds", self.send_within_seconds)?;
        at_least_one("cache_seconds", self.cache_seconds)?;
        at_least_one("result_bytes", self.result_bytes.map(|bytes| bytes as u64))?;
        at_least_one("concurrency", self.concurrency.map(u64::from))?;
        seconds("calls_per_second", self.calls_per_second)?;
        for (key, text) in
            [("fallback", &self.fallback), ("probe", &self.probe), ("undo", &self.undo)]
        {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                return Err(format!("{key} is empty; name a tool, or leave it out"));
            }
        }
        self.retry.map_or(Ok(()), |retry| retry.check())?;
        self.breaker.map_or(Ok(()), |breaker| breaker.check())
    }
}

impl ToolPolicy {
    /// What would have no effect beside the effect class that stands in the same place.
    pub fn check_effect(&self) -> Result<(), String> {
        let idle = match self.effect {
            Some(Effect::Read) => [
                ("probe", self.probe.is_some(), "a read call is never in doubt"),
                ("on_unknown", self.on_unknown.is_some(), "a read call is never in doubt"),
            ]
            .into_iter()
            .find(|(_, set, _)| *set),
            Some(Effect::Keyed | Effect::Once | Effect::Compensable) => {
                let why = "only answers of read tools are kept";
                Some(("cache_seconds", self.cache_seconds.is_some(), why)).filter(|idle| idle.1)
            }
            None => None,
        };
        idle.map_or(Ok(()), |(key, _, why)| {
            Err(format!("{key} would have no effect: {why}; leave it out, or set another effect"))
        })
    }
}

impl Retry {
    fn check(&self) -> Result<(), String> {
        if !(1..=limits::ATTEMPTS).contains(&self.attempts) {
            let most = limits::ATTEMPTS;
            return Err(format!("retry.attempts is {}; set 1 to {most}", self.attempts));
        }
        for (key, value) in [("base_seconds", self.base_seconds), ("max_seconds", self.max_seconds)]
        {
            if !(0.0..=limits::PAUSE_SECONDS).contains(&value) {
                let most = limits::PAUSE_SECONDS;
                return Err(format!("retry.{key} is {value}; set 0 to {most}"));
            }
        }
        Ok(())
    }
}

impl Breaker {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.failure_share) {
            let share = self.failure_share;
            return Err(format!("breaker.failure_share is {share}; set a share from 0 to 1"));
        }
        at_least_one("breaker.window_seconds", Some(self.window_seconds))?;
        at_least_one("breaker.least_calls", Some(u64::from(self.least_calls)))?;
        at_least_one("breaker.cooldown_seconds", Some(self.cooldown_seconds))?;
        at_least_one("breaker.loop_calls", Some(u64::from(self.loop_calls)))
    }
}

fn seconds(key: &str, value: Option<f64>) -> Result<(), String> {
    match value {
        // A day is more than any call takes, and a duration that the clock can still add to.
        Some(value) if !(value > 0.0 && value <= 86_400.0) => {
            Err(format!("{key} is {value}; set more than 0 and at most 86400"))
        }
        Some(_) | None => Ok(()),
    }
}

fn at_least_one(key: &str, value: Option<u64>) -> Result<(), String> {
    match value {
        Some(0) => Err(format!("{key} is 0; set 1 or more, or leave it out")),
        // Milliseconds of it still fit what a clock counts in.
        Some(value) if value > 1 << 40 => Err(format!("{key} is {value}; set less")),
        Some(_) | None => Ok(()),
    }
}
