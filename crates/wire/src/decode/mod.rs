//! A request's bytes become a [`Value`] by table, and the value is validated.
//!
//! The router has found the operation and its path labels; what is decoded here is whole and true
//! to the model, so that a handler never sees a wrong type. Text that cannot be decoded is AWS's
//! exception, never a panic and never an absent member.

mod form;
mod http;
mod json;
mod text;

use std::collections::BTreeMap;

use ::http::HeaderMap;
use bytes::Bytes;

use crate::fault::Fault;
use crate::model::{Operation, Protocol, Service, ShapeId};
use crate::validate;
use crate::value::{Map, Value};

/// What the front has of a request once it is routed.
#[derive(Debug)]
pub struct RequestParts<'a> {
    /// Percent-decoded, by label name.
    pub path_labels: BTreeMap<String, String>,
    /// As received, without the question mark.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a Bytes,
}

/// Decodes and validates. An operation without input answers an empty structure.
pub fn request(
    service: &'static Service,
    operation: &'static Operation,
    parts: &RequestParts<'_>,
) -> Result<Value, Fault> {
    let value = decode(service, operation, parts)?;
    if let Some(input) = operation.input {
        validate::check(service, input, &value)?;
    }
    Ok(value)
}

/// Decodes only: for tools that read requests which break their model on purpose.
pub fn decode(
    service: &'static Service,
    operation: &'static Operation,
    parts: &RequestParts<'_>,
) -> Result<Value, Fault> {
    let Some(input) = operation.input else { return Ok(Value::Map(Map::new())) };
    let decoded = match service.protocol {
        Protocol::RestJson => http::request(service, input, parts),
        Protocol::Query => form::request(service, input, parts),
    };
    decoded.map_err(|malformed| malformed.into_fault(service.protocol))
}

/// Reads JSON text as a shape, for what carries AWS JSON outside of a request's body.
pub fn json_text(service: &'static Service, shape: ShapeId, text: &[u8]) -> Result<Value, Fault> {
    json::read(service, shape, text).map_err(|malformed| malformed.into_fault(service.protocol))
}

/// Why bytes are not what the model says; the text never repeats a value, which may be secret.
#[derive(Debug)]
pub(crate) struct Malformed(String);

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Malformed(message.into())
    }

    fn into_fault(self, protocol: Protocol) -> Fault {
        // AWS: REST-JSON services answer SerializationException, query services MalformedInput,
        // both 400 (observed of Lambda, Bedrock and CloudWatch; see their SDKs' issue threads).
        match protocol {
            Protocol::RestJson => Fault::new("SerializationException", 400, self.0),
            Protocol::Query => Fault::new("MalformedInput", 400, self.0),
        }
    }
}

#[cfg(test)]
mod tests;
