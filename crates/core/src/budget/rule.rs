//! Whether a call fits into its budgets, and what is held back for it.
//!
//! INVARIANT: what is held back is never less than what the call can use, as far as a provider keeps
//! to the cap of its output. The bound of its input is the engine's to say.

use super::{Exhausted, Reserved, Scope, Unit};
use crate::cost::Money;
use crate::limits;

/// One cap, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub scope: Scope,
    pub unit: Unit,
    pub cap: i64,
    /// Spent, and held back by other calls.
    pub spent: i64,
    /// The counter that says so; none for a run, whose journal does.
    pub counter: Option<String>,
}

impl Standing {
    /// Whether so many percent of it are spent.
    pub fn is_past(&self, percent: u32) -> bool {
        i128::from(self.spent) * 100 >= i128::from(self.cap) * i128::from(percent)
    }
}

/// A call that asks for room.
pub struct Need<'a> {
    pub model: &'a str,
    /// The tokens that its input has at most, and by estimate.
    pub input: u64,
    pub about: u64,
    /// The output that it asks for, wherever it says so.
    pub output: u32,
    /// The most that it can cost: by the bound of its input and the cap of its output. `None` where
    /// nobody knows the price of a model that it may go to.
    pub price: &'a dyn Fn(u64, u32) -> Option<Money>,
    /// How often it may be made for one reply: by models that stand in, or as a hedge.
    pub attempts: u32,
    pub near_percent: u32,
    /// What its input has more where the model is told to come to an end.
    pub note: u64,
}

/// What the engine says of a call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// No budget applies.
    Free,
    Held(Reserved),
    Exhausted(Exhausted),
}

/// Holds back what a call may use, or names the budget that has no room.
///
/// An answer is cut to what there is room for, as long as that is enough to say something. Near the end
/// of a budget the input has a note more, which is held back for too.
pub fn hold(standings: &[Standing], need: &Need<'_>) -> Ruling {
    match fit(standings, need) {
        Ruling::Held(Reserved { wrap_up: true, .. }) if need.note > 0 => {
            let (input, about) = (need.input + need.note, need.about + need.note.div_ceil(4));
            match fit(standings, &Need { input, about, ..*need }) {
                Ruling::Held(reserved) => Ruling::Held(Reserved { wrap_up: true, ..reserved }),
                other => other,
            }
        }
        other => other,
    }
}

fn fit(standings: &[Standing], need: &Need<'_>) -> Ruling {
    if standings.is_empty() {
        return Ruling::Free;
    }
    let (of_call, over_calls): (Vec<_>, Vec<_>) =
        standings.iter().partition(|standing| standing.scope == Scope::Call);
    let cut = |output, standings: &[&Standing]| {
        standings.iter().try_fold(output, |output, one| cut_to(one, need, output))
    };
    let wanted = match cut(need.output, &of_call) {
        Ok(output) => output,
        Err(exhausted) => return Ruling::Exhausted(exhausted),
    };
    let one = |output| Reserved {
        tokens: need.input.saturating_add(u64::from(output)),
        cost: (need.price)(need.input, output).unwrap_or_default(),
        counters: standings.iter().filter_map(|standing| standing.counter.clone()).collect(),
        output,
        attempts: 1,
        wrap_up: output < wanted,
    };
    if let Some(reserved) = repeated(&over_calls, need, &one(wanted)) {
        return Ruling::Held(reserved);
    }
    let output = match cut(wanted, &over_calls) {
        Ok(output) => output,
        Err(exhausted) => return Ruling::Exhausted(exhausted),
    };
    let mut reserved = one(output);
    reserved.wrap_up |= over_calls.iter().any(|one| is_near(one, &reserved, need.near_percent));
    Ruling::Held(reserved)
}

/// Holds back what a call of a tool costs at most, in budgets of dollars. One that costs nothing to call
/// counts all the same: what its work costs is known afterwards.
pub fn hold_cost(standings: &[Standing], tool: &str, cost: Money) -> Ruling {
    let in_dollars = |one: &&Standing| one.unit == Unit::Cost && one.scope != Scope::Call;
    let over_calls: Vec<&Standing> = standings.iter().filter(in_dollars).collect();
    if over_calls.is_empty() {
        return Ruling::Free;
    }
    let full = over_calls.iter().find(|one| one.spent.saturating_add(cost.0) > one.cap);
    if let Some(full) = full {
        return Ruling::Exhausted(Exhausted {
            scope: full.scope,
            unit: full.unit,
            cap: full.cap,
            spent: full.spent,
            needed: cost.0,
            model: String::new(),
            tool: Some(tool.to_owned()),
            unpriced: false,
        });
    }
    let counters = over_calls.iter().filter_map(|one| one.counter.clone()).collect();
    Ruling::Held(Reserved { cost, counters, ..Reserved::default() })
}

/// Room for as many attempts as the call may take, as far as none of them has to be cut for it. Whoever
/// has no such room makes one, and asks no other model once that may have been billed.
fn repeated(standings: &[&Standing], need: &Need<'_>, one: &Reserved) -> Option<Reserved> {
    let in_dollars = standings.iter().any(|standing| standing.unit == Unit::Cost);
    if in_dollars && (need.price)(0, 0).is_none() {
        return None;
    }
    let held = |attempts: u32| Reserved {
        tokens: one.tokens.saturating_mul(u64::from(attempts)),
        cost: one.cost.times(u64::from(attempts)),
        attempts,
        ..one.clone()
    };
    let fits = |held: &Reserved| {
        let has_room = |one: &&Standing| one.spent.saturating_add(held.amount(one.unit)) <= one.cap;
        standings.iter().all(has_room)
    };
    let mut found = (2..=need.attempts).rev().map(held).find(fits)?;
    found.wrap_up = standings.iter().any(|standing| is_near(standing, one, need.near_percent));
    Some(found)
}

/// The longest answer that a cap leaves room for, up to `output`.
fn cut_to(standing: &Standing, need: &Need<'_>, output: u32) -> Result<u32, Exhausted> {
    let least = output.min(limits::LEAST_OUTPUT_TOKENS);
    let fits = |output: u32| room(standing, need, output);
    match fits(least) {
        None => Err(unpriced(standing, need)),
        Some(false) => Err(exhausted(standing, need, least)),
        Some(true) => Ok(largest(least, output, |n| fits(n) == Some(true))),
    }
}

/// Whether so long an answer fits.
fn room(standing: &Standing, need: &Need<'_>, output: u32) -> Option<bool> {
    let used = used(standing, need, output)?;
    Some(standing.spent.saturating_add(used) <= standing.cap)
}

/// What a call takes of a cap. One call is judged by an estimate of its input: by the bound, no
/// conversation of a few thousand bytes could be had under a cap of as many tokens.
fn used(standing: &Standing, need: &Need<'_>, output: u32) -> Option<i64> {
    let input = match standing.scope {
        Scope::Call => need.about,
        Scope::Run | Scope::Session | Scope::Agent | Scope::User | Scope::Tenant | Scope::Day => {
            need.input
        }
    };
    match standing.unit {
        Unit::Tokens => {
            Some(i64::try_from(input.saturating_add(u64::from(output))).unwrap_or(i64::MAX))
        }
        Unit::Cost => (need.price)(need.input, output).map(|money| money.0),
    }
}

/// The largest number that fits, from one that does.
fn largest(fits_already: u32, most: u32, fits: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (fits_already.min(most), most);
    while low < high {
        let middle = high - (high - low) / 2;
        match fits(middle) {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    low
}

/// Past the share at which a budget is near its end, or without room for another call like this one.
fn is_near(standing: &Standing, reserved: &Reserved, percent: u32) -> bool {
    let (spent, cap) = (i128::from(standing.spent), i128::from(standing.cap));
    let held = i128::from(reserved.amount(standing.unit));
    standing.is_past(percent) || spent + 2 * held > cap
}

fn exhausted(standing: &Standing, need: &Need<'_>, output: u32) -> Exhausted {
    Exhausted {
        scope: standing.scope,
        unit: standing.unit,
        cap: standing.cap,
        spent: standing.spent,
        needed: used(standing, need, output).unwrap_or_default(),
        model: need.model.to_owned(),
        tool: None,
        unpriced: false,
    }
}

fn unpriced(standing: &Standing, need: &Need<'_>) -> Exhausted {
    Exhausted { unpriced: true, ..exhausted(standing, need, 0) }
}
