//! Budgets of calls that belong to no run: what is held back is durable before the model is asked, and
//! the difference goes back once it is known what was used.

use std::sync::Mutex;

use craton_core::agent::call;
use craton_core::budget::caps::Most;
use craton_core::budget::rule::{Ruling, Standing};
use craton_core::budget::{Exhausted, Raise, Reserved, Scope, unit_of};
use llm::{ModelError, ModelErrorKind};
use serde_json::json;
use store::{Batch, CommitError, Tenant};
use wire::converse::{Call, Delta, Usage};

use super::{Spender, hold, is_full, price, read};
use crate::Inner;
use crate::alert::{self, Alarm};
use crate::model::Payer;
use crate::model::account::{Account, Bearer};

/// How often a call looks for room that others take while it looks.
const TRIES: u32 = 8;

/// Holds back what a call may use and keeps the call to it. `None` where no budget applies.
pub(crate) async fn reserve(
    inner: &Inner,
    bearer: &Bearer,
    call: &mut Call,
    others: &[String],
) -> Result<Option<Reserved>, ModelError> {
    let Bearer { tenant, payer, .. } = bearer;
    // A run's calls are held back in its own commits.
    if payer.run.is_some() || inner.budgets.caps.is_empty() {
        return Ok(None);
    }
    let all = inner.budgets.caps.iter().filter(|most| most.scope != Scope::Run);
    let caps: Vec<Most> = all.copied().collect();
    let spender = Spender::of(payer);
    for _ in 0..TRIES {
        let standings = read(inner, tenant, &caps, &spender).await.map_err(|e| failed(e.into()))?;
        let ceilings = standings.clone();
        let reserved = match hold(inner, &Mutex::new(standings), (call, 0), others) {
            Ruling::Free => return Ok(None),
            Ruling::Held(reserved) => reserved,
            Ruling::Exhausted(exhausted) => {
                exceeded(&exhausted, payer).raise(inner, tenant);
                return Err(ModelError::new(ModelErrorKind::OverBudget, exhausted.told()));
            }
        };
        let mut batch = Batch::new(tenant, inner.clock.now());
        for standing in &ceilings {
            let Some(counter) = &standing.counter else { continue };
            batch.add(counter, reserved.amount(standing.unit), None, Some(standing.cap));
        }
        match inner.store.commit(batch).await {
            Ok(()) => {
                warn(inner, bearer, &ceilings, &reserved);
                // Whoever asks directly decides alone what its model reads.
                call::within(call, &Reserved { wrap_up: false, ..reserved.clone() });
                return Ok(Some(reserved));
            }
            Err(error) if is_full(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let busy = "the budgets of this call are in use by too many others at once; try again";
    Err(ModelError::new(ModelErrorKind::Throttled, busy))
}

/// Tells of the budgets that are near their end.
fn warn(inner: &Inner, bearer: &Bearer, standings: &[Standing], reserved: &Reserved) {
    let Bearer { tenant, payer, .. } = bearer;
    let past = |one: &&Standing| one.is_past(inner.budgets.near_percent);
    for standing in standings.iter().filter(past).filter(|one| one.scope != Scope::Call) {
        let who = whose(standing.scope, payer).unwrap_or_else(|| tenant.to_string());
        let facts = json!({"user": payer.user, "agent": payer.agent, "heldBack": reserved});
        alert::near(standing, &who, facts).raise(inner, tenant);
    }
}

/// Whose budget of a scope a call spends from; nobody's but the account's where there is no name.
fn whose(scope: Scope, payer: &Payer) -> Option<String> {
    match scope {
        Scope::Session => payer.session.clone(),
        Scope::Agent => payer.agent.clone(),
        Scope::User => payer.user.clone(),
        Scope::Call | Scope::Run => payer.user.clone().or_else(|| payer.agent.clone()),
        Scope::Tenant | Scope::Day => None,
    }
}

fn exceeded(exhausted: &Exhausted, payer: &Payer) -> Alarm {
    let who = whose(exhausted.scope, payer).unwrap_or_default();
    Alarm {
        kind: "budget.exceeded",
        key: format!("{}/{who}", exhausted.scope.word()),
        message: format!("a call of a model is refused: {}", exhausted.told()),
        facts: json!({"user": payer.user, "agent": payer.agent, "exhausted": exhausted}),
    }
}

/// Gives back what a call held and did not use. Does not wait: what is submitted is committed.
pub(crate) fn settle(inner: &Inner, tenant: &Tenant, reserved: &Reserved, spent: Raise) {
    let mut batch = Batch::new(tenant, inner.clock.now());
    for counter in &reserved.counters {
        let unit = unit_of(counter);
        let back = spent.of(unit).saturating_sub(reserved.amount(unit));
        batch.add(counter, back, None, None);
    }
    if !batch.is_empty() {
        drop(inner.store.submit(batch));
    }
}

/// What a provider counted.
pub(crate) fn counted(
    inner: &Inner,
    account: &Account,
    usage: &Usage,
    reserved: &Reserved,
) -> Raise {
    let price = inner.price((&account.provider, &account.model));
    let price = price.or_else(|| inner.prices.model(&account.id));
    let cost = price.map_or(reserved.one().cost, |price| price.cost(usage));
    Raise { tokens: usage.tokens(), cost }
}

/// What a stream has cost that its listener left: all of its input, and what was heard.
pub(crate) fn heard(inner: &Inner, id: &str, reserved: &Reserved, heard: u64) -> Raise {
    let one = reserved.one();
    let output = u32::try_from(heard).unwrap_or(u32::MAX).min(reserved.output);
    let bytes = one.tokens.saturating_sub(u64::from(reserved.output));
    let cost = price::at_most(inner, (id, &[]), bytes, output).unwrap_or(one.cost);
    Raise { tokens: bytes + u64::from(output), cost: cost.min(one.cost) }
}

/// The bytes of an answer in one piece of it: no fewer than its tokens.
pub(crate) fn weight(delta: &Delta) -> u64 {
    let bytes = match delta {
        Delta::Text { text, .. } | Delta::Reasoning { text, .. } => text.len(),
        Delta::ToolUseStart { name, .. } => name.len(),
        Delta::ToolUseInput { json, .. } => json.len(),
        Delta::Signature { .. }
        | Delta::Redacted { .. }
        | Delta::Citation { .. }
        | Delta::BlockStop { .. }
        | Delta::Native(_)
        | Delta::Stop(_)
        | Delta::Usage(_) => 0,
    };
    bytes as u64
}

fn failed(error: CommitError) -> ModelError {
    let message = "what the call may use could not be held back in its budgets";
    ModelError::new(ModelErrorKind::Unavailable, message).because(error)
}
