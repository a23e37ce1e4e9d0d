//! The least HTTP that both sides need: a keep-alive connection driven by the task that uses it,
//! and a server with one function behind it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Error;

/// The body of an answer.
pub(crate) type Said = UnsyncBoxBody<Bytes, Infallible>;

/// One connection, for one request at a time.
pub(crate) struct Link {
    sender: client::SendRequest<Full<Bytes>>,
    wire: Pin<Box<client::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

impl Link {
    pub(crate) async fn open(address: SocketAddr) -> Result<Link, Error> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, wire) = client::handshake(TokioIo::new(socket)).await?;
        Ok(Link { sender, wire: Box::pin(wire) })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let mut exchange = std::pin::pin!(async {
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        });
        let (wire, mut over) = (&mut self.wire, false);
        poll_fn(|cx| {
            // An ended connection tells the exchange so; polling it again would be a mistake.
            over = over || wire.as_mut().poll(cx).is_ready();
            exchange.as_mut().poll(cx)
        })
        .await
    }

    /// Sends a request and hands each piece of the answer on as it comes; any status but 200 is an
    /// error.
    pub(crate) async fn stream(
        &mut self,
        request: Request<Full<Bytes>>,
        mut hear: impl FnMut(Bytes) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut exchange = std::pin::pin!(async {
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            let mut body = response.into_body();
            if status != StatusCode::OK {
                let why = body.collect().await?.to_bytes();
                return Err(format!("{status}: {}", String::from_utf8_lossy(&why)).into());
            }
            while let Some(frame) = body.frame().await {
                if let Ok(bytes) = frame?.into_data() {
                    hear(bytes)?;
                }
            }
            Ok(())
        });
        let (wire, mut over) = (&mut self.wire, false);
        poll_fn(|cx| {
            over = over || wire.as_mut().poll(cx).is_ready();
            exchange.as_mut().poll(cx)
        })
        .await
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Error> {
        self.send(json("POST", path, body)?).await
    }
}

/// A request with a JSON body, for a server on this machine.
pub(crate) fn json(method: &str, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Error> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "127.0.0.1").header("content-type", "application/json");
    Ok(request.body(Full::new(body))?)
}

/// Connections to one server, taken and given back.
pub(crate) struct Pool {
    address: SocketAddr,
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr) -> Pool {
        Pool { address, idle: Mutex::new(Vec::new()) }
    }

    /// The answer's body; any status but 200 is an error.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Bytes, Error> {
        let idle = self.idle.lock().expect("no holder of this lock panics").pop();
        let mut link = match idle {
            Some(link) => link,
            None => Link::open(self.address).await?,
        };
        let (status, body) = link.post(path, body).await?;
        if status != StatusCode::OK {
            return Err(format!("{path} answered {status}").into());
        }
        self.idle.lock().expect("no holder of this lock panics").push(link);
        Ok(body)
    }
}

/// An answer that is there at once.
pub(crate) fn answer(status: u16, kind: &'static str, body: Bytes) -> Response<Said> {
    said(status, kind, Full::new(body).boxed_unsync())
}

/// An answer in pieces, with this long a pause before each.
pub(crate) fn slowly(kind: &'static str, pieces: Vec<Bytes>, pause: Duration) -> Response<Said> {
    let pieces = stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok(Frame::data(piece))
    });
    said(200, kind, StreamBody::new(pieces).boxed_unsync())
}

fn said(status: u16, kind: &'static str, body: Said) -> Response<Said> {
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(body).expect("a status and a header that are valid")
}

/// Serves forever; `handle` gets path and body.
pub(crate) async fn serve<H, A>(listener: TcpListener, handle: H) -> Result<(), Error>
where
    H: Fn(String, Bytes) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Said>> + Send + 'static,
{
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let handle = handle.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let handle = handle.clone();
            async move { Ok::<_, Infallible>(respond(request, handle).await) }
        });
        let connection = server::Builder::new().serve_connection(TokioIo::new(socket), service);
        // A client that goes away ends its connection, which is no event here.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn respond<H, A>(request: Request<Incoming>, handle: H) -> Response<Said>
where
    H: Fn(String, Bytes) -> A,
    A: Future<Output = Response<Said>>,
{
    let path = request.uri().path().to_owned();
    match request.into_body().collect().await {
        Ok(body) => handle(path, body.to_bytes()).await,
        Err(cause) => answer(400, "text/plain", Bytes::from(cause.to_string())),
    }
}
