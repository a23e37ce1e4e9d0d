//! Every bound of the front, with the source of its number.

use std::time::Duration;

/// Connections open at once; the next waits in the kernel's queue. Ours.
pub(crate) const CONNECTIONS: usize = 8192;

/// Requests that one HTTP/2 connection may have open. Ours.
pub(crate) const STREAMS_PER_CONNECTION: u32 = 1024;

/// Request line and headers together. Ours; a session token of AWS's stays under 8 KB, but
/// Lambda's client context and long ARNs add to it.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// For a request's head to arrive, and for a connection to idle between requests. Ours; longer
/// than the pauses of an interactive client, shorter than a forgotten socket.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Large bodies held at once, all requests together; the next ones wait to be read. Ours.
pub(crate) const BODIES: usize = 1024 * 1024 * 1024;

/// Bodies up to this size are not counted into [`BODIES`].
pub(crate) const BODY_SMALL: usize = 256 * 1024;

/// Between two pieces of a request's body. Ours.
pub(crate) const BODY_IDLE: Duration = Duration::from_secs(30);

/// What is read and thrown away of a body that is too large, so that a client that only listens
/// after it has sent everything still hears why. Ours.
pub(crate) const DISCARD_BYTES: u64 = 128 * 1024 * 1024;
pub(crate) const DISCARD_TIME: Duration = Duration::from_secs(10);

/// A function's zip, base64 inside JSON: 50 MB of zip.
// AWS: "Request must be smaller than 69905067 bytes for the CreateFunction operation" (observed)
pub(crate) const BODY_CODE: usize = 69_905_067;

/// Synchronous invocation payload.
// AWS: 6 MB each for request and response, synchronous (Lambda quotas)
pub(crate) const BODY_INVOKE: usize = 6 * 1024 * 1024;

/// Model and agent invocations.
// AWS: body of at most 25,000,000 bytes (InvokeModel's model); the same for its siblings
pub(crate) const BODY_MODEL: usize = 25_000_000;

/// Everything else. Ours; the largest documents of the control planes are a few hundred KB.
pub(crate) const BODY_OTHER: usize = 6 * 1024 * 1024;

/// A request that is passed on, held whole to be signed. Ours; larger objects go up in parts.
pub(crate) const BODY_FORWARD: usize = 64 * 1024 * 1024;

/// For a request that is passed on, until its answer's last byte. Ours.
pub(crate) const FORWARD_TIME: Duration = Duration::from_secs(15 * 60);

/// The longest name of a region. Ours; AWS's have 16 characters at most.
pub(crate) const REGION: usize = 32;

/// How far a signature's time may be from ours.
// AWS: "(20180710T071714Z - 5 min.)" in the message of an expired signature (observed)
pub(crate) const SKEW_MS: i64 = 5 * 60 * 1000;

/// How old a short-term Bedrock API key may be, whatever it says itself.
// AWS: up to 12 hours (Bedrock user guide, API keys)
pub(crate) const SHORT_TERM_MS: i64 = 12 * 60 * 60 * 1000;

/// Silence on an event stream after which a keep-alive goes out. Ours; under the shortest read
/// time-out that makes sense for a client.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// For open requests and streams to finish once the server is told to stop. Ours.
pub(crate) const DRAIN_SECONDS: u64 = 10;

/// What a stream may take to say that the server stops, after the drain time. Ours.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// How long a link to the pages waits to be opened. Ours; long enough to be copied to a browser.
pub(crate) const LINK_MS: i64 = 60 * 1000;

/// How long a browser that came by a link sees the pages. Ours; a working day.
pub(crate) const COOKIE_MS: i64 = 12 * 60 * 60 * 1000;

/// Links and cookies kept at once; the oldest give way. Ours.
pub(crate) const LINKS: usize = 100;
pub(crate) const COOKIES: usize = 1000;

/// The largest request body of an operation.
pub(crate) fn body(service: &str, operation: &str) -> usize {
    match (service, operation) {
        ("lambda", "CreateFunction" | "UpdateFunctionCode" | "PublishLayerVersion") => BODY_CODE,
        ("lambda", "Invoke" | "InvokeAsync" | "InvokeWithResponseStream") => BODY_INVOKE,
        ("bedrock-runtime" | "bedrock-agent-runtime", _) => BODY_MODEL,
        _ => BODY_OTHER,
    }
}
