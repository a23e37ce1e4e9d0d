//! The way of one asking: the model that was chosen, then those that stand in for it.
//!
//! A model that has others behind it is asked once; the last is asked again while that may do better.
//! INVARIANT: restricted data goes to no provider that is not local, whatever chose it: the check
//! stands right before the call and nothing leads around it.

use craton_core::agent::event::Passed;
use craton_core::policy::breaker::Ending;
use futures_util::StreamExt as _;
use llm::{Deltas, EmbedCall, Embedded, ModelError, ModelErrorKind, Resolved, measure};
use serde_json::Value as Json;
use wire::converse::{Call, Delta, Usage};

use super::account::{self, Account};
use super::doors::Pass;
use super::{hedge, retry};
use crate::Inner;

/// The first delta of a reply, and those after it.
pub(super) type Begun = (Option<Delta>, Deltas);

/// What decides about the way of an asking.
pub(super) struct Bounds {
    pub(super) restricted: bool,
    /// The provisioned throughput that the call counts in.
    pub(super) provisioned: Option<String>,
}

pub(super) struct Chain {
    bounds: Bounds,
    /// The models after the first.
    stand_ins: Vec<String>,
    at: usize,
    /// The model that is asked now, once the map has said who it is.
    resolved: Option<Resolved>,
    /// Attempts of this link.
    tries: u32,
    /// What the call brings for its provider; each model adds its own beneath it.
    additional: Option<Json>,
    last: Last,
    /// Why the last link that was asked did not answer.
    failed: Option<ModelError>,
}

/// How far the last attempt got.
#[derive(Default)]
struct Last {
    asked: bool,
    /// It tried whether an open breaker may close.
    probe: bool,
    /// The data may not go there.
    barred: bool,
}

/// Leave of the breakers on the way to one request.
struct Leave {
    provider: Option<Pass>,
    stand_in: Option<Pass>,
}

impl Chain {
    /// `first` is who the account's model is, as far as that is known already.
    pub(super) fn new(
        first: Option<Resolved>,
        stand_ins: Vec<String>,
        bounds: Bounds,
        call: &Call,
    ) -> Chain {
        let additional = (!stand_ins.is_empty()).then(|| call.additional.clone());
        let (last, failed) = (Last::default(), None);
        Chain { bounds, stand_ins, at: 0, resolved: first, tries: 0, additional, last, failed }
    }

    /// One attempt, until its reply begins.
    pub(super) async fn open(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        call: &mut Call,
    ) -> Result<Begun, ModelError> {
        let (resolved, leave) = self.step(inner, account, call).await?;
        let provisioned = self.bounds.provisioned.as_deref();
        account.under_way = 1;
        let (begun, another) = hedge::begin(inner, account, call, (&resolved, provisioned)).await;
        account.under_way = u32::from(begun.is_ok());
        if another {
            account.waste(call);
        }
        account.pass = leave.told(account, begun.as_ref().err());
        if begun.as_ref().is_err_and(|error| error.may_be_billed) {
            account.waste(call);
        }
        self.resolved = Some(resolved);
        begun
    }

    /// One attempt at vectors; `call` is what `wanted` counts as.
    pub(super) async fn vectors(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        (call, wanted): (&Call, &mut EmbedCall),
    ) -> Result<Embedded, ModelError> {
        let (resolved, leave) = self.step(inner, account, call).await?;
        wanted.model.clone_from(&resolved.model);
        account.under_way = 1;
        let made = resolved.provider.embed(wanted).await;
        account.under_way = u32::from(made.is_ok());
        account.pass = leave.told(account, made.as_ref().err());
        account.went(made.as_ref().err());
        match &made {
            Ok(embedded) => {
                let usage = Usage { input_tokens: embedded.input_tokens, ..Usage::default() };
                account.hear(&Delta::Usage(usage));
            }
            Err(error) if error.may_be_billed => account.waste(call),
            Err(_) => {}
        }
        self.resolved = Some(resolved);
        made
    }

    /// Everything before the attempt itself: who is asked, whether the data may go there, room, and
    /// the breakers' leave.
    async fn step(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        call: &Call,
    ) -> Result<(Resolved, Leave), ModelError> {
        self.last = Last::default();
        let resolved = match self.resolved.take() {
            Some(resolved) => resolved,
            None => inner.models.resolve(&account.id)?,
        };
        account.goes_to(&resolved);
        if self.bounds.restricted && !resolved.local {
            self.last.barred = true;
            return Err(barred(&resolved, &account.id));
        }
        self.enter(inner, account, call, &resolved).await?;
        let leave = self.leave(inner, &resolved)?;
        self.last.probe = leave.provider.as_ref().is_some_and(Pass::is_probe);
        self.last.asked = true;
        self.tries += 1;
        account.conduct.attempts += 1;
        account.room.use_up();
        account.paid.use_up();
        Ok((resolved, leave))
    }

    /// Whether the breakers let a request through.
    fn leave(&self, inner: &Inner, resolved: &Resolved) -> Result<Leave, ModelError> {
        let (doors, now) = (&inner.gateway.doors, inner.clock.now());
        let stand_in = doors.stand_in(resolved).filter(|_| self.at > 0);
        let stand_in = stand_in.map(|door| door.ask(now)).transpose()?;
        let provider = doors.provider(resolved).map(|door| door.ask(now)).transpose()?;
        Ok(Leave { provider, stand_in })
    }

    /// Takes room at the model and its provider.
    async fn enter(
        &self,
        inner: &Inner,
        account: &mut Account,
        call: &Call,
        resolved: &Resolved,
    ) -> Result<(), ModelError> {
        let mut gates =
            inner.gateway.doors.of_model(resolved, self.bounds.provisioned.as_deref()).peekable();
        if gates.peek().is_none() {
            return Ok(());
        }
        let (began, patience) = (inner.clock.now(), inner.gateway.doors.patience());
        for gate in gates {
            let tokens = if gate.counts_tokens() { estimate(call) } else { 0 };
            account.room.enter(gate, tokens, inner.clock.now(), patience).await?;
        }
        account.conduct.waited_millis += u64::try_from(inner.clock.now() - began).unwrap_or(0);
        Ok(())
    }

    /// After a failure that nobody heard: waits for another attempt, or turns to the next model, if
    /// either may do better.
    pub(super) async fn go_on(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        call: &mut Call,
        error: ModelError,
    ) -> Result<(), ModelError> {
        let now = inner.clock.now();
        account.room.leave(Some(Usage::default()), now);
        // What may have been billed so far has used up what is held back.
        if !account.affords(1) {
            return Err(error);
        }
        if let Some(next) = self.stand_ins.get(self.at) {
            if !self.last.barred && !retry::falls_back(&error) {
                return Err(error);
            }
            let model = std::mem::replace(&mut account.id, next.clone());
            tracing::warn!(model, error = %error.message, "asking the model that stands in");
            account.conduct.passed.push(Passed { model, reason: error.message.clone() });
            self.turn_on(error, call);
            return Ok(());
        }
        if !self.last.asked {
            return Err(self.failed.take().unwrap_or(error));
        }
        let done = (self.tries, self.last.probe);
        let door = self.resolved.as_ref().and_then(|one| inner.gateway.doors.provider(one));
        match retry::repeat(inner, door, done, &error) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
        Ok(())
    }

    /// To the next link.
    fn turn_on(&mut self, error: ModelError, call: &mut Call) {
        if self.last.asked {
            self.failed = Some(error);
        }
        self.at += 1;
        (self.tries, self.resolved) = (0, None);
        if let Some(own) = &self.additional {
            call.additional.clone_from(own);
        }
    }
}

impl Leave {
    /// What the beginning of a reply, or its lack, says. The rest of a reply may still fail: the leave
    /// for it is given back, but for one that alone tries.
    fn told(self, account: &Account, error: Option<&ModelError>) -> Option<Pass> {
        let (Leave { provider, stand_in }, inner) = (self, &account.inner);
        if let Some(pass) = stand_in {
            // Its provider's own breaker is the one that a person hears of.
            pass.ended(error.map_or(Ending::Well, retry::ending_of_stand_in), inner.clock.now());
        }
        let provider = provider?;
        if error.is_none() && !provider.is_probe() {
            return Some(provider);
        }
        let ending = error.map_or(Ending::Well, retry::ending);
        account::ended(inner, &account.bearer.tenant, provider, ending);
        None
    }
}

pub(super) fn barred(resolved: &Resolved, id: &str) -> ModelError {
    let message = format!(
        "restricted data may not go to model {id:?}: provider {:?} is not local; ask a model of a \
         provider with local = true",
        resolved.provider_name
    );
    ModelError::new(ModelErrorKind::Unsupported, message)
}

/// One request, until its first delta that is no failure.
pub(super) async fn begin(resolved: &Resolved, call: &mut Call) -> Result<Begun, ModelError> {
    let mut deltas = resolved.converse(call).await?;
    let first = deltas.next().await.transpose()?;
    Ok((first, deltas))
}

/// About how many tokens a call takes: four bytes of words are one, media count for what is read in them,
/// output counts at its cap. What
/// was really used takes its place once it is known.
pub(super) fn estimate(call: &Call) -> u64 {
    let blocks = || call.messages.iter().flat_map(|message| &message.content);
    let said: usize = blocks().map(size).sum();
    let media: u64 = blocks().map(measure::media).sum();
    let system: usize = call.system.iter().map(String::len).sum();
    tokens_of(said + system) + media + u64::from(call.inference.max_tokens.unwrap_or(0))
}

/// About how many tokens so much text is.
pub(super) fn tokens_of(bytes: usize) -> u64 {
    const BYTES_PER_TOKEN: usize = 4;
    (bytes / BYTES_PER_TOKEN) as u64
}

fn size(block: &wire::converse::Block) -> usize {
    use wire::converse::{Block, ResultBlock};
    match block {
        Block::Text(text) => text.len(),
        Block::ToolUse(used) => used.input.to_string().len(),
        Block::ToolResult(result) => {
            let text = |block: &ResultBlock| match block {
                ResultBlock::Text(text) => text.len(),
                ResultBlock::Json(json) | ResultBlock::SearchResult(json) => json.to_string().len(),
                ResultBlock::Image(_) | ResultBlock::Document(_) | ResultBlock::Video(_) => 0,
            };
            result.content.iter().map(text).sum()
        }
        Block::ReasoningContent(_)
        | Block::Image(_)
        | Block::Document(_)
        | Block::Video(_)
        | Block::Audio(_)
        | Block::SearchResult(_)
        | Block::CitationsContent(_)
        | Block::GuardContent(_)
        | Block::CachePoint(_) => 0,
    }
}
