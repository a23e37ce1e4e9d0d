//! The caps that somebody sets: `[budgets]` for the server, tags `craton:budget-…` for an agent.
//!
//! Nothing is capped until somebody says so. Where both set a cap, the lower one holds: an agent's
//! tags cannot spend what the operator has not given.

use serde::{Deserialize, Serialize};

use super::{Scope, Unit};
use crate::cost::Money;
use crate::limits;

/// `[budgets]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Caps a call at 4,000 tokens and a session at $10.00 where nothing else is set for them.
    pub enabled: bool,
    /// From how many percent of a cap on a model is told to come to an end, and somebody alerted.
    pub near_percent: Option<u32>,
    pub call: CallCap,
    pub run: Cap,
    pub session: Cap,
    pub agent: Cap,
    pub user: Cap,
    pub tenant: Cap,
    pub day: Cap,
}

/// The cap of one call. Dollars cap what calls add up to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallCap {
    pub tokens: Option<u64>,
}

/// What may be spent within one scope.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cap {
    pub tokens: Option<u64>,
    pub dollars: Option<f64>,
    /// Counted anew each `day` or `month` of UTC; for ever where nothing is said.
    pub per: Option<Period>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Day,
    Month,
}

/// One number that must not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Most {
    pub scope: Scope,
    pub unit: Unit,
    /// Tokens, or picodollars.
    pub amount: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Period>,
}

impl Most {
    /// What a client lets one run cost.
    pub fn of_run(cost: Money) -> Most {
        Most { scope: Scope::Run, unit: Unit::Cost, amount: cost.0, per: None }
    }
}

impl Budgets {
    /// What no server could hold, as a sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if !self.near_percent.is_none_or(|percent| (1..=100).contains(&percent)) {
            return Err("near_percent must be 1 to 100".to_owned());
        }
        if self.call.tokens == Some(0) {
            return Err("call.tokens is 0: no call could be made; leave it out".to_owned());
        }
        for (scope, cap) in self.scopes() {
            let of = scope.word();
            if cap.tokens == Some(0) {
                return Err(format!("{of}.tokens is 0: no call could be made; leave it out"));
            }
            let sound = |dollars: f64| dollars > 0.0 && dollars <= limits::MOST_DOLLARS;
            if let Some(dollars) = cap.dollars.filter(|dollars| !sound(*dollars)) {
                let most = limits::MOST_DOLLARS;
                return Err(format!("{of}.dollars is {dollars}; set more than 0, up to {most}"));
            }
            let has_period = matches!(scope, Scope::Agent | Scope::User | Scope::Tenant);
            if cap.per.is_some() && !has_period {
                return Err(format!(
                    "{of}.per is nothing that a {of} has; agent, user and tenant do"
                ));
            }
        }
        Ok(())
    }

    /// Every cap that is set.
    pub fn caps(&self) -> Vec<Most> {
        let mut all = Vec::new();
        let default = self.enabled.then_some(limits::CALL_TOKENS);
        all.extend(self.call.tokens.or(default).map(|tokens| tokens_of(Scope::Call, tokens)));
        for (scope, cap) in self.scopes() {
            let default = (self.enabled && scope == Scope::Session && cap.tokens.is_none())
                .then_some(limits::SESSION_DOLLARS);
            let tokens = cap.tokens.map(|tokens| tokens_of(scope, tokens));
            let cost = cap.dollars.or(default).map(|dollars| cost_of(scope, dollars));
            all.extend([tokens, cost].into_iter().flatten().map(|most| Most {
                per: if scope == Scope::Day { Some(Period::Day) } else { cap.per },
                ..most
            }));
        }
        all
    }

    pub fn near_percent(&self) -> u32 {
        self.near_percent.unwrap_or(limits::NEAR_PERCENT)
    }

    fn scopes(&self) -> [(Scope, Cap); 6] {
        [
            (Scope::Run, self.run),
            (Scope::Session, self.session),
            (Scope::Agent, self.agent),
            (Scope::User, self.user),
            (Scope::Tenant, self.tenant),
            (Scope::Day, self.day),
        ]
    }
}

fn tokens_of(scope: Scope, tokens: u64) -> Most {
    let amount = i64::try_from(tokens).unwrap_or(i64::MAX);
    Most { scope, unit: Unit::Tokens, amount, per: None }
}

fn cost_of(scope: Scope, dollars: f64) -> Most {
    Most { scope, unit: Unit::Cost, amount: Money::of_dollars(dollars).0, per: None }
}

/// The caps that hold for an agent: the server's and its own, the lower of two.
pub fn lower(server: &[Most], own: &[Most]) -> Vec<Most> {
    let mut all = server.to_vec();
    for most in own {
        let same = |known: &&mut Most| {
            (known.scope, known.unit, known.per) == (most.scope, most.unit, most.per)
        };
        match all.iter_mut().find(same) {
            Some(known) => known.amount = known.amount.min(most.amount),
            None => all.push(*most),
        }
    }
    all
}

/// The cap that a tag sets, named without `craton:budget-`: `session-dollars`, `agent-day-tokens`.
pub fn of_tag(name: &str, value: &str) -> Result<Most, String> {
    let unknown = || {
        "is no setting of budgets; those are craton:budget-call-tokens, and -tokens and -dollars of \
         run, session, agent, agent-day, agent-month, user, user-day and user-month"
            .to_owned()
    };
    let (scope, unit) = name.rsplit_once('-').ok_or_else(unknown)?;
    let (scope, per) = match scope {
        "call" => (Scope::Call, None),
        "run" => (Scope::Run, None),
        "session" => (Scope::Session, None),
        "agent" => (Scope::Agent, None),
        "agent-day" => (Scope::Agent, Some(Period::Day)),
        "agent-month" => (Scope::Agent, Some(Period::Month)),
        "user" => (Scope::User, None),
        "user-day" => (Scope::User, Some(Period::Day)),
        "user-month" => (Scope::User, Some(Period::Month)),
        _ => return Err(unknown()),
    };
    let value = value.trim();
    let most = match unit {
        "tokens" => {
            let tokens = value.parse().ok().filter(|tokens| *tokens > 0);
            let wrong = || format!("has the value {value:?}; it must be a whole number from 1 on");
            tokens_of(scope, tokens.ok_or_else(wrong)?)
        }
        "dollars" if scope != Scope::Call => {
            let sound = |dollars: &f64| *dollars > 0.0 && *dollars <= limits::MOST_DOLLARS;
            let wrong = || format!("has the value {value:?}; it must be dollars, such as 10.00");
            cost_of(scope, value.parse().ok().filter(sound).ok_or_else(wrong)?)
        }
        _ => return Err(unknown()),
    };
    Ok(Most { per, ..most })
}
