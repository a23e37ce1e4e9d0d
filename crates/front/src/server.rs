//! Connections: accepts them, speaks HTTP/1.1 and HTTP/2 with prior knowledge on the one port,
//! and lets them finish when the server stops.
//!
//! A connection that breaks ends its own task and nothing else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::call::Front;
use crate::limits;

/// Accepts until `shutdown` resolves, then waits for what is open, at most for `drain`.
pub(crate) async fn run(
    listener: TcpListener,
    front: Arc<Front>,
    drain: Duration,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = builder();
    let open = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        if let Some((stream, slot)) = accepted {
            let front = Arc::clone(&front);
            let service = service_fn(move |request| {
                let front = Arc::clone(&front);
                async move { Ok::<_, Infallible>(front.call(request).await) }
            });
            let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = open.watch(connection);
            connections.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error = %error, "connection ended");
                }
                drop(slot);
            });
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let mut finished = std::pin::pin!(open.shutdown());
    if tokio::time::timeout(drain, &mut finished).await.is_err() {
        front.closing.send_replace(true);
        if tokio::time::timeout(limits::FAREWELL, finished).await.is_err() {
            tracing::warn!(open = connections.len(), "connections cut after the drain time");
        }
    }
    connections.shutdown().await;
    Ok(())
}

fn builder() -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_buf_size(limits::HEAD_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION)
        .max_header_list_size(limits::HEAD_BYTES as u32)
        .keep_alive_interval(limits::HEAD_TIMEOUT);
    server
}

/// `None` after a failure that concerns one connection, or that passes.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are written whole; waiting to fill a packet only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(error = %error, "TCP_NODELAY was refused");
            }
            Some((stream, slot))
        }
        Err(error) => {
            tracing::warn!(error = %error, "could not accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
