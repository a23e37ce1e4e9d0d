//! Tokens by the minute, of each agent, and of whoever asks models directly: a loop spends many times
//! what is usual.
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
/// Of how many a process keeps minutes. When there are so many, those without any within the last half
/// hour are let go of, once a minute; users and models beyond are not measured, and agents are up to
/// twice as many: clients name the former as they like.
const METERS: usize = 10_000;

/// Whose tokens are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    Agent(&'a str),
    /// A user of direct calls, where they name one.
    User(&'a str),
    /// A model that is asked directly in nobody's name.
    Model(&'a str),
}

impl Who<'_> {
    fn word(self) -> &'static str {
        match self {
            Who::Agent(_) => "agent",
            Who::User(_) => "user",
            Who::Model(_) => "model",
        }
    }

    fn id(self) -> String {
        let (Who::Agent(id) | Who::User(id) | Who::Model(id)) = self;
        id.to_owned()
    }

    fn key(self) -> String {
        match self {
            Who::Agent(id) => id.to_owned(),
            Who::User(id) => format!("user/{id}"),
            Who::Model(id) => format!("model/{id}"),
        }
    }
}

pub(crate) struct Meters {
    most: Option<u64>,
    factor: u64,
    of: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    meters: HashMap<(Tenant, String), Meter>,
    /// The minute in which idle ones were last looked for.
    swept: i64,
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

    /// Counts what was used.
    pub(crate) fn count(&self, tenant: &Tenant, who: Who<'_>, tokens: u64, now: i64) {
        self.with(tenant, who, now, |meter| {
            meter.tokens = meter.tokens.saturating_add(tokens);
        });
    }

    /// The alarms that so many more tokens raise, which are not counted yet.
    pub(crate) fn alarms(
        &self,
        tenant: &Tenant,
        who: Who<'_>,
        tokens: u64,
        now: i64,
    ) -> Vec<Alarm> {
        let known = self
            .with(tenant, who, now, |meter| (meter.tokens.saturating_add(tokens), meter.usual()));
        let Some((spent, usual)) = known else { return Vec::new() };
        let (word, id) = (who.word(), who.id());
        let over = self.most.filter(|most| spent > *most);
        let rate = over.map(|most| Alarm {
            kind: "rate.tokens",
            key: who.key(),
            message: format!("{word} {id} used {spent} tokens within a minute, of at most {most}"),
            facts: json!({word: id, "tokens": spent, "most": most}),
        });
        let strange = usual.filter(|usual| spent >= LEAST && spent > usual * self.factor);
        let anomaly = strange.map(|usual| Alarm {
            kind: "anomaly.tokens",
            key: who.key(),
            message: format!(
                "{word} {id} used {spent} tokens within a minute, where {usual} are usual: it may \
                 go round in a loop"
            ),
            facts: json!({word: id, "tokens": spent, "usual": usual}),
        });
        rate.into_iter().chain(anomaly).collect()
    }

    /// `None` where no more are measured.
    fn with<T>(
        &self,
        tenant: &Tenant,
        who: Who<'_>,
        now: i64,
        look: impl FnOnce(&mut Meter) -> T,
    ) -> Option<T> {
        let mut kept = self.of.lock().expect("no holder of this lock panics");
        let key = (tenant.clone(), who.key());
        if !kept.meters.contains_key(&key) && !kept.has_room(who, minute_of(now)) {
            return None;
        }
        let meter = kept.meters.entry(key).or_default();
        meter.turn(minute_of(now));
        Some(look(meter))
    }
}

impl Kept {
    fn has_room(&mut self, who: Who<'_>, minute: i64) -> bool {
        if self.meters.len() >= METERS && self.swept != minute {
            self.swept = minute;
            self.meters.retain(|_, meter| minute - meter.minute < MINUTES as i64);
        }
        let room = if matches!(who, Who::Agent(_)) { 2 * METERS } else { METERS };
        self.meters.len() < room
    }
}

fn minute_of(now: i64) -> i64 {
    now.div_euclid(MINUTE_MILLIS)
}

impl Meter {
    /// Begins a new minute once the last is over.
    fn turn(&mut self, minute: i64) {
        if minute != self.minute {
            if self.tokens > 0 {
                self.before.push_back(self.tokens);
            }
            if self.before.len() > MINUTES {
                self.before.pop_front();
            }
            (self.minute, self.tokens) = (minute, 0);
        }
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

    const AGENT: Who<'_> = Who::Agent("A");

    #[test]
    fn a_minute_of_many_times_the_usual_raises_an_alarm_once_the_usual_is_known() {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let meters = Meters::new(&Settings::default());
        let kinds = |minute: i64, tokens| {
            let alarms = meters.alarms(&tenant, AGENT, tokens, minute * MINUTE_MILLIS);
            meters.count(&tenant, AGENT, tokens, minute * MINUTE_MILLIS);
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
    fn any_number_of_users_leaves_room_for_agents_and_for_later_users() {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let meters = Meters::new(&Settings { tokens_per_minute: Some(1), ..Settings::default() });
        let heard =
            |who, minute: i64| !meters.alarms(&tenant, who, 2, minute * MINUTE_MILLIS).is_empty();
        let names: Vec<String> = (0..METERS).map(|n| n.to_string()).collect();
        assert!(names.iter().all(|name| heard(Who::User(name), 0)));
        assert!(!heard(Who::User("one more"), 0));
        assert!(heard(AGENT, 0));
        assert!(heard(Who::User("one more"), MINUTES as i64));
    }

    #[test]
    fn a_set_rate_needs_no_history() {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let settings = Settings { tokens_per_minute: Some(1_000), ..Settings::default() };
        let meters = Meters::new(&settings);
        assert!(meters.alarms(&tenant, AGENT, 1_000, 0).is_empty());
        meters.count(&tenant, AGENT, 1_000, 0);
        assert!(meters.alarms(&tenant, Who::User("A"), 1_000, 0).is_empty(), "a meter of its own");
        let alarms = meters.alarms(&tenant, AGENT, 1, 1);
        assert_eq!(alarms[0].message, "agent A used 1001 tokens within a minute, of at most 1000");
    }
}
