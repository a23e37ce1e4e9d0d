//! What an agent's next turns will cost, from those that it has had, or else from its configuration;
//! and what made the turns dear that it has had.
//!
//! It asks no model and changes nothing.

use std::collections::BTreeMap;

use craton_core::agent::event::{Event, Intent, Task};
use craton_core::agent::tool::Effect;
use craton_core::cost::lever::{Observed, ObservedTurn};
use craton_core::cost::{Money, plan};
use craton_core::limits::OUTPUT_TOKENS;
use serde::Serialize;
use store::{StoreError, Tenant};
use wire::converse::Usage;

use super::Spread;
use super::configured::{Foreseen, foresee};
use super::offers::{Offers, Size};
use crate::journal::{self, Stamped};
use crate::record::RunRecord;
use crate::run::{Path, innermost};
use crate::{Engine, limits};

/// One turn of an agent, foreseen: the lowest, the middle and the highest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub model: String,
    pub basis: Basis,
    /// Turns that it was made from.
    pub turns: usize,
    /// Input and output together.
    pub tokens: [u64; 3],
    /// `None` where the model has no price.
    pub cost: Option<[Money; 3]>,
    pub millis: [i64; 3],
    /// What was taken as given, in words.
    pub assumed: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    History,
    Configuration,
}

/// Fewer turns than these say nothing of the next.
const FEWEST_TURNS: usize = 5;

impl Engine {
    /// `None` if the configuration is not there.
    pub async fn forecast(
        &self,
        tenant: &Tenant,
        (agent_id, config): (&str, &str),
        input: &str,
    ) -> Result<Option<Forecast>, StoreError> {
        let Some(agent) = self.0.agent(tenant, config).await? else { return Ok(None) };
        let seen = self.turns_of(tenant, agent_id, limits::TURNS_FORESEEN).await?;
        let model = self.0.models.resolve(&agent.config.model);
        let model = model.map_or_else(|_| agent.config.model.clone(), |resolved| resolved.model);
        Ok(Some(match seen.runs.len() < FEWEST_TURNS {
            true => by_configuration(&model, foresee(&self.0, tenant, &agent, input).await?),
            false => by_history(&model, &seen),
        }))
    }

    /// The most that one direct call of a model comes to, whoever answers it: so many bytes are read,
    /// and as many tokens said as the call lets it say. `None` where a price is missing.
    pub fn call_at_most(&self, model: &str, bytes: u64, says: Option<u32>) -> Option<Money> {
        let unset = match self.0.budgets.caps().is_empty() {
            true => limits::REPLY_TOKENS,
            false => u64::from(OUTPUT_TOKENS),
        };
        let size = Size { bytes, says: says.map_or(unset, u64::from) };
        Offers::direct(&self.0, model).most(size).models
    }

    /// The turns of an agent, a run or a session as they were; of all where nothing is named.
    pub async fn observed(
        &self,
        tenant: &Tenant,
        of: Option<&str>,
    ) -> Result<Observed, StoreError> {
        let found = match of {
            Some(of) => self.runs_of(tenant, of).await?,
            None => self.turns_where(tenant, limits::TURNS_FORESEEN, &|_| true).await?,
        };
        let mut observed = Observed::default();
        for record in found.runs {
            let (events, _) = journal::load(&self.0, tenant, &record.run).await?;
            observed.turns.extend(turns(&record, &events));
        }
        Ok(observed)
    }

    /// An agent's, or a session's, or one run by any of its ids.
    async fn runs_of(&self, tenant: &Tenant, of: &str) -> Result<Spread, StoreError> {
        let fits = |record: &RunRecord| record.agent_id == of || record.session_id == of;
        let found = self.turns_where(tenant, limits::TURNS_FORESEEN, &fits).await?;
        if !found.runs.is_empty() {
            return Ok(found);
        }
        Ok(Spread { runs: self.find_run(tenant, of).await?.into_iter().collect() })
    }
}

fn by_history(model: &str, seen: &Spread) -> Forecast {
    let of = |number: &dyn Fn(&RunRecord) -> i64| -> [i64; 3] {
        plan::interval(seen.runs.iter().map(number).collect())
    };
    let tokens = |usage: &Usage| i64::try_from(usage.tokens()).unwrap_or(i64::MAX);
    let unpriced = seen.runs.iter().any(|run| run.bill.unpriced > 0);
    Forecast {
        model: model.to_owned(),
        basis: Basis::History,
        turns: seen.runs.len(),
        tokens: of(&|run| tokens(&run.usage)).map(|tokens| u64::try_from(tokens).unwrap_or(0)),
        cost: (!unpriced).then(|| of(&|run| run.bill.stack.total().0).map(Money)),
        millis: of(&|run| run.ended_at.unwrap_or(run.begun_at) - run.begun_at),
        assumed: vec!["turns as the last ones: nine in ten of them lie in between".to_owned()],
    }
}

/// From configuration alone.
fn by_configuration(model: &str, foreseen: Foreseen) -> Forecast {
    let Foreseen { least, likely, most, assumed } = foreseen;
    let all = [least, likely, most];
    let [low, middle, high] = all.map(|work| work.tokens);
    let cost = all.map(|work| work.cost());
    let cost = match cost {
        [Some(low), Some(middle), Some(high)] => Some(ordered(low, middle, high)),
        _ => None,
    };
    let time = all.map(|work| i64::try_from(work.millis).unwrap_or(i64::MAX));
    Forecast {
        model: model.to_owned(),
        basis: Basis::Configuration,
        turns: 0,
        tokens: ordered(low, middle, high),
        cost,
        millis: ordered(time[0], time[1], time[2]),
        assumed,
    }
}

/// A cap may lie below what is likely, or even below the least.
fn ordered<T: Copy + Ord>(low: T, middle: T, high: T) -> [T; 3] {
    let low = low.min(high);
    [low, middle.clamp(low, high), high]
}

/// A run as turns: its own, and those nested in it, each with its own sequence of replies.
fn turns(record: &RunRecord, events: &[Stamped]) -> Vec<ObservedTurn> {
    let mut turns: BTreeMap<Path, ObservedTurn> = BTreeMap::new();
    let mut reads: BTreeMap<(Path, &str), String> = BTreeMap::new();
    let mut waits = false;
    for Stamped { event, .. } in events {
        let (path, event) = innermost(event);
        match event {
            Event::Accepted(accepted) => waits |= accepted.task == Task::Summarize,
            Event::ModelSaid(said) => {
                let reply = (said.model.clone(), said.reply.usage, said.cost.unwrap_or_default());
                turns.entry(path).or_default().replies.push(reply);
            }
            Event::Asked(Intent::Call(call)) if call.effect == Effect::Read => {
                let asked = format!("{} {} {}", call.target, call.tool, call.input);
                reads.insert((path, &call.tool_use_id), asked);
            }
            Event::ToolReturned(returned) => {
                let asked = reads.remove(&(path.clone(), &returned.tool_use_id));
                let cost = returned.cost.filter(|_| returned.attempts() > 0);
                if let (Some(asked), Some(cost)) = (asked, cost) {
                    turns.entry(path).or_default().reads.push((asked, cost));
                }
            }
            _ => {}
        }
    }
    let root = turns.entry(Path::new()).or_default();
    (root.stack, root.waits) = (record.bill.stack, waits);
    turns.into_values().collect()
}
