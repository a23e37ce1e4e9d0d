//! Whom calls pass on their way to a model: the gates of who pays, of the model and of its provider,
//! the provider's breaker, and what it may be asked again.
//!
//! All of it is counted afresh in each process and never stored. What it rules for a turn's call
//! enters the run with the outcome.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use craton_core::policy::Breaker;
use craton_core::policy::breaker::{Circuit, Ending, Gate as Leave, Standing, State};
use llm::{ModelError, ModelErrorKind, Models, Resolved};
use serde::Serialize;
use store::Tenant;

use super::account::Bearer;
use super::config::{Limit, Rates};
use super::gate::{Gate, Patience, Room};
use super::retry::Spare;
use crate::limits;

pub(crate) struct Doors {
    pub(crate) rates: Rates,
    /// By the place of a rule in the model map.
    rules: Vec<RuleDoor>,
    provisioned: BTreeMap<String, Arc<Gate>>,
    /// Tenants, agents and users, as far as they are limited.
    payers: Mutex<HashMap<(Scope, String), Arc<Gate>>>,
}

struct RuleDoor {
    gate: Option<Arc<Gate>>,
    provider: Arc<Door>,
    /// Closed to calls that another model did not answer, where those fail here too.
    stand_in: Arc<Door>,
}

/// One provider, as this process knows it, or a model that stands in for others.
pub(crate) struct Door {
    name: String,
    /// For messages: `provider "cloud"`.
    whose: String,
    gate: Option<Arc<Gate>>,
    set: Breaker,
    circuit: Mutex<Circuit>,
    /// Whether the circuit need not be asked.
    closed: AtomicBool,
    pub(crate) spare: Spare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Tenant,
    Agent,
    User,
}

/// A provider's breaker, for operators.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderView {
    pub provider: String,
    /// `closed`, `open` or `half-open`.
    pub state: &'static str,
    /// Calls that ended in the window, and how many of them failed.
    pub calls: u32,
    pub failures: u32,
    /// When one call may try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl Doors {
    pub(crate) fn open(rates: Rates, models: &Models) -> Doors {
        let mut providers: HashMap<&str, Arc<Door>> = HashMap::new();
        let rules = models.rules().iter();
        let rules = rules.map(|rule| {
            let door = providers.entry(&rule.provider).or_insert_with(|| {
                let common = models.common(&rule.provider);
                let limit = Limit {
                    concurrency: common.concurrency,
                    requests_per_minute: common.requests_per_minute,
                    tokens_per_minute: common.tokens_per_minute,
                };
                let whose = format!("provider {:?}", rule.provider);
                Arc::new(Door {
                    gate: Gate::of(whose.clone(), limit),
                    ..Door::new(&rule.provider, whose, &rates)
                })
            });
            let limit = Limit {
                concurrency: rule.concurrency,
                requests_per_minute: rule.requests_per_minute,
                tokens_per_minute: rule.tokens_per_minute,
            };
            let whose = format!("model {:?}", rule.pattern);
            let gate = Gate::of(whose.clone(), limit);
            let stand_in = Door::new(&rule.pattern, format!("{whose}, which stands in,"), &rates);
            RuleDoor { gate, provider: door.clone(), stand_in: Arc::new(stand_in) }
        });
        let rules = rules.collect();
        let pools = rates.provisioned.iter().filter_map(|(arn, pool)| {
            let limit = Limit { concurrency: Some(pool.concurrency), ..Limit::default() };
            let gate = Gate::of(format!("provisioned throughput {arn}"), limit)?;
            Some((arn.clone(), gate))
        });
        let provisioned = pools.collect();
        Doors { rates, rules, provisioned, payers: Mutex::default() }
    }

    pub(crate) fn patience(&self) -> Patience {
        let longest = Duration::from_secs_f64(self.rates.wait_seconds);
        Patience { longest, waiting: self.rates.waiting }
    }

    /// The provider behind a model; none for an embedded model, which is never away.
    pub(crate) fn provider(&self, resolved: &Resolved) -> Option<&Arc<Door>> {
        let (at, _) = resolved.rule.as_ref()?;
        self.rules.get(*at).map(|door| &door.provider)
    }

    /// A model as one that stands in for another.
    pub(crate) fn stand_in(&self, resolved: &Resolved) -> Option<&Arc<Door>> {
        let (at, _) = resolved.rule.as_ref()?;
        self.rules.get(*at).map(|door| &door.stand_in)
    }

    /// The gates of a model and its provider. Provisioned throughput has places of its own, and what
    /// others do there is no concern of its calls.
    pub(crate) fn of_model(
        &self,
        resolved: &Resolved,
        provisioned: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Gate>> {
        let pool = provisioned.and_then(|arn| self.provisioned.get(arn));
        let door = resolved.rule.as_ref().and_then(|(at, _)| self.rules.get(*at));
        let door = door.filter(|_| pool.is_none());
        let shared =
            door.into_iter().flat_map(|door| door.gate.iter().chain(door.provider.gate.iter()));
        pool.into_iter().chain(shared)
    }

    /// The gates of who pays.
    pub(crate) fn of_payer(&self, bearer: &Bearer, now: i64) -> Vec<Arc<Gate>> {
        let Rates { tenant, agent, user, tenants, agents, users, .. } = &self.rates;
        let account = bearer.tenant.account();
        let payer = &bearer.payer;
        let scopes = [
            (Scope::Tenant, tenant, tenants, Some(account)),
            (Scope::Agent, agent, agents, payer.agent.as_deref()),
            (Scope::User, user, users, payer.user.as_deref()),
        ];
        let mut gates = Vec::new();
        for (scope, each, named, name) in scopes {
            let Some(name) = name else { continue };
            let limit = named.get(name).unwrap_or(each);
            if !limit.is_none() {
                gates.extend(self.payer(scope, &bearer.tenant, (name, *limit), now));
            }
        }
        gates
    }

    fn payer(
        &self,
        scope: Scope,
        tenant: &Tenant,
        (name, limit): (&str, Limit),
        now: i64,
    ) -> Option<Arc<Gate>> {
        let key = (scope, format!("{}/{name}", tenant.account()));
        let mut payers = self.payers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = payers.get(&key) {
            return Some(gate.clone());
        }
        if payers.len() >= limits::KNOWN_PAYERS {
            payers.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now));
        }
        let word = match scope {
            Scope::Tenant => "account",
            Scope::Agent => "agent",
            Scope::User => "user",
        };
        let gate = Gate::of(format!("{word} {name}"), limit)?;
        // Beyond the cap somebody is known for this one call only.
        if payers.len() < limits::KNOWN_PAYERS {
            payers.insert(key, gate.clone());
        }
        Some(gate)
    }

    /// The breakers of all providers that the model map names.
    pub(crate) fn views(&self, now: i64) -> Vec<ProviderView> {
        let mut doors: Vec<&Arc<Door>> = self.rules.iter().map(|door| &door.provider).collect();
        doors.sort_by(|a, b| a.name.cmp(&b.name));
        doors.dedup_by(|a, b| a.name == b.name);
        doors.into_iter().map(|door| door.view(now)).collect()
    }
}

impl Door {
    fn new(name: &str, whose: String, rates: &Rates) -> Door {
        Door {
            name: name.to_owned(),
            whose,
            gate: None,
            set: rates.breaker.into(),
            circuit: Mutex::default(),
            closed: AtomicBool::new(true),
            spare: Spare::default(),
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the breaker; the pass says how the call ended.
    pub(crate) fn ask(self: &Arc<Self>, now: i64) -> Result<Pass, ModelError> {
        let leave = match self.closed.load(Ordering::Acquire) {
            true => Leave::Pass,
            false => self.circuit().ask(now),
        };
        if let Leave::Shut { until } = leave {
            let wait = Duration::from_millis(u64::try_from(until - now).unwrap_or(0));
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            let message = format!(
                "{} failed too often lately and is left alone; try again in {seconds} s",
                self.whose
            );
            let retry_after = Some(Duration::from_secs_f64(seconds));
            let error = ModelError::new(ModelErrorKind::Unavailable, message);
            return Err(ModelError { retry_after, ..error });
        }
        Ok(Pass { door: self.clone(), leave, told: false })
    }

    fn view(&self, now: i64) -> ProviderView {
        let Standing { state, calls, failures, until } = self.circuit().standing(&self.set, now);
        let provider = self.name.clone();
        ProviderView { provider, state: State::as_str(state), calls, failures, until }
    }
}

/// The breaker's leave for one call. Dropped without a word it lets another call try.
pub(crate) struct Pass {
    door: Arc<Door>,
    leave: Leave,
    told: bool,
}

impl Pass {
    /// Whether it alone tries.
    pub(crate) fn is_probe(&self) -> bool {
        self.leave == Leave::Probe
    }

    /// Tells the breaker, and how it stands if that opened it.
    pub(crate) fn ended(mut self, ending: Ending, now: i64) -> Option<ProviderView> {
        self.told = true;
        let set = self.door.set;
        let mut circuit = self.door.circuit();
        let mut opened = false;
        if ending == Ending::Badly || self.is_probe() {
            let before = circuit.standing(&set, now).state;
            circuit.told(&set, self.leave, ending, now);
            let after = circuit.standing(&set, now).state;
            self.door.closed.store(after == State::Closed, Ordering::Release);
            opened = ending == Ending::Badly && after == State::Open && before != State::Open;
        } else {
            circuit.told(&set, self.leave, ending, now);
        }
        drop(circuit);
        if ending == Ending::Well {
            self.door.spare.earn();
        }
        opened.then(|| self.door.view(now))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.leave == Leave::Probe && !self.told {
            self.door.circuit().forsake();
        }
    }
}

/// A pass through the gates of whoever pays.
pub(crate) async fn enter_payer(
    doors: &Doors,
    bearer: &Bearer,
    tokens: impl Fn() -> u64,
    now: impl Fn() -> i64,
) -> Result<Room, ModelError> {
    let mut room = Room::default();
    for gate in doors.of_payer(bearer, now()) {
        let tokens = if gate.counts_tokens() { tokens() } else { 0 };
        room.enter(&gate, tokens, now(), doors.patience()).await?;
    }
    Ok(room)
}
