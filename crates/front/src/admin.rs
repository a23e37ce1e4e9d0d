//! Craton's own door, `/_craton/v1`: answers in plain JSON.
//!
//! What the paths answer, and which permission each needs, is `api::admin`'s; here stands only who may pass. `docs/openapi` describes
//! it, and only grows.

use api::Caller;
use api::admin::{Answer, Asked};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode, request};
use serde_json::json;
use tokio::sync::watch;
use wire::fault::Fault;

use crate::body::Body;
use crate::call::Front;
use crate::stream::EventBody;
use crate::{answer, limits, page};

pub(crate) const PREFIX: &str = "/_craton/v1";

/// Says only that the server answers, so it asks for no credentials.
pub(crate) const HEALTH: (&str, &str) = ("GET", "/health");

/// Gives a link to the pages; answered here, because browsers' ways in are front's.
pub(crate) const LINKS: (&str, &str) = ("POST", "/links");

/// Whether a browser that came by a link may ask for it: only what its pages listen to.
pub(crate) fn takes_passes(parts: &request::Parts, path: &str) -> bool {
    parts.method == Method::GET && path.starts_with("/runs/") && path.ends_with("/stream")
}

/// The largest request body of a path: what starts a turn takes what InvokeAgent takes.
pub(crate) fn body_limit(parts: &request::Parts, path: &str) -> usize {
    match (parts.method.as_str(), path) {
        ("POST", "/invocations" | "/dry-runs") => {
            limits::body("bedrock-agent-runtime", "InvokeAgent")
        }
        _ => limits::BODY_OTHER,
    }
}

/// A link for the caller. `run` in the query is where it leads to.
pub(crate) fn link(front: &Front, caller: Caller, query: &str) -> Result<Answer, Fault> {
    let (_, run) = link_parts(query);
    let secret = front.engine.secret();
    front.passes.give(caller, &secret, front.engine.now());
    let seconds = limits::LINK_MS / 1000;
    Ok(Answer::Json(json!({ "path": page::link(&secret, run), "expiresInSeconds": seconds })))
}

/// The secret and the run of a link's query. The run stays as it is escaped, so that it can leave
/// neither its place in the query nor that in a path.
pub(crate) fn link_parts(query: &str) -> (&str, Option<&str>) {
    let value =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%:".contains(&b);
    let run = value("run").filter(|run| !run.is_empty() && run.bytes().all(plain));
    (value("token").unwrap_or_default(), run)
}

/// The path behind the door, if it is one of ours.
pub(crate) fn path(raw: &str) -> Option<&str> {
    let rest = raw.strip_prefix(PREFIX)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

pub(crate) fn asked<'a>(parts: &'a request::Parts, path: &'a str, body: &'a [u8]) -> Asked<'a> {
    let last = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    Asked {
        method: parts.method.as_str(),
        path,
        query: parts.uri.query().unwrap_or_default(),
        body,
        last_event_id: last.filter(|id| !id.is_empty()),
    }
}

pub(crate) fn answer(
    answer: Answer,
    closing: &watch::Sender<bool>,
    request_id: &str,
) -> Response<Body> {
    let events = match answer {
        Answer::Json(value) => return answer::json(StatusCode::OK, &value),
        Answer::Accepted(value) => return answer::json(StatusCode::ACCEPTED, &value),
        Answer::Events(events) => events,
    };
    let body = EventBody::server_sent(events, request_id.to_owned()).until(closing.subscribe());
    let mut response = Response::new(Body::Events(Box::new(body)));
    for (name, value) in [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
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
