//! The body of a request: JSON, a form, parts, or a text as it is.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::super::event::{spelled, undeclared};
use super::super::key::hex;
use super::super::openapi::FORM;
use super::super::{Body, Field, Spelling};
use super::style::is_json;
use super::{Encoder, Given, joined, pairs_of, style};

/// Content type and bytes, `None` where nothing is to be sent.
pub(super) fn body(given: &Given<'_>) -> Result<Option<(String, Vec<u8>)>, String> {
    let Some(body) = &given.operation.body else { return Ok(None) };
    let members = members(given, body);
    if members.is_empty() && (body.whole || !body.needed) {
        return Ok(None);
    }
    let media = body.media.as_str();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if is_json(media) || essence.contains('*') {
        let media = if essence.contains('*') { "application/json" } else { media };
        return Ok(Some((media.to_owned(), json(body, &members))));
    }
    if body.whole {
        return as_it_is(media, members[0].1).map(Some);
    }
    match essence {
        FORM => Ok(Some((FORM.to_owned(), form(&members)?))),
        "multipart/form-data" => parts(&members).map(Some),
        _ => Err(format!("an object cannot be sent as {media}; describe the body as JSON")),
    }
}

type Member<'a> = (std::borrow::Cow<'a, Field>, &'a Json);

/// What is given of the body, the undeclared members of an open one included.
fn members<'a>(given: &Given<'a>, body: &'a Body) -> Vec<Member<'a>> {
    use std::borrow::Cow;
    let declared = body.fields.iter();
    // A member of a JSON body may be null, in a form that is no value.
    let value = |field: &Field| match field.spelling {
        Spelling::Member => given.arguments.get(&field.argument),
        _ => given.value(field),
    };
    let mut members: Vec<Member<'a>> =
        declared.filter_map(|field| Some((Cow::Borrowed(field), value(field)?))).collect();
    if body.open {
        let rest = undeclared(given.operation, given.arguments);
        members.extend(rest.map(|(name, value)| (Cow::Owned(added(body, name, value)), value)));
    }
    members
}

/// A member that the schema only allows: it goes as a declared one of its type would.
fn added(body: &Body, name: &str, value: &Json) -> Field {
    let spelling = match value {
        _ if is_json(&body.media) => Spelling::Member,
        Json::Object(_) => Spelling::Content("application/json".to_owned()),
        _ => Spelling::Content("text/plain".to_owned()),
    };
    Field {
        name: name.to_owned(),
        argument: name.to_owned(),
        kind: String::new(),
        place: super::Place::Body,
        spelling,
    }
}

fn json(body: &Body, members: &[Member<'_>]) -> Vec<u8> {
    let text = if body.whole {
        members[0].1.to_string()
    } else {
        let object: Map<String, Json> =
            members.iter().map(|(field, value)| (field.name.clone(), (*value).clone())).collect();
        Json::Object(object).to_string()
    };
    text.into_bytes()
}

/// A text, or a number that is one.
fn as_it_is(media: &str, value: &Json) -> Result<(String, Vec<u8>), String> {
    match value {
        Json::Object(_) | Json::Array(_) => {
            Err(format!("a list or an object cannot be sent as {media}; describe the body as JSON"))
        }
        plain => Ok((media.to_owned(), spelled(plain).into_bytes())),
    }
}

fn form(members: &[Member<'_>]) -> Result<Vec<u8>, String> {
    let mut pairs = Vec::new();
    for (field, value) in members {
        for item in items(field, value) {
            pairs.extend(pairs_of(field, item, Encoder::Form)?);
        }
    }
    Ok(joined(&pairs, "&").into_bytes())
}

/// Each item of a list is a field by itself, unless a style says otherwise.
fn items<'a>(field: &Field, value: &'a Json) -> Vec<&'a Json> {
    match (&field.spelling, value) {
        (Spelling::Content(_), Json::Array(items)) => items.iter().collect(),
        _ => vec![value],
    }
}

/// RFC 7578. The boundary follows from what it separates, so it cannot stand in it.
fn parts(members: &[Member<'_>]) -> Result<(String, Vec<u8>), String> {
    let mut parts: Vec<String> = Vec::new();
    for (field, value) in members {
        for item in items(field, value) {
            let media = match &field.spelling {
                Spelling::Content(media) => media.as_str(),
                _ => "text/plain",
            };
            for (name, text) in pairs_of(field, item, Encoder::Raw)? {
                parts.push(part(&name, media, &text)?);
            }
        }
    }
    let boundary = format!("craton-{}", &hex(&Sha256::digest(parts.concat().as_bytes()))[..40]);
    let mut body = String::new();
    for part in parts {
        body.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    Ok((format!("multipart/form-data; boundary={boundary}"), body.into_bytes()))
}

/// A part without its boundary. What is no text and no JSON is a file to the servers that read it.
fn part(name: &str, media: &str, text: &str) -> Result<String, String> {
    if media.chars().any(char::is_control) {
        return Err(format!("the content type of {name} is {media:?}"));
    }
    // WHATWG, multipart/form-data encoding: these alone are escaped in a name.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut head = format!("Content-Disposition: form-data; name=\"{name}\"");
    let is_text = style::is_json(media) || media.starts_with("text/");
    if !is_text {
        head.push_str(&format!("; filename=\"{name}\""));
    }
    if media != "text/plain" {
        head.push_str(&format!("\r\nContent-Type: {media}"));
    }
    Ok(format!("{head}\r\n\r\n{text}"))
}
