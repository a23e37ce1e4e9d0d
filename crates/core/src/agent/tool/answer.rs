//! Reads what a tool answered: the response envelope AWS documents for Lambda functions.
//!
//! The envelope must be right where a wrong one would hide a mistake (version, echo of the request,
//! state) and is forgiven where nothing is lost; every forgiven member is named in `ignored`. The
//! errors are for the model and for the trace: short, and without the payload.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::error::{short_error, shortened};
use super::event::kind_of;
use super::{ApiOperation, Target, Tool, mcp};
use crate::limits;

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub body: String,
    pub state: State,
    /// `httpStatusCode` of an API's answer.
    pub status: Option<i64>,
    /// Each replaces the session's own, where given.
    pub session_attributes: Option<BTreeMap<String, String>>,
    pub prompt_session_attributes: Option<BTreeMap<String, String>>,
    /// Members that were tolerated and had no effect, for the trace and the log.
    pub ignored: Vec<String>,
}

/// What came of a call that was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    Answer(Answer),
    /// The result comes later.
    Pending(Pending),
}

/// A tool's word that it has taken a call and brings the result later: the member `craton.pending`
/// of its answer, an extension of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Pending {
    /// What the result will come under; without one, the call's idempotency key.
    pub token: Option<String>,
    /// Ask again after so many seconds, until there is a result.
    pub poll_seconds: Option<u32>,
    /// Nobody needs to wait longer than this.
    pub deadline_seconds: Option<u32>,
}

/// How the answer wants to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Success,
    /// The turn ends with DependencyFailedException.
    Failure,
    /// The body goes back to the model, which is to try again.
    Reprompt,
}

/// A handler for API Gateway or a function URL is what most functions were written as before.
const OF_API_GATEWAY: &str = "the answer is one for API Gateway (statusCode, body); a function of \
    an action group answers {\"messageVersion\": \"1.0\", \"response\": {\"actionGroup\": …}}";

/// Reads a payload of no more than `most` bytes, or says in a short structured line why it cannot
/// be used.
pub fn read_response(tool: &Tool, payload: &[u8], most: usize) -> Result<Response, String> {
    let malformed = |what: String| short_error("response_malformed", &what, "tell the user");
    if let Target::Mcp { .. } = &tool.target {
        // Only what the model reads of a result counts: the rest is not shown.
        let answer = mcp::answer(&parsed(payload).map_err(malformed)?);
        return bounded(answer.body.len(), most).map(|()| Response::Answer(answer));
    }
    bounded(payload.len(), most)?;
    read(tool, payload).map_err(malformed)
}

fn bounded(bytes: usize, most: usize) -> Result<(), String> {
    if bytes <= most {
        return Ok(());
    }
    let what = format!("the tool answered {bytes} bytes of at most {most}");
    Err(short_error("response_too_large", &what, "ask for fewer results or a smaller range"))
}

fn parsed(payload: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(payload).map_err(|cause| format!("the answer is not JSON: {cause}"))
}

fn read(tool: &Tool, payload: &[u8]) -> Result<Response, String> {
    let parsed = parsed(payload)?;
    let Json::Object(mut envelope) = parsed else {
        return Err(format!("the answer must be a JSON object, got {}", kind_of(&parsed)));
    };
    let mut ignored = Vec::new();
    if envelope.contains_key("statusCode") && !envelope.contains_key("response") {
        return Err(OF_API_GATEWAY.to_owned());
    }
    version(envelope.remove("messageVersion"))?;
    if let Some(extension) = envelope.remove("craton") {
        let response = envelope.remove("response");
        return deferred(tool, extension, response).map(Response::Pending);
    }
    let mut response = object(envelope.remove("response"), "response")?;
    echoes(tool, &mut response)?;
    let said = match &tool.target {
        Target::Function { .. } | Target::Mcp { .. } => function_said(&mut response, &mut ignored)?,
        Target::Api(operation) => api_said(operation, &mut response, &mut ignored)?,
    };
    let answer = Answer {
        body: said.body,
        state: said.state,
        status: said.status,
        session_attributes: attributes(&mut envelope, "sessionAttributes", &mut ignored)?,
        prompt_session_attributes: attributes(
            &mut envelope,
            "promptSessionAttributes",
            &mut ignored,
        )?,
        ignored: Vec::new(),
    };
    ignored.extend(response.keys().map(|name| format!("response.{name}")));
    ignored.extend(envelope.keys().cloned());
    Ok(Response::Answer(Answer { ignored, ..answer }))
}

/// The member `craton` of an answer, which has one member itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    pending: Pending,
}

fn deferred(tool: &Tool, extension: Json, response: Option<Json>) -> Result<Pending, String> {
    let extension: Extension = serde_json::from_value(extension)
        .map_err(|cause| format!("craton cannot be read: {cause}"))?;
    let pending = extension.pending;
    if let Some(token) = pending.token.as_deref().filter(|token| !is_token(token)) {
        let most = limits::TOKEN;
        return Err(format!(
            "craton.pending.token {} is not 1 to {most} letters, digits and any of - _ . ~ :",
            shortened(token, 100)
        ));
    }
    let times =
        [("pollSeconds", pending.poll_seconds), ("deadlineSeconds", pending.deadline_seconds)];
    if let Some((member, _)) = times.iter().find(|(_, given)| *given == Some(0)) {
        return Err(format!("craton.pending.{member} must be at least 1"));
    }
    if let Some(response) = response.filter(|response| !response.is_null()) {
        echoes(tool, &mut object(Some(response), "response")?)?;
    }
    Ok(pending)
}

/// It is part of a path of the result's way back.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    (1..=limits::TOKEN).contains(&text.len()) && text.bytes().all(fits)
}

struct Said {
    body: String,
    state: State,
    status: Option<i64>,
}

fn version(given: Option<Json>) -> Result<(), String> {
    match given {
        Some(Json::String(version)) if version == "1.0" => Ok(()),
        Some(other) => Err(format!("messageVersion must be \"1.0\", got {other}")),
        None => Err("messageVersion is missing, it must be \"1.0\"".to_owned()),
    }
}

// AWS: "ActionGroup in Lambda response doesn't match input", likewise APIPath and HttpMethod: an
// answer that does not echo its request is refused.
fn echoes(tool: &Tool, response: &mut Map<String, Json>) -> Result<(), String> {
    echo(response, "actionGroup", &tool.group)?;
    match &tool.target {
        Target::Function { name, .. } | Target::Mcp { name, .. } => {
            echo(response, "function", name)
        }
        Target::Api(operation) => {
            echo(response, "apiPath", &operation.path)?;
            echo(response, "httpMethod", &operation.verb.to_ascii_uppercase())
        }
    }
}

fn echo(response: &mut Map<String, Json>, member: &str, expected: &str) -> Result<(), String> {
    match response.remove(member) {
        Some(Json::String(given)) if given == expected => Ok(()),
        Some(Json::String(given))
            if member == "httpMethod" && given.eq_ignore_ascii_case(expected) =>
        {
            Ok(())
        }
        Some(given) => Err(format!(
            "response.{member} does not match the request: expected \"{expected}\", got {}",
            shortened(&given.to_string(), 100)
        )),
        None => Err(format!(
            "response.{member} is missing, it must repeat the request's \"{expected}\""
        )),
    }
}

fn function_said(
    response: &mut Map<String, Json>,
    ignored: &mut Vec<String>,
) -> Result<Said, String> {
    let at = "response.functionResponse";
    let mut inner = object(response.remove("functionResponse"), at)?;
    let state = state(inner.remove("responseState"), at)?;
    let media = object(inner.remove("responseBody"), &format!("{at}.responseBody"))?;
    let body = body(media, "TEXT", &format!("{at}.responseBody"), ignored)?;
    ignored.extend(inner.keys().map(|name| format!("{at}.{name}")));
    Ok(Said { body, state, status: None })
}

fn api_said(
    operation: &ApiOperation,
    response: &mut Map<String, Json>,
    ignored: &mut Vec<String>,
) -> Result<Said, String> {
    let state = state(response.remove("responseState"), "response")?;
    let status = status(response.remove("httpStatusCode"))?;
    let at = "response.responseBody";
    let given = response.remove("responseBody").filter(|body| !body.is_null());
    if given.is_none() && matches!(status, Some(204 | 205 | 304)) {
        return Ok(Said { body: String::new(), state, status });
    }
    let media = object(given, at)?;
    let preferred = operation.body.as_ref().map_or("application/json", |body| body.media.as_str());
    let preferred =
        if media.contains_key("application/json") { "application/json" } else { preferred };
    Ok(Said { body: body(media, preferred, at, ignored)?, state, status })
}

fn state(given: Option<Json>, at: &str) -> Result<State, String> {
    match given {
        None | Some(Json::Null) => Ok(State::Success),
        Some(Json::String(state)) if state == "FAILURE" => Ok(State::Failure),
        Some(Json::String(state)) if state == "REPROMPT" => Ok(State::Reprompt),
        Some(other) => Err(format!("{at}.responseState must be FAILURE or REPROMPT, got {other}")),
    }
}

fn status(given: Option<Json>) -> Result<Option<i64>, String> {
    let read = match &given {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Number(number)) => number.as_i64(),
        Some(Json::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    match (read, given) {
        (Some(status), _) => Ok(Some(status)),
        (None, given) => Err(format!(
            "response.httpStatusCode must be a number, got {}",
            given.unwrap_or_default()
        )),
    }
}

/// The body under the preferred media type, or under the first there is.
fn body(
    mut media: Map<String, Json>,
    preferred: &str,
    at: &str,
    ignored: &mut Vec<String>,
) -> Result<String, String> {
    let first = media.keys().next().cloned();
    let chosen = if media.contains_key(preferred) { Some(preferred.to_owned()) } else { first };
    let chosen = chosen.ok_or_else(|| format!("{at}.{preferred}.body is missing"))?;
    let mut content = object(media.remove(&chosen), &format!("{at}.{chosen}"))?;
    let said = content.remove("body");
    ignored.extend(media.keys().map(|other| format!("{at}.{other}")));
    ignored.extend(content.keys().map(|other| format!("{at}.{chosen}.{other}")));
    match said {
        Some(Json::String(text)) => Ok(text),
        // AWS: documented as text; functions that return the object itself are served as well.
        Some(Json::Null) | None => Err(format!("{at}.{chosen}.body is missing")),
        Some(other) => Ok(other.to_string()),
    }
}

fn attributes(
    envelope: &mut Map<String, Json>,
    member: &str,
    ignored: &mut Vec<String>,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(given) = envelope.remove(member).filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let Json::Object(given) = given else {
        return Err(format!("{member} must be an object of strings, got {}", kind_of(&given)));
    };
    let mut read = BTreeMap::new();
    for (name, value) in given {
        match value {
            Json::String(text) => read.insert(name, text),
            Json::Null => {
                ignored.push(format!("{member}.{name}"));
                None
            }
            other => read.insert(name, other.to_string()),
        };
    }
    Ok(Some(read))
}

fn object(given: Option<Json>, at: &str) -> Result<Map<String, Json>, String> {
    match given {
        Some(Json::Object(members)) => Ok(members),
        Some(other) => Err(format!("{at} must be an object, got {}", kind_of(&other))),
        None => Err(format!("{at} is missing")),
    }
}
