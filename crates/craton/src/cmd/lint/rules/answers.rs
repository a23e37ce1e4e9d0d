//! What a tool answers, also when it fails: by its OpenAPI document, and by what it answered.

use serde_json::Value as Json;

use super::super::subject::{Answer, Api, Tool};
use super::{
    ERRORS_UNDESCRIBED, Finding, HTML_RESPONSE, LARGE_ANSWER, RESPONSE_UNDESCRIBED, Severity, shown,
};

/// How a stack trace looks in an example.
const TRACES: &[&str] = &[
    "Traceback (most recent call last)",
    "Exception in thread",
    "\n    at ",
    ".java:",
    "<html",
    "<!DOCTYPE",
];

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    heard(tool, found);
    let Some(api) = &tool.api else { return };
    succeeds(tool, api, found);
    fails(tool, api, found);
    for (status, response) in &api.responses {
        if let Some(says) = page(response) {
            let what = format!("its {status} response {says}");
            let fix = format!(
                "in {}, responses.{status}: \"content\": {{\"application/json\": {{\"schema\": {{\"type\": \"object\", \"properties\": {{\"error\": …, \"advice\": …}}}}}}}}",
                tool.at()
            );
            found.push(tool.finding(&HTML_RESPONSE, Severity::Error, what, fix));
        }
    }
}

/// What it really answered, once of each kind.
fn heard(tool: &Tool, found: &mut Vec<Finding>) {
    let first = |is: &dyn Fn(&Answer) -> bool| tool.answers.iter().find(|answer| is(answer));
    if let Some(answer) = first(&|answer| answer.outcome == "answered" && is_page(&answer.said)) {
        let what = format!(
            "in run {} it answered a page or a stack trace: {}",
            answer.run,
            shown(answer.said.trim())
        );
        let fix = format!(
            "in the handler of {}: answer \"order_not_found: no order matches; ask for the id again\", and never what a library raised",
            tool.at()
        );
        found.push(tool.finding(&HTML_RESPONSE, Severity::Error, what, fix));
    }
    if let Some(answer) = first(&|answer| answer.said.starts_with("response_too_large")) {
        let what = format!("in run {} {}", answer.run, shown(&answer.said));
        let fix = format!(
            "in the handler of {}: the first few, their number and how to ask for fewer",
            tool.at()
        );
        found.push(tool.finding(&LARGE_ANSWER, Severity::Warning, what, fix));
    }
    if let Some(answer) = first(&|answer| answer.said.starts_with("tool_failed")) {
        let what = format!("in run {} its function failed: {}", answer.run, shown(&answer.said));
        let fix = format!(
            "in the handler of {}: catch it, and answer which error it is and what to do",
            tool.at()
        );
        found.push(tool.finding(&ERRORS_UNDESCRIBED, Severity::Warning, what, fix));
    }
}

/// A page as a whole, not a text that quotes some of one.
fn is_page(said: &str) -> bool {
    let is_html = |trace: &str| trace.starts_with('<');
    match trace_in(said) {
        Some(trace) if is_html(trace) => said.trim_start().starts_with(trace),
        found => found.is_some(),
    }
}

fn trace_in(text: &str) -> Option<&'static str> {
    TRACES.iter().find(|trace| text.contains(**trace)).copied()
}

fn succeeds(tool: &Tool, api: &Api, found: &mut Vec<Finding>) {
    let good =
        api.responses.iter().find(|(status, _)| status.starts_with('2') || status == "default");
    let what = match good {
        None => "no response of success is described".to_owned(),
        Some((status, _)) if matches!(status.as_str(), "202" | "204" | "205") => return,
        Some((_, response)) if has_schema(response) => return,
        Some((status, _)) => format!("its {status} response has no schema"),
    };
    let status = good.map_or("200", |(status, _)| status);
    let fix = format!(
        "in {}, responses.{status}: \"content\": {{\"application/json\": {{\"schema\": {{…}}}}}}",
        tool.at()
    );
    found.push(tool.finding(&RESPONSE_UNDESCRIBED, Severity::Warning, what, fix));
}

fn fails(tool: &Tool, api: &Api, found: &mut Vec<Finding>) {
    let is_failure = |status: &str| status.starts_with(['4', '5']) || status == "default";
    if api.responses.iter().any(|(status, _)| is_failure(status)) {
        return;
    }
    let what = "no response of failure is described";
    let fix = format!(
        "in {}, responses: \"404\": {{\"description\": \"order_not_found: no such order; ask the user to re-check the id\", \"content\": {{\"application/json\": {{\"schema\": {{…}}}}}}}}",
        tool.at()
    );
    found.push(tool.finding(&ERRORS_UNDESCRIBED, Severity::Warning, what, fix));
}

fn has_schema(response: &Json) -> bool {
    let content = response["content"].as_object();
    content
        .into_iter()
        .flatten()
        .any(|(_, media)| media["schema"].as_object().is_some_and(|schema| !schema.is_empty()))
}

/// A page for people, or what a crash leaves.
fn page(response: &Json) -> Option<String> {
    let content = response["content"].as_object()?;
    for (media, described) in content {
        if media.contains("html") {
            return Some(format!("is {media}"));
        }
        let examples = format!("{}{}", described["example"], described["examples"]);
        let examples = examples.replace("\\n", "\n");
        if let Some(trace) = trace_in(&examples) {
            return Some(format!("has an example with {:?}", trace.trim()));
        }
    }
    None
}
