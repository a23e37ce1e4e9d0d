//! `[routing]`, `[rates]` and `[cache]` of `craton.toml`.

use std::collections::BTreeMap;

use craton_core::policy::{Breaker, Retry};
use craton_core::route::Table;
use serde::Deserialize;

/// What is set for calls of models. By default nothing is limited, routed or cached.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Without it, wishes of agents and clients alone count.
    pub routing: Option<Table>,
    pub rates: Rates,
    pub cache: Cache,
}

/// How many calls go to models, on whose account, and what becomes of those that fail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// For each account, each agent, each end user that has no entry of its own.
    pub tenant: Limit,
    pub agent: Limit,
    pub user: Limit,
    /// By account number, agent id, name of the user.
    pub tenants: BTreeMap<String, Limit>,
    pub agents: BTreeMap<String, Limit>,
    pub users: BTreeMap<String, Limit>,
    /// Places that are kept for the aliases which name this ARN.
    pub provisioned: BTreeMap<String, Provisioned>,
    /// How long a call waits for room.
    pub wait_seconds: f64,
    /// How many wait for the same room.
    pub waiting: usize,
    pub retry: Retry,
    pub breaker: Breaking,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            tenant: Limit::default(),
            agent: Limit::default(),
            user: Limit::default(),
            tenants: BTreeMap::new(),
            agents: BTreeMap::new(),
            users: BTreeMap::new(),
            provisioned: BTreeMap::new(),
            wait_seconds: 10.0,
            waiting: 1_000,
            retry: Retry::default(),
            breaker: Breaking::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Calls under way at once.
    pub concurrency: Option<u32>,
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    pub tokens_per_minute: Option<u64>,
}

impl Limit {
    pub(crate) fn is_none(&self) -> bool {
        *self == Limit::default()
    }

    fn check(&self, at: &str) -> Result<(), String> {
        let zero = [
            ("concurrency", self.concurrency == Some(0)),
            ("requests_per_minute", self.requests_per_minute == Some(0)),
            ("tokens_per_minute", self.tokens_per_minute == Some(0)),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((key, _)) => Err(format!("{at}.{key} is 0; set 1 or more, or leave it out")),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioned {
    pub concurrency: u32,
}

/// When a provider that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaking {
    /// More failures than this share of the calls in the window open it; 1 turns it off.
    pub failure_share: f64,
    pub window_seconds: u64,
    /// Fewer calls in the window say nothing.
    pub least_calls: u32,
    /// How long it stays open before one call may try; doubled each time that one fails.
    pub cooldown_seconds: u64,
}

impl Default for Breaking {
    fn default() -> Self {
        Breaking { failure_share: 0.5, window_seconds: 60, least_calls: 20, cooldown_seconds: 5 }
    }
}

impl From<Breaking> for Breaker {
    fn from(set: Breaking) -> Breaker {
        let Breaking { failure_share, window_seconds, least_calls, cooldown_seconds } = set;
        let breaker = Breaker::default();
        Breaker { failure_share, window_seconds, least_calls, cooldown_seconds, ..breaker }
    }
}

/// Answers that are kept for equal calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether answers of deterministic calls are kept: temperature 0, and no tools.
    pub answers: bool,
    pub seconds: u64,
    pub bytes: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Cache { answers: false, seconds: 3_600, bytes: 16 << 20 }
    }
}

impl Config {
    /// What no call could be made by, said with the key that is to blame.
    pub fn check(&self) -> Result<(), String> {
        self.routing.as_ref().map_or(Ok(()), Table::check)?;
        self.rates.check()
    }
}

impl Config {
    /// Whether everybody who is named to be asked is known to the model map.
    pub fn check_models(&self, models: &llm::Models) -> Result<(), String> {
        let routed = self.routing.iter().flat_map(Table::names);
        let routed = routed.map(|(at, id)| (at, id.to_owned()));
        let stand_ins = models.rules().iter().flat_map(|rule| {
            let at = format!("[[models]] match = {:?}: fallback", rule.pattern);
            rule.fallback.iter().map(move |id| (at.clone(), id.clone()))
        });
        for (at, id) in routed.chain(stand_ins) {
            models.resolve(&id).map_err(|error| format!("{at}: {error}"))?;
        }
        Ok(())
    }
}

impl Rates {
    fn check(&self) -> Result<(), String> {
        let each = [("tenant", &self.tenant), ("agent", &self.agent), ("user", &self.user)];
        each.into_iter().try_for_each(|(key, limit)| limit.check(&format!("rates.{key}")))?;
        let named = [("tenants", &self.tenants), ("agents", &self.agents), ("users", &self.users)];
        for (key, limits) in named {
            for (name, limit) in limits {
                limit.check(&format!("rates.{key}.{name:?}"))?;
            }
        }
        let empty = self.provisioned.iter().find(|(_, pool)| pool.concurrency == 0);
        if let Some((arn, _)) = empty {
            return Err(format!("rates.provisioned.{arn:?}.concurrency is 0; set 1 or more"));
        }
        let seconds = [
            ("wait_seconds", self.wait_seconds),
            ("retry.base_seconds", self.retry.base_seconds),
            ("retry.max_seconds", self.retry.max_seconds),
            ("breaker.failure_share", self.breaker.failure_share),
        ];
        let unsound = seconds.into_iter().find(|(_, n)| !(0.0..=600.0).contains(n));
        if let Some((key, number)) = unsound {
            return Err(format!("rates.{key} is {number}; set 0 to 600"));
        }
        let whole = [
            ("retry.attempts", u64::from(self.retry.attempts)),
            ("breaker.window_seconds", self.breaker.window_seconds),
            ("breaker.least_calls", u64::from(self.breaker.least_calls)),
            ("breaker.cooldown_seconds", self.breaker.cooldown_seconds),
        ];
        match whole.into_iter().find(|(_, n)| *n == 0) {
            Some((key, _)) => Err(format!("rates.{key} is 0; set 1 or more")),
            None => Ok(()),
        }
    }
}
