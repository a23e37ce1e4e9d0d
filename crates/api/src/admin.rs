//! What `/_craton/v1` answers: views of runs, for the CLI and the console.
//!
//! `front` has checked that the caller may use this door. Paths here are relative to the door.

use engine::record::RunRecord;
use serde_json::{Value as Json, json};
use store::{StoreError, Tenant};
use wire::fault::Fault;

use crate::cx::Cx;

/// Every path of the door that is answered here, as the OpenAPI document names it.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/runs"),
    ("GET", "/runs/{id}"),
    ("POST", "/runs/{id}/cancel"),
    ("POST", "/runs/{id}/effects/{key}/resolve"),
];

/// Runs of one page, unless fewer are asked for.
const PAGE: usize = 100;

/// One request to the door. `path` has no prefix (`/runs`), `query` is raw.
pub async fn route(
    cx: &Cx,
    method: &str,
    path: &str,
    query: &str,
    _body: &[u8],
) -> Result<Json, Fault> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["runs"]) => runs(cx, query).await,
        ("GET", ["runs", id]) => run(cx, id).await,
        ("POST", ["runs", id, "cancel"]) => cancel(cx, id).await,
        ("POST", ["runs", id, "effects", key, "resolve"]) => resolve(cx, id, key).await,
        _ => {
            let text = format!("there is no {method} {path} behind this door");
            Err(Fault::new("UnknownOperationException", 404, text))
        }
    }
}

async fn runs(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let (mut session, mut last) = (None, PAGE);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("session", id)) => session = Some(id),
            Some(("last", count)) => last = count_of(count)?,
            _ => return Err(Fault::validation(format!("unknown query parameter {pair}"))),
        }
    }
    let found = cx.engine.runs(&tenant(cx), session, last).await.map_err(internal)?;
    Ok(json!({ "runs": found }))
}

fn count_of(text: &str) -> Result<usize, Fault> {
    let count = text.parse().ok().filter(|count| (1..=PAGE).contains(count));
    count.ok_or_else(|| Fault::validation(format!("last is {text}; it is a number of 1 to {PAGE}")))
}

async fn run(cx: &Cx, id: &str) -> Result<Json, Fault> {
    let view = cx.engine.view(&tenant(cx), id).await.map_err(internal)?;
    let view = view.ok_or_else(|| Fault::not_found("run, request or session", id))?;
    serde_json::to_value(view).map_err(Fault::internal)
}

async fn cancel(cx: &Cx, id: &str) -> Result<Json, Fault> {
    let found = found(cx, id).await?;
    let cancelled = cx.engine.cancel(&tenant(cx), &found.run).await.map_err(Fault::internal)?;
    Ok(json!({ "run": found.run, "cancelled": cancelled }))
}

async fn resolve(cx: &Cx, id: &str, key: &str) -> Result<Json, Fault> {
    let found = found(cx, id).await?;
    let resolved = cx.engine.resolve(&tenant(cx), &found.run, key).await;
    if !resolved.map_err(Fault::internal)? {
        return Err(Fault::not_found("unknown effect", key));
    }
    Ok(json!({ "run": found.run, "key": key, "resolved": true }))
}

async fn found(cx: &Cx, id: &str) -> Result<RunRecord, Fault> {
    let found = cx.engine.find_run(&tenant(cx), id).await.map_err(internal)?;
    found.ok_or_else(|| Fault::not_found("run, request or session", id))
}

fn tenant(cx: &Cx) -> Tenant {
    Tenant::new(&cx.caller.account, &cx.caller.region)
}

fn internal(error: StoreError) -> Fault {
    Fault::internal(error)
}
