//! What `/_craton/v1` answers: runs as operators see them, and what they may do to them.
//!
//! `front` has checked that the caller may use this door. Paths here are relative to the door.

mod alerts;
mod calls;
mod cassettes;
mod cost;
mod effects;
mod invocations;
mod query;
mod runs;
mod stream;

pub(crate) use self::query::{Query, decoded, escaped, wrong};

use engine::record::RunRecord;
use futures_core::stream::BoxStream;
use serde_json::Value as Json;
use store::StoreError;
use wire::fault::Fault;

use crate::cx::Cx;
pub(crate) use crate::cx::tenant;

/// Every path of the door that is answered here, as the OpenAPI document names it.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/runs"),
    ("GET", "/runs/{id}"),
    ("GET", "/runs/{id}/stream"),
    ("GET", "/runs/{id}/diff/{other}"),
    ("POST", "/runs/{id}/cancel"),
    ("POST", "/runs/{id}/pause"),
    ("POST", "/runs/{id}/resume"),
    ("GET", "/effects"),
    ("GET", "/runs/{id}/effects"),
    ("POST", "/runs/{id}/effects/{key}/resolve"),
    ("POST", "/runs/{id}/effects/{key}/undo"),
    ("POST", "/runs/{id}/calls/{token}"),
    ("GET", "/runs/{id}/cassette"),
    ("POST", "/runs/{id}/fork"),
    ("POST", "/invocations"),
    ("POST", "/dry-runs"),
    ("GET", "/totals"),
    ("GET", "/breakers"),
    ("GET", "/cost"),
    ("GET", "/cost/explain"),
    ("GET", "/cost/forecast"),
    ("GET", "/alerts"),
];

/// One request to the door.
pub struct Asked<'a> {
    pub method: &'a str,
    /// Without the door's prefix: `/runs`.
    pub path: &'a str,
    /// Raw.
    pub query: &'a str,
    pub body: &'a [u8],
    /// Where a client stood that takes a stream up again.
    pub last_event_id: Option<&'a str>,
}

pub enum Answer {
    Json(Json),
    /// The same of what has only begun.
    Accepted(Json),
    Events(BoxStream<'static, Result<Event, Fault>>),
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where the listener stands once it has this event.
    pub id: String,
    pub name: String,
    pub data: Json,
}

/// The permission behind the door.
pub const ADMIN: &str = "craton:Admin";
/// That to say what became of a tool's call, and to take one back: whoever may look at runs may not
/// move somebody's money by that alone.
const RESOLVE: &str = "craton:ResolveEffect";
/// That to begin a run in the middle of another: it spends and acts in the other's name.
const FORK: &str = "craton:ForkRun";

/// The permission that a request needs, in IAM's manner.
pub fn action(method: &str, path: &str) -> &'static str {
    let parts = parts(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        ("POST", ["runs", _, "effects", ..]) => RESOLVE,
        ("POST", ["runs", _, "fork"]) => FORK,
        _ => ADMIN,
    }
}

/// Whether a server that answers from a cassette performs an operation.
pub fn is_on_a_cassette(operation: &str) -> bool {
    matches!(operation, "InvokeAgent" | "InvokeInlineAgent" | "GetCallerIdentity")
}

fn parts(path: &str) -> Vec<String> {
    path.trim_start_matches('/').split('/').map(decoded).collect()
}

pub async fn route(cx: &Cx, asked: &Asked<'_>) -> Result<Answer, Fault> {
    let parts = parts(asked.path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let answer = match (asked.method, parts.as_slice()) {
        ("GET", ["runs"]) => runs::list(cx, asked.query).await,
        ("GET", ["runs", id]) => runs::show(cx, id).await,
        ("GET", ["runs", id, "stream"]) => return stream::open(cx, id, asked).await,
        ("GET", ["runs", id, "diff", other]) => runs::diff(cx, id, other).await,
        ("POST", ["runs", id, "cancel"]) => runs::cancel(cx, id).await,
        ("POST", ["runs", id, "pause"]) => runs::hold(cx, id, true).await,
        ("POST", ["runs", id, "resume"]) => runs::resume(cx, id, asked.body).await,
        ("GET", ["effects"]) => effects::list(cx, asked.query).await,
        ("GET", ["runs", id, "effects"]) => effects::of_run(cx, id, asked.query).await,
        ("POST", ["runs", id, "effects", key, "resolve"]) => {
            effects::resolve(cx, id, key, asked).await
        }
        ("POST", ["runs", id, "effects", key, "undo"]) => effects::undo(cx, id, key).await,
        ("POST", ["runs", id, "calls", token]) => calls::complete(cx, id, token, asked).await,
        ("GET", ["runs", id, "cassette"]) => cassettes::record(cx, id, asked.query).await,
        ("POST", ["runs", id, "fork"]) => {
            return cassettes::fork(cx, id, asked.body).await.map(Answer::Accepted);
        }
        ("POST", ["dry-runs"]) => cassettes::dry_run(cx, asked.body).await,
        ("POST", ["invocations"]) => {
            return invocations::start(cx, asked.body).await.map(Answer::Accepted);
        }
        ("GET", ["totals"]) => runs::totals(cx),
        ("GET", ["breakers"]) => runs::breakers(cx),
        ("GET", ["cost"]) => cost::report(cx, asked.query).await,
        ("GET", ["cost", "explain"]) => cost::explain(cx, asked.query).await,
        ("GET", ["cost", "forecast"]) => cost::forecast(cx, asked.query).await,
        ("GET", ["alerts"]) => alerts::list(cx, asked.query).await,
        (method, _) => {
            let text = format!("there is no {method} {} behind this door", asked.path);
            Err(Fault::new("UnknownOperationException", 404, text))
        }
    };
    answer.map(Answer::Json)
}

async fn found(cx: &Cx, id: &str) -> Result<RunRecord, Fault> {
    let found = cx.engine.find_run(&tenant(cx), id).await.map_err(internal)?;
    found.ok_or_else(|| Fault::not_found("run, request or session", id))
}

pub(crate) fn internal(error: StoreError) -> Fault {
    Fault::internal(error)
}
