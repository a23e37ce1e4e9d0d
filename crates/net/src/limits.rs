//! Bounds of the client, each with its reason.

use std::time::Duration;

/// Time for name look-up, TCP and TLS together. Long enough for one lost SYN (1 s) and a far peer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle connections kept for each peer: one per call in flight at the concurrency the bench drives.
pub(crate) const IDLE_PER_PEER: usize = 64;

/// Idle connections kept in all; above it a finished connection is closed instead.
pub(crate) const IDLE_TOTAL: usize = 512;

/// How long an idle connection is trusted. Node and uvicorn close theirs after 5 s, and a request
/// written into a closing connection is lost, so we let go first.
pub(crate) const IDLE_PLAIN: Duration = Duration::from_secs(4);

/// As above for https, where a new connection costs a handshake and peers are load balancers that
/// wait a minute or more (60 s on AWS's).
pub(crate) const IDLE_TLS: Duration = Duration::from_secs(30);

/// A shared connection is asked whether it lives after so much silence while an answer is due, and
/// has so long to say so: Kubernetes' client asks at the same times (`HTTP2_READ_IDLE_TIMEOUT_SECONDS`
/// 30, `HTTP2_PING_TIMEOUT_SECONDS` 15). More often, and servers of gRPC take it for an attack.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(30);
pub(crate) const PING_ANSWER: Duration = Duration::from_secs(15);

/// What may be under way of one answer before its reader takes it: at a round trip of 100 ms that is
/// 2.5 MB/s, a hundred times what a model writes.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;

/// Streams at once on one connection, however many more its peer allows: AWS's load balancers allow
/// 128, most peers 100.
pub(crate) const STREAMS: usize = 128;

/// As above of all answers on one connection: room for all its streams, so that those that nobody
/// reads stop no other.
pub(crate) const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;

/// Headers of one answer; ours, four times what Node and nginx take.
pub(crate) const HEADER_BYTES: u32 = 64 * 1024;

/// How long a body that nobody reads any more may take to end; a new connection is cheaper than more.
pub(crate) const RETIRE: Duration = Duration::from_secs(1);

/// Connections that one guard's clients hold at once: twice what a pool keeps idle.
pub(crate) const CONNECTIONS: usize = 2 * IDLE_TOTAL;

/// How many addresses of a name are tried; all are judged. Large services name four to eight.
pub(crate) const ADDRESSES: usize = 8;

/// How long an address may take before the next one is tried: two lost SYNs are 3 s.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(1);

/// Redirects of one request that are followed, as browsers and curl bound them in tens.
pub(crate) const HOPS: usize = 10;

/// Ours: more than any key or token has.
pub(crate) const SECRET_BYTES: u64 = 64 * 1024;
