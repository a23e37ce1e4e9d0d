//! What a person should have heard of, and whether the webhook took it.

use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{internal, tenant};
use crate::cx::Cx;

/// Alerts of one page, unless fewer are asked for.
const PAGE: usize = 100;

pub(super) async fn list(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["last", "before"])?;
    let what = format!("a number of 1 to {PAGE}");
    let last: usize = query.value("last", &what)?.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&last) {
        return Err(wrong("last", &last.to_string(), &what));
    }
    let alerts = cx.engine.alerts(&tenant(cx), query.text("before"), last).await;
    let alerts = alerts.map_err(internal)?;
    let next = alerts.last().filter(|_| alerts.len() == last).map(|alert| alert.id.clone());
    let mut page = json!({ "alerts": alerts });
    if let Some(next) = next {
        page["next"] = next.into();
    }
    Ok(page)
}
