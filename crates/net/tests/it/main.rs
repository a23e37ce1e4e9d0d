//! The client against a loopback peer that follows a script, byte for byte.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, not their helpers")]

mod canary;
mod egress;
mod peer;
mod shared;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use expect_test::{Expect, expect};
use http::Request;
use net::{Client, Config, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(30);

/// Serves one connection after another; `script[i]` lists what connection i answers to its requests,
/// in order. After the last answer it closes, or falls silent if the answer is `…`.
async fn peer(script: &'static [&'static [&'static str]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answers in script {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(socket, answers));
        }
    });
    address
}

async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, answers: &'static [&'static str]) {
    for answer in answers {
        let mut seen = Vec::new();
        while !seen.ends_with(b"end") {
            if socket.read_buf(&mut seen).await.unwrap() == 0 {
                return;
            }
        }
        let silent = answer.strip_suffix('…');
        socket.write_all(silent.unwrap_or(answer).as_bytes()).await.unwrap();
        if silent.is_some() {
            std::future::pending::<()>().await;
        }
    }
}

async fn post(client: &Client, url: &str, within: Duration) -> Result<Bytes, Error> {
    let request = Request::post(url).body(Bytes::from_static(b"the end")).unwrap();
    client.send(request, within).await?.into_body().bytes(16).await
}

/// Posts `times` and writes down each outcome, with the peer's port taken out.
async fn check(url: &str, within: Duration, times: usize, expected: Expect) {
    let client = Client::new(Config::default());
    let mut seen = String::new();
    for _ in 0..times {
        let outcome = match post(&client, url, within).await {
            Ok(body) => format!("answer: {}", String::from_utf8_lossy(&body)),
            Err(error) => format!("sent: {}; {error}", error.sent()),
        };
        seen += &outcome;
        seen.push('\n');
    }
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    expected.assert_eq(&seen.replace(&port, "PORT"));
}

const A: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
const B: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo";

#[tokio::test]
async fn requests_to_one_peer_share_a_connection() {
    let at = peer(&[&[A, B]]).await;
    check(
        &format!("http://{at}/"),
        LONG,
        2,
        expect![[r#"
        answer: one
        answer: two
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_the_peer_gives_up_is_not_used_again() {
    const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nlast";
    const BRIEF: &str =
        "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 5\r\n\r\nbrief…";
    let at = peer(&[&[LAST], &[BRIEF], &[A]]).await;
    check(
        &format!("http://{at}/"),
        LONG,
        3,
        expect![[r#"
        answer: last
        answer: brief
        answer: one
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    check(&format!("http://{closed}/"), LONG, 1, expect![[r#"
        sent: false; could not reach http://127.0.0.1:PORT: tcp connect error: Connection refused (os error 111)
    "#]])
    .await;
}

#[tokio::test]
async fn a_failed_handshake_was_not_sent() {
    let at = peer(&[&[]]).await;
    let outcome = post(&Client::new(Config::default()), &format!("https://{at}/"), LONG).await;
    assert!(matches!(outcome, Err(Error::NotSent(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_peer_that_reads_and_hangs_up_leaves_the_request_lost() {
    let at = peer(&[&[""]]).await;
    check(&format!("http://{at}/"), LONG, 1, expect![[r#"
        sent: true; the connection to http://127.0.0.1:PORT broke: connection closed before message completed
    "#]])
    .await;
}

#[tokio::test]
async fn a_body_cut_short_is_lost() {
    let at = peer(&[&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour"]]).await;
    check(&format!("http://{at}/"), LONG, 1, expect![[r#"
        sent: true; the connection to http://127.0.0.1:PORT broke: error reading a body from connection: end of file before message length reached
    "#]])
    .await;
}

#[tokio::test]
async fn silence_before_and_inside_the_answer_ends_at_the_limit() {
    let at = peer(&[&["…"], &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour…"]]).await;
    check(
        &format!("http://{at}/"),
        SOON,
        2,
        expect![[r#"
        sent: true; http://127.0.0.1:PORT did not answer within 80ms
        sent: true; http://127.0.0.1:PORT did not answer within 80ms
    "#]],
    )
    .await;
}

/// Counts how often a task would have been polled once more.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_request_on_a_kept_connection_goes_out_in_one_poll() {
    let at = peer(&[&[A, B]]).await;
    let (client, url) = (Client::new(Config::default()), format!("http://{at}/"));
    post(&client, &url, LONG).await.unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut second = std::pin::pin!(post(&client, &url, LONG));
    let waker = Waker::from(Arc::clone(&wakes));
    // The peer runs on this thread too, so nothing can have come back yet.
    assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    assert_eq!(second.await.unwrap(), "two");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_refused_and_chunks_are_joined() {
    const CHUNKS: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n5\r\n five\r\n0\r\n\r\n";
    const LARGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n12345678901234567";
    let at = peer(&[&[CHUNKS, LARGE]]).await;
    check(
        &format!("http://{at}/"),
        LONG,
        2,
        expect![[r#"
        answer: four five
        sent: true; the response of http://127.0.0.1:PORT is larger than 16 bytes
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_address_that_cannot_be_sent_to_is_named() {
    check(
        "ftp://127.0.0.1:21/",
        LONG,
        1,
        expect![[r#"
        sent: false; cannot send to this address: the scheme ftp is neither http nor https
    "#]],
    )
    .await;
    check(
        "http://me:secret@127.0.0.1:21/",
        LONG,
        1,
        expect![[r#"
        sent: false; cannot send to this address: user name and password do not belong into the URL
    "#]],
    )
    .await;
}
