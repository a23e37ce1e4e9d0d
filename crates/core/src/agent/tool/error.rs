//! What the model reads of a tool that failed: one short line it can act on.
//!
//! A stack trace or an error page costs thousands of tokens, tells the model nothing and may carry
//! secrets or instructions; only the line that names the failure passes.

use serde_json::Value as Json;

use super::mcp;
use crate::limits;

/// `order_not_found: no order matches 4471; ask the user to re-check the id`.
pub fn short_error(code: &str, what: &str, advice: &str) -> String {
    let text = match (what.is_empty(), advice.is_empty()) {
        (true, true) => code.to_owned(),
        (false, true) => format!("{code}: {what}"),
        (true, false) => format!("{code}: {advice}"),
        (false, false) => format!("{code}: {what}; {advice}"),
    };
    bounded(&text)
}

/// The essence of an error text: the exception's own line of a Python, Java or Node trace, the
/// title of an HTML page, anything else as it is, in one line of bounded length.
pub fn clean_error(text: &str) -> String {
    let text = without_escapes(text);
    let essence = if looks_like_html(&text) { html_essence(&text) } else { trace_essence(&text) };
    let line = one_line(&essence);
    if !line.is_empty() {
        return bounded(&line);
    }
    // Nothing but frames: the first of them is more than nothing.
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(first) => bounded(&one_line(&without_tags(first))),
        None => "no error text was given".to_owned(),
    }
}

/// The essence of a Lambda function error: `{"errorType", "errorMessage", "stackTrace"}`; or of an
/// MCP server's result that is one.
pub fn function_error(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(limits::TOOL_ANSWER_BYTES)]);
    let Ok(error) = serde_json::from_slice::<Json>(payload) else {
        return clean_error(&text);
    };
    match (error["errorType"].as_str(), error["errorMessage"].as_str()) {
        (Some(kind), Some(what)) => clean_error(&format!("{kind}: {what}")),
        (None, Some(what)) | (Some(what), None) => clean_error(what),
        (None, None) => clean_error(&mcp::error_text(&error).unwrap_or_else(|| text.into_owned())),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cut at a character, with a mark that something is missing.
pub(super) fn bounded(text: &str) -> String {
    shortened(text, limits::TOOL_ERROR_CHARS)
}

pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// Terminal colours and control characters, apart from line ends and tabs.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            while chars.next().is_some_and(|char| !char.is_ascii_alphabetic()) {}
        } else if char == '\n' || char == '\t' || !char.is_control() {
            out.push(char);
        }
    }
    out
}

fn looks_like_html(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(200).collect();
    let head = head.to_ascii_lowercase();
    ["<!doctype", "<html", "<head", "<body", "<?xml"].iter().any(|tag| head.starts_with(tag))
}

fn html_essence(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let said = ["title", "h1", "message"]
        .iter()
        .filter_map(|tag| element(text, &lower, tag))
        .find(|said| !said.trim().is_empty());
    said.unwrap_or_else(|| without_tags(text))
}

/// The text of the first `tag`; `lower` is `text` in lower case, byte for byte.
fn element(text: &str, lower: &str, tag: &str) -> Option<String> {
    let open = lower.find(&format!("<{tag}"))?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find(&format!("</{tag}"))?;
    Some(without_tags(&text[start..end]))
}

pub(super) fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for char in text.chars() {
        match char {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            _ if !inside => out.push(char),
            _ => {}
        }
    }
    out
}

/// The lines that say what failed: frames, source excerpts and Python's trace heads fall away, and
/// of a chain of causes only the last, which is the root, stays beside the first.
fn trace_essence(text: &str) -> String {
    let lines: Vec<&str> = without_node_excerpt(text.lines().collect());
    let mut kept: Vec<&str> = Vec::new();
    let mut in_python_frames = false;
    let mut cause = None;
    for line in lines {
        let bare = line.trim();
        if bare.starts_with("Traceback (most recent call last)") {
            // A further traceback is the real failure: Python prints the cause first.
            kept.retain(|line| !looks_like_exception(line));
            in_python_frames = true;
        } else if in_python_frames && (line.starts_with([' ', '\t']) || bare.is_empty())
            || is_frame(bare)
        {
        } else if bare.starts_with("Caused by:") {
            cause = Some(bare);
        } else if !bare.is_empty() && !is_chain_note(bare) {
            in_python_frames = false;
            kept.push(bare);
        }
    }
    kept.extend(cause);
    kept.join(" ")
}

/// Node prints the file, the source line and a caret before the error itself.
fn without_node_excerpt(lines: Vec<&str>) -> Vec<&str> {
    let caret = lines.iter().take(6).position(|line| {
        let bare = line.trim();
        !bare.is_empty() && bare.chars().all(|char| char == '^')
    });
    match caret {
        Some(place) if !lines[0].starts_with("Traceback") => lines[place + 1..].to_vec(),
        _ => lines,
    }
}

fn looks_like_exception(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| !name.contains(char::is_whitespace))
}

/// A line of a stack, never a sentence that begins alike ("at most 500 (see the policy)").
fn is_frame(bare: &str) -> bool {
    let elided = bare.starts_with("... ") && bare.ends_with(" more");
    let python = bare.starts_with("File \"") && bare.contains(", line ");
    let called = bare.strip_prefix("at ").is_some_and(|call| {
        let place = call.strip_suffix(')').and_then(|call| call.rsplit_once('('));
        is_source(place.map_or(call, |(_, place)| place))
    });
    called || elided || python || bare.starts_with("Node.js v")
}

/// `Refund.java:31`, `/var/task/index.js:3:9`, and the places that have no line.
fn is_source(place: &str) -> bool {
    let numbered = place.rsplit_once(':').is_some_and(|(file, line)| {
        !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
            && file.contains(['.', ':'])
    });
    let unnumbered = ["Native Method", "Unknown Source", "<anonymous>", "native"];
    numbered || unnumbered.contains(&place) || place.ends_with(".java")
}

fn is_chain_note(bare: &str) -> bool {
    bare.starts_with("During handling of the above exception")
        || bare.starts_with("The above exception was the direct cause")
}
