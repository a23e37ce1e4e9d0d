//! Performs the effects that a turn asks for, live: calls to models.
//!
//! A performer never decides what comes next. It repeats an attempt only where that cannot do
//! anything twice, and returns the one event that tells what happened.

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::digest;
use craton_core::agent::event::{Event, ModelFailed, ModelOverflowed, ModelSaid};
use craton_core::agent::prompt::Screen;
use futures_util::StreamExt as _;
use llm::{Collect, ModelError, ModelErrorKind};
use wire::converse::{Delta, Reply};

use crate::Inner;
use crate::live::Activation;

/// Attempts of one effect, the first included, and the longest pause before the second.
pub(crate) const ATTEMPTS: u32 = 3;
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest that a turn waits because a provider asks it to; the client waits as long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// One call to a model for a turn.
pub(crate) struct ModelCall {
    pub(crate) step: u32,
    pub(crate) call: wire::converse::Call,
    /// Where the answer's text goes while it is made.
    pub(crate) live: Option<Arc<Activation>>,
}

/// Asks the model; a throttled or unreachable provider is asked again as long as nothing was said.
pub(crate) async fn ask_model(inner: &Inner, mut ask: ModelCall) -> Event {
    let begun = inner.clock.now();
    let resolved = match inner.models.resolve(&ask.call.model) {
        Ok(resolved) => resolved,
        Err(error) => return model_failed(ask.step, &error, false),
    };
    let (provider, model) = (resolved.provider_name.clone(), resolved.model.clone());
    let prompt_digest = Some(digest::of_call(&ask.call));
    let mut attempt = 1;
    loop {
        let mut heard = false;
        let reply = listen(&resolved, &mut ask, &mut heard).await;
        match reply {
            Ok(reply) => {
                let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
                let said =
                    ModelSaid { step: ask.step, reply, provider, model, millis, prompt_digest };
                return Event::ModelSaid(Box::new(said));
            }
            Err(error) if attempt < ATTEMPTS && !heard && passing(&error) => {
                tracing::warn!(provider, attempt, error = %error.message, "asking the model again");
                pause(inner, attempt).await;
                tokio::time::sleep(error.retry_after.unwrap_or_default()).await;
                attempt += 1;
            }
            Err(error) if error.kind == ModelErrorKind::TooLong => {
                let (step, message) = (ask.step, error.message);
                return Event::ModelOverflowed(ModelOverflowed { step, provider, message });
            }
            Err(error) => return model_failed(ask.step, &error, heard),
        }
    }
}

async fn listen(
    resolved: &llm::Resolved,
    ask: &mut ModelCall,
    heard: &mut bool,
) -> Result<Reply, ModelError> {
    let mut deltas = resolved.converse(&mut ask.call).await?;
    let (mut collect, mut screen) = (Collect::default(), Screen::default());
    while let Some(delta) = deltas.next().await {
        let delta = delta?;
        if let (Some(live), Delta::Text { index, text }) = (&ask.live, &delta) {
            *heard |= say(live, screen.push(*index, text));
        }
        collect.absorb(delta);
    }
    let reply = collect.finish()?;
    if let Some(live) = &ask.live
        && !reply.asks_for_tools()
    {
        say(live, screen.finish());
    }
    Ok(reply)
}

fn say(live: &Activation, text: String) -> bool {
    let any = !text.is_empty();
    if any {
        live.say(text);
    }
    any
}

/// Whether another attempt may do better, within the time that a turn can wait for it.
fn passing(error: &ModelError) -> bool {
    match error.kind {
        ModelErrorKind::Throttled | ModelErrorKind::Unavailable => {
            error.retry_after.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER)
        }
        ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::TooLong
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => false,
    }
}

fn model_failed(step: u32, error: &ModelError, heard: bool) -> Event {
    let code = model_exception(error.kind).to_owned();
    Event::ModelFailed(ModelFailed { step, code, message: error.message.clone(), heard })
}

/// The exception of InvokeAgent's stream for a model's failure. A provider's refusal is a failed
/// dependency (424), so that no client takes it for its own credentials or repeats it blindly.
pub(crate) fn model_exception(kind: ModelErrorKind) -> &'static str {
    match kind {
        ModelErrorKind::NotMapped => "ResourceNotFoundException",
        ModelErrorKind::Throttled => "ThrottlingException",
        ModelErrorKind::TooLong => "ValidationException",
        ModelErrorKind::Refused
        | ModelErrorKind::Unavailable
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => "DependencyFailedException",
    }
}

/// Full jitter: any length up to one that doubles, so that clients that failed together do not
/// come back together.
pub(crate) async fn pause(inner: &Inner, attempt: u32) {
    let longest = LONGEST_FIRST_PAUSE * 2u32.pow(attempt - 1);
    let part = (inner.ids.draw() >> 32) as f64 / f64::from(u32::MAX);
    tokio::time::sleep(longest.mul_f64(part)).await;
}
