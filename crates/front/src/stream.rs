//! An event stream as a response body: events as frames, a keep-alive after each second of
//! silence, a fault as the last frame.
//!
//! It is polled only while the connection takes bytes, so a slow client slows the stream and
//! never fills memory. When the client goes away the stream is dropped; the run behind it is the
//! engine's and goes on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use api::Events;
use bytes::Bytes;
use tokio::time::{Instant, Sleep};
use wire::eventstream;
use wire::fault::Fault;
use wire::model::{Service, ShapeId};

use crate::answer::log_fault;
use crate::limits;

pub(crate) struct EventBody {
    /// `None` once the stream has ended.
    events: Option<Events>,
    service: &'static Service,
    /// The union of the stream's events.
    union: ShapeId,
    request_id: String,
    /// Since when nothing was sent.
    quiet_since: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl EventBody {
    pub(crate) fn new(
        events: Events,
        service: &'static Service,
        union: ShapeId,
        request_id: String,
    ) -> Self {
        let events = Some(events);
        EventBody { events, service, union, request_id, quiet_since: Instant::now(), alarm: None }
    }

    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        match events.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(event))) => {
                self.quiet_since = Instant::now();
                Poll::Ready(Some(eventstream::frame_event(self.service, self.union, &event)))
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(self.end(&fault))),
            Poll::Ready(None) => {
                self.events = None;
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_alarm(cx).map(|()| Some(eventstream::frame_keepalive())),
        }
    }

    fn end(&mut self, fault: &Fault) -> Bytes {
        self.events = None;
        log_fault(&self.request_id, fault);
        eventstream::frame_fault(self.service, self.union, fault)
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
