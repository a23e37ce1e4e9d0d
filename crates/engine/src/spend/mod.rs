//! What is spent: the price of each outcome, and sums by day for whoever looks at the bill.
//!
//! A turn's sums are written in the commit that ends it, from its record, which is a fold of its
//! events. What clients ask models directly has no journal: it is gathered in memory and written once
//! a second and at the stop ([`flush`]), so that no call waits for a disk. Nothing here refuses
//! anything.

mod configured;
mod foresee;
mod gathered;
mod offers;
mod report;
mod work;

use craton_core::agent::state::Turn;
use craton_core::cost::{Bill, ModelPrice, Money, Paid, Share, Stack};
use store::Batch;
use wire::converse::Usage;

pub use foresee::{Basis, Forecast};
pub(crate) use gathered::{Spending, flush};
pub use report::{By, Report, Row, Spread, Today, Wanted};

use crate::Inner;
use crate::limits::SPENDING_DAYS;
use crate::record::RunRecord;
use crate::request::TurnRequest;
use crate::tool::ToolCall;

/// What clients call whoever a call is for, in session attributes or `requestMetadata`, and whose
/// user that is; the first that is there counts. Ours: AWS keeps `requestMetadata` for its logs
/// alone, and gives no name to a user in it.
pub const USER: &[&str] = &["craton:user", "userId", "user"];
pub const CUSTOMER: &[&str] = &["craton:tenant", "tenantId", "tenant"];
/// What the calls of one conversation that clients hold themselves have in common.
pub const SESSION: &[&str] = &["craton:session", "sessionId", "session"];

/// The attribute by which a client says what a turn may cost at most, in dollars.
pub const MAX_COST: &str = "craton:max-cost";

pub(crate) const DAY_MILLIS: i64 = 24 * 3_600_000;

/// The sums of one day and one payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    pub stack: Stack,
    /// What the model line would be higher without caches.
    pub saved: Money,
    pub usage: Usage,
    pub model_calls: i64,
    /// Replies of models whose price nobody knows.
    pub unpriced: i64,
    pub tool_calls: i64,
    /// Turns that ended.
    pub runs: i64,
}

/// The line of a bill on which a model's tokens stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Model,
    /// Of vectors, by which text is found again.
    Knowledge,
}

/// How many sums stand side by side.
const SUMS: usize = 16;

impl Spent {
    pub(crate) fn of_run(bill: &Bill, usage: Usage) -> Spent {
        let calls = bill.models.values().map(|share| i64::from(share.calls)).sum();
        Spent {
            stack: bill.stack,
            saved: bill.saved,
            usage,
            model_calls: calls,
            unpriced: i64::from(bill.unpriced),
            tool_calls: i64::from(bill.tool_calls),
            runs: 1,
        }
    }

    pub(crate) fn of_share(share: &Share, line: Line) -> Spent {
        let stack = match line {
            Line::Model => Stack { model: share.cost, ..Stack::default() },
            Line::Knowledge => Stack { knowledge: share.cost, ..Stack::default() },
        };
        Spent {
            stack,
            saved: share.saved,
            usage: share.usage,
            model_calls: i64::from(share.calls),
            unpriced: i64::from(share.unpriced),
            ..Spent::default()
        }
    }

    /// The share of all input that was read from caches; `None` where nothing was read at all.
    pub fn cache_hit_rate(&self) -> Option<f64> {
        let all = self.usage.all_input();
        (all > 0).then(|| self.usage.cache_read_input_tokens as f64 / all as f64)
    }

    pub fn add(&mut self, more: &Spent) {
        let (mut sums, more) = (self.sums(), more.sums());
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        *self = Spent::of_sums(&sums);
    }

    /// The order in which they stand in the store; new ones go to the end.
    fn sums(&self) -> [i64; SUMS] {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let Spent { stack, usage, .. } = self;
        [
            stack.model.0,
            stack.tools.0,
            stack.knowledge.0,
            stack.memory.0,
            stack.guardrails.0,
            stack.transitions.0,
            self.saved.0,
            count(usage.input_tokens),
            count(usage.output_tokens),
            count(usage.cache_read_input_tokens),
            count(usage.cache_write_input_tokens),
            count(usage.cache_write_hour_input_tokens),
            self.model_calls,
            self.unpriced,
            self.tool_calls,
            self.runs,
        ]
    }

    fn of_sums(sums: &[i64]) -> Spent {
        let sum = |at: usize| sums.get(at).copied().unwrap_or_default();
        let money = |at: usize| Money(sum(at));
        let count = |at: usize| u64::try_from(sum(at)).unwrap_or_default();
        Spent {
            stack: Stack {
                model: money(0),
                tools: money(1),
                knowledge: money(2),
                memory: money(3),
                guardrails: money(4),
                transitions: money(5),
            },
            saved: money(6),
            usage: Usage {
                input_tokens: count(7),
                output_tokens: count(8),
                cache_read_input_tokens: count(9),
                cache_write_input_tokens: count(10),
                cache_write_hour_input_tokens: count(11),
            },
            model_calls: sum(12),
            unpriced: sum(13),
            tool_calls: sum(14),
            runs: sum(15),
        }
    }
}

impl Inner {
    /// What the model of a provider costs; `None` where nobody said.
    pub(crate) fn price(&self, (provider, model): (&str, &str)) -> Option<&ModelPrice> {
        match self.models.common(provider).local {
            true => Some(&ModelPrice::FREE),
            false => self.prices.model(model),
        }
    }

    /// What a reply cost; the answer of an earlier, equal call is free, and saves all of it.
    pub(crate) fn paid(&self, who: (&str, &str), usage: &Usage, cached: bool) -> Paid {
        let price = self.price(who);
        if cached {
            let saved = price.map(|price| price.cost(usage)).unwrap_or_default();
            return Paid { cost: Some(Money::ZERO), saved };
        }
        let saved = price.map(|price| price.saved(usage)).unwrap_or_default();
        Paid { cost: price.map(|price| price.cost(usage)), saved }
    }

    /// What attempts of a call cost that worked for so long in all.
    pub(crate) async fn tool_cost(&self, call: &ToolCall, attempts: u32, millis: u64) -> Money {
        if attempts == 0 || !self.tools.is_billed(call) {
            return Money::ZERO;
        }
        let memory = self.tools.memory_mb(&call.tenant, &call.function).await;
        self.prices.rates.tool(attempts, millis, memory)
    }
}

/// The most that a turn may cost, where its client says so. The api has refused what is no sum.
pub(crate) fn max_cost(request: &TurnRequest) -> Option<Money> {
    let given = [&request.session_attributes, &request.prompt_session_attributes];
    let found = given.into_iter().flatten().find_map(|attributes| attributes.get(MAX_COST));
    found.and_then(|dollars| dollars.parse().ok())
}

/// The first of the names that a turn's client gave a value.
pub(crate) fn named(names: &[&str], turn: &Turn) -> Option<String> {
    let given = |name: &&str| {
        let attributes = [&turn.session_attributes, &turn.prompt_attributes];
        let found = attributes.into_iter().find_map(|attributes| attributes.get(*name));
        found.filter(|value| !value.is_empty()).cloned()
    };
    names.iter().find_map(given)
}

/// The sums of a run that ends, into its last batch.
pub(crate) fn tally(batch: &mut Batch, record: &RunRecord, now: i64) {
    tally_of(batch, record, (now, 1));
}

fn tally_of(batch: &mut Batch, record: &RunRecord, (now, runs): (i64, i64)) {
    let spent = Spent { runs, ..Spent::of_run(&record.bill, record.usage) };
    let tenant = batch.tenant().to_string();
    let mut row = |dimension: &str, of: &str, spent: &Spent| {
        batch.tally(&key(dimension, now, of), &spent.sums(), expires_at(now));
    };
    row("day", "", &spent);
    row("tenant", record.customer.as_ref().unwrap_or(&tenant), &spent);
    row("agent", &record.agent_id, &spent);
    if let Some(user) = &record.user {
        row("user", user, &spent);
    }
    for (model, share) in &record.bill.models {
        row("model", model, &Spent::of_share(share, Line::Model));
    }
}

/// What calls of a tool have cost that belong to a run which is over.
pub(crate) fn tally_late(
    batch: &mut Batch,
    record: &RunRecord,
    (calls, cost): (u32, Money),
    now: i64,
) {
    let mut bill = Bill::default();
    bill.tool(calls, Some(cost));
    let record = RunRecord { bill, usage: Usage::default(), ..record.clone() };
    tally_of(batch, &record, (now, 0));
}

/// `spend/agent/2026-11-20/AGENT`: what stands at the end may have any sign.
fn key(dimension: &str, at: i64, of: &str) -> String {
    format!("spend/{dimension}/{}/{of}", day(at))
}

fn expires_at(at: i64) -> i64 {
    at + SPENDING_DAYS * DAY_MILLIS
}

/// The day of a moment, in UTC, as `2026-11-20`.
pub fn day(at: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    moment.strftime("%Y-%m-%d").to_string()
}
