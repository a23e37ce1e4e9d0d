//! Every call of a model, whoever needs it: a step of a turn, or a client that asks directly.
//!
//! An [`Asking`] is performed whole ([`hear`]) or as a stream ([`Engine::stream_model`]). Both ask
//! again while nothing was heard and another attempt may do better. What was ruled on the way comes
//! back as [`ModelConduct`]; a turn records it with the outcome.

use std::time::Duration;

use craton_core::agent::event::ModelConduct;
use craton_core::route::StepKind;
use futures_util::{StreamExt as _, stream};
use llm::{Collect, Deltas, ModelError, ModelErrorKind};
use store::Tenant;
use wire::converse::{Call, Delta, Reply};

use crate::{Engine, Inner};

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
    pub async fn stream_model(&self, mut asking: Asking) -> Result<Answering, ModelError> {
        let inner = &self.0;
        let resolved = inner.models.resolve(&asking.call.model)?;
        let mut conduct = ModelConduct::default();
        loop {
            conduct.attempts += 1;
            match begin(&resolved, &mut asking.call).await {
                Ok(deltas) => {
                    let (provider, model) = (resolved.provider_name, resolved.model);
                    return Ok(Answering { provider, model, deltas, conduct });
                }
                Err(error) => again(inner, conduct.attempts, error).await?,
            }
        }
    }
}

/// The deltas, once there is one that is no failure.
async fn begin(resolved: &llm::Resolved, call: &mut Call) -> Result<Deltas, ModelError> {
    let mut deltas = resolved.converse(call).await?;
    let first = deltas.next().await.transpose()?;
    Ok(stream::iter(first.map(Ok)).chain(deltas).boxed())
}

/// A whole reply; `listener` sees each delta and says whether anybody heard something of it.
pub(crate) async fn hear(
    inner: &Inner,
    mut asking: Asking,
    listener: &mut (dyn FnMut(&Delta) -> bool + Send),
) -> Result<Answer, Unanswered> {
    let resolved = inner.models.resolve(&asking.call.model).map_err(|error| Unanswered {
        provider: String::new(),
        error,
        heard: false,
    })?;
    let provider = resolved.provider_name.clone();
    let mut conduct = ModelConduct::default();
    loop {
        conduct.attempts += 1;
        let mut heard = false;
        let failed = match listen(&resolved, &mut asking.call, listener, &mut heard).await {
            Ok(reply) => {
                return Ok(Answer { provider, model: resolved.model, reply, conduct });
            }
            Err(error) if heard => Err(error),
            Err(error) => again(inner, conduct.attempts, error).await,
        };
        failed.map_err(|error| Unanswered { provider: provider.clone(), error, heard })?;
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
