//! Performs the effects that a turn asks for, live: calls to models and to tools.
//!
//! A performer never decides what comes next. It repeats an attempt only where that cannot do
//! anything twice, and returns the one event that tells what happened.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::digest;
use craton_core::agent::event::{
    Call, Event, ModelFailed, ModelOverflowed, ModelSaid, Outcome, ToolReturned,
};
use craton_core::agent::prompt::Screen;
use craton_core::agent::tool::{self, Effect, Tool};
use exec::{ExecError, Invoked};
use futures_util::StreamExt as _;
use llm::{Collect, ModelError, ModelErrorKind};
use serde_json::json;
use wire::converse::{Delta, Reply};

use crate::function::{ToolCall, ToolError};
use crate::live::Activation;
use crate::{Inner, pending};

/// Attempts of one effect, the first included, and the longest pause before the second.
const ATTEMPTS: u32 = 3;
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

/// Calls a tool. INVARIANT: a `once` call is dispatched again only if no byte of it was sent.
pub(crate) async fn call_tool(inner: &Inner, tool: &Tool, call: &Call, request: ToolCall) -> Event {
    let begun = inner.clock.now();
    let mut attempt = 1;
    let heard = loop {
        match inner.tools.call(request.clone()).await {
            Ok(invoked) if invoked.outcome_known || call.effect == Effect::Read => {
                break read(tool, call, &invoked);
            }
            Ok(_) if call.effect == Effect::Keyed && attempt < ATTEMPTS => {}
            Ok(invoked) => {
                break Heard::Outcome(unknown(call, &tool::function_error(&invoked.payload)));
            }
            Err(error) if attempt < ATTEMPTS && repeatable(&error, call.effect) => {}
            Err(error) => break Heard::Outcome(failed(call, &error)),
        }
        tracing::warn!(tool = call.tool, attempt, key = call.key, "calling the tool again");
        pause(inner, attempt).await;
        attempt += 1;
    };
    let outcome = match heard {
        Heard::Outcome(outcome) => outcome,
        Heard::Pending(later) => return pending::deferred(inner, call, later),
    };
    let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
    Event::ToolReturned(ToolReturned { tool_use_id: call.tool_use_id.clone(), outcome, millis })
}

/// Calls a function that changes nothing, again where its answer was lost.
pub(crate) async fn call_reader(inner: &Inner, request: &ToolCall) -> Result<Invoked, ToolError> {
    let mut attempt = 1;
    loop {
        match inner.tools.call(request.clone()).await {
            Err(error) if attempt < ATTEMPTS && repeatable(&error, Effect::Read) => {
                tracing::warn!(function = request.function, attempt, "calling the function again");
            }
            done => return done,
        }
        pause(inner, attempt).await;
        attempt += 1;
    }
}

/// What becomes of a call that was asked for and whose outcome nobody here will hear, and why.
pub(crate) fn interrupted(call: &Call, why: &str) -> Event {
    let outcome = unknown(call, why);
    Event::ToolReturned(ToolReturned { tool_use_id: call.tool_use_id.clone(), outcome, millis: 0 })
}

fn repeatable(error: &ToolError, effect: Effect) -> bool {
    match error {
        ToolError::Exec(ExecError::NotSent(_) | ExecError::Throttled(_)) => true,
        ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_)) => effect != Effect::Once,
        ToolError::Exec(ExecError::Refused(_)) | ToolError::NoFunction(_) | ToolError::Store(_) => {
            false
        }
    }
}

fn failed(call: &Call, error: &ToolError) -> Outcome {
    let lost = matches!(error, ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_)));
    match (lost, call.effect) {
        (true, Effect::Once | Effect::Keyed) => unknown(call, &error.to_string()),
        (true, Effect::Read) => Outcome::Error {
            message: tool::short_error("tool_timed_out", &error.to_string(), "try again later"),
        },
        (false, _) => Outcome::Error {
            message: tool::short_error(
                "tool_unavailable",
                &error.to_string(),
                "nothing was done; tell the user",
            ),
        },
    }
}

pub(crate) fn unknown(call: &Call, why: &str) -> Outcome {
    let what = format!("the reply of {} was lost ({why})", call.tool);
    let advice =
        "its outcome is unknown: do not repeat it, tell the user that a person has to look";
    Outcome::Unknown { message: tool::short_error("unknown_outcome", &what, advice) }
}

/// What a tool said.
pub(crate) enum Heard {
    Outcome(Outcome),
    /// It brings its result later.
    Pending(tool::Pending),
}

pub(crate) fn read(tool: &Tool, call: &Call, invoked: &Invoked) -> Heard {
    if invoked.error.is_some() {
        return Heard::Outcome(Outcome::Error {
            message: tool::short_error(
                "tool_failed",
                &tool::function_error(&invoked.payload),
                "tell the user",
            ),
        });
    }
    let answer = match tool::read_response(tool, &invoked.payload) {
        Ok(tool::Response::Answer(answer)) => answer,
        Ok(tool::Response::Pending(later)) => return Heard::Pending(later),
        Err(message) => {
            tracing::warn!(tool = tool.name, why = message, "a tool's answer cannot be read");
            // A tool that tried to say so has taken the call.
            let taken = call.effect != Effect::Read && says_pending(&invoked.payload);
            let why = "it said that its result comes later, in a way that cannot be read";
            return Heard::Outcome(match taken {
                true => unknown(call, why),
                false => Outcome::Error { message },
            });
        }
    };
    if !answer.ignored.is_empty() {
        let ignored = answer.ignored.join(", ");
        tracing::info!(tool = tool.name, ignored, "members of a tool's answer had no effect");
    }
    Heard::Outcome(outcome(answer))
}

fn says_pending(payload: &[u8]) -> bool {
    let answer = serde_json::from_slice::<serde_json::Value>(payload).unwrap_or_default();
    answer["craton"].get("pending").is_some()
}

pub(crate) fn outcome(answer: tool::Answer) -> Outcome {
    match answer.state {
        tool::State::Success => Outcome::Answered {
            body: answer.body,
            session_attributes: answer.session_attributes,
            prompt_session_attributes: answer.prompt_session_attributes,
            ignored: answer.ignored,
        },
        tool::State::Reprompt => Outcome::Reprompt { body: answer.body },
        tool::State::Failure => Outcome::Failure { message: answer.body },
    }
}

/// Full jitter: any length up to one that doubles, so that clients that failed together do not
/// come back together.
async fn pause(inner: &Inner, attempt: u32) {
    let longest = LONGEST_FIRST_PAUSE * 2u32.pow(attempt - 1);
    let part = (inner.ids.draw() >> 32) as f64 / f64::from(u32::MAX);
    tokio::time::sleep(longest.mul_f64(part)).await;
}

/// The Lambda event of a call, as bytes; with the token of the result that the tool owes.
pub(crate) fn event_bytes(
    context: &tool::EventContext<'_>,
    tool: &Tool,
    call: &Call,
    pending: Option<&str>,
) -> Bytes {
    let mut event = tool::lambda_event(context, tool, &call.input);
    if let Some(token) = pending {
        // An extension of ours, like the answer that it repeats.
        event["craton"] = json!({"pending": {"token": token}});
    }
    Bytes::from(serde_json::to_vec(&event).expect("a JSON value serialises"))
}
