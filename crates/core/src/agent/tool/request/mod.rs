//! An operation and checked arguments become one HTTP request, as OpenAPI 3.0 and 3.1 spell it.
//!
//! Pure: the same arguments give the same bytes, so a call that is repeated is the same call. The
//! server, credentials and the idempotency key come later, from whoever sends it. What a model wrote
//! stays inside its parameter: it cannot add a parameter, a header or a step of the path.

mod body;
mod encode;
mod style;

use serde_json::Value as Json;

use super::event::spelled;
use super::{ApiOperation, Field, Place, Spelling};
use encode::Encoder;
pub(super) use style::is_json;

/// A request that lacks only its server and its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// Upper case.
    pub method: String,
    /// Begins with `/`; comes behind the path of the server's URL.
    pub path_and_query: String,
    /// In no particular case; values are free of control characters.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The request of a call, or in a few words why these arguments cannot be sent.
pub fn http_call(operation: &ApiOperation, arguments: &Json) -> Result<HttpCall, String> {
    let given = Given { operation, arguments };
    let mut path_and_query = path(&given)?;
    let query = query(&given)?;
    if !query.is_empty() {
        path_and_query = format!("{path_and_query}?{query}");
    }
    let mut headers = headers(&given)?;
    headers.push(("accept".to_owned(), accept(&operation.answers)));
    let body = body::body(&given)?;
    if let Some((media, _)) = &body {
        headers.push(("content-type".to_owned(), media.clone()));
    }
    Ok(HttpCall {
        method: operation.verb.to_ascii_uppercase(),
        path_and_query,
        headers,
        body: body.map(|(_, bytes)| bytes).unwrap_or_default(),
    })
}

struct Given<'a> {
    operation: &'a ApiOperation,
    arguments: &'a Json,
}

impl<'a> Given<'a> {
    /// The parameters of a place that have a value.
    fn at(&self, place: Place) -> impl Iterator<Item = (&'a Field, &'a Json)> {
        let fields = self.operation.parameters.iter().filter(move |field| field.place == place);
        fields.filter_map(|field| Some((field, self.value(field)?)))
    }

    /// Null is no value (RFC 6570, "undefined").
    fn value(&self, field: &Field) -> Option<&'a Json> {
        self.arguments.get(&field.argument).filter(|value| !value.is_null())
    }

    fn check_places(&self) -> Result<(), String> {
        match self.operation.parameters.iter().find(|f| matches!(f.place, Place::Other(_))) {
            None => Ok(()),
            Some(field) => Err(format!(
                "parameter {} is in {}, which is no place of OpenAPI 3.1",
                field.name,
                field.place.word()
            )),
        }
    }
}

/// The path with its expressions filled in, step by step.
fn path(given: &Given<'_>) -> Result<String, String> {
    given.check_places()?;
    let mut path = String::new();
    for step in given.operation.path.split('/').skip(1) {
        let filled = fill(given, step)?;
        // A client or a proxy would take such a step away, and another operation would be called.
        if matches!(filled.as_str(), "." | "..") || (filled.is_empty() && !step.is_empty()) {
            return Err(format!("the path's step {step} cannot be {filled:?}"));
        }
        path.push('/');
        path.push_str(&filled);
    }
    Ok(path)
}

fn fill(given: &Given<'_>, step: &str) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), step);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(&encode::literal(before));
        filled.push_str(&path_value(given, name)?);
        rest = after;
    }
    filled.push_str(&encode::literal(rest));
    Ok(filled)
}

fn path_value(given: &Given<'_>, name: &str) -> Result<String, String> {
    let found = given.at(Place::Path).find(|(field, _)| field.name == name);
    let Some((field, value)) = found else {
        return Err(format!("the path names {{{name}}}, which has no value"));
    };
    let steps = spelled(value);
    if steps.split(['/', '\\']).any(|step| step == "..") {
        // Encoded it is one step, yet servers that decode before they look for steps climb.
        return Err(format!("{}: .. has no place in a path", field.argument));
    }
    match &field.spelling {
        Spelling::Content(media) => Ok(Encoder::Strict.text(&style::document(value, media))),
        Spelling::Styled { style, explode, .. } => {
            Ok(style::in_path(name, value, (*style, *explode)).unwrap_or_default())
        }
        Spelling::Member | Spelling::Unknown(_) => Err(unspelled(field)),
    }
}

fn query(given: &Given<'_>) -> Result<String, String> {
    let mut pairs = Vec::new();
    for (field, value) in given.at(Place::Query) {
        let encoder = match field.spelling {
            Spelling::Styled { reserved: true, .. } => Encoder::Reserved,
            _ => Encoder::Strict,
        };
        pairs.extend(pairs_of(field, value, encoder)?);
    }
    Ok(joined(&pairs, "&"))
}

fn joined(pairs: &[(String, String)], between: &str) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(between)
}

/// A value as names and values of a query, of cookies or of a form.
fn pairs_of(
    field: &Field,
    value: &Json,
    encoder: Encoder,
) -> Result<Vec<(String, String)>, String> {
    match &field.spelling {
        Spelling::Styled { style, explode, .. } => {
            Ok(style::pairs(&field.name, value, (*style, *explode), encoder))
        }
        Spelling::Content(media) => {
            let text = encoder.text(&style::document(value, media));
            Ok(vec![(encoder.text(&field.name), text)])
        }
        Spelling::Member | Spelling::Unknown(_) => Err(unspelled(field)),
    }
}

fn unspelled(field: &Field) -> String {
    let said = match &field.spelling {
        Spelling::Unknown(word) => word.as_str(),
        _ => "nothing",
    };
    format!("the style of {} in {} is {said}, which is not served", field.name, field.place.word())
}

/// OpenAPI 3.1, Parameter Object: these are not a parameter's to set.
const IGNORED: [&str; 3] = ["accept", "content-type", "authorization"];

/// They say where a request ends and to whom it goes, so no document sets them.
const FRAMING: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "proxy-authorization",
    "proxy-connection",
];

fn headers(given: &Given<'_>) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for (field, value) in given.at(Place::Header) {
        let name = field.name.to_ascii_lowercase();
        if IGNORED.contains(&name.as_str()) {
            continue;
        }
        if FRAMING.contains(&name.as_str()) || name == "cookie" {
            return Err(format!("the header {} is not a parameter's to set", field.name));
        }
        let text = match &field.spelling {
            Spelling::Styled { explode, .. } => style::in_header(value, *explode),
            Spelling::Content(media) => Some(style::document(value, media)),
            Spelling::Member | Spelling::Unknown(_) => return Err(unspelled(field)),
        };
        let text = text.unwrap_or_default();
        if text.chars().any(char::is_control) {
            return Err(format!("{}: a header holds no control characters", field.argument));
        }
        headers.push((field.name.clone(), text));
    }
    let mut cookies = Vec::new();
    for (field, value) in given.at(Place::Cookie) {
        cookies.extend(pairs_of(field, value, Encoder::Strict)?);
    }
    if !cookies.is_empty() {
        headers.push(("cookie".to_owned(), joined(&cookies, "; ")));
    }
    Ok(headers)
}

/// What is declared, and anything else rather than nothing: errors often come in another type.
fn accept(answers: &[String]) -> String {
    let plain = |media: &&String| media.contains('/') && !media.chars().any(char::is_control);
    let mut accepted: Vec<&str> = answers.iter().filter(plain).map(String::as_str).collect();
    if accepted.is_empty() {
        accepted.push("application/json");
    }
    if !accepted.contains(&"*/*") {
        accepted.push("*/*;q=0.1");
    }
    accepted.join(", ")
}
