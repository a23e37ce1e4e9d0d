//! A connection that left by the rules, and what it may still use up.
//!
//! A guard's connections share one account: how many are open at once, and how many bytes they may
//! move, both ways together. A connection whose guard has nothing left breaks.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one guard's connections may use up together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Open at once.
    pub connections: usize,
    /// Sent and received, until [`super::Egress::refill`].
    pub bytes: u64,
}

/// Where a budget stands.
pub(crate) struct Account {
    budget: Budget,
    places: Arc<Semaphore>,
    left: Arc<AtomicU64>,
}

impl Account {
    pub(crate) fn new(budget: Budget) -> Account {
        let places = budget.connections.min(Semaphore::MAX_PERMITS);
        Account {
            budget,
            places: Arc::new(Semaphore::new(places)),
            left: Arc::new(AtomicU64::new(budget.bytes)),
        }
    }

    /// A place for one more connection.
    pub(crate) fn pass(&self) -> io::Result<Pass> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err(spent());
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            let open = self.budget.connections;
            io::Error::new(io::ErrorKind::WouldBlock, format!("{open} connections are open"))
        })?;
        Ok(Pass { left: Arc::clone(&self.left), _place: place })
    }

    pub(crate) fn refill(&self) {
        self.left.store(self.budget.bytes, Ordering::Relaxed);
    }
}

fn spent() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "its bytes are used up")
}

/// One connection's share in its guard's account.
pub(crate) struct Pass {
    left: Arc<AtomicU64>,
    _place: OwnedSemaphorePermit,
}

impl Pass {
    /// Counts what was moved, and is wrong once more was moved than there was left.
    fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let less = |left: u64| Some(left.saturating_sub(bytes));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(before) if before < bytes => Err(spent()),
            _ => Ok(()),
        }
    }
}

/// A TCP connection to a judged address.
pub struct Stream {
    tcp: TcpStream,
    /// `None` for who needs no guard.
    pass: Option<Pass>,
}

impl Stream {
    pub(crate) fn free(tcp: TcpStream) -> Stream {
        Stream { tcp, pass: None }
    }

    pub(crate) fn guarded(tcp: TcpStream, pass: Pass) -> Stream {
        Stream { tcp, pass: Some(pass) }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        self.pass.as_ref().map_or(Ok(()), |pass| pass.spend(bytes))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        Poll::Ready(self.spend(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, bytes))?;
        Poll::Ready(self.spend(written).map(|()| written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, bytes))?;
        Poll::Ready(self.spend(written).map(|()| written))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
