//! A response's body: bytes as they come, under the request's time limit.
//!
//! Read to its end, it gives the connection back to the pool; dropped before, it closes it, or
//! resets its stream where the connection is shared.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::client::Limit;
use crate::error::Error;
use crate::limits::RETIRE;
use crate::link::{Incoming, Link};
use crate::pool::Pool;

/// Yields the body's chunks; [`Body::bytes`] collects them.
pub struct Body {
    /// `None` once the body has ended or failed.
    held: Option<Held>,
    limit: Limit,
}

pub(crate) struct Held {
    /// Stands before its connection, so that a stream is let go of before its place is.
    pub(crate) incoming: Incoming,
    pub(crate) link: Link,
    pub(crate) pool: Arc<Pool>,
    pub(crate) trust: Option<Duration>,
    pub(crate) idle_per_peer: usize,
}

impl Body {
    pub(crate) fn new(held: Held, limit: Limit) -> Self {
        Body { held: Some(held), limit }
    }

    /// The whole body, or [`Error::TooLarge`] as soon as it passes `limit`.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let mut rest = BytesMut::new();
        while let Some(next) = self.chunk().await? {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&next);
            if rest.len() > limit {
                return Err(self.too_large(limit));
            }
        }
        // The usual answer is one chunk, which is then not copied.
        let all = if rest.is_empty() { first } else { rest.freeze() };
        if all.len() > limit { Err(self.too_large(limit)) } else { Ok(all) }
    }

    /// The next piece, `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// For a reader that has all it wants: reads what little is left in the background, so that the
    /// connection can be used again.
    pub fn retire(mut self) {
        tokio::spawn(tokio::time::timeout(RETIRE, async move {
            while let Ok(Some(_)) = self.chunk().await {}
        }));
    }

    fn too_large(&self, limit: usize) -> Error {
        Error::TooLarge { peer: self.limit.peer(), limit }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(held) = &mut self.held else { return Poll::Ready(None) };
        // The first look at the body tells the connection that bytes are wanted; only then does
        // driving it make any.
        for _ in 0..2 {
            match held.incoming.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    self.limit.heard();
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Poll::Ready(Some(Err(cause))) => {
                    let error = Error::lost(&self.limit.peer(), cause.as_ref());
                    self.held = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    held.link.drive(cx);
                }
            }
        }
        self.poll_limit(cx)
    }

    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let error = std::task::ready!(self.limit.poll_passed(cx, true));
        self.held = None;
        Poll::Ready(Some(Err(error)))
    }

    fn finish(&mut self) {
        let Some(held) = self.held.take() else { return };
        if let Link::Alone(mut link) = held.link
            && link.is_usable()
        {
            held.pool.rest(link, held.trust, held.idle_per_peer);
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}
