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
use craton_core::budget::{Raise, Reserved, rule};
use craton_core::cost::{Money, Paid, Share};
use craton_core::policy::breaker::Ending;
use craton_core::route::StepKind;
use futures_util::{Stream, StreamExt as _};
use llm::{Deltas, ModelError, Resolved};
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

/// What became of an asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// As the provider counted it; `None` where it said nothing.
    pub(crate) usage: Option<Usage>,
    /// Bytes of the answer that came, where nobody counted.
    pub(crate) heard: u64,
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

    /// Takes note of an attempt that began and brought no reply.
    pub(crate) fn waste(&mut self, call: &Call, usage: Option<Usage>, heard: u64) {
        let wasted = self.wasted(call, usage, heard);
        self.conduct.wasted.push(wasted);
    }

    /// What its provider counted, else its input and what was heard of its answer.
    fn wasted(&self, call: &Call, usage: Option<Usage>, heard: u64) -> Wasted {
        let usage = usage.unwrap_or_default();
        let cost = self.cost(call, &usage, heard);
        Wasted { model: self.model.clone(), usage, cost }
    }

    /// By what was counted, or else by an upper bound, so that no bill is too low.
    fn cost(&self, call: &Call, usage: &Usage, heard: u64) -> Option<Money> {
        let price = self.inner.price((&self.provider, &self.model))?;
        Some(match usage.all_input() {
            0 => price.at_most(rule::input_bound(call), heard.max(usage.output_tokens)),
            _ => price.cost(usage),
        })
    }

    /// Whether so many more attempts are paid for, should all of them be billed.
    pub(crate) fn affords(&self, more: u32) -> bool {
        let wasted = u32::try_from(self.conduct.wasted.len()).unwrap_or(u32::MAX);
        self.attempts.is_none_or(|most| wasted.saturating_add(more) <= most)
    }

    /// Nobody waits any more while an attempt is under way.
    pub(crate) fn abandon(&mut self, call: &Call) {
        let asked = self.open && self.conduct.attempts > 0 && !self.provider.is_empty();
        let cost = asked.then(|| self.cost(call, &Usage::default(), 0));
        self.conclude(Ended { how: How::Dropped, usage: None, heard: 0 }, cost);
    }

    /// The end; what it cost, where a price is known.
    pub(crate) fn settle(mut self, ended: Ended) -> Option<Money> {
        self.conclude(ended, None)
    }

    /// The end of an attempt whose provider counted nothing and answered so many bytes.
    pub(crate) fn settle_uncounted(mut self, call: &Call, bytes: u64) -> Option<Money> {
        let cost = self.cost(call, &Usage::default(), bytes);
        let ended = Ended { how: How::Answered, usage: None, heard: bytes };
        self.conclude(ended, Some(cost));
        cost
    }

    /// Runs once for each account. `cost` is given where nobody counted.
    fn conclude(&mut self, ended: Ended, cost: Option<Option<Money>>) -> Option<Money> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        self.give_back(&ended);
        let now = self.inner.clock.now();
        self.paid.leave(ended.usage, now);
        self.room.leave(ended.usage, now);
        let Account { bearer: Bearer { tenant, kind, payer, .. }, .. } = self;
        tracing::debug!(
            ?tenant, ?kind, ?payer, id = self.id, provider = self.provider, model = self.model,
            how = ?ended.how, usage = ?ended.usage, attempts = self.conduct.attempts,
            millis = now - self.begun,
            "a model was asked"
        );
        for Wasted { model, usage, cost } in &self.conduct.wasted {
            self.note((model, now), *usage, Paid { cost: *cost, saved: Money::ZERO });
        }
        let known = ended.usage.is_some() || ended.how == How::Answered || cost.is_some();
        let usage = ended.usage.filter(|_| known).unwrap_or_default();
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
        }
    }

    /// Of what was held back, what was not used.
    fn give_back(&mut self, ended: &Ended) {
        let Some(reserved) = self.reserved.take() else { return };
        let counted = ended.usage.filter(|usage| usage.all_input() > 0);
        let spent = match (ended.how, counted) {
            (How::Failed, _) => Raise::default(),
            (How::Answered, None) if self.conduct.cached => Raise::default(),
            (_, Some(usage)) => direct::counted(&self.inner, self, &usage, &reserved),
            // Nobody was asked yet.
            (How::Dropped, None) if self.provider.is_empty() => Raise::default(),
            (How::Dropped, None) => direct::heard(&self.inner, &self.id, &reserved, ended.heard),
            (How::Answered, None) => reserved.one(),
        };
        let spent = spent.and(reserved.used_by(&self.conduct.wasted));
        direct::settle(&self.inner, &self.bearer.tenant, &reserved, spent);
    }

    /// The deltas as they come; their end is the account's.
    pub(crate) fn follow(self, call: Call, first: Option<Delta>, deltas: Deltas) -> Deltas {
        Followed { account: self, call, first, deltas, usage: None, heard: 0 }.boxed()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.conclude(Ended { how: How::Dropped, usage: None, heard: 0 }, None);
    }
}

struct Followed {
    account: Account,
    call: Call,
    first: Option<Delta>,
    deltas: Deltas,
    usage: Option<Usage>,
    heard: u64,
}

impl Stream for Followed {
    type Item = Result<Delta, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.deltas.poll_next_unpin(cx),
        };
        match &next {
            Poll::Ready(Some(Ok(Delta::Usage(usage)))) => self.usage = Some(*usage),
            Poll::Ready(Some(Ok(delta))) => self.heard += direct::weight(delta),
            Poll::Pending => {}
            Poll::Ready(Some(Err(error))) => {
                self.account.went(Some(error));
                self.fail();
            }
            Poll::Ready(None) => {
                self.account.went(None);
                self.conclude(How::Answered);
            }
        }
        next
    }
}

impl Followed {
    fn fail(&mut self) {
        let Followed { account, call, usage, heard, .. } = self;
        account.waste(call, *usage, *heard);
        account.conclude(Ended { how: How::Failed, usage: None, heard: *heard }, None);
    }

    fn conclude(&mut self, how: How) {
        let Followed { account, call, usage, heard, .. } = self;
        let counted = usage.is_some_and(|usage| usage.all_input() > 0) || account.conduct.cached;
        let cost = (account.open && !counted)
            .then(|| account.cost(call, &usage.unwrap_or_default(), *heard));
        account.conclude(Ended { how, usage: *usage, heard: *heard }, cost);
    }
}

impl Drop for Followed {
    /// What was counted before the listener left counts.
    fn drop(&mut self) {
        self.conclude(How::Dropped);
    }
}
