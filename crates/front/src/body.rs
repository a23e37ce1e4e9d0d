//! Bodies: a request's, read whole within its operation's limit; an answer's, whole or streamed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream as _;
use http::header::EXPECT;
use http::{HeaderMap, Version, request};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::fault::Fault;

use crate::limits;
use crate::stream::EventBody;

pub(crate) enum Body {
    Whole(Bytes),
    Events(Box<EventBody>),
    /// Of an answer that another server gave.
    Passed(Box<net::Body>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = net::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, net::Error>>> {
        match self.get_mut() {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Events(events) => {
                events.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Body::Passed(body) => {
                let piece = Pin::new(&mut **body).poll_next(cx);
                piece.map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Events(_) | Body::Passed(_) => SizeHint::default(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    /// Nothing came for too long.
    Stalled,
    /// The client went away, or its framing is wrong.
    Broken,
}

impl BodyError {
    pub(crate) fn fault(&self, operation: &str, limit: usize) -> Fault {
        match self {
            // AWS: code, status and text as of Lambda's CreateFunction (observed)
            BodyError::TooLarge => Fault::new(
                "RequestEntityTooLargeException",
                413,
                format!("Request must be smaller than {limit} bytes for the {operation} operation"),
            ),
            // AWS: common error types name both
            BodyError::Stalled => {
                Fault::new("RequestTimeoutException", 408, "the request's body did not arrive")
            }
            BodyError::Broken => {
                Fault::new("RequestAbortedException", 400, "the request's body broke off")
            }
        }
    }
}

/// The memory that large bodies may take, all requests together.
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// A semaphore's count is too small for bytes on some machines.
    const UNIT: usize = 4096;

    pub(crate) fn new() -> Self {
        Room(Arc::new(Semaphore::new(limits::BODIES / Self::UNIT)))
    }

    /// Waits until a body of that size has room, which it gives back when the permit is dropped.
    pub(crate) async fn take(
        &self,
        incoming: &Incoming,
        limit: usize,
    ) -> Option<OwnedSemaphorePermit> {
        let size = incoming.size_hint().upper().map_or(limit, |upper| upper as usize);
        if size <= limits::BODY_SMALL {
            return None;
        }
        let units = size.min(limit).div_ceil(Self::UNIT) as u32;
        let permit = Arc::clone(&self.0).acquire_many_owned(units).await;
        Some(permit.expect("the semaphore is never closed"))
    }
}

/// Reads a request's body whole. One that is too large is thrown away unread, or read without
/// being kept where the client would not listen otherwise.
pub(crate) async fn read(
    mut incoming: Incoming,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Bytes, BodyError> {
    if incoming.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = incoming.size_hint().lower();
    if announced > limit as u64 {
        if !headers.contains_key(EXPECT) {
            discard(incoming, announced).await;
        }
        return Err(BodyError::TooLarge);
    }
    let Some(first) = next(&mut incoming).await? else { return Ok(Bytes::new()) };
    if incoming.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity((announced as usize).max(first.len()));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > limit {
            discard(incoming, 0).await;
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&bytes);
        piece = next(&mut incoming).await?;
    }
    Ok(whole.freeze())
}

/// Passes over a body that nobody needs, so that a client which only listens after it has sent
/// everything hears the answer. Over HTTP/2, and while it waits for a `100 Continue`, it listens.
pub(crate) async fn let_go(incoming: Incoming, parts: &request::Parts) {
    if parts.version < Version::HTTP_2 && !parts.headers.contains_key(EXPECT) {
        let announced = incoming.size_hint().lower();
        discard(incoming, announced).await;
    }
}

/// The next piece; trailers are passed over.
async fn next(incoming: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = tokio::time::timeout(limits::BODY_IDLE, incoming.frame());
        match frame.await.map_err(|_| BodyError::Stalled)? {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

async fn discard(mut incoming: Incoming, announced: u64) {
    if announced > limits::DISCARD_BYTES {
        return;
    }
    let drain = async {
        let mut seen = 0;
        while let Ok(Some(bytes)) = next(&mut incoming).await {
            seen += bytes.len() as u64;
            if seen > limits::DISCARD_BYTES {
                break;
            }
        }
    };
    // Whether all of it came makes no difference to the answer.
    drop(tokio::time::timeout(limits::DISCARD_TIME, drain).await);
}
