//! A connection against a peer that is played frame by frame, on a clock that moves when all wait.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, not their helpers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::{KeepAlive, Lease, Shared};
use crate::door::{Door, Turn};
use crate::pool::Peer;

const AFTER: Duration = Duration::from_secs(30);
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: u8 = 6;
const ACK: u8 = 1;
/// Pings that the peer answers; nobody needs so many.
const PATIENCE: usize = 100;

async fn opened() -> (Lease, DuplexStream) {
    let (here, there) = tokio::io::duplex(1024);
    let peer = Arc::new(Peer { tls: true, authority: "peer.example".parse().unwrap() });
    let Turn::Dial(dialing) = Arc::new(Door::default()).enter().await else {
        panic!("there is no connection yet")
    };
    let keep_alive = KeepAlive { after: AFTER, answer: AFTER / 2 };
    (Shared::open(peer, here, dialing, keep_alive).await.unwrap(), there)
}

/// Answers pings and nothing else, and counts them.
async fn quiet(mut socket: DuplexStream, pings: Arc<AtomicUsize>) -> std::io::Result<()> {
    socket.write_all(SETTINGS).await?;
    socket.read_exact(&mut [0; 24]).await?;
    while pings.load(Ordering::SeqCst) < PATIENCE {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await?;
        let mut body = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut body).await?;
        if head[3] == PING && head[4] != ACK {
            pings.fetch_add(1, Ordering::SeqCst);
            head[4] = ACK;
            socket.write_all(&[&head[..], &body].concat()).await?;
        }
    }
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_quiet_peer_that_lives_is_asked_as_often_as_is_set() {
    let (mut lease, there) = opened().await;
    let pings = Arc::new(AtomicUsize::new(0));
    tokio::spawn(quiet(there, Arc::clone(&pings)));
    let request = Request::post("/").body(Full::new(Bytes::from_static(b"?"))).unwrap();
    let answer = timeout(10 * AFTER, lease.exchange(request)).await;
    assert!(answer.is_err(), "it is waited for all the time");
    // The first brings the settings.
    let asked = pings.load(Ordering::SeqCst) - 1;
    assert!((8..=10).contains(&asked), "{asked} pings");
}
