//! How a stream is cut into payloads: server-sent events, or AWS's frames.
//!
//! A frame's payload goes on under the name of its event, `{"contentBlockDelta": {…}}`, so that a
//! protocol reads JSON either way; an exception is the provider's own error.

use http::{HeaderMap, header};
use serde_json::{Value as Json, json};
use wire::eventstream::{Frame, FrameError, FrameReader};

use super::error::Fault;
use super::sse::Events;

pub(crate) enum Framing {
    Sse(Events),
    Frames(FrameReader),
}

impl Default for Framing {
    fn default() -> Self {
        Framing::Sse(Events::default())
    }
}

impl Framing {
    /// `None` for an answer in one piece: a server may choose either, whatever it was asked.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Framing> {
        let kind = headers.get(header::CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
        if kind.starts_with(b"text/event-stream") {
            return Some(Framing::default());
        }
        let frames = kind.starts_with(b"application/vnd.amazon.eventstream");
        frames.then(|| Framing::Frames(FrameReader::default()))
    }

    /// Takes the next bytes; `each` sees the payload of every event they complete.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Framing::Sse(events) => events.feed(bytes, each),
            Framing::Frames(reader) => {
                reader.push(bytes);
                while let Some(frame) = reader.next_frame().map_err(unreadable)? {
                    each(&payload(&frame)?)?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn end(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Framing::Sse(events) => events.end(each),
            Framing::Frames(reader) => reader.finish().map_err(unreadable),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn unreadable(error: FrameError) -> Fault {
    Fault::Malformed(error.to_string())
}

fn payload(frame: &Frame) -> Result<Vec<u8>, Fault> {
    let header = |name| frame.header(name).unwrap_or_default();
    match header(":message-type") {
        "exception" => Err(exception(header(":exception-type"), frame.payload())),
        "error" => Err(Fault::Provider(json!({
            "__type": header(":error-code"), "message": header(":error-message"),
        }))),
        _ => Ok(named(header(":event-type"), frame.payload())),
    }
}

fn exception(kind: &str, payload: &[u8]) -> Fault {
    let mut error: Json = serde_json::from_slice(payload).unwrap_or_default();
    if !error.is_object() {
        error = json!({ "message": String::from_utf8_lossy(payload) });
    }
    error["__type"] = json!(kind);
    Fault::Provider(error)
}

/// What a broken payload is, its reader says.
fn named(event: &str, payload: &[u8]) -> Vec<u8> {
    let name = Json::String(event.to_owned()).to_string();
    let payload = if payload.is_empty() { b"{}" } else { payload };
    [b"{", name.as_bytes(), b":", payload, b"}"].concat()
}
