//! The way of one asking: the model that was chosen, then those that stand in for it.
//!
//! A model that has others behind it is asked once; the last is asked again while that may do better.
//! INVARIANT: restricted data goes to no provider that is not local, whatever chose it: the check
//! stands right before the call and nothing leads around it.

use std::sync::Arc;

use craton_core::agent::event::Passed;
use craton_core::policy::breaker::Ending;
use futures_util::StreamExt as _;
use llm::{Deltas, EmbedCall, Embedded, ModelError, ModelErrorKind, Resolved};
use serde_json::Value as Json;
use wire::converse::{Call, Delta, Usage};

use super::account::Account;
use super::doors::{Door, Pass};
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
    links: Vec<String>,
    at: usize,
    /// Attempts of this link.
    tries: u32,
    /// What the call brings for its provider; each model adds its own beneath it.
    additional: Option<Json>,
    last: Last,
}

/// How far the last attempt got.
#[derive(Default)]
struct Last {
    provider: Option<Arc<Door>>,
    asked: bool,
    /// It tried whether an open breaker may close.
    probe: bool,
    /// The data may not go there.
    barred: bool,
}

impl Chain {
    pub(super) fn new(links: Vec<String>, bounds: Bounds, call: &Call) -> Chain {
        let additional = (links.len() > 1).then(|| call.additional.clone());
        Chain { bounds, links, at: 0, tries: 0, additional, last: Last::default() }
    }

    /// One attempt, until its reply begins.
    pub(super) async fn open(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        call: &mut Call,
    ) -> Result<Begun, ModelError> {
        let (resolved, pass) = self.step(inner, account, call).await?;
        let provisioned = self.bounds.provisioned.as_deref();
        let begun = hedge::begin(inner, account, call, (&resolved, provisioned)).await;
        self.told(inner, pass, begun.as_ref().err());
        begun
    }

    /// One attempt at vectors; `call` is what `wanted` counts as.
    pub(super) async fn vectors(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        (call, wanted): (&Call, &mut EmbedCall),
    ) -> Result<Embedded, ModelError> {
        let (resolved, pass) = self.step(inner, account, call).await?;
        wanted.model.clone_from(&resolved.model);
        let made = resolved.provider.embed(wanted).await;
        self.told(inner, pass, made.as_ref().err());
        made
    }

    /// Everything before the attempt itself: who is asked, whether the data may go there, room, and
    /// the breaker's leave.
    async fn step(
        &mut self,
        inner: &Inner,
        account: &mut Account,
        call: &Call,
    ) -> Result<(Resolved, Option<Pass>), ModelError> {
        self.last = Last::default();
        let id = &self.links[self.at];
        let resolved = inner.models.resolve(id)?;
        account.goes_to(id, &resolved);
        if self.bounds.restricted && !resolved.local {
            self.last.barred = true;
            return Err(barred(&resolved, id));
        }
        self.enter(inner, account, call, &resolved).await?;
        let door = inner.gateway.doors.provider(&resolved).cloned();
        let pass = match &door {
            Some(door) => Some(door.ask(inner.clock.now())?),
            None => None,
        };
        self.last.probe = pass.as_ref().is_some_and(Pass::is_probe);
        self.last.asked = true;
        self.last.provider = door;
        self.tries += 1;
        account.conduct.attempts += 1;
        Ok((resolved, pass))
    }

    /// What the attempt says of the provider.
    fn told(&self, inner: &Inner, pass: Option<Pass>, failure: Option<&ModelError>) {
        let (Some(door), Some(pass)) = (&self.last.provider, pass) else { return };
        pass.ended(failure.map_or(Ending::Well, retry::ending), inner.clock.now());
        if failure.is_none() {
            door.spare.earn();
        }
    }

    /// Takes room at the model and its provider.
    async fn enter(
        &self,
        inner: &Inner,
        account: &mut Account,
        call: &Call,
        resolved: &Resolved,
    ) -> Result<(), ModelError> {
        let doors = &inner.gateway.doors;
        let patience = doors.patience();
        let began = inner.clock.now();
        for gate in doors.of_model(resolved, self.bounds.provisioned.as_deref()) {
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
        match self.last.asked {
            true => account.room.leave(Some(Usage::default()), now),
            false => account.room.undo(),
        }
        if self.at + 1 < self.links.len() {
            if !self.last.barred && !retry::falls_back(&error) {
                return Err(error);
            }
            let model = self.links[self.at].clone();
            tracing::warn!(model, error = %error.message, "asking the model that stands in");
            account.conduct.passed.push(Passed { model, reason: error.message });
            self.at += 1;
            self.tries = 0;
            if let Some(own) = &self.additional {
                call.additional.clone_from(own);
            }
            return Ok(());
        }
        let doors = &inner.gateway.doors;
        let pause = retry::pause(&doors.rates.retry, self.tries, inner.ids.draw(), &error);
        let Some(pause) = pause.filter(|_| self.last.asked && !self.last.probe) else {
            return Err(error);
        };
        if self.last.provider.as_ref().is_some_and(|door| !door.spare.take(now)) {
            return Err(error);
        }
        tracing::warn!(attempts = self.tries, error = %error.message, "asking the model again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn barred(resolved: &Resolved, id: &str) -> ModelError {
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

/// About how many tokens a call takes: four bytes of input are one, output counts at its cap. What
/// was really used takes its place once it is known.
pub(super) fn estimate(call: &Call) -> u64 {
    const BYTES_PER_TOKEN: usize = 4;
    let blocks = call.messages.iter().flat_map(|message| &message.content);
    let said: usize = blocks.map(size).sum();
    let system: usize = call.system.iter().map(String::len).sum();
    let input = (said + system) / BYTES_PER_TOKEN;
    u64::try_from(input).unwrap_or(u64::MAX) + u64::from(call.inference.max_tokens.unwrap_or(0))
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
