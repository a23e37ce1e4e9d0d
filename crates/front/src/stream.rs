//! An event stream as a response body: events as frames, a keep-alive after each second of
//! silence, a fault as the last frame.
//!
//! It is polled only while the connection takes bytes, so a slow client slows the stream and
//! never fills memory. When the client goes away the stream is dropped; the run behind it is the
//! engine's and goes on.

use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};

use api::Events;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
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
    /// Resolves when the server stops and can wait no longer.
    closing: BoxFuture<'static, ()>,
}

impl EventBody {
    pub(crate) fn new(
        events: Events,
        service: &'static Service,
        union: ShapeId,
        request_id: String,
    ) -> Self {
        EventBody {
            events: Some(events),
            service,
            union,
            request_id,
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
            Poll::Pending if self.closing.as_mut().poll(cx).is_ready() => {
                self.events = None;
                let text = "craton is stopping; what is under way goes on when it is back";
                let fault = Fault::new("ServiceUnavailableException", 503, text);
                let frame = eventstream::frame_fault(self.service, self.union, &fault);
                Poll::Ready(Some(frame))
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
