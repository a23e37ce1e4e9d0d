//! `application/vnd.amazon.eventstream`: events, exceptions and keep-alives as frames, and back.
//!
//! A stream's shape is a union: the member's name is the event's type. Lengths and checksums are
//! the business of `aws-smithy-eventstream`; nothing here buffers more than one frame.

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::DateTime;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Bytes, BytesMut};

use crate::decode;
use crate::encode;
use crate::fault::Fault;
use crate::limits;
use crate::model::{EventPart, Kind, Member, Service, ShapeId, Structure};
use crate::value::{Map, Timestamp, Value};

/// botocore parses an event of a type that the stream does not have into an empty structure, which
/// its iterator leaves out: the client sees nothing (botocore's EventStream, 1.43).
const KEEP_ALIVE: &str = "craton-keep-alive";

/// One event. `event` is a map of one entry: the union member's name and its structure. Anything
/// else is our own mistake, which the client reads as an internal error.
pub fn frame_event(service: &'static Service, stream: ShapeId, event: &Value) -> Bytes {
    match event_message(service, stream, event).and_then(|message| write(&message)) {
        Ok(frame) => frame,
        Err(why) => frame_fault(service, stream, &Fault::internal(why)),
    }
}

/// An exception, which ends the stream: one of the stream's own, or an unmodelled error.
pub fn frame_fault(service: &'static Service, stream: ShapeId, fault: &Fault) -> Bytes {
    let modelled = structure(service, stream).and_then(|s| exception(service, s, fault.code()));
    let message = match modelled {
        Some((member, shape)) => exception_message(service, member, shape, fault),
        None => error_message(fault.code(), fault.message()),
    };
    write(&message).unwrap_or_else(|_| {
        let plain = error_message("InternalServerException", "the error cannot be written");
        write(&plain).expect("two short headers fit every frame")
    })
}

/// Tells a waiting client that the answer is still coming, without saying anything.
pub fn frame_keepalive() -> Bytes {
    let message = Message::new_from_parts(
        vec![text(":message-type", "event"), text(":event-type", KEEP_ALIVE), json_type()],
        Bytes::from_static(b"{}"),
    );
    write(&message).expect("three short headers fit every frame")
}

fn structure(service: &'static Service, shape: ShapeId) -> Option<&'static Structure> {
    match &service.shape(shape).kind {
        Kind::Structure(structure) => Some(structure),
        _ => None,
    }
}

fn text(name: &'static str, value: &str) -> Header {
    Header::new(name, HeaderValue::String(value.to_owned().into()))
}

fn json_type() -> Header {
    text(":content-type", "application/json")
}

fn write(message: &Message) -> Result<Bytes, String> {
    let mut frame = BytesMut::with_capacity(message.payload().len() + 256);
    write_message_to(message, &mut frame).map_err(|e| e.to_string())?;
    Ok(frame.freeze())
}

fn event_message(
    service: &'static Service,
    stream: ShapeId,
    event: &Value,
) -> Result<Message, String> {
    let Value::Map(event) = event else { return Err("an event that is no map".into()) };
    let (Some((name, value)), 1) = (event.first_key_value(), event.len()) else {
        return Err(format!("an event of {} types", event.len()));
    };
    let union = structure(service, stream).ok_or("the stream's shape is no structure")?;
    let member = union.members.iter().find(|m| m.name == name);
    let member = member.ok_or_else(|| format!("the stream has no event {name}"))?;
    let shape = structure(service, member.shape);
    let shape = shape.ok_or_else(|| format!("the event {name} is no structure"))?;
    let Value::Map(members) = value else { return Err(format!("the event {name} is no map")) };

    let mut headers = vec![text(":message-type", "event"), text(":event-type", member.wire_name)];
    headers.extend(own_headers(shape, members));
    let (content_type, payload) = payload(service, shape, members);
    headers.extend(content_type.map(|content_type| text(":content-type", content_type)));
    Ok(Message::new_from_parts(headers, payload))
}

/// The members that travel as headers of the frame.
fn own_headers(shape: &'static Structure, members: &Map) -> Vec<Header> {
    let bound = shape.members.iter().filter(|m| m.event == EventPart::Header);
    let set = bound.filter_map(|m| Some((m.wire_name, header_value(members.get(m.name)?)?)));
    set.map(|(name, value)| Header::new(name, value)).collect()
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    Some(match value {
        Value::Bool(b) => HeaderValue::Bool(*b),
        Value::Integer(i) => match i32::try_from(*i) {
            Ok(i) => HeaderValue::Int32(i),
            Err(_) => HeaderValue::Int64(*i),
        },
        Value::String(s) => HeaderValue::String(s.clone().into()),
        Value::Blob(b) => HeaderValue::ByteArray(b.clone()),
        Value::Time(t) => HeaderValue::Timestamp(DateTime::from_millis(t.0)),
        Value::Null | Value::Double(_) | Value::List(_) | Value::Map(_) => return None,
    })
}

/// The body with its type: the payload member alone, or JSON of all members that are no headers.
fn payload(
    service: &'static Service,
    shape: &'static Structure,
    members: &Map,
) -> (Option<&'static str>, Bytes) {
    let Some(member) = shape.members.iter().find(|m| m.event == EventPart::Payload) else {
        let unbound = |m: &Member| m.event != EventPart::Header;
        let json = encode::structure_json(service, shape, members, unbound);
        return (Some("application/json"), json.into());
    };
    match members.get(member.name) {
        None | Some(Value::Null) => (None, Bytes::new()),
        Some(Value::Blob(b)) => (Some("application/octet-stream"), b.clone()),
        Some(Value::String(s)) => (Some("text/plain"), s.clone().into()),
        Some(value) => {
            let json = encode::json_text(service, member.shape, value);
            (Some("application/json"), json.into())
        }
    }
}

/// The stream's own member for an exception, by the name of the member, its shape or its code.
fn exception(
    service: &'static Service,
    stream: &'static Structure,
    code: &str,
) -> Option<(&'static Member, &'static Structure)> {
    stream.members.iter().find_map(|member| {
        let shape = structure(service, member.shape)?;
        let info = shape.error.as_ref()?;
        let named = service.shape(member.shape).name == code || info.code == code;
        (named || member.name == code).then_some((member, shape))
    })
}

fn exception_message(
    service: &'static Service,
    member: &'static Member,
    shape: &'static Structure,
    fault: &Fault,
) -> Message {
    let members = encode::fault_members(Some(shape), fault, fault.status());
    let body = encode::structure_json(service, shape, &members, |_| true);
    let headers = vec![
        text(":message-type", "exception"),
        text(":exception-type", member.wire_name),
        json_type(),
    ];
    Message::new_from_parts(headers, Bytes::from(body))
}

fn error_message(code: &str, message: &str) -> Message {
    let message = &message[..message.floor_char_boundary(limits::SHOWN_VALUE)];
    let headers = vec![
        text(":message-type", "error"),
        text(":error-code", code),
        text(":error-message", message),
    ];
    Message::new_from_parts(headers, Bytes::new())
}

/// Bytes that are no frame; the stream cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes; at most {max} are taken", max = limits::FRAME)]
    TooLong(usize),
    #[error("a bad frame: {0}")]
    Bad(String),
    #[error("the stream ends inside of a frame")]
    Truncated,
}

impl FrameError {
    /// AWS: a stream that cannot be read is the client's ValidationException.
    pub fn into_fault(self) -> Fault {
        Fault::validation(self.to_string())
    }
}

/// Cuts what a client sends into frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    pending: BytesMut,
}

/// A frame as it came: string headers by name, and the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame(Message);

impl FrameReader {
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one. Refuses an over-long one from its first four bytes.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.pending.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > limits::FRAME {
            return Err(FrameError::TooLong(length));
        }
        if length < 16 {
            return Err(FrameError::Bad(format!("a length of {length}")));
        }
        if self.pending.len() < length {
            return Ok(None);
        }
        let frame = self.pending.split_to(length).freeze();
        let message = read_message_from(frame).map_err(|e| FrameError::Bad(e.to_string()))?;
        Ok(Some(Frame(message)))
    }

    /// To be called when the client has no more to send.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.pending.is_empty() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

impl Frame {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.0.headers().iter().find(|h| h.name().as_str() == name)?;
        found.value().as_string().ok().map(aws_smithy_types::str_bytes::StrBytes::as_str)
    }

    pub fn payload(&self) -> &Bytes {
        self.0.payload()
    }

    /// The event as a map of one entry, or `None` for a type that the stream does not have.
    pub fn event(
        &self,
        service: &'static Service,
        stream: ShapeId,
    ) -> Result<Option<Value>, Fault> {
        let Some(name) = self.header(":event-type") else {
            return Err(FrameError::Bad("no :event-type".into()).into_fault());
        };
        let members = structure(service, stream).map_or(&[][..], |s| s.members);
        let Some(member) = members.iter().find(|m| m.wire_name == name) else { return Ok(None) };
        let Some(shape) = structure(service, member.shape) else { return Ok(None) };
        let value = Value::Map(self.members(service, member.shape, shape)?);
        Ok(Some(Value::Map(Map::from([(member.name.to_owned(), value)]))))
    }

    fn members(
        &self,
        service: &'static Service,
        id: ShapeId,
        shape: &'static Structure,
    ) -> Result<Map, Fault> {
        let payload = shape.members.iter().find(|m| m.event == EventPart::Payload);
        let mut map = match payload {
            None if self.payload().is_empty() => Map::new(),
            None => match decode::json_text(service, id, self.payload())? {
                Value::Map(map) => map,
                _ => Map::new(),
            },
            Some(member) => {
                let value = self.payload_of(service, member)?;
                Map::from([(member.name.to_owned(), value)])
            }
        };
        for member in shape.members.iter().filter(|m| m.event == EventPart::Header) {
            let header = self.0.headers().iter().find(|h| h.name().as_str() == member.wire_name);
            if let Some(value) = header.and_then(|h| from_header(h.value())) {
                map.insert(member.name.to_owned(), value);
            }
        }
        Ok(map)
    }

    fn payload_of(&self, service: &'static Service, member: &Member) -> Result<Value, Fault> {
        match &service.shape(member.shape).kind {
            Kind::Blob { .. } => Ok(Value::Blob(self.payload().clone())),
            Kind::String { .. } => match std::str::from_utf8(self.payload()) {
                Ok(text) => Ok(Value::String(text.to_owned())),
                Err(_) => Err(FrameError::Bad("text that is not UTF-8".into()).into_fault()),
            },
            _ => decode::json_text(service, member.shape, self.payload()),
        }
    }
}

fn from_header(value: &HeaderValue) -> Option<Value> {
    Some(match value {
        HeaderValue::Bool(b) => Value::Bool(*b),
        HeaderValue::Byte(i) => Value::Integer((*i).into()),
        HeaderValue::Int16(i) => Value::Integer((*i).into()),
        HeaderValue::Int32(i) => Value::Integer((*i).into()),
        HeaderValue::Int64(i) => Value::Integer(*i),
        HeaderValue::ByteArray(b) => Value::Blob(b.clone()),
        HeaderValue::String(s) => Value::String(s.as_str().to_owned()),
        HeaderValue::Timestamp(t) => Value::Time(Timestamp(t.to_millis().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
