//! What an agent's next turns will cost, from those that it has had, or else from its configuration;
//! and what made the turns dear that it has had.
//!
//! It asks no model and changes nothing.

use std::collections::BTreeMap;

use craton_core::agent::call;
use craton_core::agent::digest;
use craton_core::agent::event::{Accepted, Event, Intent, Purpose, Started, Task};
use craton_core::agent::state::Turn;
use craton_core::agent::tool::Effect;
use craton_core::agent::turn::Agent;
use craton_core::cost::lever::{Observed, ObservedTurn};
use craton_core::cost::{Money, plan};
use serde::Serialize;
use store::{StoreError, Tenant};
use wire::converse::{Call, Usage};

use super::Spread;
use crate::journal::{self, Stamped};
use crate::record::RunRecord;
use crate::run::{Path, innermost};
use crate::{Engine, Inner, limits};

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
    /// `None` where no turn was seen.
    pub millis: Option<[i64; 3]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    History,
    Configuration,
}

/// Fewer turns than these say nothing of the next.
const FEWEST_TURNS: usize = 5;
/// A token of a language has about so many bytes; for estimates, never for bounds.
const BYTES_PER_TOKEN: u64 = 4;
/// What a reply holds where its agent sets no cap: the least that models are set to (ours).
const REPLY_TOKENS: u64 = 4_096;

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
        let call = first_call(&agent, input);
        Ok(Some(match seen.runs.len() < FEWEST_TURNS {
            true => self.0.by_configuration(&call),
            false => by_history(&call.model, &seen),
        }))
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

/// The call with which a turn begins, as it would be sent.
fn first_call(agent: &Agent, input: &str) -> Call {
    let system =
        craton_core::agent::prompt::system(&agent.config, &BTreeMap::new(), &Vec::<String>::new());
    let accepted = Accepted { input_text: input.to_owned(), ..Accepted::default() };
    let begun = [
        Event::Accepted(Box::new(accepted)),
        Event::Started(Box::new(Started { system, ..Started::default() })),
    ];
    call::model_call(&Turn::replay(&begun), agent, Purpose::Plan)
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
        millis: Some(of(&|run| run.ended_at.unwrap_or(run.begun_at) - run.begun_at)),
    }
}

impl Inner {
    /// One step at the least, two as a rule, and at the most as many as are allowed, each with a
    /// whole reply and a whole answer of a tool.
    fn by_configuration(&self, call: &Call) -> Forecast {
        let resolved = self.models.resolve(&call.model);
        let (provider, model) = resolved
            .map(|resolved| (resolved.provider_name, resolved.model))
            .unwrap_or_else(|_| (String::new(), call.model.clone()));
        let prompt = digest::shown(call).to_string().len() as u64;
        let says = call.inference.max_tokens.map_or(REPLY_TOKENS, u64::from);
        let steps = self.turn.model_calls;
        let adds = self.turn.tool_answer_bytes as u64 + says * BYTES_PER_TOKEN;
        let tokens = |steps: u32, adds: u64, says: u64| -> u64 {
            let step = |step: u64| (prompt + step * adds) / BYTES_PER_TOKEN + says;
            (0..u64::from(steps)).map(step).sum()
        };
        let likely = |steps| tokens(steps, says, says / 8);
        let price = self.price((&provider, &model));
        let cost = price.map(|price| {
            let likely = |steps: u64| {
                let input_tokens = (0..steps).map(|step| (prompt + step * says) / BYTES_PER_TOKEN);
                let usage = Usage {
                    input_tokens: input_tokens.sum(),
                    output_tokens: steps * (says / 8),
                    ..Usage::default()
                };
                price.cost(&usage) + self.prices.rates.tool(u32::from(steps > 1), 0, 0)
            };
            let tools = self.prices.rates.tool(steps.saturating_sub(1), 0, 0);
            let most = plan::turn_at_most(price, steps, prompt, (adds, says)) + tools;
            [likely(1), likely(2), most]
        });
        Forecast {
            model,
            basis: Basis::Configuration,
            turns: 0,
            tokens: [likely(1), likely(2), tokens(steps, adds, says)],
            cost,
            millis: None,
        }
    }
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
