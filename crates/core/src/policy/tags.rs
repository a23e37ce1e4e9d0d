//! A policy by tags of a function: `craton:timeout`, or `craton:timeout:TOOL` for one of its tools.
//!
//! AWS allows letters, digits, spaces and `_.:/=+-@` in a tag's value, so conditions have words for
//! `<` and `>`, and lists are parted by spaces. The effect class has a tag of its own elsewhere.

use super::{Breaker, Condition, Retry, ToolPolicy};

impl ToolPolicy {
    /// Takes the value of a tag, named without its prefix, or says why it cannot. Other tags are no
    /// concern of a policy.
    pub fn take_tag(&mut self, name: &str, value: &str) -> Result<(), String> {
        let value = value.trim();
        match name {
            "timeout" => self.timeout_seconds = Some(number(value, "seconds, such as 2.5")?),
            "cache" => self.cache_seconds = Some(number(value, "whole seconds, such as 3600")?),
            "concurrency" => self.concurrency = Some(number(value, "a whole number of calls")?),
            "rate" => self.calls_per_second = Some(number(value, "calls per second, such as 50")?),
            "result-bytes" => self.result_bytes = Some(number(value, "a whole number of bytes")?),
            "attempts" => {
                let attempts = number(value, "a whole number of attempts, the first included")?;
                self.retry = Some(Retry { attempts, ..Retry::default() });
            }
            "loop-calls" => {
                let loop_calls = number(value, "a whole number of calls")?;
                self.breaker = Some(Breaker { loop_calls, ..Breaker::default() });
            }
            "fallback" => self.fallback = Some(value.to_owned()),
            "hand-off" => self.hand_off = vec![Condition::parse(value)?],
            "allow" => self.arguments.allow = words(value),
            "deny" => self.arguments.deny = words(value),
            _ => return Ok(()),
        }
        self.check()
    }
}

fn number<N: std::str::FromStr>(value: &str, what: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("it must be {what}"))
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}
