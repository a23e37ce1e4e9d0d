//! Tokens by the minute, of each agent: a loop spends many times what is usual.
//!
//! The usual is the median of the last half hour's minutes in which anything was spent. A process
//! knows its own minutes alone, and learns them anew when it starts.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use serde_json::json;
use store::Tenant;

use super::{Alarm, Settings};

const MINUTE_MILLIS: i64 = 60_000;
/// Minutes that are remembered, and how many make something usual.
const MINUTES: usize = 30;
const ENOUGH: usize = 5;
/// Less than this within a minute is nobody's loop.
const LEAST: u64 = 20_000;
const FACTOR: u64 = 10;
/// Agents of whom a process keeps minutes; one more is not measured.
const AGENTS: usize = 10_000;

pub(crate) struct Meters {
    most: Option<u64>,
    factor: u64,
    of: Mutex<HashMap<(Tenant, String), Meter>>,
}

#[derive(Default)]
struct Meter {
    minute: i64,
    tokens: u64,
    before: VecDeque<u64>,
}

impl Meters {
    pub(super) fn new(settings: &Settings) -> Meters {
        let factor = settings.anomaly_factor.unwrap_or(FACTOR);
        Meters { most: settings.tokens_per_minute, factor, of: Mutex::default() }
    }

    /// Counts what a reply has used; alarms if that is too much for a minute.
    pub(crate) fn count(&self, tenant: &Tenant, agent: &str, tokens: u64, now: i64) -> Vec<Alarm> {
        let mut meters = self.of.lock().expect("no holder of this lock panics");
        let key = (tenant.clone(), agent.to_owned());
        if meters.len() >= AGENTS && !meters.contains_key(&key) {
            return Vec::new();
        }
        let meter = meters.entry(key).or_default();
        meter.count(tokens, now);
        let (spent, usual) = (meter.tokens, meter.usual());
        let over = self.most.filter(|most| spent > *most);
        let rate = over.map(|most| Alarm {
            kind: "rate.tokens",
            key: agent.to_owned(),
            message: format!(
                "agent {agent} used {spent} tokens within a minute, of at most {most}"
            ),
            facts: json!({"agent": agent, "tokens": spent, "most": most}),
        });
        let strange = usual.filter(|usual| spent >= LEAST && spent > usual * self.factor);
        let anomaly = strange.map(|usual| Alarm {
            kind: "anomaly.tokens",
            key: agent.to_owned(),
            message: format!(
                "agent {agent} used {spent} tokens within a minute, where {usual} are usual: it may \
                 go round in a loop"
            ),
            facts: json!({"agent": agent, "tokens": spent, "usual": usual}),
        });
        rate.into_iter().chain(anomaly).collect()
    }
}

impl Meter {
    fn count(&mut self, tokens: u64, now: i64) {
        let minute = now.div_euclid(MINUTE_MILLIS);
        if minute != self.minute {
            if self.tokens > 0 {
                self.before.push_back(self.tokens);
            }
            if self.before.len() > MINUTES {
                self.before.pop_front();
            }
            (self.minute, self.tokens) = (minute, 0);
        }
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn usual(&self) -> Option<u64> {
        let mut sorted: Vec<u64> = self.before.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_many_times_the_usual_raises_an_alarm_once_the_usual_is_known() {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let meters = Meters::new(&Settings::default());
        let kinds = |minute: i64, tokens| {
            let alarms = meters.count(&tenant, "A", tokens, minute * MINUTE_MILLIS);
            alarms.iter().map(|alarm| alarm.kind).collect::<Vec<_>>()
        };
        // Nothing is unusual while nothing is usual.
        assert_eq!(kinds(0, 500_000), Vec::<&str>::new());
        (1..8).for_each(|minute| assert_eq!(kinds(minute, 3_000), Vec::<&str>::new()));
        assert_eq!(kinds(8, 25_000), Vec::<&str>::new());
        assert_eq!(kinds(8, 6_000), ["anomaly.tokens"]);
        assert_eq!(kinds(9, 3_000), Vec::<&str>::new());
    }

    #[test]
    fn a_set_rate_needs_no_history() {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let settings = Settings { tokens_per_minute: Some(1_000), ..Settings::default() };
        let meters = Meters::new(&settings);
        assert!(meters.count(&tenant, "A", 1_000, 0).is_empty());
        let alarms = meters.count(&tenant, "A", 1, 1);
        assert_eq!(alarms[0].message, "agent A used 1001 tokens within a minute, of at most 1000");
    }
}
