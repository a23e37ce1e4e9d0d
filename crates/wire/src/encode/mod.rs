//! A [`Value`] or a [`Fault`] becomes a response's status, headers and body, by table.
//!
//! Nothing is checked here: a handler's value comes from generated types. What the model does not
//! know is left out, and nothing on this way can fail.

mod http;
mod json;
mod xml;

use ::http::{HeaderName, HeaderValue};
use bytes::Bytes;

use crate::fault::Fault;
use crate::model::{ErrorInfo, Kind, Operation, Protocol, Service, Shape, ShapeId, Structure};
use crate::value::{Map, Value};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// A response before it meets HTTP. Of a streaming operation it is the head only: the body is
/// empty and its content type says event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub status: u16,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Encoded {
    fn new(status: u16, request_id: &str) -> Self {
        let mut encoded = Encoded { status, headers: Vec::with_capacity(4), body: Bytes::new() };
        encoded.header(REQUEST_ID, request_id);
        encoded
    }

    /// Leaves out what no header can carry, such as a line feed.
    fn header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.push((name, value));
        }
    }

    fn body(&mut self, content_type: &'static str, body: impl Into<Bytes>) {
        let value = HeaderValue::from_static(content_type);
        self.headers.push((::http::header::CONTENT_TYPE, value));
        self.body = body.into();
    }
}

/// An operation's answer.
#[expect(clippy::needless_pass_by_value, reason = "the answer ends here; blobs are not copied")]
pub fn response(
    service: &'static Service,
    operation: &'static Operation,
    value: Value,
    request_id: &str,
) -> Encoded {
    let mut encoded = Encoded::new(operation.status, request_id);
    match service.protocol {
        Protocol::RestJson => http::response(service, operation, &value, &mut encoded),
        Protocol::Query => {
            let body = xml::response(service, operation, &value, request_id);
            encoded.body("text/xml", body);
        }
    }
    encoded
}

/// An exception. Without service or operation, before routing is done, it has the REST-JSON form.
pub fn fault(
    service: Option<&'static Service>,
    operation: Option<&'static Operation>,
    fault: &Fault,
    request_id: &str,
) -> Encoded {
    let modelled = service.and_then(|service| modelled(service, operation?, fault.code()));
    let status = modelled.map(|m| m.info.status).filter(|status| *status != 0);
    let mut encoded = Encoded::new(status.unwrap_or(fault.status()), request_id);
    match service {
        Some(service) if service.protocol == Protocol::Query => {
            let body = xml::fault(service, modelled, fault, encoded.status, request_id);
            encoded.body("text/xml", body);
        }
        _ => {
            let code = modelled.map_or(fault.code(), |m| m.info.code);
            encoded.header(ERROR_TYPE, code);
            http::fault(service, modelled, fault, &mut encoded);
        }
    }
    encoded
}

/// An exception as the model has it.
#[derive(Clone, Copy)]
struct Modelled {
    structure: &'static Structure,
    info: &'static ErrorInfo,
}

fn modelled(
    service: &'static Service,
    operation: &'static Operation,
    code: &str,
) -> Option<Modelled> {
    operation.errors.iter().find_map(|id| error_shape(service.shape(*id), code))
}

fn error_shape(shape: &'static Shape, code: &str) -> Option<Modelled> {
    let Kind::Structure(structure) = &shape.kind else { return None };
    let info = structure.error.as_ref()?;
    (shape.name == code || info.code == code).then_some(Modelled { structure, info })
}

/// An exception's members with its message under the name the model gives it.
pub(crate) fn fault_members(
    structure: Option<&'static Structure>,
    fault: &Fault,
    status: u16,
) -> Map {
    let mut members = fault.members().clone();
    let named = |word: &str| {
        let members = structure.into_iter().flat_map(|s| s.members);
        members.map(|m| m.name).find(|name| name.eq_ignore_ascii_case(word))
    };
    if !fault.message().is_empty() {
        // AWS: `message` where the model is silent; botocore reads either spelling.
        let name = named("message").unwrap_or("message");
        members.insert(name.to_owned(), Value::String(fault.message().to_owned()));
    }
    // AWS: Lambda says whose error it is in a member of its own (Lambda API reference, errors).
    if let Some(name) = named("type").filter(|name| !fault.members().contains_key(*name)) {
        let whose = if status < 500 { "User" } else { "Service" };
        members.insert(name.to_owned(), Value::String(whose.to_owned()));
    }
    members
}

/// JSON text of a value, for what carries AWS JSON outside of a response's body.
pub fn json_text(service: &'static Service, shape: ShapeId, value: &Value) -> Vec<u8> {
    json::write(service, service.shape(shape), value)
}

/// JSON text of those members of a structure that `keep` takes.
pub(crate) fn structure_json(
    service: &'static Service,
    structure: &'static Structure,
    map: &Map,
    keep: fn(&crate::model::Member) -> bool,
) -> Vec<u8> {
    json::write_structure(service, structure, map, keep)
}

#[cfg(test)]
mod tests;
