//! Runs as pages to look at: `/_craton/runs` and `/_craton/runs/{id}`.
//!
//! Rendered here whole, with no file beside them; they work without JavaScript. What people, models
//! and tools wrote is escaped by the templates and nowhere else. Nothing here changes a run.

mod list;
mod run;
mod step;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wire::fault::Fault;

use crate::cx::Cx;

/// One request for a page.
pub struct Asked<'a> {
    /// Behind `/_craton`: `/runs`.
    pub path: &'a str,
    /// Raw.
    pub query: &'a str,
    /// What the answer's policy lets the page's own style and script run by.
    pub nonce: &'a str,
}

/// The HTML of a page.
pub async fn render(cx: &Cx, asked: &Asked<'_>) -> Result<String, Fault> {
    let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["runs"] => list::render(cx, asked).await,
        ["runs", id] => run::render(cx, &crate::admin::decoded(id), asked).await,
        _ => Err(Fault::not_found("page", asked.path)),
    }
}

/// What is said in place of a page.
pub fn refusal(fault: &Fault, nonce: &str) -> String {
    let body = html! {
        main {
            h1 { (fault.code()) }
            p { (fault.message()) }
            @if fault.status() == 403 {
                p { "Run " code { "craton trace --last --open" } " with a key that may: it prints a \
                    link that works once." }
            }
        }
    };
    frame(fault.code(), nonce, None, &body)
}

/// A page around its content. `refresh`: seconds after which a browser without scripts loads anew.
fn frame(title: &str, nonce: &str, refresh: Option<u32>, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                title { (title) " · craton" }
                style nonce=(nonce) { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header { a href="/_craton/runs" { "craton" } " / " (title) }
                (body)
                @if refresh.is_some() {
                    script nonce=(nonce) { (PreEscaped(include_str!("live.js"))) }
                }
            }
        }
    };
    page.into_string()
}

/// A moment as UTC, to the second.
fn moment(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

fn duration(millis: i64) -> String {
    match millis.max(0) {
        millis @ 0..1_000 => format!("{millis} ms"),
        millis @ 1_000..100_000 => format!("{:.1} s", millis as f64 / 1000.0),
        millis => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
    }
}

fn link(id: &str) -> String {
    format!("/_craton/runs/{}", crate::admin::escaped(id))
}
