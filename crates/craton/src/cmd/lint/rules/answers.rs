//! Whether an OpenAPI document says what its operations answer, also when they fail.

use serde_json::Value as Json;

use super::super::subject::{Api, Tool};
use super::{ERRORS_UNDESCRIBED, Finding, HTML_RESPONSE, RESPONSE_UNDESCRIBED, Severity};

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
        if let Some(trace) = TRACES.iter().find(|trace| examples.contains(**trace)) {
            return Some(format!("has an example with {:?}", trace.trim()));
        }
    }
    None
}
