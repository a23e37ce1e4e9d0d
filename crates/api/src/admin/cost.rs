//! What was spent, by whom and on what; what the next turns will cost, and what would make them
//! cheaper. Sums are dollars.

use craton_core::cost::lever::levers;
use craton_core::cost::{Money, Stack};
use engine::spend::{self, By, Forecast, Row, Spent, Wanted};
use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{internal, tenant};
use crate::bedrock_agent_runtime::invoke_agent;
use crate::cx::Cx;

/// Lines of one page, unless fewer are asked for.
const PAGE: usize = 100;
/// Days that a report begins before today unless it says otherwise.
const DAYS: i64 = 30;
const DAY_MILLIS: i64 = 24 * 3_600_000;

pub(super) async fn report(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["by", "since", "last", "after"])?;
    let by = query.text("by").unwrap_or("day");
    let known = By::ALL.map(|(word, _)| word).join(", ");
    let by_what = By::named(by).ok_or_else(|| wrong("by", by, &format!("one of {known}")))?;
    let what = format!("a number of 1 to {PAGE}");
    let last: usize = query.value("last", &what)?.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&last) {
        return Err(wrong("last", &last.to_string(), &what));
    }
    let after: usize = query.value("after", "the `next` of the page before")?.unwrap_or(0);
    let since = since(query.text("since"), cx.engine.now())?;
    let wanted = Wanted { by: by_what, since };
    let report = cx.engine.spent(&tenant(cx), wanted).await.map_err(internal)?;
    let mut total = Spent::default();
    report.rows.iter().for_each(|row| total.add(&row.spent));
    let rows: Vec<Json> = report.rows.iter().skip(after).take(last).map(shown_row).collect();
    let next = (after + rows.len() < report.rows.len()).then(|| (after + rows.len()).to_string());
    Ok(json!({
        "by": by,
        "since": spend::day(since),
        "pricesAsOf": cx.engine.prices().as_of,
        "rows": rows,
        "total": shown(&total),
        "partial": report.partial,
        "next": next,
    }))
}

/// `2026-11-20`, or `7d`: so many days before today.
fn since(text: Option<&str>, now: i64) -> Result<i64, Fault> {
    let Some(text) = text else { return Ok(now - DAYS * DAY_MILLIS) };
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
    if let Some(days) = days {
        return Ok(now - i64::from(days) * DAY_MILLIS);
    }
    let date = text.parse::<jiff::civil::Date>().ok();
    let moment = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let moment = moment.ok_or_else(|| wrong("since", text, "a day such as 2026-11-20, or 7d"))?;
    Ok(moment.timestamp().as_millisecond())
}

fn shown_row(row: &Row) -> Json {
    let mut shown = shown(&row.spent);
    shown["of"] = json!(row.of);
    shown
}

fn shown(spent: &Spent) -> Json {
    let usage = &spent.usage;
    json!({
        "cost": stack(&spent.stack),
        "saved": spent.saved.dollars(),
        "cacheHitRate": spent.cache_hit_rate(),
        "tokens": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cacheRead": usage.cache_read_input_tokens,
            "cacheWrite": usage.cache_write_input_tokens,
        },
        "modelCalls": spent.model_calls,
        "unpriced": spent.unpriced,
        "toolCalls": spent.tool_calls,
        "runs": spent.runs,
    })
}

/// The six lines, and their sum.
pub(super) fn stack(stack: &Stack) -> Json {
    let lines = stack.lines().map(|(name, sum)| (name.to_owned(), json!(sum.dollars())));
    let mut shown: serde_json::Map<String, Json> = lines.into_iter().collect();
    shown.insert("total".to_owned(), json!(stack.total().dollars()));
    Json::Object(shown)
}

/// What would make the same work cheaper, the largest saving first.
pub(super) async fn explain(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["of"])?;
    let observed = cx.engine.observed(&tenant(cx), query.text("of")).await.map_err(internal)?;
    if let (Some(of), true) = (query.text("of"), observed.turns.is_empty()) {
        return Err(Fault::not_found("agent, run, request or session with a turn", of));
    }
    let spent: Money = observed.turns.iter().map(|turn| turn.stack.total()).sum();
    let share = |saving: Money| match spent {
        Money::ZERO => 0.0,
        spent => saving.dollars() / spent.dollars(),
    };
    let levers: Vec<Json> = levers(&observed, cx.engine.prices())
        .into_iter()
        .map(|lever| {
            json!({
                "lever": lever.name,
                "saving": lever.saving.dollars(),
                "share": share(lever.saving),
                "how": lever.how,
            })
        })
        .collect();
    let largest = levers.first().filter(|lever| lever["saving"].as_f64() > Some(0.0)).cloned();
    Ok(json!({
        "turns": observed.turns.len(),
        "spent": spent.dollars(),
        "largest": largest.map(|lever| lever["lever"].clone()),
        "levers": levers,
    }))
}

/// What turns of an agent will cost, before they begin.
pub(super) async fn forecast(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query =
        Query::read(query, &["agent", "alias", "interactions", "input", "model", "bytes", "says"])?;
    if let Some(model) = query.text("model") {
        return of_call(cx, &query, model);
    }
    let agent = query.text("agent").unwrap_or_default();
    if agent.is_empty() {
        return Err(Fault::validation("agent is missing; name the agent by its id"));
    }
    let alias = query.text("alias").unwrap_or("TSTALIASID");
    let what = "a number of 1 to 1000000000";
    let times: u64 = query.value("interactions", what)?.unwrap_or(1);
    if !(1..=1_000_000_000).contains(&times) {
        return Err(wrong("interactions", &times.to_string(), what));
    }
    let config = invoke_agent::config(cx, agent, alias).await?;
    let input = query.text("input").unwrap_or_default();
    let found = cx.engine.forecast(&tenant(cx), (agent, &config), input).await.map_err(internal)?;
    let one = found.ok_or_else(|| Fault::not_found("configuration of agent", agent))?;
    Ok(foreseen(&one, times))
}

/// What a direct call of a model comes to at most.
fn of_call(cx: &Cx, query: &Query, model: &str) -> Result<Json, Fault> {
    let bytes: u64 = query.value("bytes", "the bytes of the request")?.unwrap_or(0);
    let says: Option<u32> = query.value("says", "the tokens that it may be answered with")?;
    let most = cx.engine.call_at_most(model, bytes, says);
    Ok(json!({ "model": model, "atMost": most.map(Money::dollars) }))
}

fn foreseen(one: &Forecast, times: u64) -> Json {
    json!({
        "model": one.model,
        "basis": one.basis,
        "turns": one.turns,
        "interactions": times,
        "tokens": one.tokens.map(|tokens| tokens.saturating_mul(times)),
        "cost": one.cost.map(|cost| cost.map(|sum| sum.times(times).dollars())),
        "millis": one.millis.map(|each| each.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX))),
        "assumed": one.assumed,
    })
}
