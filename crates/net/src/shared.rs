//! One HTTP/2 connection, shared by the requests to one peer.
//!
//! A task of its own moves the bytes, since no request may wait for another's reader. A request holds
//! a [`Lease`]: one place among the streams that the peer allows. Dropping it, with the body that
//! belongs to it, resets the stream, which is how a cancelled call reaches the peer; the connection
//! and the others' streams stay.
//!
//! What the peer says about a stream decides what may be said of its request. A stream refused, or
//! above the last one of a GOAWAY, was not looked at (RFC 9113, 8.7 and 6.8) and is *unsent*; so is
//! one that the peer wants to have by HTTP/1.1 (7). Every other end before the answer leaves the
//! request *lost*.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Uri};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::door::Dialing;
use crate::limits;
use crate::link::{BoxError, Failure, Incoming};
use crate::pool::Peer;

/// When a shared connection is asked whether it still lives.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive {
    /// So long after the last piece of any answer, while one is waited for.
    pub after: Duration,
    /// How long the peer has to answer; then the connection is given up.
    pub answer: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        KeepAlive { after: limits::PING_AFTER, answer: limits::PING_ANSWER }
    }
}

pub(crate) struct Shared {
    peer: Arc<Peer>,
    sender: SendRequest<Bytes>,
    /// Leases given out.
    streams: AtomicUsize,
    /// The peer's settings are known. Until then one stream is all that is certain.
    settled: AtomicBool,
    /// No further request comes here.
    retired: AtomicBool,
    /// A ping was not answered for so long.
    silent: AtomicBool,
    keep_alive: KeepAlive,
    heard: Mutex<Instant>,
    /// Tells who waits at the door of a place that is free again.
    freed: Arc<Notify>,
}

impl Shared {
    /// Opens a connection over `socket` and gives it to those at the door. `dialing` ends when the
    /// peer has said how many streams it allows. The lease is the dialler's own.
    pub(crate) async fn open<S>(
        peer: Arc<Peer>,
        socket: S,
        dialing: Dialing,
        keep_alive: KeepAlive,
    ) -> Result<Lease, h2::Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, mut connection) = builder().handshake(socket).await?;
        let pings = connection.ping_pong().expect("nobody took it before");
        let shared = Arc::new(Shared {
            peer,
            sender,
            streams: AtomicUsize::new(1),
            settled: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            keep_alive,
            heard: Mutex::new(Instant::now()),
            freed: dialing.freed(),
        });
        dialing.opened(&shared);
        tokio::spawn(run(connection, watch(pings, Arc::downgrade(&shared), keep_alive, dialing)));
        Ok(Lease { shared, upload: None })
    }

    /// A place for one more stream, if the peer allows one.
    pub(crate) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let most = if self.settled.load(Ordering::Acquire) { self.most() } else { 1 };
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        self.streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Lease { shared: Arc::clone(self), upload: None })
    }

    /// How many streams there are at once at most: what the peer allows, and the window has room for.
    pub(crate) fn most(&self) -> usize {
        self.sender.current_max_send_streams().min(limits::STREAMS)
    }

    /// Whether a further request may come here at all.
    pub(crate) fn is_open(&self) -> bool {
        let mut sender = self.sender.clone();
        !self.retired.load(Ordering::Acquire)
            && !matches!(sender.poll_ready(&mut noop()), Poll::Ready(Err(_)))
    }

    /// Since when nobody uses it.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.streams.load(Ordering::Acquire) == 0).then(|| self.heard())
    }

    fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn explain(&self, error: h2::Error) -> BoxError {
        if self.silent.load(Ordering::Acquire) {
            return Box::new(Unanswered(self.keep_alive.answer));
        }
        Box::new(error)
    }
}

#[derive(Debug)]
struct Unanswered(Duration);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it did not answer a ping within {:?}", self.0)
    }
}

impl StdError for Unanswered {}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_header_list_size(limits::HEADER_BYTES);
    builder
}

/// Moves bytes until the connection ends or the peer is found dead.
async fn run<S>(connection: Connection<S, Bytes>, watch: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut connection, mut watch) = (std::pin::pin!(connection), std::pin::pin!(watch));
    std::future::poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => watch.as_mut().poll(cx),
    })
    .await;
}

/// Ends when the peer does not answer. The first ping brings its settings: they come before
/// anything else (RFC 9113, 3.4).
async fn watch(mut pings: PingPong, shared: Weak<Shared>, keep_alive: KeepAlive, dialing: Dialing) {
    let mut dialing = Some(dialing);
    while let Ok(Ok(_)) = timeout(keep_alive.answer, pings.ping(Ping::opaque())).await {
        if let (Some(dialing), Some(shared)) = (dialing.take(), shared.upgrade()) {
            shared.settled.store(true, Ordering::Release);
            dialing.settled(shared.most());
        }
        // An answer is a sign of life like any other, and the next question as far away.
        if let Some(shared) = shared.upgrade() {
            shared.touch();
        }
        if !silence(&shared, keep_alive.after).await {
            // Nobody uses it any more: it says goodbye, for which it has as long as for a ping.
            return sleep(keep_alive.answer).await;
        }
    }
    if let Some(shared) = shared.upgrade() {
        shared.silent.store(true, Ordering::Release);
    }
}

/// Waits until an answer is due and nothing has come for so long; false once nobody is left.
async fn silence(shared: &Weak<Shared>, after: Duration) -> bool {
    loop {
        let now = Instant::now();
        let due = match shared.upgrade() {
            None => return false,
            Some(shared) if shared.idle_since().is_some() => now + after,
            Some(shared) => shared.heard() + after,
        };
        if due <= now {
            return true;
        }
        sleep_until(due).await;
    }
}

/// One place on a connection, and what is still to be sent of its request.
pub(crate) struct Lease {
    shared: Arc<Shared>,
    upload: Option<Upload>,
}

impl Lease {
    /// Sends what the peer has room for. That it makes room is a sign of life.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(upload) = &mut self.upload else { return };
        let before = upload.left.len();
        let done = upload.poll(cx).is_ready();
        if upload.left.len() < before {
            self.shared.touch();
        }
        if done {
            self.upload = None;
        }
    }

    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let body = whole(request.body().clone());
        let framed = framed(&request, body.len(), &self.shared.peer);
        let (mut head, stream) =
            match self.shared.sender.clone().send_request(framed, body.is_empty()) {
                Ok(stream) => stream,
                Err(cause) => return Err(self.unsent(request, cause)),
            };
        self.shared.touch();
        self.upload = (!body.is_empty()).then_some(Upload { stream, left: body });
        match std::future::poll_fn(|cx| self.poll_head(&mut head, cx)).await {
            Ok(response) => {
                self.shared.touch();
                let shared = Arc::clone(&self.shared);
                Ok(response.map(|stream| Incoming::Shared(Received { stream, shared })))
            }
            Err(cause) if wants_http1(&cause) => {
                Err(Failure::Http1(Box::new(request), self.shared.explain(cause)))
            }
            Err(cause) if is_untouched(&cause) => Err(self.unsent(request, cause)),
            Err(cause) => Err(Failure::Lost(self.shared.explain(cause))),
        }
    }

    fn poll_head(
        &mut self,
        head: &mut ResponseFuture,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, h2::Error>> {
        self.drive(cx);
        Pin::new(head).poll(cx)
    }

    /// The request may go again, elsewhere.
    fn unsent(&self, request: Request<Full<Bytes>>, cause: h2::Error) -> Failure {
        self.shared.retired.store(true, Ordering::Release);
        Failure::Unsent(Box::new(request), self.shared.explain(cause))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The stream goes first, and then its place.
        self.upload = None;
        self.shared.touch();
        self.shared.streams.fetch_sub(1, Ordering::AcqRel);
        self.shared.freed.notify_one();
    }
}

/// Whether the peer says that it did not look at the request. h2 gives a remote GOAWAY as the error
/// of those streams alone that are above its last one.
fn is_untouched(cause: &h2::Error) -> bool {
    let refused = cause.is_reset() && cause.reason() == Some(Reason::REFUSED_STREAM);
    cause.is_remote() && (refused || cause.is_go_away())
}

/// Whether the peer refuses the request over HTTP/2 and would take it over HTTP/1.1. Of a GOAWAY as
/// above; curl and Chrome send the request again on either.
fn wants_http1(cause: &h2::Error) -> bool {
    cause.is_remote() && cause.reason() == Some(Reason::HTTP_1_1_REQUIRED)
}

/// A body as it comes, and room for more of it.
pub(crate) struct Received {
    stream: RecvStream,
    shared: Arc<Shared>,
}

impl Received {
    /// The next piece; `None` at the end or at the trailers.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        let piece = match ready!(self.stream.poll_data(cx)) {
            None => return Poll::Ready(None),
            Some(Err(cause)) => return Poll::Ready(Some(Err(self.shared.explain(cause)))),
            Some(Ok(piece)) => piece,
        };
        self.shared.touch();
        let released = self.stream.flow_control().release_capacity(piece.len());
        released.expect("what is released was just received");
        Poll::Ready(Some(Ok(piece)))
    }
}

/// The rest of a request's body.
struct Upload {
    stream: SendStream<Bytes>,
    left: Bytes,
}

impl Upload {
    /// Ready when nothing more will be sent. Why not, if it is not all, says the answer.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.left.is_empty() {
            self.stream.reserve_capacity(self.left.len());
            let room = self.stream.capacity().min(self.left.len());
            if room == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Poll::Ready(()),
                }
            }
            let piece = self.left.split_to(room);
            if self.stream.send_data(piece, self.left.is_empty()).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}

/// The bytes of a body that is in memory.
fn whole(mut body: Full<Bytes>) -> Bytes {
    match Pin::new(&mut body).poll_frame(&mut noop()) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

/// The request as HTTP/2 writes it: the host is in its URI, and what is said about one HTTP/1.1
/// connection has no meaning (RFC 9113, 8.2.2 and 8.3.1).
fn framed(request: &Request<Full<Bytes>>, length: usize, peer: &Peer) -> Request<()> {
    let mut framed = Request::new(());
    *framed.method_mut() = request.method().clone();
    *framed.headers_mut() = end_to_end(request.headers());
    let headers = framed.headers_mut();
    let host = headers.remove(header::HOST);
    if length > 0 || expects_a_body(request.method()) {
        headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    let own = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(http::uri::Scheme::HTTPS);
    uri.authority = Some(own.unwrap_or_else(|| peer.authority.clone()));
    *framed.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are there");
    framed
}

/// Whether no body is worth saying (RFC 9110, 8.6).
fn expects_a_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    const OF_A_CONNECTION: [HeaderName; 3] =
        [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];
    let listed = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<&str> = listed.flat_map(|value| value.split(',')).map(str::trim).collect();
    let goes = |name: &HeaderName, value: &HeaderValue| {
        !OF_A_CONNECTION.contains(name)
            && !matches!(name.as_str(), "keep-alive" | "proxy-connection")
            && (*name != header::TE || value == "trailers")
            && !listed.iter().any(|listed| listed.eq_ignore_ascii_case(name.as_str()))
    };
    let kept = headers.iter().filter(|(name, value)| goes(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
