//! Who pays for a call of a model: asked before its first attempt, and told exactly once how it
//! ended, also when whoever listened has gone.
//!
//! What a turn asks has its reservation in the intent already (`Ask::reserved`); what a client asks
//! directly has none. [`Account::admit`] may wait and refuse. [`Account::conclude`] may not wait: it
//! runs in a destructor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use craton_core::agent::event::{ModelConduct, Wasted};
use craton_core::budget::{Raise, Reserved};
use craton_core::cost::{Money, Paid, Share};
use craton_core::policy::breaker::Ending;
use craton_core::route::StepKind;
use futures_util::{Stream, StreamExt as _};
use llm::{Deltas, ModelError, Resolved, measure};
use store::Tenant;
use wire::converse::{Call, Delta, Usage};

use super::doors::Pass;
use super::gate::Room;
use super::{Payer, retry};
use crate::budget::direct;
use crate::spend::Line;
use crate::{Inner, alert};

/// On whose account, and for which step.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) tenant: Tenant,
    pub(crate) kind: StepKind,
    pub(crate) payer: Payer,
    pub(crate) line: Line,
}

/// One asking, from its admission to its end.
pub(crate) struct Account {
    pub(crate) inner: Arc<Inner>,
    pub(crate) bearer: Bearer,
    /// The model id that the map resolved, and who answers under which name of his own; empty
    /// before anybody was asked.
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) conduct: ModelConduct,
    /// What it has taken in the name of who pays, and at the model that is asked now.
    pub(crate) paid: Room,
    pub(crate) room: Room,
    /// The breaker's leave for a reply under way, which says at its end how it went.
    pub(crate) pass: Option<Pass>,
    /// Requests that are out, or whose answer is being read: whoever leaves now may be billed for them.
    pub(crate) under_way: u32,
    /// What came so far of the answer that is being read.
    came: Came,
    /// By the engine's clock.
    begun: i64,
    /// What is held back for it, where it belongs to no run.
    reserved: Option<Reserved>,
    /// How many attempts are paid for; `None` where no budget says.
    attempts: Option<u32>,
    open: bool,
}

/// Tells a provider's breaker how a call went. If that opens it, a person hears of it, by the account
/// whose call it was.
pub(super) fn ended(inner: &Inner, tenant: &Tenant, pass: Pass, ending: Ending) {
    if let Some(opened) = pass.ended(ending, inner.clock.now()) {
        alert::provider_opened(&opened).raise(inner, tenant);
    }
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// As the provider counted it; `None` where it said nothing.
    usage: Option<Usage>,
    /// Bytes of its words.
    heard: u64,
}

/// What became of an asking.
#[derive(Debug, Clone, Copy)]
struct Ended {
    how: How,
    came: Came,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Answered,
    /// No attempt brought a reply; those that may be billed were noted one by one.
    Failed,
    /// Whoever listened left before the end.
    Dropped,
}

impl Account {
    /// Whether the call may be made; an error of the kind `OverBudget` refuses it.
    pub(crate) async fn admit(
        inner: &Arc<Inner>,
        bearer: Bearer,
        call: &mut Call,
        stand_ins: &[String],
        paid: Room,
    ) -> Result<Account, ModelError> {
        let reserved = direct::reserve(inner, &bearer, call, stand_ins).await?;
        let held = bearer.payer.held.as_deref().or(reserved.as_ref());
        let attempts = held.map(|held| held.attempts.max(1));
        Ok(Account {
            inner: inner.clone(),
            bearer,
            id: call.model.clone(),
            provider: String::new(),
            model: String::new(),
            conduct: ModelConduct::default(),
            paid,
            room: Room::default(),
            pass: None,
            under_way: 0,
            came: Came::default(),
            begun: inner.clock.now(),
            reserved,
            attempts,
            open: true,
        })
    }

    pub(crate) fn goes_to(&mut self, resolved: &Resolved) {
        self.provider.clone_from(&resolved.provider_name);
        self.model.clone_from(&resolved.model);
    }

    /// How the reply under way went.
    pub(crate) fn went(&mut self, error: Option<&ModelError>) {
        if let Some(pass) = self.pass.take() {
            let ending = error.map_or(Ending::Well, retry::ending);
            ended(&self.inner, &self.bearer.tenant, pass, ending);
        }
    }

    /// Takes note of a piece of an answer.
    pub(crate) fn hear(&mut self, delta: &Delta) {
        self.came.heard += direct::weight(delta);
        if let Delta::Usage(usage) = delta {
            self.came.usage = Some(*usage);
        }
    }

    /// Takes note of an attempt that began and brought no reply: what its provider counted, else its
    /// input and what was heard of its answer.
    pub(crate) fn waste(&mut self, call: &Call) {
        let Came { usage, heard } = std::mem::take(&mut self.came);
        let usage = usage.unwrap_or_default();
        let cost = self.cost(call, &usage, heard);
        self.conduct.wasted.push(Wasted { model: self.model.clone(), usage, cost });
    }

    /// By what was counted, or else by an upper bound, so that no bill is too low.
    fn cost(&self, call: &Call, usage: &Usage, heard: u64) -> Option<Money> {
        let price = self.inner.price((&self.provider, &self.model))?;
        Some(match usage.is_counted() {
            true => price.cost(usage),
            false => price.at_most(measure::input(call).most, heard.max(usage.output_tokens)),
        })
    }

    /// Whether so many more attempts are paid for, should all of them be billed.
    pub(crate) fn affords(&self, more: u32) -> bool {
        let wasted = u32::try_from(self.conduct.wasted.len()).unwrap_or(u32::MAX);
        self.attempts.is_none_or(|most| wasted.saturating_add(more) <= most)
    }

    /// Nobody waits any more: what is under way may be billed all the same.
    pub(crate) fn abandon(&mut self, call: &Call) {
        let came = std::mem::take(&mut self.came);
        // A hedge runs before anything came of either request.
        for _ in 1..self.under_way {
            self.waste(call);
        }
        self.came = came;
        self.end(call, How::Dropped);
    }

    /// There is a reply, and this is its end; what it cost, where a price is known.
    pub(crate) fn answered(mut self, call: &Call) -> Option<Money> {
        self.end(call, How::Answered)
    }

    /// The end without a request under way; what it cost, where a price is known.
    pub(crate) fn settle(mut self, how: How) -> Option<Money> {
        self.conclude(Ended { how, came: Came::default() }, None)
    }

    fn end(&mut self, call: &Call, how: How) -> Option<Money> {
        let Came { usage, heard } = self.came;
        let counted = usage.is_some_and(|usage| usage.is_counted());
        let unknown = self.open && self.under_way > 0 && !counted;
        let cost = unknown.then(|| self.cost(call, &usage.unwrap_or_default(), heard));
        self.conclude(Ended { how, came: self.came }, cost)
    }

    /// Runs once for each account. `cost` is given where nobody counted.
    fn conclude(&mut self, ended: Ended, cost: Option<Option<Money>>) -> Option<Money> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        self.give_back(&ended);
        let now = self.inner.clock.now();
        let counted = ended.came.usage.filter(Usage::is_counted);
        self.paid.leave(counted, now);
        self.room.leave(counted, now);
        let Account { bearer: Bearer { tenant, kind, payer, .. }, .. } = self;
        tracing::debug!(
            ?tenant, ?kind, ?payer, id = self.id, provider = self.provider, model = self.model,
            how = ?ended.how, usage = ?ended.came.usage, attempts = self.conduct.attempts,
            millis = now - self.begun,
            "a model was asked"
        );
        for Wasted { model, usage, cost } in &self.conduct.wasted {
            self.note((model, now), *usage, Paid { cost: *cost, saved: Money::ZERO });
        }
        let known = ended.came.usage.is_some() || ended.how == How::Answered || cost.is_some();
        let usage = ended.came.usage.unwrap_or_default();
        let who = (self.provider.as_str(), self.model.as_str());
        let paid = match cost {
            Some(cost) => Paid { cost, saved: Money::ZERO },
            None => self.inner.paid(who, &usage, self.conduct.cached),
        };
        if known {
            self.note((&self.model, now), usage, paid);
        }
        paid.cost.filter(|_| known)
    }

    /// Puts a direct call on its bill; a run's is in its journal.
    fn note(&self, of: (&str, i64), usage: Usage, paid: Paid) {
        if self.bearer.payer.run.is_none() {
            self.inner.spending.note(&self.bearer, of, &Share::of(usage, paid));
            if self.bearer.line == Line::Model && !self.conduct.cached {
                let who = self.bearer.payer.who(of.0);
                alert::used(&self.inner, &self.bearer.tenant, who, usage.tokens());
            }
        }
    }

    /// Of what was held back, what was not used.
    fn give_back(&mut self, ended: &Ended) {
        let Some(reserved) = self.reserved.take() else { return };
        let counted = ended.came.usage.filter(Usage::is_counted);
        let spent = match (ended.how, counted) {
            (How::Failed, _) => Raise::default(),
            (How::Answered, None) if self.conduct.cached => Raise::default(),
            (_, Some(usage)) => direct::counted(&self.inner, self, &usage, &reserved),
            // Nobody was asked yet, or again.
            (How::Dropped, None) if self.under_way == 0 => Raise::default(),
            (How::Dropped, None) => {
                direct::heard(&self.inner, &self.id, &reserved, ended.came.heard)
            }
            (How::Answered, None) => reserved.one(),
        };
        let spent = spent.and(reserved.used_by(&self.conduct.wasted));
        direct::settle(&self.inner, &self.bearer.tenant, &reserved, spent);
    }

    /// The deltas as they come; their end is the account's.
    pub(crate) fn follow(self, call: Call, first: Option<Delta>, deltas: Deltas) -> Deltas {
        Followed { account: self, call, first, deltas }.boxed()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.conclude(Ended { how: How::Dropped, came: Came::default() }, None);
    }
}

struct Followed {
    account: Account,
    call: Call,
    first: Option<Delta>,
    deltas: Deltas,
}

impl Stream for Followed {
    type Item = Result<Delta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.deltas.poll_next_unpin(cx),
        };
        match &next {
            Poll::Ready(Some(Ok(delta))) => self.account.hear(delta),
            Poll::Pending => {}
            Poll::Ready(Some(Err(error))) => {
                let Followed { account, call, .. } = &mut *self;
                account.went(Some(error));
                account.waste(call);
                account.conclude(Ended { how: How::Failed, came: Came::default() }, None);
            }
            Poll::Ready(None) => {
                let Followed { account, call, .. } = &mut *self;
                account.went(None);
                account.end(call, How::Answered);
            }
        }
        next
    }
}

impl Drop for Followed {
    /// What was counted before the listener left counts.
    fn drop(&mut self) {
        let Followed { account, call, .. } = self;
        account.abandon(call);
    }
}
