//! What this process knows of its tools: breakers, paces, places and recent durations, by account,
//! function and tool.
//!
//! It is counted afresh in each process and never stored. What it rules for a call enters the call's
//! run in the outcome's event, so nothing here is asked twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use craton_core::policy::breaker::{Circuit, Ending, Gate, Standing};
use craton_core::policy::rate::Pace;
use craton_core::policy::timing::Recent;
use craton_core::policy::{Breaker, ToolPolicy};
use serde::Serialize;
use store::Tenant;
use tokio::sync::Semaphore;

use crate::limits;

/// Whose tool, behind which function, by which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ToolKey {
    pub(crate) tenant: Tenant,
    pub(crate) function: String,
    pub(crate) tool: String,
}

/// One tool as this process knows it.
#[derive(Default)]
pub(crate) struct Known {
    state: Mutex<State>,
    /// Places for calls at the same time, and how many there are.
    places: Mutex<Option<(u32, Arc<Semaphore>)>>,
}

#[derive(Default)]
struct State {
    set: Breaker,
    circuit: Circuit,
    pace: Pace,
    recent: Recent,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_recent<T>(&self, f: impl FnOnce(&mut Recent) -> T) -> T {
        f(&mut self.state().recent)
    }

    pub(crate) fn with_pace<T>(&self, f: impl FnOnce(&mut Pace) -> T) -> T {
        f(&mut self.state().pace)
    }

    /// Asks the breaker; the pass says how the call ended.
    pub(crate) fn ask(self: &Arc<Self>, policy: &ToolPolicy, now: i64) -> (Gate, Pass) {
        let mut state = self.state();
        state.set = policy.breaker.unwrap_or_default();
        let gate = state.circuit.ask(now);
        drop(state);
        (gate, Pass { known: self.clone(), gate, told: false })
    }

    pub(crate) fn trip(&self, policy: &ToolPolicy, now: i64) {
        let mut state = self.state();
        state.set = policy.breaker.unwrap_or_default();
        let set = state.set;
        state.circuit.trip(&set, now);
    }

    pub(crate) fn standing(&self, now: i64) -> Standing {
        let state = self.state();
        state.circuit.standing(&state.set, now)
    }

    /// The places of a tool of which so many calls go at once.
    pub(crate) fn places(&self, many: u32) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match &*places {
            Some((set, semaphore)) if *set == many => semaphore.clone(),
            _ => {
                let semaphore = Arc::new(Semaphore::new(many as usize));
                *places = Some((many, semaphore.clone()));
                semaphore
            }
        }
    }
}

/// The breaker's leave for one call. Dropped without a word, such as with a run that is called off,
/// it lets another call try.
pub(crate) struct Pass {
    known: Arc<Known>,
    gate: Gate,
    told: bool,
}

impl Pass {
    pub(crate) fn ended(mut self, ending: Ending, now: i64) {
        self.told = true;
        let mut state = self.known.state();
        let set = state.set;
        state.circuit.told(&set, self.gate, ending, now);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.gate == Gate::Probe && !self.told {
            self.known.state().circuit.forsake();
        }
    }
}

/// All tools that this process knows something of.
#[derive(Default)]
pub(crate) struct Desk {
    tools: Mutex<HashMap<ToolKey, Arc<Known>>>,
}

/// A tool's breaker, for operators.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerView {
    pub function: String,
    pub tool: String,
    /// `closed`, `open` or `half-open`.
    pub state: &'static str,
    /// Calls that ended in the window, and how many of them failed.
    pub calls: u32,
    pub failures: u32,
    /// When one call may try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl Desk {
    fn tools(&self) -> MutexGuard<'_, HashMap<ToolKey, Arc<Known>>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, key: &ToolKey, now: i64) -> Arc<Known> {
        let mut tools = self.tools();
        if let Some(known) = tools.get(key) {
            return known.clone();
        }
        let known = Arc::new(Known::default());
        // Beyond the cap a tool is known for this one call only.
        if has_room(&mut tools, &key.tenant, now) {
            tools.insert(key.clone(), known.clone());
        }
        known
    }

    /// Breakers that let no call through now, with whose tools they are of.
    pub(crate) fn open(&self, now: i64) -> Vec<(Tenant, BreakerView)> {
        let tenants: HashSet<Tenant> = self.tools().keys().map(|key| key.tenant.clone()).collect();
        let of = |tenant: Tenant| {
            let views = self.views(&tenant, now).into_iter();
            let open: Vec<_> = views.filter(|view| view.state == "open").collect();
            open.into_iter().map(move |view| (tenant.clone(), view))
        };
        tenants.into_iter().flat_map(of).collect()
    }

    /// The breakers of an account's tools, those that are not closed first.
    pub(crate) fn views(&self, tenant: &Tenant, now: i64) -> Vec<BreakerView> {
        let tools = self.tools();
        let own = tools.iter().filter(|(key, _)| key.tenant == *tenant);
        let mut views: Vec<BreakerView> = own
            .map(|(key, known)| {
                let Standing { state, calls, failures, until } = known.standing(now);
                let (function, tool) = (key.function.clone(), key.tool.clone());
                BreakerView { function, tool, state: state.as_str(), calls, failures, until }
            })
            .collect();
        let rank = |view: &BreakerView| (view.state == "closed", view.function.clone());
        views.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.tool.cmp(&b.tool)));
        views
    }
}

/// Whether one more tool of a tenant may be known, tools being forgotten that nobody uses. A tenant
/// with many tools takes none of another's places.
fn has_room(tools: &mut HashMap<ToolKey, Arc<Known>>, tenant: &Tenant, now: i64) -> bool {
    let is_full = |tools: &HashMap<ToolKey, Arc<Known>>| {
        let own = tools.keys().filter(|key| key.tenant == *tenant);
        tools.len() >= limits::KNOWN_TOOLS || own.count() >= limits::KNOWN_TOOLS_OF_TENANT
    };
    if is_full(tools) {
        forget_idle(tools, now);
    }
    !is_full(tools)
}

fn forget_idle(tools: &mut HashMap<ToolKey, Arc<Known>>, now: i64) {
    tools.retain(|_, known| {
        let state = known.state();
        Arc::strong_count(known) > 1 || !state.circuit.is_idle(&state.set, now)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_with_many_failing_tools_leaves_room_for_another_s() {
        let desk = Desk::default();
        let known = |account: &str, tool: usize| {
            let (tenant, function) = (Tenant::new(account, "us-east-1"), "f".to_owned());
            let key = ToolKey { tenant, function, tool: tool.to_string() };
            desk.of(&key, 0).trip(&ToolPolicy::default(), 0);
        };
        (0..limits::KNOWN_TOOLS + 1).for_each(|tool| known("111111111111", tool));
        known("222222222222", 1);
        let views = |account: &str| desk.views(&Tenant::new(account, "us-east-1"), 0).len();
        let most = limits::KNOWN_TOOLS_OF_TENANT;
        assert_eq!((views("111111111111"), views("222222222222")), (most, 1));
    }
}
