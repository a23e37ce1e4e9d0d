//! The latest runs, page by page.

use engine::inspect::{Listed, RunPage, Wanted};
use maud::{Markup, html};
use wire::fault::Fault;

use super::{Asked, duration, frame, link, moment};
use crate::admin::{Query, escaped, internal, tenant, wrong};
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
    let session = ("session", query.text("session"));
    let page = cx.engine.list_runs(&tenant(cx), &wanted).await.map_err(internal)?;
    let body = html! {
        main {
            h1 { "Runs" }
            nav {
                a href="/_craton/runs" { "all" }
                @for known in Wanted::STATUSES {
                    " · " a href=(address(&[("status", Some(known)), session])) { (known) }
                }
            }
            (table(&page, cx.engine.now()))
            @if let Some(next) = &page.next {
                @let before = ("before", Some(next.as_str()));
                p { a href=(address(&[before, ("status", status.as_deref()), session])) { "older" } }
            }
        }
    };
    Ok(frame("runs", asked.nonce, None, &body))
}

/// This list with these filters.
fn address(filters: &[(&str, Option<&str>)]) -> String {
    let given = filters.iter().filter_map(|(name, text)| Some((name, (*text)?)));
    let pairs: Vec<String> =
        given.map(|(name, text)| format!("{name}={}", escaped(text))).collect();
    format!("?{}", pairs.join("&"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{call, cx};

    async fn page(cx: &Cx, query: &str) -> String {
        let asked = Asked { path: "/runs", query, nonce: "n" };
        render(cx, &asked).await.expect("a page")
    }

    #[tokio::test]
    async fn every_link_of_a_sessions_list_stays_in_the_session() {
        let cx = cx([]).await;
        let ask = json!({
            "sessionId": "a.b", "foundationModel": "model", "inputText": "hello",
            "instruction": "Answer what the user asks, in one sentence and politely.",
        });
        call(&cx, "InvokeInlineAgent", ask).await.expect("a turn");
        let page = page(&cx, "session=a%2Eb").await;
        let links: Vec<&str> = page.split("href=\"?").skip(1).collect();
        let inside =
            |link: &&str| link.split('"').next().is_some_and(|l| l.ends_with("session=a%2Eb"));
        assert!(links.iter().all(inside), "{links:?}");
        assert_eq!(links.len(), Wanted::STATUSES.len());
        let older = [("before", Some("r")), ("status", None), ("session", Some("a b&c"))];
        assert_eq!(address(&older), "?before=r&session=a%20b%26c");
    }
}
