//! Sends one request: a connection from the pool or a new one, the exchange, the response.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use crate::body::{Body, Held};
use crate::dial::Dial;
use crate::door::Turn;
use crate::egress::{Egress, Unconnected};
use crate::error::Error;
use crate::limits;
use crate::link::{Alone, Failure, Incoming, Link, Socket};
use crate::pool::{Peer, Pool};
use crate::redirect::{self, Next};
use crate::shared::{KeepAlive, Shared};
use crate::trust::Roots;

#[derive(Debug, Clone)]
pub struct Config {
    /// Time for name look-up, TCP and TLS together, or to wait for a shared connection.
    pub connect_timeout: Duration,
    /// Idle connections kept for each peer.
    pub idle_per_peer: usize,
    /// When shared connections are asked whether they live.
    pub keep_alive: KeepAlive,
    /// Whom a peer's certificate must be signed by.
    pub roots: Roots,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            connect_timeout: limits::CONNECT_TIMEOUT,
            idle_per_peer: limits::IDLE_PER_PEER,
            keep_alive: KeepAlive::default(),
            roots: Roots::default(),
        }
    }
}

/// How long a peer may be silent, within the time of the whole request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// Until the head of the response.
    pub head: Option<Duration>,
    /// Between two pieces of its body.
    pub idle: Option<Duration>,
}

/// Cheap to clone; clones share the pool. How many requests run at once is the caller's to bound.
#[derive(Clone)]
pub struct Client(Arc<Inner>, Patience);

struct Inner {
    config: Config,
    connector: HttpsConnector<Dial>,
    /// Offers HTTP/1.1 alone.
    http1: HttpsConnector<Dial>,
    /// Asked before each request, also of one that a kept connection serves.
    guard: Option<Egress>,
    pool: Arc<Pool>,
}

impl Client {
    pub fn new(config: Config) -> Client {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        Client::over(config, Dial::Free(tcp), None)
    }

    /// A client, with connections of its own, that goes only where `egress` lets it.
    pub fn guarded(config: Config, egress: Egress) -> Client {
        Client::over(config, Dial::Guarded(egress.clone()), Some(egress))
    }

    /// The same client for peers that may not be silent for longer than this.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Client {
        Client(Arc::clone(&self.0), patience)
    }

    fn over(config: Config, dial: Dial, guard: Option<Egress>) -> Client {
        let tls = config.roots.tls();
        let connector =
            || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let inner = Inner {
            connector: connector().enable_all_versions().wrap_connector(dial.clone()),
            http1: connector().enable_http1().wrap_connector(dial),
            config,
            guard,
            pool: Arc::default(),
        };
        Client(Arc::new(inner), Patience::default())
    }

    /// Sends `request`, whose URI is absolute, once. `within` covers everything up to the last byte
    /// of the response's body.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        within: Duration,
    ) -> Result<Response<Body>, Error> {
        if let Some(guard) = &self.0.guard {
            guard.check_uri(request.uri())?;
        }
        let (peer, mut request) = outgoing(request)?;
        let mut limit = Limit::new(Arc::clone(&peer), within, self.1);
        let mut refused = false;
        // Ends: a turn uses up an idle connection, or a new one, or the one refusal of a shared one.
        loop {
            let (mut link, fresh) = match self.0.pool.take(&peer) {
                Some(link) => (Link::Alone(link), false),
                None => (limit.bound(self.connect(&peer), false).await??, true),
            };
            let again = match &link {
                Link::Alone(_) => !fresh,
                Link::Shared(_) => !std::mem::replace(&mut refused, true),
            };
            match limit.bound(link.exchange(request), true).await? {
                Ok(response) => return Ok(self.receive(response, link, limit)),
                Err(Failure::Unsent(back, _)) if again => request = *back,
                Err(Failure::Http1(back, _)) if again => {
                    self.0.pool.door(&peer).set_wants_http1();
                    request = *back;
                }
                Err(Failure::Unsent(_, cause) | Failure::Http1(_, cause)) => {
                    return Err(Error::not_sent(&peer.to_string(), cause.as_ref()));
                }
                Err(Failure::Lost(cause)) => {
                    return Err(Error::lost(&peer.to_string(), cause.as_ref()));
                }
            }
        }
    }

    /// As [`Client::send`], and follows redirects. Each hop is judged anew and takes its part of
    /// `within`; credentials stay with their origin.
    pub async fn follow(
        &self,
        mut request: Request<Bytes>,
        within: Duration,
    ) -> Result<Response<Body>, Error> {
        let until = Instant::now() + within;
        for hops in 0..=limits::HOPS {
            let left = until.saturating_duration_since(Instant::now());
            let answer = match self.send(request.clone(), left).await {
                Ok(answer) => answer,
                // A peer before this one had the request.
                Err(error) if hops > 0 && !error.sent() => {
                    return Err(Error::Lost(format!("a redirect is not followed: {error}")));
                }
                Err(error) => return Err(error),
            };
            match redirect::next(&request, &answer) {
                Next::Answer => return Ok(answer),
                Next::Hop(next) => request = *next,
                Next::Refused(why) => return Err(astray(&request, why)),
            }
            answer.into_body().retire();
        }
        Err(astray(&request, "it leads on and on"))
    }

    async fn connect(&self, peer: &Arc<Peer>) -> Result<Link, Error> {
        let timeout = self.0.config.connect_timeout;
        match tokio::time::timeout(timeout, self.reach(peer)).await {
            Ok(link) => link,
            Err(_) => Err(Error::NotSent(format!(
                "could not reach {peer}: no connection within {timeout:?}"
            ))),
        }
    }

    /// A connection of one's own or a place on a shared one.
    async fn reach(&self, peer: &Arc<Peer>) -> Result<Link, Error> {
        if !peer.tls {
            return alone(peer, dial(&self.0.http1, peer).await?).await;
        }
        let door = self.0.pool.door(peer);
        let dialing = match door.enter().await {
            Turn::Go(lease) => return Ok(Link::Shared(lease)),
            Turn::Dial(dialing) => dialing,
            Turn::DialHttp1 => return alone(peer, dial(&self.0.http1, peer).await?).await,
        };
        let socket = dial(&self.0.connector, peer).await?;
        if !chose_http2(&socket) {
            door.set_alone();
            drop(dialing);
            return alone(peer, socket).await;
        }
        let (socket, keep_alive) = (TokioIo::new(socket), self.0.config.keep_alive);
        let lease = Shared::open(Arc::clone(peer), socket, dialing, keep_alive).await;
        lease.map(Link::Shared).map_err(|cause| Error::not_sent(&peer.to_string(), &cause))
    }

    fn receive(
        &self,
        response: Response<Incoming>,
        link: Link,
        mut limit: Limit,
    ) -> Response<Body> {
        limit.heard();
        let trust = announced_idle(response.headers());
        let (pool, idle_per_peer) = (Arc::clone(&self.0.pool), self.0.config.idle_per_peer);
        response
            .map(|incoming| Body::new(Held { incoming, link, pool, trust, idle_per_peer }, limit))
    }
}

async fn dial(connector: &HttpsConnector<Dial>, peer: &Peer) -> Result<Socket, Error> {
    let uri = Uri::builder()
        .scheme(if peer.tls { "https" } else { "http" })
        .authority(peer.authority.clone())
        .path_and_query("/")
        .build()
        .expect("its parts come from a valid URI");
    let socket = connector.clone().call(uri).await;
    socket.map_err(|cause| undialled(peer, cause))
}

async fn alone(peer: &Arc<Peer>, socket: Socket) -> Result<Link, Error> {
    let link = Alone::open(Arc::clone(peer), socket).await;
    link.map(|link| Link::Alone(Box::new(link)))
        .map_err(|cause| Error::not_sent(&peer.to_string(), &cause))
}

fn chose_http2(socket: &Socket) -> bool {
    match socket {
        Socket::Https(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
        Socket::Http(_) => false,
    }
}

fn undialled(peer: &Peer, cause: Box<dyn StdError + Send + Sync>) -> Error {
    match cause.downcast::<Unconnected>() {
        Ok(unconnected) => match *unconnected {
            Unconnected::Denied(denied) => Error::Denied(denied),
            Unconnected::Failed(error) => Error::not_sent(&peer.to_string(), &error),
        },
        Err(cause) => Error::not_sent(&peer.to_string(), cause.as_ref()),
    }
}

/// The peer had the request and answered with a redirect that nobody follows.
fn astray(request: &Request<Bytes>, why: &str) -> Error {
    let host = request.uri().host().unwrap_or_default();
    Error::Lost(format!("the redirect of {host} is not followed: {why}"))
}

/// Splits off the peer and puts the request into the form that goes over the wire.
fn outgoing(request: Request<Bytes>) -> Result<(Arc<Peer>, Request<Full<Bytes>>), Error> {
    let peer = peer_of(request.uri())?;
    let (mut parts, body) = request.into_parts();
    parts.uri = rooted(&parts.uri).into();
    if !parts.headers.contains_key(header::HOST) {
        let host = HeaderValue::from_str(peer.authority.as_str());
        parts.headers.insert(header::HOST, host.expect("an authority is visible ASCII"));
    }
    Ok((Arc::new(peer), Request::from_parts(parts, Full::new(body))))
}

/// What is asked for. A path may be missing before a query in a URL, and over the wire it may not
/// (RFC 9110, 4.2.3; RFC 9113, 8.3.1).
fn rooted(uri: &Uri) -> PathAndQuery {
    match uri.path_and_query() {
        None => PathAndQuery::from_static("/"),
        Some(asked) if asked.as_str().starts_with('?') => {
            PathAndQuery::try_from(format!("/{}", asked.as_str()))
                .expect("a path before a valid query")
        }
        Some(asked) => asked.clone(),
    }
}

fn peer_of(uri: &Uri) -> Result<Peer, Error> {
    let refuse = |why: &str| Err(Error::NotSent(format!("cannot send to this address: {why}")));
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(other) => return refuse(&format!("the scheme {other} is neither http nor https")),
        None => return refuse("it needs a scheme and a host, as in http://127.0.0.1:8080/path"),
    };
    let Some(authority) = uri.authority() else { return refuse("it has no host") };
    if authority.as_str().contains('@') {
        return refuse("user name and password do not belong into the URL");
    }
    Ok(Peer { tls, authority: authority.clone() })
}

/// `Keep-Alive: timeout=5`, less a second for the way: the peer says when it will let go.
fn announced_idle(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_sub(1)).min(limits::IDLE_TLS))
}

/// The time limits of one request: from sending to the end of the body, to the head, between two
/// pieces of the body. One timer for all of them, which is set again only when it has run out.
pub(crate) struct Limit {
    peer: Arc<Peer>,
    within: Duration,
    /// When `within` has passed; never, if no clock reaches so far.
    end: Option<Instant>,
    /// Since when the peer is waited for, and for how long at most.
    awaited: Option<(Instant, Duration)>,
    /// The head is there, and the body is waited for.
    begun: bool,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
}

impl Limit {
    fn new(peer: Arc<Peer>, within: Duration, patience: Patience) -> Self {
        let now = Instant::now();
        let awaited = patience.head.map(|head| (now, head));
        let first = patience.head.map_or(within, |head| head.min(within));
        let timer = Box::pin(tokio::time::sleep(first));
        let end = now.checked_add(within);
        Limit { peer, within, end, awaited, begun: false, patience, timer }
    }

    pub(crate) fn peer(&self) -> String {
        self.peer.to_string()
    }

    /// The peer has said something, and the next piece is waited for from now on.
    pub(crate) fn heard(&mut self) {
        self.begun = true;
        self.awaited = self.patience.idle.map(|idle| (Instant::now(), idle));
    }

    /// Which limit has passed. `sent` says whether the peer may have seen the request.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>, sent: bool) -> Poll<Error> {
        loop {
            let next = self.next();
            // An earlier end than the one that was set: silence counts from a piece on.
            if self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            std::task::ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= next {
                return Poll::Ready(self.passed(next, sent));
            }
            self.timer.as_mut().reset(next);
        }
    }

    fn next(&self) -> Instant {
        let silent = self.awaited.and_then(|(since, most)| since.checked_add(most));
        let ends = [self.end, silent].into_iter().flatten();
        ends.min().unwrap_or_else(|| self.timer.deadline())
    }

    fn passed(&self, next: Instant, sent: bool) -> Error {
        let (peer, whole) = (self.peer(), self.end == Some(next));
        match self.awaited {
            Some((_, after)) if !whole && self.begun => Error::Silent { peer, after },
            Some((_, after)) if !whole => Error::TimedOut { peer, after, sent },
            _ => Error::TimedOut { peer, after: self.within, sent },
        }
    }

    async fn bound<T>(&mut self, work: impl Future<Output = T>, sent: bool) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_passed(cx, sent).map(Err)
        })
        .await
    }
}
