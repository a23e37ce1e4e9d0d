//! The latest runs, page by page.

use engine::inspect::{Listed, RunPage, Wanted};
use maud::{Markup, html};
use wire::fault::Fault;

use super::{Asked, duration, frame, link, moment};
use crate::admin::{Query, internal, tenant, wrong};
use crate::cx::Cx;

/// Runs of one page.
const PAGE: usize = 50;

pub(super) async fn render(cx: &Cx, asked: &Asked<'_>) -> Result<String, Fault> {
    let query = Query::read(asked.query, &["status", "session", "before"])?;
    let status = query.text("status").map(str::to_owned);
    let wanted = Wanted {
        session: query.text("session").map(str::to_owned),
        statuses: status.clone().into_iter().collect(),
        before: query.text("before").map(str::to_owned),
        last: PAGE,
    };
    if let Some(unknown) = wanted.unknown_status() {
        return Err(wrong("status", unknown, &format!("one of {}", Wanted::STATUSES.join(", "))));
    }
    let page = cx.engine.list_runs(&tenant(cx), &wanted).await.map_err(internal)?;
    let body = html! {
        main {
            h1 { "Runs" }
            nav {
                a href="/_craton/runs" { "all" }
                @for known in Wanted::STATUSES { " · " a href={ "?status=" (known) } { (known) } }
            }
            (table(&page, cx.engine.now()))
            @if let Some(next) = &page.next {
                p { a href=(older(next, status.as_deref())) { "older" } }
            }
        }
    };
    Ok(frame("runs", asked.nonce, None, &body))
}

fn older(next: &str, status: Option<&str>) -> String {
    let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
    format!("?before={next}{status}")
}

fn table(page: &RunPage, now: i64) -> Markup {
    html! {
        @if page.runs.is_empty() { p { "There is none." } }
        @else {
            table {
                thead { tr {
                    th { "begun (UTC)" } th { "run" } th { "status" } th { "agent" } th { "session" }
                    th.number { "took" } th.number { "model calls" } th.number { "tokens" }
                } }
                tbody { @for listed in &page.runs { (row(listed, now)) } }
            }
        }
    }
}

fn row(listed: &Listed, now: i64) -> Markup {
    let run = &listed.run;
    let took = duration(run.ended_at.unwrap_or(now) - run.begun_at);
    html! {
        tr {
            td { (moment(run.begun_at)) }
            td { a href=(link(&run.run)) { (run.run) } }
            td {
                @match &listed.standing {
                    Some(standing) => { (standing.state.word()) " for " (standing.waits_for) }
                    None => { (run.status.word()) }
                }
            }
            td { (run.agent_id) " " (run.agent_version) }
            td { (run.session_id) }
            td.number { (took) }
            td.number { (run.model_calls) }
            td.number { (run.usage.input_tokens) " / " (run.usage.output_tokens) }
        }
    }
}
