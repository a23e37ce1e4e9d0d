//! REST-JSON requests: members from labels, the query string, headers and the body.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::decode::{Malformed, RequestParts, json, text};
use crate::limits;
use crate::model::{Kind, Location, Member, Service, ShapeId, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Value};

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

pub(crate) fn request(
    service: &'static Service,
    input: ShapeId,
    parts: &RequestParts<'_>,
) -> Result<Value, Malformed> {
    let Kind::Structure(structure) = &service.shape(input).kind else {
        return Err(Malformed::new("the operation's input is not a structure"));
    };
    let mut map = body(service, input, structure, parts)?;
    let query = pairs(parts.query)?;
    for (index, member) in structure.members.iter().enumerate() {
        if structure.payload == Some(index as u16) {
            continue;
        }
        if let Some(value) = unbodied(service, member, &query, parts)? {
            map.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Map(map))
}

/// The members that travel in the body.
fn body(
    service: &'static Service,
    input: ShapeId,
    structure: &'static Structure,
    parts: &RequestParts<'_>,
) -> Result<Map, Malformed> {
    if let Some(index) = structure.payload {
        let member = &structure.members[usize::from(index)];
        let value = payload(service, member, parts)?;
        return Ok(value.map(|v| (member.name.to_owned(), v)).into_iter().collect());
    }
    let bodied = structure.members.iter().any(|m| m.location == Location::Body);
    if !bodied {
        return Ok(Map::new());
    }
    if parts.body.is_empty() {
        // Every AWS SDK sends `{}` when such an operation has nothing to say.
        return Err(Malformed::new("the request has no body; send at least {}"));
    }
    match json::read_body(service, input, parts.body)? {
        Value::Map(map) => Ok(map),
        _ => Err(Malformed::new("the body is null where a structure was expected")),
    }
}

/// The one member that is the whole body; an empty body is an absent member.
fn payload(
    service: &'static Service,
    member: &'static Member,
    parts: &RequestParts<'_>,
) -> Result<Option<Value>, Malformed> {
    if parts.body.is_empty() {
        return Ok(None);
    }
    let value = match &service.shape(member.shape).kind {
        Kind::Blob { .. } => Value::Blob(parts.body.clone()),
        Kind::String { .. } => Value::String(utf8(parts.body)?),
        Kind::Structure(s) if s.event_stream => Value::Blob(parts.body.clone()),
        _ => json::read(service, member.shape, parts.body)?,
    };
    Ok(Some(value).filter(|v| *v != Value::Null))
}

fn utf8(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::new("the body is not UTF-8"))
}

fn unbodied(
    service: &'static Service,
    member: &'static Member,
    query: &Pairs<'_>,
    parts: &RequestParts<'_>,
) -> Result<Option<Value>, Malformed> {
    match member.location {
        Location::Body | Location::StatusCode => Ok(None),
        Location::Label | Location::GreedyLabel => label(service, member, parts),
        Location::Query => from_query(service, member, query),
        Location::QueryMap => query_map(service, member, query),
        Location::Header => from_header(service, member, parts.headers),
        Location::Headers => prefixed(member, parts.headers),
    }
}

fn label(
    service: &'static Service,
    member: &'static Member,
    parts: &RequestParts<'_>,
) -> Result<Option<Value>, Malformed> {
    let Some(text) = parts.path_labels.get(member.wire_name) else { return Ok(None) };
    let format = time_format(service, member, member.shape, TimeFormat::Iso8601);
    text::scalar(service.shape(member.shape), format, text).map(Some)
}

fn time_format(
    service: &'static Service,
    member: &Member,
    shape: ShapeId,
    default: TimeFormat,
) -> TimeFormat {
    let own = match service.shape(shape).kind {
        Kind::Timestamp(format) => format,
        _ => TimeFormat::Default,
    };
    time::or_default(member.time.unwrap_or(own), default)
}

/// Splits and decodes a raw query string.
pub(crate) fn pairs(raw: &str) -> Result<Pairs<'_>, Malformed> {
    let parts = raw.split('&').filter(|part| !part.is_empty());
    let mut pairs = Vec::new();
    for part in parts {
        if pairs.len() == limits::FORM_PARAMETERS {
            return Err(Malformed::new(format!("more than {} parameters", pairs.len())));
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        pairs.push((unescape(name)?, unescape(value)?));
    }
    Ok(pairs)
}

/// Percent-decoding, with `+` as a space (as forms and most clients' queries have it).
fn unescape(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Malformed::new("a parameter is not UTF-8"))?;
    Ok(Cow::Owned(decoded.into_owned()))
}

fn from_query(
    service: &'static Service,
    member: &'static Member,
    query: &Pairs<'_>,
) -> Result<Option<Value>, Malformed> {
    let mut found = query.iter().filter(|(name, _)| name == member.wire_name).map(|(_, v)| v);
    let read = |shape: ShapeId, text: &str| {
        let format = time_format(service, member, shape, TimeFormat::Iso8601);
        text::scalar(service.shape(shape), format, text)
    };
    if let Kind::List { item, .. } = service.shape(member.shape).kind {
        let items = found.map(|text| read(item, text)).collect::<Result<Vec<_>, _>>()?;
        return Ok((!items.is_empty()).then_some(Value::List(items)));
    }
    let Some(text) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Malformed::new(format!("the parameter {} stands twice", member.wire_name)));
    }
    read(member.shape, text).map(Some)
}

/// All parameters, also those bound to members of their own.
/// AWS: a server's map holds them all (Smithy, httpQueryParams trait).
fn query_map(
    service: &'static Service,
    member: &'static Member,
    query: &Pairs<'_>,
) -> Result<Option<Value>, Malformed> {
    let Kind::Map { value, .. } = service.shape(member.shape).kind else { return Ok(None) };
    let listed = matches!(service.shape(value).kind, Kind::List { .. });
    let mut map = Map::new();
    for (name, text) in query {
        let text = Value::String(text.to_string());
        match map.get_mut(name.as_ref()) {
            Some(Value::List(items)) => items.push(text),
            Some(_) => {}
            None => {
                let first = if listed { Value::List(vec![text]) } else { text };
                map.insert(name.to_string(), first);
            }
        }
    }
    Ok((!map.is_empty()).then_some(Value::Map(map)))
}

fn from_header(
    service: &'static Service,
    member: &'static Member,
    headers: &HeaderMap,
) -> Result<Option<Value>, Malformed> {
    let Some(text) = header_text(headers, member.wire_name)? else { return Ok(None) };
    if member.json_value {
        let json = STANDARD.decode(text.as_bytes()).map_err(|_| not_base64(member.wire_name))?;
        return json::read_document(&json).map(Some);
    }
    let shape = service.shape(member.shape);
    let Kind::List { item, .. } = shape.kind else {
        let format = time_format(service, member, member.shape, TimeFormat::HttpDate);
        return text::scalar(shape, format, &text).map(Some);
    };
    let format = time_format(service, member, item, TimeFormat::HttpDate);
    let item = service.shape(item);
    let dates = matches!(item.kind, Kind::Timestamp(_)) && format == TimeFormat::HttpDate;
    let items = split_list(&text, dates)?;
    let items = items.iter().map(|t| text::scalar(item, format, t)).collect::<Result<_, _>>()?;
    Ok(Some(Value::List(items)))
}

fn not_base64(header: &str) -> Malformed {
    Malformed::new(format!("the header {header} is not base64"))
}

/// All lines of one header, joined as HTTP allows.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<Cow<'a, str>>, Malformed> {
    let mut joined: Option<Cow<'a, str>> = None;
    for line in headers.get_all(name) {
        let line = std::str::from_utf8(line.as_bytes())
            .map_err(|_| Malformed::new(format!("the header {name} is not UTF-8")))?;
        joined = Some(match joined {
            None => Cow::Borrowed(line),
            Some(before) => Cow::Owned(format!("{before},{line}")),
        });
    }
    Ok(joined)
}

/// Items between commas; quoted items may hold commas, and HTTP dates always hold one.
fn split_list(text: &str, dates: bool) -> Result<Vec<String>, Malformed> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut items, mut item) = (Vec::new(), String::new());
    let (mut quoted, mut was_quoted, mut comma) = (false, false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => item.extend(chars.next()),
            '"' if quoted => quoted = false,
            '"' if item.trim().is_empty() => {
                item.clear();
                (quoted, was_quoted) = (true, true);
            }
            ',' if !quoted && (!dates || comma) => {
                push(&mut items, &mut item, std::mem::take(&mut was_quoted));
                comma = false;
            }
            ',' if !quoted => {
                comma = true;
                item.push(c);
            }
            // What follows a closing quote is white space up to the next comma.
            _ if was_quoted && !quoted => {}
            _ => item.push(c),
        }
    }
    if quoted {
        return Err(Malformed::new("a header's quote is not closed"));
    }
    push(&mut items, &mut item, was_quoted);
    Ok(items)
}

fn push(items: &mut Vec<String>, item: &mut String, quoted: bool) {
    let item = std::mem::take(item);
    items.push(if quoted { item } else { item.trim().to_owned() });
}

/// The headers that begin with a prefix, as a map; their names come in lower case.
fn prefixed(member: &'static Member, headers: &HeaderMap) -> Result<Option<Value>, Malformed> {
    let prefix = member.wire_name.to_ascii_lowercase();
    let mut map = Map::new();
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix(&prefix).filter(|key| !key.is_empty()) else {
            continue;
        };
        let text = header_text(headers, name.as_str())?.unwrap_or_default();
        map.insert(key.to_owned(), Value::String(text.into_owned()));
    }
    Ok((!map.is_empty()).then_some(Value::Map(map)))
}
