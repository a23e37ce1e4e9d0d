//! Reads what an HTTP API answered, and puts it in the form in which functions answer.
//!
//! Success is the body as text, cut to what a tool may answer. A failure becomes one line: the code
//! and the message that the API gave, in whichever of the usual forms; no page, stack or dump passes.

use serde_json::{Map, Value as Json, json};

use super::error::{shortened, without_tags};
use super::request::is_json;
use super::{ApiOperation, Tool, clean_error};

/// An answer with any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    pub status: u16,
    /// `Content-Type`, empty where there is none.
    pub media: String,
    /// `Content-Encoding`, empty where there is none; none was asked for.
    pub coding: String,
    /// The body, or its first part.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub cut: bool,
}

/// The payload, of no more than `most` bytes, of a function that had answered so. `Err` has that of
/// one that had failed.
pub fn read_http(
    tool: &Tool,
    operation: &ApiOperation,
    reply: &HttpReply,
    most: usize,
) -> Result<Vec<u8>, Vec<u8>> {
    if !(200..300).contains(&reply.status) {
        return Err(failure(reply));
    }
    let text = reply.success();
    let whole = envelope(tool, operation, reply.status, &text);
    if whole.len() <= most && !reply.cut {
        return Ok(whole);
    }
    let frame = envelope(tool, operation, reply.status, "").len() + CUT_NOTE;
    let kept = fitting(&text, most.saturating_sub(frame));
    let more = if reply.cut { "more than " } else { "" };
    let note = format!("{kept}\n[cut here: the answer has {more}{} bytes]", reply.body.len());
    Ok(envelope(tool, operation, reply.status, &note))
}

/// Bytes that the note about a cut takes at most.
const CUT_NOTE: usize = 80;

fn envelope(tool: &Tool, operation: &ApiOperation, status: u16, text: &str) -> Vec<u8> {
    let answer = json!({"messageVersion": "1.0", "response": {
        "actionGroup": tool.group,
        "apiPath": operation.path,
        "httpMethod": operation.verb.to_ascii_uppercase(),
        "httpStatusCode": status,
        "responseBody": {"application/json": {"body": text}},
    }});
    answer.to_string().into_bytes()
}

/// As much of a text as takes no more than `most` bytes as a JSON string.
fn fitting(text: &str, most: usize) -> &str {
    let mut taken = 0;
    for (at, char) in text.char_indices() {
        taken += match char {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            char if char.is_control() => 6,
            char => char.len_utf8(),
        };
        if taken > most {
            return &text[..at];
        }
    }
    text
}

/// In the form in which a function's runtime tells an error.
fn failure(reply: &HttpReply) -> Vec<u8> {
    let what = match reply.status {
        300..400 => "the API redirects to where it is not followed".to_owned(),
        _ => reply.essence(),
    };
    let error = json!({"errorType": format!("http_{}", reply.status), "errorMessage": what});
    error.to_string().into_bytes()
}

impl HttpReply {
    fn is_html(&self) -> bool {
        let media = self.media.to_ascii_lowercase();
        media.starts_with("text/html") || media.starts_with("application/xhtml")
    }

    /// The text of a body that is one.
    fn text(&self) -> Option<String> {
        let media = self.media.to_ascii_lowercase();
        let coded = !matches!(self.coding.trim(), "" | "identity");
        if coded {
            return None;
        }
        if media.contains("charset=iso-8859-1") || media.contains("charset=latin1") {
            return Some(self.body.iter().copied().map(char::from).collect());
        }
        let textual = media.is_empty()
            || media.starts_with("text/")
            || is_json(&media)
            || ["xml", "yaml", "csv", "x-www-form-urlencoded", "javascript", "ndjson", "graphql"]
                .iter()
                .any(|word| media.contains(word));
        match std::str::from_utf8(&self.body) {
            Ok(text) => Some(text.to_owned()),
            // The end of a cut body may be half a character.
            Err(_) if textual && !self.body.contains(&0) => {
                Some(String::from_utf8_lossy(&self.body).into_owned())
            }
            Err(_) => None,
        }
    }

    fn success(&self) -> String {
        match self.text() {
            // Also a page that says 200 is no answer of an API: its words pass, its markup does not.
            Some(page) if self.is_html() => {
                let words = without_tags(&without_scripts(&page));
                words.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            Some(text) => text,
            None => self.not_text(),
        }
    }

    fn not_text(&self) -> String {
        let media = if self.media.is_empty() { "bytes" } else { self.media.as_str() };
        let coding = if self.coding.is_empty() { "" } else { " in a compressed form" };
        let size = self.body.len();
        shortened(&format!("[{media}{coding}, {size} bytes: not text, not shown]"), 200)
    }

    /// The line that says what failed.
    fn essence(&self) -> String {
        let Some(text) = self.text().filter(|text| !text.trim().is_empty()) else {
            return match self.body.is_empty() {
                true => "the API does not say why".to_owned(),
                false => self.not_text(),
            };
        };
        match serde_json::from_str::<Json>(&text) {
            Ok(error @ (Json::Object(_) | Json::Array(_))) => structured(error),
            _ if self.is_html() => clean_error(&format!("<html>{}", without_scripts(&text))),
            _ => clean_error(&text),
        }
    }
}

/// Pages carry programs and styles, whose text is nobody's words.
fn without_scripts(page: &str) -> String {
    // Lower case of ASCII keeps every place where it is.
    let lower = page.to_ascii_lowercase();
    let (mut out, mut at) = (String::with_capacity(page.len()), 0);
    let next = |at: usize| {
        ["script", "style"]
            .into_iter()
            .filter_map(|tag| Some((lower[at..].find(&format!("<{tag}"))? + at, tag)))
            .min()
    };
    while let Some((from, tag)) = next(at) {
        out.push_str(&page[at..from]);
        let close = format!("</{tag}");
        // What follows the close is the rest of its tag, up to a `>`.
        out.push('<');
        at = lower[from..].find(&close).map_or(page.len(), |end| from + end + close.len());
    }
    out.push_str(&page[at..]);
    out
}

/// Members that hold what only the API's own people should read.
const INTERNAL: [&str; 9] = [
    "stack",
    "stacktrace",
    "stack_trace",
    "trace",
    "traceback",
    "backtrace",
    "exception",
    "debug",
    "innererror",
];

const CODES: [&str; 7] = ["code", "errorCode", "error_code", "errorType", "error", "type", "title"];
const MESSAGES: [&str; 8] = [
    "message",
    "errorMessage",
    "error_message",
    "detail",
    "error_description",
    "description",
    "msg",
    "title",
];
/// Members that repeat the status line, or that a model can do nothing with.
const IDLE: [&str; 9] = [
    "status",
    "statusCode",
    "status_code",
    "instance",
    "path",
    "timestamp",
    "requestId",
    "request_id",
    "success",
];

/// `code: message {what else it says}` of RFC 9457's problems and of the other usual forms.
fn structured(error: Json) -> String {
    let mut error = without_internals(error);
    while let Some(inner) = wrapped(&mut error) {
        error = inner;
    }
    let Json::Object(mut members) = error else {
        return error.to_string();
    };
    let code = take(&mut members, &CODES).filter(|code| code != "about:blank");
    let message = take(&mut members, &MESSAGES);
    members.retain(|name, value| !IDLE.contains(&name.as_str()) && !value.is_null());
    let rest = match members.is_empty() {
        true => String::new(),
        false => Json::Object(members).to_string(),
    };
    // A problem's type is a URL whose last step names it.
    let code = code.map(|code| {
        let last = code.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        if code.contains("://") { last } else { code }
    });
    let rest = Some(rest).filter(|rest| !rest.is_empty());
    let named: Vec<String> = code.into_iter().chain(message).collect();
    let said: Vec<String> =
        Some(named.join(": ")).filter(|named| !named.is_empty()).into_iter().chain(rest).collect();
    said.join(" ")
}

/// The error inside of `{"error": {…}}` and `{"errors": [{…}]}`.
fn wrapped(error: &mut Json) -> Option<Json> {
    match error {
        Json::Array(items) if items.len() == 1 && items[0].is_object() => items.pop(),
        Json::Object(members) => {
            let name = ["error", "errors", "fault", "Error", "Fault"].into_iter().find(|name| {
                matches!(members.get(*name), Some(Json::Object(_) | Json::Array(_)))
            })?;
            let inner = members.get(name)?;
            let one = inner.as_array().is_none_or(|all| all.len() == 1 && all[0].is_object());
            let alone = MESSAGES.iter().all(|message| !members.contains_key(*message));
            if one && alone { members.remove(name) } else { None }
        }
        _ => None,
    }
}

fn take(members: &mut Map<String, Json>, names: &[&str]) -> Option<String> {
    let name = names.iter().find(|name| {
        members.get(**name).is_some_and(|value| value.is_string() || value.is_number())
    })?;
    match members.remove(*name)? {
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn without_internals(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let kept = members
                .into_iter()
                .filter(|(name, _)| !INTERNAL.contains(&name.to_ascii_lowercase().as_str()));
            kept.map(|(name, value)| (name, without_internals(value))).collect()
        }
        Json::Array(items) => items.into_iter().map(without_internals).collect(),
        Json::String(text) if text.contains('\n') || text.trim_start().starts_with('<') => {
            Json::String(clean_error(&text))
        }
        other => other,
    }
}
