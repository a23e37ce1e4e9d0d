//! Budgets at work: the counters that hold what was spent, and what each call holds back in them.
//!
//! A run has a [`Book`]. Before it decides, the counters of its caps are read ([`Run::consult`]); the
//! intent to ask a model carries what is held back, and the commit that has the intent adds it to
//! the counters under their ceilings. The commit of the outcome gives the difference back. Whoever
//! asks a model directly does the same in two small commits ([`direct`]).
//!
//! INVARIANT: no counter passes its cap by a reservation: the ceiling is the commit's own. What was
//! read before is only how a decision is made; where it was out of date the commit fails, and the
//! run is read and decided again.

pub(crate) mod direct;
mod price;
mod resume;

pub use resume::Replenishing;

use std::sync::Mutex;

use craton_core::agent::event::{Ask, Call as ToolCall, Event, Intent, ModelSaid};
use craton_core::agent::state::{self, Progress, Turn};
use craton_core::budget::caps::{Budgets, Most, Period, lower};
use craton_core::budget::rule::{self, Need, Ruling, Standing};
use craton_core::budget::{Raise, Reserved, Scope, Unit, unit_of};
use craton_core::cost::Money;
use craton_core::limits;
use llm::Size;
use llm::measure::Input;
use store::{Batch, CommitError, Precondition, StoreError, Tenant};
use wire::converse::Call;

use crate::alert::Raised;
use crate::journal::{self, Stamped};
use crate::model::Payer;
use crate::run::{Counted, Run, innermost};
use crate::{Inner, spend};

/// What `[budgets]` says, worked out once.
#[derive(Clone)]
pub(crate) struct Settings {
    caps: Vec<Most>,
    near_percent: u32,
}

impl Settings {
    #[cfg(test)]
    pub(crate) fn is_set(&self) -> bool {
        !self.caps.is_empty()
    }

    /// Every cap that is set for the server.
    pub(crate) fn caps(&self) -> &[Most] {
        &self.caps
    }

    pub(crate) fn new(budgets: &Budgets) -> Settings {
        Settings { caps: budgets.caps(), near_percent: budgets.near_percent() }
    }
}

/// Who spends, for the names of counters.
pub(crate) struct Spender<'a> {
    pub(crate) session: Option<Session<'a>>,
    pub(crate) agent: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
}

/// Whose conversation it is. The two never share a counter, whatever a client calls its own.
#[derive(Clone, Copy)]
pub(crate) enum Session<'a> {
    /// An agent's, by its key.
    Kept(&'a str),
    /// One that a client holds itself, as it names it.
    Named(&'a str),
}

impl<'a> Spender<'a> {
    fn of(payer: &'a Payer) -> Self {
        let (session, agent) = (payer.session.as_deref(), payer.agent.as_deref());
        let session = session.map(Session::Named);
        Spender { session, agent, user: payer.user.as_deref() }
    }

    /// The counter of a cap at a time; `None` where the cap is over nothing that this one has.
    fn counter(&self, most: &Most, now: i64) -> Option<String> {
        let of = match most.scope {
            Scope::Call | Scope::Run => return None,
            Scope::Session => match self.session? {
                Session::Kept(key) => format!("session/{key}"),
                Session::Named(name) => format!("client-session/{name}"),
            },
            Scope::Agent => format!("agent/{}", self.agent?),
            Scope::User => format!("user/{}", self.user?),
            Scope::Tenant => "tenant".to_owned(),
            Scope::Day => "all".to_owned(),
        };
        let date = date(now);
        let period = match most.per {
            None => "ever",
            Some(Period::Day) => date.as_str(),
            Some(Period::Month) => &date[..7],
        };
        Some(format!("budget/{of}/{period}/{}", most.unit.word()))
    }
}

/// The day of UTC: `2026-11-20`.
fn date(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

/// A change of a counter, in the commit that has the event it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    counter: String,
    delta: i64,
    ceiling: Option<i64>,
}

/// What a run may spend, has spent and holds back.
#[derive(Default)]
pub(crate) struct Book {
    caps: Vec<Most>,
    standings: Vec<Standing>,
    /// What the run has spent and holds back, by its journal.
    tokens: i64,
    cost: i64,
    raise: Raise,
    moves: Vec<Move>,
}

impl Book {
    /// Of a run with these events behind it.
    pub(crate) fn open(inner: &Inner, own: &[Most], events: &[Stamped]) -> Book {
        let mut book = Book { caps: lower(&inner.budgets.caps, own), ..Book::default() };
        let counted = events.iter().any(|stamped| counts(&stamped.event));
        if book.is_free() && !counted {
            return book;
        }
        let mut turn = Turn::default();
        for Stamped { event, .. } in events {
            book.follow(inner, &turn, event);
            state::apply(&mut turn, event);
        }
        book.moves.clear();
        book
    }

    /// Tokens and picodollars, those that are held back too.
    #[cfg(test)]
    pub(crate) fn spent(&self) -> (i64, i64) {
        (self.tokens, self.cost)
    }

    /// No budget applies.
    pub(crate) fn is_free(&self) -> bool {
        self.caps.is_empty()
    }

    /// Takes note of an event, given the turn as it stood before.
    pub(crate) fn follow(&mut self, inner: &Inner, turn: &Turn, event: &Event) {
        let (path, event) = innermost(event);
        let open = || turn.at(&path).filter(|turn| turn.asking.is_some())?.budget.reserved.as_ref();
        match event {
            Event::Asked(Intent::AskModel(Ask { reserved: Some(reserved), .. }))
            | Event::Asked(Intent::Call(ToolCall { reserved: Some(reserved), .. })) => {
                self.hold_back(reserved);
            }
            Event::ToolReturned(returned) => {
                self.settle_tool(turn.at(&path), &returned.tool_use_id, returned.cost);
            }
            Event::Deferred(deferred) => {
                self.settle_tool(turn.at(&path), &deferred.tool_use_id, deferred.cost);
            }
            Event::ModelSaid(said) => {
                if let Some(reserved) = open() {
                    self.settle(reserved, spent(inner, said, reserved));
                }
            }
            // Journals older than attempts say only that nobody knows.
            Event::ModelFailed(failed) if !failed.consumed || !failed.wasted.is_empty() => {
                if let Some(reserved) = open() {
                    self.settle(reserved, reserved.used_by(&failed.wasted));
                }
            }
            Event::ModelOverflowed(overflowed) => {
                if let Some(reserved) = open() {
                    self.settle(reserved, reserved.used_by(&overflowed.wasted));
                }
            }
            Event::Accepted(accepted) if path.is_empty() => {
                self.caps = lower(&self.caps, accepted.max_cost.map(Most::of_run).as_slice());
            }
            Event::Replenished(replenished) => {
                self.raise = self.raise.and(replenished.raise);
                if let Some(own) = &replenished.own {
                    self.caps = lower(&lower(&inner.budgets.caps, own), client(turn).as_slice());
                }
            }
            _ => {}
        }
    }

    fn hold_back(&mut self, reserved: &Reserved) {
        self.count(reserved.amount(Unit::Tokens), reserved.amount(Unit::Cost));
        for counter in &reserved.counters {
            let standing = self.standings.iter().find(|one| one.counter.as_ref() == Some(counter));
            let ceiling = standing.map(|standing| standing.cap);
            let delta = reserved.amount(unit_of(counter));
            self.moves.push(Move { counter: counter.clone(), delta, ceiling });
        }
    }

    /// A tool's outcome. What it is asked for after it said that it answers later was not held back.
    fn settle_tool(&mut self, turn: Option<&Turn>, tool_use_id: &str, cost: Option<Money>) {
        let used = turn.and_then(|turn| turn.used(tool_use_id));
        let Some((used, call)) = used.and_then(|used| Some((used, used.call.as_ref()?))) else {
            return;
        };
        let Some(reserved) = call.reserved.as_deref() else { return };
        let spent = |cost| Raise { tokens: 0, cost };
        match used.progress {
            Progress::Asked => self.settle(reserved, spent(cost.unwrap_or(reserved.cost))),
            Progress::Pending(_) => {
                let settled = Reserved { cost: Money::ZERO, ..reserved.clone() };
                self.settle(&settled, spent(cost.unwrap_or_default()));
            }
            Progress::New | Progress::Closed(..) => {}
        }
    }

    fn settle(&mut self, reserved: &Reserved, spent: Raise) {
        let back = |unit| spent.of(unit).saturating_sub(reserved.amount(unit));
        self.count(back(Unit::Tokens), back(Unit::Cost));
        for counter in &reserved.counters {
            let delta = back(unit_of(counter));
            self.moves.push(Move { counter: counter.clone(), delta, ceiling: None });
        }
    }

    fn count(&mut self, tokens: i64, cost: i64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost = self.cost.saturating_add(cost);
    }

    /// The caps that are near their end, as the last decision found them: those past the share at which
    /// that is so, or else the one without room for another call.
    pub(crate) fn near(&self, inner: &Inner) -> Vec<&Standing> {
        let over_calls = self.standings.iter().filter(|one| one.scope != Scope::Call);
        let past = |one: &&Standing| one.is_past(inner.budgets.near_percent);
        let near: Vec<_> = over_calls.filter(past).collect();
        if near.is_empty() { self.nearest().into_iter().collect() } else { near }
    }

    fn nearest(&self) -> Option<&Standing> {
        let over_calls = self.standings.iter().filter(|one| one.scope != Scope::Call);
        over_calls.max_by(|a, b| {
            let part = |one: &Standing| i128::from(one.spent) << 32;
            (part(a) / i128::from(a.cap.max(1))).cmp(&(part(b) / i128::from(b.cap.max(1))))
        })
    }

    /// Whether the next commit changes counters.
    pub(crate) fn moves(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Puts the changes of the pending events into their commit.
    pub(crate) fn write(&mut self, batch: &mut Batch) {
        for Move { counter, delta, ceiling } in self.moves.drain(..) {
            batch.add(&counter, delta, None, ceiling);
        }
    }

    /// The caps as they stand, with what this process has not written yet.
    async fn look(
        &mut self,
        inner: &Inner,
        tenant: &Tenant,
        spender: &Spender<'_>,
    ) -> Result<(), StoreError> {
        let mut standings = read(inner, tenant, &self.caps, spender).await?;
        for standing in &mut standings {
            let own = match standing.unit {
                Unit::Tokens => self.tokens,
                Unit::Cost => self.cost,
            };
            let moves = self.moves.iter().filter(|m| standing.counter.as_ref() == Some(&m.counter));
            let unwritten = moves.fold(0i64, |sum, m| sum.saturating_add(m.delta));
            let more = if standing.scope == Scope::Run { own } else { unwritten };
            standing.spent = standing.spent.saturating_add(more);
            if standing.scope != Scope::Call {
                standing.cap = standing.cap.saturating_add(self.raise.of(standing.unit));
            }
        }
        self.standings = standings;
        Ok(())
    }
}

/// The cap that the turn's client set.
fn client(turn: &Turn) -> Option<Most> {
    turn.accepted.as_ref().and_then(|accepted| accepted.max_cost).map(Most::of_run)
}

/// Each cap that a spender counts in.
async fn read(
    inner: &Inner,
    tenant: &Tenant,
    caps: &[Most],
    spender: &Spender<'_>,
) -> Result<Vec<Standing>, StoreError> {
    let now = inner.clock.now();
    let mut standings = Vec::with_capacity(caps.len());
    for most in caps {
        let counter = spender.counter(most, now);
        let spent = match &counter {
            Some(counter) => inner.store.counter(tenant, counter).await?,
            None if matches!(most.scope, Scope::Call | Scope::Run) => 0,
            None => continue,
        };
        let (scope, unit, cap) = (most.scope, most.unit, most.amount);
        standings.push(Standing { scope, unit, cap, spent, counter });
    }
    Ok(standings)
}

/// What holds back for one call, and counts it for the calls after it; `note` is what its input has more
/// where its model is told to come to an end.
pub(crate) fn hold(
    inner: &Inner,
    standings: &Mutex<Vec<Standing>>,
    (call, note): (&Call, u64),
    others: &[String],
) -> Ruling {
    let mut standings = standings.lock().expect("no holder of this lock panics");
    let price = |bytes, output| price::at_most(inner, (&call.model, others), bytes, output);
    let near_percent = inner.budgets.near_percent;
    let attempts = attempts(inner, call, others);
    if standings.is_empty() {
        return Ruling::Free;
    }
    let Size { input, output } = inner.models.size(call, limits::OUTPUT_TOKENS);
    let (model, price) = (call.model.as_str(), &price);
    let Input { most: input, about } = input;
    let need = Need { model, input, about, output, price, attempts, near_percent, note };
    let ruling = rule::hold(&standings, &need);
    if let Ruling::Held(reserved) = &ruling {
        count_in(&mut standings, reserved);
    }
    ruling
}

/// The same for a call of a tool, at the rate of so many attempts. What a function's work costs beside
/// that is known afterwards.
pub(crate) fn hold_tool(
    inner: &Inner,
    standings: &Mutex<Vec<Standing>>,
    call: &ToolCall,
    attempts: u32,
) -> Ruling {
    let mut standings = standings.lock().expect("no holder of this lock panics");
    let ruling = rule::hold_cost(&standings, &call.tool, inner.prices.rates.tool(attempts, 0, 0));
    if let Ruling::Held(reserved) = &ruling {
        count_in(&mut standings, reserved);
    }
    ruling
}

fn count_in(standings: &mut [Standing], reserved: &Reserved) {
    for standing in standings.iter_mut().filter(|one| one.scope != Scope::Call) {
        standing.spent = standing.spent.saturating_add(reserved.amount(standing.unit));
    }
}

/// How often one call may be made that a provider bills: once for each model that may answer, and once
/// more as a hedge.
fn attempts(inner: &Inner, call: &Call, others: &[String]) -> u32 {
    let rule = inner.models.resolve(&call.model).ok().and_then(|resolved| resolved.rule);
    let (stand_ins, hedges) =
        rule.map_or((0, false), |(_, rule)| (rule.fallback.len(), rule.hedge_after_ms.is_some()));
    let stand_ins = u32::try_from(others.len().max(stand_ins)).unwrap_or(u32::MAX);
    stand_ins.saturating_add(1).saturating_add(u32::from(hedges))
}

/// What a reply has used, with the attempts before it. Where its provider counted nothing, all that was
/// held back for it.
fn spent(inner: &Inner, said: &ModelSaid, reserved: &Reserved) -> Raise {
    if said.conduct.cached || said.reused {
        return Raise::default();
    }
    reserved.used_by(&said.conduct.wasted).and(answered(inner, said, reserved))
}

fn answered(inner: &Inner, said: &ModelSaid, reserved: &Reserved) -> Raise {
    let usage = said.reply.usage;
    let one = reserved.one();
    if !usage.is_counted() {
        return one;
    }
    let priced = || inner.price((&said.provider, &said.model)).map(|price| price.cost(&usage));
    Raise { tokens: usage.tokens(), cost: said.cost.or_else(priced).unwrap_or(one.cost) }
}

/// Whether a budget has to do with an event.
fn counts(event: &Event) -> bool {
    match innermost(event) {
        (_, Event::Asked(Intent::AskModel(ask))) => ask.reserved.is_some(),
        (_, Event::Asked(Intent::Call(call))) => call.reserved.is_some(),
        (path, Event::Accepted(accepted)) => path.is_empty() && accepted.max_cost.is_some(),
        _ => false,
    }
}

/// Whether a commit failed because a counter would have passed its ceiling.
pub(crate) fn is_full(error: &CommitError) -> bool {
    matches!(error, CommitError::Conflict(conflict) if conflict.what == Precondition::Counter)
}

impl Run {
    /// Reads the counters of the run's caps for the decision that comes.
    pub(crate) async fn consult(&mut self, inner: &Inner) -> Result<(), StoreError> {
        if self.book.is_free() {
            return Ok(());
        }
        let key = self.session_key();
        let user = self.user();
        let agent = Some(self.record.agent_id.as_str());
        let spender = Spender { session: Some(Session::Kept(&key)), agent, user: user.as_deref() };
        self.book.look(inner, &self.tenant, &spender).await
    }

    fn user(&self) -> Option<String> {
        spend::named(spend::USER, &self.turn)
    }

    /// Whose budget of a scope the run spends from.
    pub(crate) fn payer(&self, scope: Scope) -> String {
        match scope {
            Scope::Call | Scope::Run => self.id.clone(),
            Scope::Session => self.session_key(),
            Scope::Agent => self.record.agent_id.clone(),
            Scope::User => self.user().unwrap_or_default(),
            Scope::Tenant | Scope::Day => self.tenant.to_string(),
        }
    }

    pub(crate) fn standings(&self) -> Mutex<Vec<Standing>> {
        Mutex::new(self.book.standings.clone())
    }

    /// Calls of models that were under way when an earlier process died: what they held back stays
    /// spent, and they are decided anew.
    pub(crate) fn lose_calls(&mut self, inner: &Inner) {
        let mut lost = Vec::new();
        let free = self.book.is_free();
        self.turn.walk(&mut |path, turn| {
            let counts = turn.budget.reserved.is_some() || !free;
            if turn.asking.is_some() && counts {
                lost.push(path.to_vec());
            }
        });
        for path in lost {
            self.record(inner, inner.clock.now(), state::within(&path, Event::Lost));
        }
    }

    /// Reads the run again after a commit that failed, with the outcomes that it had.
    pub(crate) async fn read_again(
        &mut self,
        inner: &Inner,
        outcomes: Vec<Stamped>,
    ) -> Result<(), CommitError> {
        let loaded = journal::load(inner, &self.tenant, &self.id).await;
        let (events, next) = loaded.map_err(CommitError::Store)?;
        self.next = next;
        self.turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        self.counted = Counted::of(events.iter().map(|stamped| &stamped.event));
        self.book = Book::open(inner, &self.agent.config.budgets, &events);
        self.pending.clear();
        self.rows.clear();
        self.outs.clear();
        self.raised = Raised::default();
        for Stamped { at, event } in outcomes {
            self.record(inner, at, event);
        }
        Ok(())
    }
}
