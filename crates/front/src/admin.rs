//! Craton's own door, `/_craton/v1`: one permission for all of it, answers in plain JSON.
//!
//! What the paths answer is `api::admin`'s; here stands only who may pass. `docs/openapi` describes
//! it, and only grows.

use http::{Response, StatusCode};
use serde_json::json;
use wire::fault::Fault;

use crate::answer;
use crate::body::Body;

pub(crate) const PREFIX: &str = "/_craton/v1";

/// The permission behind every path but [`HEALTH`].
pub(crate) const ACTION: &str = "craton:Admin";

/// Says only that the server answers, so it asks for no credentials.
pub(crate) const HEALTH: (&str, &str) = ("GET", "/health");

/// The path behind the door, if it is one of ours.
pub(crate) fn path(raw: &str) -> Option<&str> {
    let rest = raw.strip_prefix(PREFIX)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

pub(crate) fn health() -> Response<Body> {
    answer::json(StatusCode::OK, &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

pub(crate) fn fault(fault: &Fault, request_id: &str) -> Response<Body> {
    answer::log_fault(request_id, fault);
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "code": fault.code(), "message": fault.message(), "requestId": request_id });
    answer::json(status, &body)
}
