//! One run: what was asked and answered, and its steps as a waterfall.

use craton_core::agent::event::Event;
use engine::inspect::RunView;
use engine::journal::Stamped;
use maud::{Markup, html};
use wire::fault::Fault;

use super::step::{Span, steps};
use super::{Asked, duration, frame, moment};
use crate::admin::{Query, escaped, internal, tenant};
use crate::cx::Cx;

/// Seconds between two loads of a run that goes on, for a browser without scripts.
const REFRESH: u32 = 2;

pub(super) async fn render(cx: &Cx, id: &str, asked: &Asked<'_>) -> Result<String, Fault> {
    Query::read(asked.query, &[])?;
    let view = cx.engine.view(&tenant(cx), id).await.map_err(internal)?;
    let view = view.ok_or_else(|| Fault::not_found("run, request or session", id))?;
    let run = &view.run;
    let live = run.ended_at.is_none();
    let now = run.ended_at.unwrap_or_else(|| cx.engine.now());
    let span = Span { from: run.begun_at, to: now };
    let stream = live.then(|| {
        let (id, from) = (escaped(&run.run), view.events.len());
        format!("/_craton/v1/runs/{id}/stream?trace=true&from={from}")
    });
    let body = html! {
        main data-stream=[stream] {
            h1 { (run.run) }
            (head(&view, now))
            (said(&view.events))
            h2 { "Steps" }
            (steps(&view.steps, span))
        }
    };
    Ok(frame(&run.run, asked.nonce, live.then_some(REFRESH), &body))
}

fn head(view: &RunView, now: i64) -> Markup {
    let run = &view.run;
    let embedded = run.providers.iter().find(|provider| llm::is_embedded(provider));
    html! {
        dl {
            dt { "status" } dd #status { (run.status.word()) @if run.paused_at.is_some() { ", held by an operator" } }
            dt { "agent" } dd { (run.agent_id) " version " (run.agent_version) " alias " (run.alias_id) }
            dt { "session" } dd { (run.session_id) }
            dt { "begun" } dd { (moment(run.begun_at)) " UTC, " (duration(now - run.begun_at)) }
            dt { "models" } dd {
                (run.providers.join(", "))
                @if let Some(name) = embedded { " (craton." (name) ": no language model spoke)" }
            }
            dt { "usage" } dd {
                (run.model_calls) " model calls, " (run.usage.input_tokens) " input and "
                (run.usage.output_tokens) " output tokens"
            }
        }
    }
}

/// What the client asked, and what it was told in the end.
fn said(events: &[Stamped]) -> Markup {
    html! {
        @for Stamped { event, .. } in events {
            @match event {
                Event::Accepted(accepted) => { h3 { "asked" } pre { (accepted.input_text) } }
                Event::Finished { text } => { h3 { "answered" } pre #answer { (text) } }
                Event::AskedUser(asked) => { h3 { "asked back" } pre { (asked.question) } }
                Event::Failed { code, message } => { h3 { (code) } pre.bad { (message) } }
                Event::ModelFailed(failed) => { h3 { (failed.code) } pre.bad { (failed.message) } }
                Event::Cancelled { reason } => { h3 { "called off" } pre.bad { (reason) } }
                _ => {}
            }
        }
    }
}
