//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper gives a connection in two halves: a sender and a future that moves the bytes. The usual way
//! is to spawn that future; here the task that waits for the answer polls it itself. That saves two
//! task switches per request, and dropping the response drops the connection, which is how a
//! cancelled call reaches the peer. Measured on loopback, one call at a time: 36 to 45 µs of CPU per
//! call, mostly the kernel's, against 46 to 48 µs for hyper-util's pooled client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;

use crate::egress::Stream;
use crate::pool::Peer;

type Socket = MaybeHttpsStream<TokioIo<Stream>>;

pub(crate) struct Link {
    pub(crate) peer: Arc<Peer>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// Dropped as soon as it ends: that is what tells the other halves that nothing will come.
    driver: Option<Driver>,
}

type Driver = http1::Connection<Socket, Full<Bytes>>;

/// How a request that got no response ended.
pub(crate) enum Failure {
    /// hyper gives the request back: nothing of it was written.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    Lost(hyper::Error),
}

impl Link {
    pub(crate) async fn open(peer: Arc<Peer>, socket: Socket) -> hyper::Result<Link> {
        let (sender, driver) = http1::Builder::new().handshake(socket).await?;
        Ok(Link { peer, sender, driver: Some(driver) })
    }

    /// Moves bytes; false once the connection has ended.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.driver, cx)
    }

    /// Whether the peer still holds its end and the connection can take a request.
    pub(crate) fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx) && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        std::future::poll_fn(|cx| {
            // A connection that ended leaves the verdict (answer, unsent or lost) with `answer`.
            drive(driver, cx);
            answer.as_mut().poll(cx).map_err(Failure::from)
        })
        .await
    }
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> bool {
    if let Some(running) = driver
        && Pin::new(running).poll(cx).is_ready()
    {
        *driver = None;
    }
    driver.is_some()
}

impl From<TrySendError<Request<Full<Bytes>>>> for Failure {
    fn from(mut error: TrySendError<Request<Full<Bytes>>>) -> Self {
        match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request), error.into_error()),
            None => Failure::Lost(error.into_error()),
        }
    }
}
