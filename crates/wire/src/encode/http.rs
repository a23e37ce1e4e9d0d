//! REST-JSON responses: members into the status, headers and the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

use crate::encode::{Encoded, Modelled, fault_members, json};
use crate::fault::Fault;
use crate::model::{Kind, Location, Member, Operation, Service, ShapeId, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Value};

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

pub(crate) fn response(
    service: &'static Service,
    operation: &'static Operation,
    value: &Value,
    encoded: &mut Encoded,
) {
    let Some(output) = operation.output else {
        return;
    };
    let empty = Map::new();
    let map = if let Value::Map(map) = value { map } else { &empty };
    let Kind::Structure(structure) = &service.shape(output).kind else { return };
    unbodied(service, structure, map, encoded);
    match structure.payload {
        Some(index) => {
            let member = &structure.members[usize::from(index)];
            payload(service, member, map.get(member.name), encoded);
        }
        None => {
            let body = json::write_structure(service, structure, map, is_body);
            encoded.body(JSON, body);
        }
    }
}

pub(crate) fn fault(
    service: Option<&'static Service>,
    modelled: Option<Modelled>,
    fault: &Fault,
    encoded: &mut Encoded,
) {
    let members = fault_members(modelled.map(|m| m.structure), fault, encoded.status);
    let body = match (service, modelled) {
        (Some(service), Some(Modelled { structure, .. })) => {
            unbodied(service, structure, &members, encoded);
            fault_body(service, structure, members)
        }
        _ => json::write_document(&Value::Map(members)),
    };
    encoded.body(JSON, body);
}

/// The modelled members; a message that the model has no member for still goes out.
fn fault_body(
    service: &'static Service,
    structure: &'static Structure,
    mut members: Map,
) -> Vec<u8> {
    let known = structure.members.iter().any(|m| m.name.eq_ignore_ascii_case("message"));
    let unmodelled = if known { None } else { members.remove("message") };
    let body = json::write_structure(service, structure, &members, is_body);
    match unmodelled {
        None => body,
        Some(message) => {
            let text = json::write_document(&message);
            let rest = body.strip_prefix(b"{").expect("a structure is an object");
            let comma: &[u8] = if rest == b"}" { b"" } else { b"," };
            [b"{\"message\":", text.as_slice(), comma, rest].concat()
        }
    }
}

fn is_body(member: &Member) -> bool {
    member.location == Location::Body
}

/// Status and headers.
fn unbodied(
    service: &'static Service,
    structure: &'static Structure,
    map: &Map,
    encoded: &mut Encoded,
) {
    for member in structure.members {
        let Some(value) = map.get(member.name).filter(|v| **v != Value::Null) else { continue };
        match (member.location, value) {
            (Location::StatusCode, Value::Integer(status @ 200..=599)) => {
                encoded.status = *status as u16;
            }
            (Location::Header, _) => header(service, member, value, encoded),
            (Location::Headers, Value::Map(entries)) => {
                for (key, value) in entries {
                    let name = format!("{}{key}", member.wire_name);
                    put(&name, &text(value, TimeFormat::HttpDate), encoded);
                }
            }
            _ => {}
        }
    }
}

fn header(
    service: &'static Service,
    member: &'static Member,
    value: &Value,
    encoded: &mut Encoded,
) {
    if member.json_value {
        let json = STANDARD.encode(json::write_document(value));
        return put(member.wire_name, &json, encoded);
    }
    let Value::List(items) = value else {
        let format = time_format(service, member, member.shape);
        return put(member.wire_name, &text(value, format), encoded);
    };
    let Kind::List { item, .. } = service.shape(member.shape).kind else { return };
    let format = time_format(service, member, item);
    let items = items.iter().map(|value| match value {
        Value::String(s) => quote(s),
        other => text(other, format),
    });
    put(member.wire_name, &items.collect::<Vec<_>>().join(", "), encoded);
}

fn time_format(service: &'static Service, member: &Member, shape: ShapeId) -> TimeFormat {
    let own = match service.shape(shape).kind {
        Kind::Timestamp(format) => format,
        _ => TimeFormat::Default,
    };
    time::or_default(member.time.unwrap_or(own), TimeFormat::HttpDate)
}

/// A name that no header can have, from a client's map key, is left out.
fn put(name: &str, value: &str, encoded: &mut Encoded) {
    if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
        encoded.header(name, value);
    }
}

/// A scalar as plain text; lists and maps have none.
pub(crate) fn text(value: &Value, format: TimeFormat) -> String {
    match value {
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Integer(i) => i.to_string(),
        Value::Double(d) if d.is_finite() => d.to_string(),
        Value::Double(d) => json::double_word(*d).to_owned(),
        Value::String(s) => s.clone(),
        Value::Blob(b) => STANDARD.encode(b),
        Value::Time(t) => time::format(*t, format),
    }
}

/// AWS: an item with a comma or a quote is quoted (Smithy, httpHeader trait).
fn quote(item: &str) -> String {
    if !item.contains([',', '"']) {
        return item.to_owned();
    }
    format!("\"{}\"", item.replace('\\', r"\\").replace('"', "\\\""))
}

fn payload(
    service: &'static Service,
    member: &'static Member,
    value: Option<&Value>,
    encoded: &mut Encoded,
) {
    let shape = service.shape(member.shape);
    if matches!(&shape.kind, Kind::Structure(s) if s.event_stream) {
        return encoded.body(EVENT_STREAM, "");
    }
    match (&shape.kind, value) {
        (_, None | Some(Value::Null)) => {}
        (Kind::Blob { .. }, Some(Value::Blob(b))) => {
            // A member bound to the content type speaks for the payload.
            let known = encoded.headers.iter().any(|(n, _)| n == http::header::CONTENT_TYPE);
            if known {
                encoded.body = b.clone();
            } else {
                encoded.body("application/octet-stream", b.clone());
            }
        }
        (Kind::String { .. }, Some(Value::String(s))) => {
            encoded.body("text/plain", s.clone().into_bytes());
        }
        (_, Some(value)) => encoded.body(JSON, json::write(service, shape, value)),
    }
}
