//! Every call of a model, whoever needs it: a step of a turn, or a client that asks directly.
//!
//! An [`Asking`] is performed whole ([`hear`]) or as a stream ([`Engine::stream_model`]). Both ask
//! again while nothing was heard and another attempt may do better. What was ruled on the way comes
//! back as [`ModelConduct`]; a turn records it with the outcome. Whoever pays is asked before the
//! first attempt and told once how it ended ([`account`]).

mod account;
mod other;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::ModelConduct;
use craton_core::cost::Money;
use craton_core::route::{Route, StepKind};
use futures_util::StreamExt as _;
use llm::{Collect, Deltas, ModelError, ModelErrorKind};
use store::Tenant;
use wire::converse::{Call, Delta, Reply};

use crate::{Engine, Inner};
use account::{Account, Bearer, Ended, How};

pub use other::{Counted, Embedding};
pub(crate) use stored::resolve;
pub use stored::{InferenceProfile, PROFILE, PromptRouter, ROUTER};

/// Attempts of one effect, the first included, and the longest pause before the second.
pub(crate) const ATTEMPTS: u32 = 3;
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest that a call waits because a provider asks it to; the client waits as long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// One call to a model, and on whose account.
#[derive(Debug, Clone)]
pub struct Asking {
    pub tenant: Tenant,
    pub kind: StepKind,
    pub payer: Payer,
    pub call: Call,
    /// Who is asked when the call's model does not answer, where that is decided already.
    pub route: Option<Box<Route>>,
}

/// Who spends, besides the tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payer {
    /// The run at the root of the tree.
    pub run: Option<String>,
    pub session: Option<String>,
    pub agent: Option<String>,
    /// The end user, as the client names him.
    pub user: Option<String>,
}

/// A whole reply, and how it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub provider: String,
    pub model: String,
    pub reply: Reply,
    pub conduct: ModelConduct,
    /// By the price file; `None` where no price is known.
    pub cost: Option<Money>,
}

/// A reply under way: the first of its deltas has come.
pub struct Answering {
    pub provider: String,
    pub model: String,
    pub deltas: Deltas,
    pub conduct: ModelConduct,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) provider: String,
    pub(crate) error: ModelError,
    /// Somebody heard the beginning of it.
    pub(crate) heard: bool,
}

impl Engine {
    /// A whole reply.
    pub async fn ask_model(&self, asking: Asking) -> Result<Answer, ModelError> {
        let silent = &mut |_: &Delta| false;
        hear(&self.0, asking, silent).await.map_err(|unanswered| unanswered.error)
    }

    /// A reply as it comes. A failure before its first delta is asked again in here; one after it
    /// comes through the stream.
    pub async fn stream_model(&self, asking: Asking) -> Result<Answering, ModelError> {
        let (mut account, mut call) = admit(&self.0, asking).await?;
        match first(&self.0, &mut account, &mut call).await {
            Ok((delta, deltas)) => {
                let (provider, model) = (account.provider.clone(), account.model.clone());
                let conduct = account.conduct.clone();
                let deltas = account.follow(delta, deltas);
                Ok(Answering { provider, model, deltas, conduct })
            }
            Err(error) => {
                account.settle(Ended { how: How::Failed, usage: None });
                Err(error)
            }
        }
    }
}

async fn admit(inner: &Arc<Inner>, asking: Asking) -> Result<(Account, Call), ModelError> {
    let Asking { tenant, kind, payer, mut call, route: _ } = asking;
    if let Some(model) = stored::behind(&inner.store, &tenant, &call.model).await? {
        call.model = model;
    }
    let account = Account::admit(inner, Bearer { tenant, kind, payer }, &call).await?;
    Ok((account, call))
}

/// The first delta, once there is one that is no failure, and those after it.
async fn first(
    inner: &Inner,
    account: &mut Account,
    call: &mut Call,
) -> Result<(Option<Delta>, Deltas), ModelError> {
    let resolved = inner.models.resolve(&call.model)?;
    account.goes_to(&resolved);
    loop {
        account.conduct.attempts += 1;
        match begin(&resolved, call).await {
            Ok(begun) => return Ok(begun),
            Err(error) => again(inner, account.conduct.attempts, error).await?,
        }
    }
}

async fn begin(
    resolved: &llm::Resolved,
    call: &mut Call,
) -> Result<(Option<Delta>, Deltas), ModelError> {
    let mut deltas = resolved.converse(call).await?;
    let first = deltas.next().await.transpose()?;
    Ok((first, deltas))
}

/// A whole reply; `listener` sees each delta and says whether anybody heard something of it.
pub(crate) async fn hear(
    inner: &Arc<Inner>,
    asking: Asking,
    listener: &mut (dyn FnMut(&Delta) -> bool + Send),
) -> Result<Answer, Unanswered> {
    let (mut account, mut call) = admit(inner, asking).await.map_err(|error| Unanswered {
        provider: String::new(),
        error,
        heard: false,
    })?;
    let mut heard = false;
    match whole(inner, &mut account, &mut call, (listener, &mut heard)).await {
        Ok(reply) => {
            let ended = Ended { how: How::Answered, usage: Some(reply.usage) };
            let (provider, model) = (account.provider.clone(), account.model.clone());
            let conduct = account.conduct.clone();
            let cost = account.settle(ended);
            Ok(Answer { provider, model, reply, conduct, cost })
        }
        Err(error) => {
            let provider = account.provider.clone();
            account.settle(Ended { how: How::Failed, usage: None });
            Err(Unanswered { provider, error, heard })
        }
    }
}

async fn whole(
    inner: &Inner,
    account: &mut Account,
    call: &mut Call,
    (listener, heard): (&mut (dyn FnMut(&Delta) -> bool + Send), &mut bool),
) -> Result<Reply, ModelError> {
    let resolved = inner.models.resolve(&call.model)?;
    account.goes_to(&resolved);
    loop {
        account.conduct.attempts += 1;
        match listen(&resolved, call, listener, heard).await {
            Ok(reply) => return Ok(reply),
            Err(error) if *heard => return Err(error),
            Err(error) => again(inner, account.conduct.attempts, error).await?,
        }
    }
}

async fn listen(
    resolved: &llm::Resolved,
    call: &mut Call,
    listener: &mut (dyn FnMut(&Delta) -> bool + Send),
    heard: &mut bool,
) -> Result<Reply, ModelError> {
    let mut deltas = resolved.converse(call).await?;
    let mut collect = Collect::default();
    while let Some(delta) = deltas.next().await {
        let delta = delta?;
        *heard |= listener(&delta);
        collect.absorb(delta);
    }
    collect.finish()
}

/// Waits for another attempt, if one may do better.
async fn again(inner: &Inner, attempts: u32, error: ModelError) -> Result<(), ModelError> {
    if attempts >= ATTEMPTS || !passing(&error) {
        return Err(error);
    }
    tracing::warn!(attempts, error = %error.message, "asking the model again");
    pause(inner, attempts).await;
    tokio::time::sleep(error.retry_after.unwrap_or_default()).await;
    Ok(())
}

/// Whether another attempt may do better, within the time that a client can wait for it.
fn passing(error: &ModelError) -> bool {
    match error.kind {
        ModelErrorKind::Throttled | ModelErrorKind::Unavailable => {
            error.retry_after.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER)
        }
        ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::Unsupported
        | ModelErrorKind::OverBudget
        | ModelErrorKind::TooLong
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => false,
    }
}

/// Full jitter: any length up to one that doubles, so that clients that failed together do not
/// come back together.
pub(crate) async fn pause(inner: &Inner, attempt: u32) {
    let longest = LONGEST_FIRST_PAUSE * 2u32.pow(attempt - 1);
    let part = (inner.ids.draw() >> 32) as f64 / f64::from(u32::MAX);
    tokio::time::sleep(longest.mul_f64(part)).await;
}
