//! Peers of HTTP/2 on loopback. What one does with a request stands in the request's path.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio_rustls::server::TlsStream;

use crate::tls::Signed;

/// What it says to those who do not ask for HTTP/2.
const OLD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold";

/// A peer of HTTP/2, and what it has seen.
pub(crate) struct Peer {
    pub(crate) signed: Signed,
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Most streams at once on one connection.
    pub(crate) peak: AtomicUsize,
    log: Mutex<Vec<String>>,
    logged: Notify,
    /// Lets `/held` go on.
    pub(crate) gate: Notify,
    together: Barrier,
}

impl Peer {
    /// Allows `streams` at once on a connection; `together` requests for `/together` wait for each
    /// other.
    pub(crate) async fn allowing(streams: u32, together: usize) -> Peer {
        let signed = Signed::for_loopback();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            log: Mutex::default(),
            logged: Notify::new(),
            gate: Notify::new(),
            together: Barrier::new(together),
        });
        let (acceptor, all) = (signed.acceptor("h2"), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                all.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&all));
                tokio::spawn(async move {
                    let socket = acceptor.accept(socket).await.unwrap();
                    match socket.get_ref().1.alpn_protocol() {
                        Some(_) => serve(socket, streams, seen).await,
                        None => crate::answer(socket, &[OLD, OLD]).await,
                    }
                });
            }
        });
        Peer { signed, address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

impl Seen {
    fn log(&self, line: String) {
        self.log.lock().unwrap().push(line);
        self.logged.notify_waiters();
    }

    /// Waits for `line`.
    pub(crate) async fn until(&self, line: &str) {
        loop {
            let mut logged = std::pin::pin!(self.logged.notified());
            logged.as_mut().enable();
            if self.log.lock().unwrap().iter().any(|seen| seen == line) {
                return;
            }
            logged.await;
        }
    }
}

async fn serve(socket: TlsStream<TcpStream>, streams: u32, seen: Arc<Seen>) {
    let mut builder = h2::server::Builder::new();
    let mut connection = builder.max_concurrent_streams(streams).handshake(socket).await.unwrap();
    let open = Arc::new(AtomicUsize::new(0));
    while let Some(Ok((request, respond))) = connection.accept().await {
        match request.uri().path() {
            "/farewell" => connection.graceful_shutdown(),
            "/abrupt" => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
            // Nobody reads this connection any more, nor answers its pings.
            "/dead" => std::future::pending().await,
            _ => {}
        }
        let (seen, open) = (Arc::clone(&seen), Arc::clone(&open));
        tokio::spawn(async move {
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            seen.peak.fetch_max(now, Ordering::SeqCst);
            let _ = answer(request, respond, &seen).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn answer(
    mut request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/refused" => {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        "/refused-at-first" if seen.connections.load(Ordering::SeqCst) == 1 => {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        "/http1" => {
            respond.send_reset(Reason::HTTP_1_1_REQUIRED);
            return Ok(());
        }
        "/broken" => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        "/head" | "/" => return say(&mut respond, head(&request).into()).await,
        "/early" => {
            let early = Response::builder().status(413).body(()).unwrap();
            respond
                .send_response(early, false)?
                .send_data(Bytes::from_static(b"too much"), true)?;
            return Ok(());
        }
        "/never" => {
            seen.log("/never came".to_owned());
            let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await?;
            seen.log(format!("/never ended: {reset:?}"));
            return Ok(());
        }
        "/held" => return held(respond, seen).await,
        "/together" => {
            seen.together.wait().await;
        }
        _ => {}
    }
    let mut body = Vec::new();
    while let Some(piece) = request.body_mut().data().await {
        let piece = piece?;
        request.body_mut().flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    say(&mut respond, body.into()).await
}

/// Says a word, waits for the gate, says another, and trailers.
async fn held(mut respond: SendResponse<Bytes>, seen: &Seen) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(Response::new(()), false)?;
    stream.send_data(Bytes::from_static(b"first "), false)?;
    let reset = tokio::select! {
        () = seen.gate.notified() => None,
        reset = std::future::poll_fn(|cx| stream.poll_reset(cx)) => Some(reset?),
    };
    if let Some(reset) = reset {
        seen.log(format!("/held ended: {reset:?}"));
        return Ok(());
    }
    stream.send_data(Bytes::from_static(b"last"), false)?;
    stream.send_trailers(HeaderMap::from_iter([(
        http::HeaderName::from_static("x-checksum"),
        http::HeaderValue::from_static("1"),
    )]))
}

/// All of `body`, as there is room.
async fn say(respond: &mut SendResponse<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(Response::new(()), false)?;
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { break };
        let piece = body.split_to(room?.min(body.len()));
        stream.send_data(piece, false)?;
    }
    stream.send_data(Bytes::new(), true)
}

fn head(request: &Request<RecvStream>) -> String {
    let (method, uri) = (request.method(), request.uri());
    let (scheme, host) = (uri.scheme_str().unwrap(), uri.authority().unwrap());
    // As it came: a whole URI would be written with a path that it does not have.
    let path = uri.path_and_query().unwrap().as_str();
    let mut lines = vec![format!("{method} {scheme}://{host}{path}")];
    lines.extend(request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")));
    lines.join("\n")
}

/// A peer that speaks HTTP/2 frame by frame: it reads one request, and says `frames`.
pub(crate) async fn scripted(
    signed: &Signed,
    connections: &'static [&'static [&'static [u8]]],
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = signed.acceptor("h2");
    tokio::spawn(async move {
        for frames in connections {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = acceptor.accept(socket).await.unwrap();
            socket.write_all(SETTINGS).await.unwrap();
            socket.read_exact(&mut [0; 24]).await.unwrap();
            while next_kind(&mut socket).await != HEADERS {}
            for frame in *frames {
                socket.write_all(frame).await.unwrap();
            }
            socket.flush().await.unwrap();
            // The client hangs up when it has understood.
            let ends =
                async { while socket.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {} };
            let _ = tokio::time::timeout(Duration::from_millis(50), ends).await;
        }
    });
    address
}

const HEADERS: u8 = 1;
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// No error, and no stream was looked at.
pub(crate) const GOAWAY_BEFORE: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// No error, and the first stream was looked at.
pub(crate) const GOAWAY_AFTER: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
/// `:status: 204` of the first stream, and its end.
pub(crate) const NO_CONTENT: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x89];

async fn next_kind(socket: &mut TlsStream<TcpStream>) -> u8 {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut body = vec![0; length as usize];
    socket.read_exact(&mut body).await.unwrap();
    head[3]
}
