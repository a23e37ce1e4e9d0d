//! Who pays for a call of a model: asked before its first attempt, and told exactly once how it
//! ended, also when whoever listened has gone.
//!
//! What a turn asks has its reservation in the intent already (`Ask::reserved`); what a client asks
//! directly has none. [`Account::admit`] may wait and refuse. [`Account::conclude`] may not wait: it
//! runs in a destructor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use craton_core::agent::event::ModelConduct;
use craton_core::budget::{Raise, Reserved};
use craton_core::cost::{Money, Share};
use craton_core::policy::breaker::Ending;
use craton_core::route::StepKind;
use futures_util::{Stream, StreamExt as _};
use llm::{Deltas, ModelError, Resolved};
use store::Tenant;
use wire::converse::{Call, Delta, Usage};

use super::doors::Pass;
use super::gate::Room;
use super::{Payer, retry};
use crate::Inner;
use crate::budget::{self, direct};

/// On whose account, and for which step.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) tenant: Tenant,
    pub(crate) kind: StepKind,
    pub(crate) payer: Payer,
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
    open: bool,
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
    /// Nothing that anybody would be billed for was done.
    Refused,
    /// What the provider counted is anybody's guess.
    Failed,
    /// Whoever listened left before the end.
    Dropped,
}

impl How {
    pub(crate) fn failed(error: &ModelError) -> How {
        match budget::is_consumed(error.kind) {
            true => How::Failed,
            false => How::Refused,
        }
    }
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
            pass.ended(ending, self.inner.clock.now());
        }
    }

    /// The end; what it cost, where a price is known.
    pub(crate) fn settle(mut self, ended: Ended) -> Option<Money> {
        self.conclude(ended)
    }

    /// Runs once for each account.
    fn conclude(&mut self, ended: Ended) -> Option<Money> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        self.give_back(&ended);
        let now = self.inner.clock.now();
        self.paid.leave(ended.usage, now);
        self.room.leave(ended.usage, now);
        let Account { bearer: Bearer { tenant, kind, payer }, .. } = self;
        tracing::debug!(
            ?tenant, ?kind, ?payer, id = self.id, provider = self.provider, model = self.model,
            how = ?ended.how, usage = ?ended.usage, attempts = self.conduct.attempts,
            millis = now - self.begun,
            "a model was asked"
        );
        let usage = ended.usage.or((ended.how == How::Answered).then(Usage::default))?;
        let who = (self.provider.as_str(), self.model.as_str());
        let paid = self.inner.paid(who, &usage, self.conduct.cached);
        if self.bearer.payer.run.is_none() {
            self.inner.spending.note(&self.bearer, (&self.model, now), &Share::of(usage, paid));
        }
        paid.cost
    }

    /// Of what was held back, what was not used.
    fn give_back(&mut self, ended: &Ended) {
        let Some(reserved) = self.reserved.take() else { return };
        let counted = ended.usage.filter(|usage| *usage != Usage::default());
        let spent = match (ended.how, counted) {
            (How::Refused, _) => Raise::default(),
            (How::Answered, None) if self.conduct.cached => Raise::default(),
            (_, Some(usage)) => direct::counted(&self.inner, self, &usage, &reserved),
            // Nobody was asked yet.
            (How::Dropped, None) if self.provider.is_empty() => Raise::default(),
            (How::Dropped, None) => direct::heard(&self.inner, &self.id, &reserved, ended.heard),
            (How::Answered | How::Failed, None) => return,
        };
        direct::settle(&self.inner, &self.bearer.tenant, &reserved, spent);
    }

    /// The deltas as they come; their end is the account's.
    pub(crate) fn follow(self, first: Option<Delta>, deltas: Deltas) -> Deltas {
        Followed { account: self, first, deltas, usage: None, heard: 0 }.boxed()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.conclude(Ended { how: How::Dropped, usage: None, heard: 0 });
    }
}

struct Followed {
    account: Account,
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
        let how = match &next {
            Poll::Ready(Some(Ok(Delta::Usage(usage)))) => {
                self.usage = Some(*usage);
                return next;
            }
            Poll::Ready(Some(Ok(delta))) => {
                self.heard += direct::weight(delta);
                return next;
            }
            Poll::Pending => return next,
            Poll::Ready(Some(Err(error))) => {
                self.account.went(Some(error));
                How::Failed
            }
            Poll::Ready(None) => {
                self.account.went(None);
                How::Answered
            }
        };
        let (usage, heard) = (self.usage, self.heard);
        self.account.conclude(Ended { how, usage, heard });
        next
    }
}

impl Drop for Followed {
    /// What was counted before the listener left counts.
    fn drop(&mut self) {
        let (usage, heard) = (self.usage, self.heard);
        self.account.conclude(Ended { how: How::Dropped, usage, heard });
    }
}
