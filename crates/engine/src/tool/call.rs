//! What the answer to a call says, and what an error leaves known: the outcome that the turn reads.
//!
//! Readers, such as parser functions, are called here; calls of tools in `conduct`.

use craton_core::agent::event::{Call, Event, Outcome, ToolReturned};
use craton_core::agent::tool::{self, Effect, Tool};
use exec::{ExecError, Invoked};

use super::{ToolCall, ToolError};
use crate::Inner;
use crate::model::{ATTEMPTS, pause};

/// Calls a function that changes nothing, again where its answer was lost; how often it did.
pub(crate) async fn call_reader(
    inner: &Inner,
    request: &ToolCall,
) -> (u32, Result<Invoked, ToolError>) {
    let mut attempt = 1;
    loop {
        match inner.tools.call(request.clone()).await {
            Err(error) if attempt < ATTEMPTS && repeatable(&error, Effect::Read) => {
                tracing::warn!(function = request.function, attempt, "calling the function again");
            }
            done => return (attempt, done),
        }
        pause(inner, attempt).await;
        attempt += 1;
    }
}

/// What becomes of a call that was asked for and whose outcome nobody here will hear, and why.
pub(crate) fn interrupted(call: &Call, why: &str) -> Event {
    let outcome = unknown(call, why);
    Event::ToolReturned(ToolReturned::new(&call.tool_use_id, outcome, 0))
}

fn repeatable(error: &ToolError, effect: Effect) -> bool {
    match error {
        ToolError::Exec(ExecError::NotSent(_) | ExecError::Throttled(_)) => true,
        ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_)) => effect.may_repeat(),
        ToolError::Exec(ExecError::Refused(_))
        | ToolError::NoFunction(_)
        | ToolError::TooLate
        | ToolError::Store(_) => false,
    }
}

pub(super) fn is_lost(error: &ToolError) -> bool {
    matches!(error, ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_)))
}

pub(super) fn failed(call: &Call, error: &ToolError) -> Outcome {
    if matches!(error, ToolError::TooLate) {
        return Outcome::Error {
            message: tool::short_error(
                "tool_not_sent",
                &format!("{} was not sent: {error}", call.tool),
                "nothing was done; ask for it again if it is still wanted",
            ),
        };
    }
    match (is_lost(error), call.effect) {
        (true, Effect::Once | Effect::Compensable | Effect::Keyed) => {
            unknown(call, &error.to_string())
        }
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

pub(crate) fn read(inner: &Inner, tool: &Tool, call: &Call, invoked: &Invoked) -> Heard {
    if invoked.error.is_some() {
        return Heard::Outcome(Outcome::Error {
            message: tool::short_error(
                "tool_failed",
                &tool::function_error(&invoked.payload),
                "tell the user",
            ),
        });
    }
    let answer = match tool::read_response(tool, &invoked.payload, inner.turn.tool_answer_bytes) {
        Ok(tool::Response::Answer(answer)) => answer,
        Ok(tool::Response::Pending(later)) => return Heard::Pending(later),
        Err(message) => {
            tracing::warn!(tool = tool.name, why = message, "a tool's answer cannot be read");
            return Heard::Outcome(unread(tool, call, invoked, message));
        }
    };
    if !answer.ignored.is_empty() {
        let ignored = answer.ignored.join(", ");
        tracing::info!(tool = tool.name, ignored, "members of a tool's answer had no effect");
    }
    Heard::Outcome(outcome(answer))
}

/// INVARIANT: whoever answers has taken the call, whatever can be read of the answer, so one that
/// changes something has not failed. An answer that is only too long says what became of it.
fn unread(tool: &Tool, call: &Call, invoked: &Invoked, message: String) -> Outcome {
    if call.effect == Effect::Read {
        return Outcome::Error { message };
    }
    match tool::read_response(tool, &invoked.payload, usize::MAX) {
        Ok(tool::Response::Answer(answer)) => outcome(tool::Answer {
            session_attributes: None,
            prompt_session_attributes: None,
            ..answer
        }),
        Ok(tool::Response::Pending(_)) | Err(_) => {
            unknown(call, &format!("it cannot be read: {message}"))
        }
    }
}

/// Cuts what the model reads of a result, at a character; gives the bytes of the whole if it did.
pub(crate) fn cut(outcome: &mut Outcome, most: usize) -> Option<usize> {
    let (Outcome::Answered { body: text, .. }
    | Outcome::Reprompt { body: text }
    | Outcome::Failure { message: text }) = outcome
    else {
        return None;
    };
    let whole = text.len();
    if whole <= most {
        return None;
    }
    text.truncate(text.floor_char_boundary(most));
    let shown = text.len();
    text.push_str(&format!(
        "\n(result_truncated: these are the first {shown} of {whole} bytes; ask for less)"
    ));
    Some(whole)
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
