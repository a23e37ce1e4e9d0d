//! The result of a call whose tool answers later.
//!
//! The body is what the tool would have answered, or the result itself; `state` says what it is if
//! not a result. A result that was taken may be brought again.

use bytes::Bytes;
use engine::pending::{Callback, CallbackError, CallbackState};
use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{Asked, tenant};
use crate::cx::Cx;

pub(super) async fn complete(
    cx: &Cx,
    id: &str,
    token: &str,
    asked: &Asked<'_>,
) -> Result<Json, Fault> {
    let query = Query::read(asked.query, &["state"])?;
    let state = match query.text("state") {
        None => None,
        Some("ERROR") => Some(CallbackState::Error),
        Some("REPROMPT") => Some(CallbackState::Reprompt),
        Some("FAILURE") => Some(CallbackState::Failure),
        Some(other) => return Err(wrong("state", other, "ERROR, REPROMPT or FAILURE")),
    };
    let callback = Callback { body: Bytes::copy_from_slice(asked.body), state };
    let taken = cx.engine.complete(&tenant(cx), id, token, &callback).await;
    let run = taken.map_err(|error| fault(id, error))?;
    Ok(json!({ "run": run, "token": token, "taken": true }))
}

fn fault(id: &str, error: CallbackError) -> Fault {
    let text = error.to_string();
    match error {
        CallbackError::NoRun(_) => Fault::not_found("run, request or session", id),
        CallbackError::NoToken { .. } => Fault::new("ResourceNotFoundException", 404, text),
        CallbackError::Late { .. } => Fault::conflict(text),
        CallbackError::Malformed(_) => Fault::validation(text),
        CallbackError::Busy(_) => Fault::new("ServiceUnavailableException", 503, text),
        CallbackError::Store(error) => Fault::internal(error),
    }
}
