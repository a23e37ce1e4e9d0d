//! The answer of a streaming operation, as the verbs read it: one event of the stream at a time.
//!
//! Frames are the business of `wire::eventstream`. It knows no operation: an event is its type's
//! name and JSON, and an exception of the stream is an error.

use std::time::Duration;

use serde_json::Value as Json;
use wire::eventstream::{Frame, FrameError, FrameReader};

/// Why a streaming operation gave no more events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server said no, before the stream or inside it.
    #[error("{message} ({code})")]
    Refused {
        code: String,
        message: String,
        /// When it wants to be asked again, if it says so.
        retry_after: Option<Duration>,
    },
    /// The answer did not come, or not to its end: nobody knows what became of the request.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// As the last word of a verb: an answer that broke off has its number already.
    pub(crate) fn coded(&self) -> String {
        match self {
            Failure::Refused { .. } => format!("{self} (CR0021)"),
            Failure::Broken(why) => why.clone(),
        }
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Failure::Broken(format!("the answer cannot be read: {error} (CR0020)"))
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) body: Json,
}

/// A stream that has begun.
pub(crate) struct Events {
    body: net::Body,
    frames: FrameReader,
}

impl Events {
    pub(crate) fn new(body: net::Body) -> Self {
        Events { body, frames: FrameReader::default() }
    }

    /// The next event, `None` at the stream's end.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(frame) = self.frames.next_frame()? {
                return read(&frame).map(Some);
            }
            match self.body.chunk().await {
                Ok(Some(bytes)) => self.frames.push(&bytes),
                Ok(None) => return Ok(self.frames.finish().map(|()| None)?),
                Err(error) => {
                    return Err(Failure::Broken(format!("the answer broke off: {error} (CR0019)")));
                }
            }
        }
    }
}

fn read(frame: &Frame) -> Result<Event, Failure> {
    let header = |name| frame.header(name).unwrap_or_default().to_owned();
    let body: Json = serde_json::from_slice(frame.payload()).unwrap_or(Json::Null);
    match frame.header(":message-type") {
        Some("event") => Ok(Event { kind: header(":event-type"), body }),
        Some("exception") => {
            let message = body["message"].as_str().unwrap_or("no reason given").to_owned();
            let code = header(":exception-type");
            Err(Failure::Refused { code, message, retry_after: None })
        }
        Some("error") => {
            let (code, message) = (header(":error-code"), header(":error-message"));
            Err(Failure::Refused { code, message, retry_after: None })
        }
        other => Err(Failure::Broken(format!("a message of an unknown type: {other:?} (CR0020)"))),
    }
}
