//! An event stream as a response body: events as frames or as server-sent events, a keep-alive
//! after each second of silence, a fault as the last event.
//!
//! It is polled only while the connection takes bytes, so a slow client slows the stream and
//! never fills memory. When the client goes away the stream is dropped; the run behind it is the
//! engine's and goes on.

use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};

use api::Events;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use wire::eventstream;
use wire::fault::Fault;
use wire::model::{Service, ShapeId};

use crate::answer::log_fault;
use crate::limits;

/// An event as it goes out, and whether it is the last.
type Piece = (Bytes, bool);

pub(crate) struct EventBody {
    /// `None` once the stream has ended.
    pieces: Option<BoxStream<'static, Piece>>,
    keep_alive: Bytes,
    /// What a client hears that has to go because the server stops.
    farewell: Bytes,
    /// Since when nothing was sent.
    quiet_since: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Resolves when the server stops and can wait no longer.
    closing: BoxFuture<'static, ()>,
}

impl EventBody {
    /// Frames of an operation's stream. `union` is the shape of its events.
    pub(crate) fn new(
        events: Events,
        service: &'static Service,
        union: ShapeId,
        request_id: String,
    ) -> Self {
        let farewell = eventstream::frame_fault(service, union, &stopping());
        let pieces = events.map(move |event| match event {
            Ok(event) => (eventstream::frame_event(service, union, &event), false),
            Err(fault) => {
                log_fault(&request_id, &fault);
                (eventstream::frame_fault(service, union, &fault), true)
            }
        });
        Self::of(pieces.boxed(), eventstream::frame_keepalive(), farewell)
    }

    /// Server-sent events. One that ends by a fault, or because the server stops, is taken up
    /// again by whoever knows the last id.
    pub(crate) fn server_sent(
        events: BoxStream<'static, Result<api::admin::Event, Fault>>,
        request_id: String,
    ) -> Self {
        let pieces = events.map(move |event| match event {
            Ok(event) => (sse(Some(&event.id), &event.name, &event.data), false),
            Err(fault) => {
                log_fault(&request_id, &fault);
                (sse_fault(&fault), true)
            }
        });
        Self::of(pieces.boxed(), Bytes::from_static(b": keep-alive\n\n"), sse_fault(&stopping()))
    }

    fn of(pieces: BoxStream<'static, Piece>, keep_alive: Bytes, farewell: Bytes) -> Self {
        EventBody {
            pieces: Some(pieces),
            keep_alive,
            farewell,
            quiet_since: Instant::now(),
            alarm: None,
            closing: Box::pin(pending()),
        }
    }

    /// Ends the stream early once `closing` turns true.
    pub(crate) fn until(mut self, mut closing: watch::Receiver<bool>) -> Self {
        self.closing = Box::pin(async move {
            drop(closing.wait_for(|closing| *closing).await);
        });
        self
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        match pieces.as_mut().poll_next(cx) {
            Poll::Ready(Some((bytes, last))) => {
                self.quiet_since = Instant::now();
                if last {
                    self.pieces = None;
                }
                Poll::Ready(Some(bytes))
            }
            Poll::Ready(None) => {
                self.pieces = None;
                Poll::Ready(None)
            }
            Poll::Pending if self.closing.as_mut().poll(cx).is_ready() => {
                self.pieces = None;
                Poll::Ready(Some(self.farewell.clone()))
            }
            Poll::Pending => self.poll_alarm(cx).map(|()| Some(self.keep_alive.clone())),
        }
    }

    /// Ready once nothing was sent for the keep-alive time; the next silence starts then.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.quiet_since + limits::KEEP_ALIVE;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= due {
                self.quiet_since = now;
                alarm.as_mut().reset(now + limits::KEEP_ALIVE);
                return Poll::Ready(());
            }
            // Events went out since the alarm was set.
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

fn stopping() -> Fault {
    let text = "craton is stopping; what is under way goes on when it is back";
    Fault::new("ServiceUnavailableException", 503, text)
}

/// JSON has no line breaks, so one line holds it.
fn sse(id: Option<&str>, name: &str, data: &serde_json::Value) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: {name}\ndata: {data}\n\n"))
}

fn sse_fault(fault: &Fault) -> Bytes {
    let data = serde_json::json!({ "code": fault.code(), "message": fault.message() });
    sse(None, "fault", &data)
}
