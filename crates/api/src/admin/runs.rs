//! Runs as lists and one by one, and an operator's orders to them.

use craton_core::budget;
use craton_core::budget::caps::Most;
use craton_core::cost::Money;
use craton_core::limits;
use engine::budget::Replenishing;
use engine::inspect::{Held, Wanted};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{found, internal, tenant};
use crate::bedrock_agent::budget as tags;
use crate::bedrock_agent::document::Agent;
use crate::cx::Cx;

/// Runs of one page, unless fewer are asked for.
const PAGE: usize = 100;

pub(super) async fn list(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["session", "status", "last", "before"])?;
    let what = format!("a number of 1 to {PAGE}");
    let last: usize = query.value("last", &what)?.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&last) {
        return Err(wrong("last", &last.to_string(), &what));
    }
    let statuses = query.text("status").map(|text| text.split(',').map(str::to_owned).collect());
    let wanted = Wanted {
        session: query.text("session").map(str::to_owned),
        statuses: statuses.unwrap_or_default(),
        before: query.text("before").map(str::to_owned),
        last,
    };
    if let Some(unknown) = wanted.unknown_status() {
        let what = format!("one or several of {}", Wanted::STATUSES.join(", "));
        return Err(wrong("status", unknown, &what));
    }
    let page = cx.engine.list_runs(&tenant(cx), &wanted).await.map_err(internal)?;
    serde_json::to_value(page).map_err(Fault::internal)
}

pub(super) async fn show(cx: &Cx, id: &str) -> Result<Json, Fault> {
    let view = cx.engine.view(&tenant(cx), id).await.map_err(internal)?;
    let view = view.ok_or_else(|| Fault::not_found("run, request or session", id))?;
    let bill = view.run.bill.clone();
    let mut shown = serde_json::to_value(view).map_err(Fault::internal)?;
    shown["cost"] = super::cost::stack(&bill.stack);
    shown["cost"]["saved"] = json!(bill.saved.dollars());
    shown["cost"]["unpriced"] = json!(bill.unpriced);
    Ok(shown)
}

/// Where two runs part first, and why.
pub(super) async fn diff(cx: &Cx, id: &str, other: &str) -> Result<Json, Fault> {
    match cx.engine.diff(&tenant(cx), id, other).await.map_err(internal)? {
        Ok(diff) => serde_json::to_value(diff).map_err(Fault::internal),
        Err(missing) => Err(Fault::not_found("run, request or session", &missing)),
    }
}

pub(super) async fn cancel(cx: &Cx, id: &str) -> Result<Json, Fault> {
    let found = found(cx, id).await?;
    let cancelled = cx.engine.cancel(&tenant(cx), &found.run).await.map_err(Fault::internal)?;
    Ok(json!({ "run": found.run, "cancelled": cancelled }))
}

/// Holds a run, or lets it go on. Answers once that is durable.
pub(super) async fn hold(cx: &Cx, id: &str, wanted: bool) -> Result<Json, Fault> {
    let run = found(cx, id).await?.run;
    let held = cx.engine.hold(&tenant(cx), &run, wanted).await.map_err(Fault::internal)?;
    match held {
        Some(Held::Done) => Ok(json!({ "run": run, "paused": wanted })),
        Some(Held::Over) => {
            let word = if wanted { "paused" } else { "resumed" };
            Err(Fault::conflict(format!("run {run} is over; it cannot be {word}")))
        }
        Some(Held::Unheard) => {
            let text = format!("run {run} did not take the order in time; try again");
            Err(Fault::new("ServiceUnavailableException", 503, text))
        }
        None => Err(Fault::not_found("run, request or session", id)),
    }
}

/// What a run may spend above its caps.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raise {
    tokens: u64,
    dollars: f64,
}

/// Lets a run go on that a budget stopped, or that an operator holds.
pub(super) async fn resume(cx: &Cx, id: &str, body: &[u8]) -> Result<Json, Fault> {
    let raise = raise(body)?;
    let record = found(cx, id).await?;
    let (run, own) = (record.run, caps_now(cx, &record.agent_id).await?);
    let went_on = cx.engine.replenish(&tenant(cx), &run, raise, own).await;
    let went_on = went_on.map_err(Fault::internal)?;
    match went_on {
        Some(Replenishing::GoesOn) => Ok(json!({ "run": run, "paused": false })),
        Some(Replenishing::NotHalted) if raise != budget::Raise::default() => {
            Err(Fault::conflict(format!("run {run} was not stopped by a budget")))
        }
        Some(Replenishing::NotHalted) => hold(cx, &run, false).await,
        Some(Replenishing::Busy) => {
            let text = format!("the session of run {run} has another turn under way; try again");
            Err(Fault::conflict(text))
        }
        None => Err(Fault::not_found("run, request or session", id)),
    }
}

/// What the tags of a run's agent say now; `None` of an agent that came with its request, or is gone.
async fn caps_now(cx: &Cx, agent_id: &str) -> Result<Option<Vec<Most>>, Fault> {
    let found = cx.engine.store().get::<Agent>(&tenant(cx), agent_id).await;
    let found = found.map_err(Fault::internal)?;
    found.map(|agent| tags::of(&agent.value.tags)).transpose()
}

fn raise(body: &[u8]) -> Result<budget::Raise, Fault> {
    if body.is_empty() {
        return Ok(budget::Raise::default());
    }
    let raise: Raise = serde_json::from_slice(body).map_err(|e| {
        Fault::validation(format!("the body is not {{\"tokens\": …, \"dollars\": …}}: {e}"))
    })?;
    if !(0.0..=limits::MOST_DOLLARS).contains(&raise.dollars) {
        let most = limits::MOST_DOLLARS;
        let text = format!("dollars is {}; it must be 0 to {most}", raise.dollars);
        return Err(Fault::validation(text));
    }
    Ok(budget::Raise { tokens: raise.tokens, cost: Money::of_dollars(raise.dollars) })
}

/// As the process that is asked has them.
pub(super) fn breakers(cx: &Cx) -> Result<Json, Fault> {
    let (tools, providers) = (cx.engine.breakers(&tenant(cx)), cx.engine.provider_breakers());
    Ok(json!({ "breakers": tools, "providers": providers }))
}

pub(super) fn totals(cx: &Cx) -> Result<Json, Fault> {
    serde_json::to_value(cx.engine.totals(&tenant(cx))).map_err(Fault::internal)
}
