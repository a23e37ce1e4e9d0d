//! The Lambda Runtime API, as a process sees it: one listener for each process, on the host's
//! loopback or on its jail's.
//!
//! The process asks for its next event and waits; the pool hands one over; the process posts the
//! answer. This module only passes these along and keeps track of what the process has in hand. It
//! never starts or stops a process, and knows nothing of time-outs.
//!
//! AWS: paths, headers and status codes of the Runtime API, version 2018-06-01 (Lambda developer
//! guide, "Using the Lambda runtime API for custom runtimes").

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

use crate::functions::connections::Connections;
use crate::functions::packages::SeenPackages;
use crate::functions::runtime::Reuse;
use crate::limits;

const RUNTIME: &str = "/2018-06-01/runtime";

/// One event on its way to a process.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) deadline_ms: u128,
    pub(crate) arn: String,
    pub(crate) trace_id: String,
    pub(crate) client_context: Option<String>,
    pub(crate) payload: Bytes,
    /// Set by who comes first: the process that takes the event, from when on the outcome may be
    /// unknown, or the caller that gives it up.
    pub(crate) taken: Arc<AtomicBool>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Response(Bytes),
    Error(Bytes),
    TooLarge,
}

/// How far a process has come.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Starting,
    /// It asked for its first event.
    Ready,
    /// It reported this error and will end.
    Failed(Bytes),
}

/// The server of one process. Dropping it closes the listener and every connection.
pub(crate) struct RuntimeApi {
    shared: Arc<Shared>,
    calls: mpsc::Sender<Call>,
    connections: Connections,
}

struct Shared {
    calls: AsyncMutex<mpsc::Receiver<Call>>,
    in_hand: Mutex<Option<InHand>>,
    phase: watch::Sender<Phase>,
    packages: Option<SeenPackages>,
    pause: Mutex<Pause>,
    /// Where the process works in forks: the connection of the one that makes them, which alone gets
    /// events.
    maker: Option<OnceLock<u64>>,
}

struct InHand {
    request_id: String,
    answer: oneshot::Sender<Answer>,
}

/// Time in which the process waits for packages to be installed; it does not count as its own.
#[derive(Default)]
struct Pause {
    waiting: usize,
    since: Option<Instant>,
    total: Duration,
}

impl RuntimeApi {
    pub(crate) fn open(
        listener: TcpListener,
        packages: Option<SeenPackages>,
        reuse: Reuse,
    ) -> RuntimeApi {
        // One at a time: a process has one event in hand.
        let (calls, receiver) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            calls: AsyncMutex::new(receiver),
            in_hand: Mutex::new(None),
            phase: watch::Sender::new(Phase::Starting),
            packages,
            pause: Mutex::new(Pause::default()),
            maker: (reuse == Reuse::Forks).then(OnceLock::new),
        });
        let most = limits::RUNTIME_API_CONNECTIONS;
        let serving = shared.clone();
        let connections = Connections::take(listener, most, move |stream, number| {
            serve(stream, number, serving.clone())
        });
        RuntimeApi { shared, calls, connections }
    }

    /// Ends every connection but that of the process which makes forks.
    pub(crate) async fn forget_forks(&self) {
        let maker = self.shared.maker.as_ref().and_then(|maker| maker.get().copied());
        self.connections.end_all_but(maker).await;
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// False when the process still has another event in the queue, which no caller should cause.
    pub(crate) fn hand_over(&self, call: Call) -> bool {
        self.calls.try_send(call).is_ok()
    }

    /// How long the process has waited for packages so far.
    pub(crate) fn paused(&self) -> Duration {
        let pause = self.shared.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.total + pause.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

async fn serve(stream: TcpStream, number: u64, shared: Arc<Shared>) {
    // Without it small answers wait for an acknowledgement; failing to set it only costs time.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(route(&shared, number, request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a runtime api connection ended");
    }
}

type Reply = Response<Full<Bytes>>;

async fn route(shared: &Shared, number: u64, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let asks_for_packages = request.method() == Method::GET && path == "/craton/packages";
    if let Some(managed) = shared.packages.as_ref().filter(|_| asks_for_packages) {
        return packages(managed, &shared.pause).await;
    }
    let Some(rest) = path.strip_prefix(RUNTIME) else {
        return refuse(StatusCode::NOT_FOUND, "InvalidPath", &path);
    };
    let parts = rest.split('/').skip(1).collect::<Vec<_>>();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared, number).await,
        (&Method::POST, ["invocation", id, "response"]) => answer(shared, id, request, false).await,
        (&Method::POST, ["invocation", id, "error"]) => answer(shared, id, request, true).await,
        (&Method::POST, ["init", "error"]) => init_error(shared, request).await,
        _ => refuse(StatusCode::NOT_FOUND, "InvalidPath", &path),
    }
}

async fn next(shared: &Shared, number: u64) -> Reply {
    if shared.maker.as_ref().is_some_and(|maker| *maker.get_or_init(|| number) != number) {
        return refuse(StatusCode::FORBIDDEN, "NotYours", "a clean call has one event");
    }
    shared.phase.send_if_modified(|phase| {
        let first = matches!(phase, Phase::Starting);
        if first {
            *phase = Phase::Ready;
        }
        first
    });
    let call = loop {
        let Some(call) = shared.calls.lock().await.recv().await else {
            return refuse(StatusCode::GONE, "ServerStopped", "no more events");
        };
        // Else whoever handed it over has given it up.
        if !call.taken.swap(true, Ordering::AcqRel) {
            break call;
        }
    };
    let reply = event(&call);
    let in_hand = InHand { request_id: call.request_id, answer: call.answer };
    *shared.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = Some(in_hand);
    reply
}

fn event(call: &Call) -> Reply {
    let mut reply = Response::new(Full::new(call.payload.clone()));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let fields = [
        ("lambda-runtime-aws-request-id", Some(call.request_id.as_str())),
        ("lambda-runtime-deadline-ms", Some(&*call.deadline_ms.to_string())),
        ("lambda-runtime-invoked-function-arn", Some(&call.arn)),
        ("lambda-runtime-trace-id", Some(&call.trace_id)),
        ("lambda-runtime-client-context", call.client_context.as_deref()),
    ]
    .map(|(name, value)| (name, value.and_then(|v| HeaderValue::from_bytes(v.as_bytes()).ok())));
    for (name, value) in fields {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    reply
}

async fn answer(shared: &Shared, id: &str, request: Request<Incoming>, is_error: bool) -> Reply {
    let kind = error_type(request.headers());
    // It died in the middle of its answer: what it has in hand stays so, and its end decides.
    let Some(posted) = read(request).await else { return broken() };
    let in_hand = {
        let mut slot = shared.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take_if(|in_hand| in_hand.request_id == id)
    };
    let Some(in_hand) = in_hand else {
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
    };
    let (answer, reply) = match posted {
        Posted::Whole(body, _) if is_error => (Answer::Error(told(body, kind)), accepted()),
        Posted::Whole(body, trailers) => match broken_off(&trailers) {
            Some(error) => (Answer::Error(error), accepted()),
            None => (Answer::Response(body), accepted()),
        },
        Posted::TooLarge => (Answer::TooLarge, too_large()),
    };
    // Nobody waits any more when the call has timed out; the process is being killed then.
    let _ = in_hand.answer.send(answer);
    reply
}

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

fn error_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(ERROR_TYPE)?.to_str().ok()?.to_owned())
}

/// An error's own body; a runtime may also send nothing but the type.
fn told(body: Bytes, kind: Option<String>) -> Bytes {
    if !body.is_empty() {
        return body;
    }
    let kind = kind.unwrap_or_else(|| "Runtime.Unknown".to_owned());
    Bytes::from(serde_json::json!({ "errorType": kind, "errorMessage": "" }).to_string())
}

/// The error of a response that was streamed and broke off, told in its trailers.
///
/// AWS: `Lambda-Runtime-Function-Error-Type`, and `…-Body` in base64 (custom runtimes, "Response
/// streaming"). Invoke gives a streamed response as a whole, as here.
fn broken_off(trailers: &HeaderMap) -> Option<Bytes> {
    let kind = error_type(trailers)?;
    let body = trailers.get(ERROR_BODY).and_then(|body| STANDARD.decode(body).ok());
    Some(told(Bytes::from(body.unwrap_or_default()), Some(kind)))
}

async fn init_error(shared: &Shared, request: Request<Incoming>) -> Reply {
    let kind = error_type(request.headers());
    match read(request).await {
        Some(Posted::Whole(body, _)) => {
            shared.phase.send_replace(Phase::Failed(told(body, kind)));
            accepted()
        }
        Some(Posted::TooLarge) => too_large(),
        None => broken(),
    }
}

/// Ours, not AWS's: the directory of the managed packages, once they are there.
async fn packages(managed: &SeenPackages, pause: &Mutex<Pause>) -> Reply {
    let _waiting = Waiting::begin(pause);
    match managed.ensure().await {
        Ok(directory) => {
            Response::new(Full::new(Bytes::from(directory.to_string_lossy().into_owned())))
        }
        Err(message) => {
            let mut reply = Response::new(Full::new(Bytes::from(message)));
            *reply.status_mut() = StatusCode::FAILED_DEPENDENCY;
            reply
        }
    }
}

/// Counts the time while it lives.
struct Waiting<'a>(&'a Mutex<Pause>);

impl<'a> Waiting<'a> {
    fn begin(pause: &'a Mutex<Pause>) -> Self {
        let mut state = pause.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        state.since.get_or_insert_with(Instant::now);
        Waiting(pause)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if state.waiting == 0 {
            let waited = state.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            state.total += waited;
        }
    }
}

/// What a process posted.
enum Posted {
    /// With what came after the body.
    Whole(Bytes, HeaderMap),
    TooLarge,
}

/// Reads a body; what exceeds the limit is thrown away but read, so that the process survives it.
/// Nothing if the connection ended first.
async fn read(request: Request<Incoming>) -> Option<Posted> {
    let (mut body, mut kept, mut total) = (request.into_body(), BytesMut::new(), 0);
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.ok()?;
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers.extend(frame.into_trailers().unwrap_or_default());
                continue;
            }
        };
        total += data.len();
        if total <= limits::RESPONSE_BYTES {
            kept.extend_from_slice(&data);
        } else if total > limits::POSTED_BYTES {
            break;
        }
    }
    if total > limits::RESPONSE_BYTES {
        return Some(Posted::TooLarge);
    }
    Some(Posted::Whole(kept.freeze(), trailers))
}

/// AWS: 413 for a response that exceeds the limit (Runtime API, invocation response).
fn too_large() -> Reply {
    let message = format!("more than {} bytes", limits::RESPONSE_BYTES);
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn broken() -> Reply {
    refuse(StatusCode::BAD_REQUEST, "BrokenBody", "the body ended too soon")
}

fn accepted() -> Reply {
    json(StatusCode::ACCEPTED, &serde_json::json!({ "status": "OK" }))
}

fn refuse(status: StatusCode, kind: &str, message: &str) -> Reply {
    json(status, &serde_json::json!({ "errorType": kind, "errorMessage": message }))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}
