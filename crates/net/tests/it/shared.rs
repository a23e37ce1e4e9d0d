//! Connections of HTTP/2: shared by requests, and never the reason that one is done twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use expect_test::{Expect, expect};
use http::Request;
use http::header::{AUTHORIZATION, HeaderMap};
use net::sigv4::{Signer, Unsigned};
use net::{Body, Client, Config, Error, KeepAlive, Patience};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::peer::{GOAWAY_AFTER, GOAWAY_BEFORE, NO_CONTENT, Peer, scripted};
use crate::tls::Signed;
use crate::{LONG, SOON, answer};

fn client(signed: &Signed) -> Client {
    Client::new(Config { roots: signed.roots(), ..Config::default() })
}

fn post(url: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(url).body(body.into()).unwrap()
}

/// One whole exchange, told in a line.
async fn told(client: &Client, url: &str) -> String {
    let outcome = async {
        let response = client.send(post(url, "the end"), LONG).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().bytes(1024).await?))
    };
    match outcome.await {
        Ok((status, body)) => format!("{status} {}", String::from_utf8_lossy(&body)),
        Err(error) => {
            let error: Error = error;
            format!("sent: {}; {error}", error.sent())
        }
    }
}

/// Asks for each path in turn, and counts the connections.
async fn check(paths: &[&str], expected: Expect) {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let mut seen = String::new();
    for path in paths {
        let line = told(&client, &peer.url(path)).await;
        let line = line.replace(&peer.address.to_string(), "PEER");
        seen += &format!("{path}: {line} [{} connections]\n", peer.connections());
    }
    expected.assert_eq(&seen);
}

async fn held(client: &Client, peer: &Peer) -> Body {
    let response = client.send(post(&peer.url("/held"), ""), LONG).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "first ");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_at_once_share_a_connection() {
    let peer = Peer::allowing(100, 40).await;
    let client = client(&peer.signed);
    let mut all = JoinSet::new();
    for number in 0..40 {
        let (client, url) = (client.clone(), peer.url("/together"));
        all.spawn(async move {
            let answer = client.send(post(&url, number.to_string()), LONG).await.unwrap();
            assert_eq!(answer.into_body().bytes(16).await.unwrap(), number.to_string());
        });
    }
    all.join_all().await;
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_are_as_many_connections_as_the_streams_need() {
    let peer = Peer::allowing(10, 100).await;
    let client = client(&peer.signed);
    let mut all = JoinSet::new();
    for _ in 0..100 {
        let (client, url) = (client.clone(), peer.url("/together"));
        all.spawn(async move { told(&client, &url).await });
    }
    let told = all.join_all().await;
    assert!(told.iter().all(|line| line == "200 the end"), "{told:?}");
    assert_eq!(peer.seen.peak.load(std::sync::atomic::Ordering::SeqCst), 10);
    assert!((10..=12).contains(&peer.connections()), "{}", peer.connections());
}

#[tokio::test]
async fn a_body_let_go_of_resets_its_stream_alone() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let (one, mut other) = (held(&client, &peer).await, held(&client, &peer).await);
    drop(one);
    peer.seen.until("/held ended: CANCEL").await;
    peer.seen.gate.notify_waiters();
    assert_eq!(other.chunk().await.unwrap().unwrap(), "last");
    assert_eq!(other.chunk().await.unwrap(), None);
    assert_eq!(told(&client, &peer.url("/echo")).await, "200 the end");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_call_let_go_of_before_its_answer_is_reset() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let sending = {
        let (client, url) = (client.clone(), peer.url("/never"));
        tokio::spawn(async move { told(&client, &url).await })
    };
    peer.seen.until("/never came").await;
    sending.abort();
    peer.seen.until("/never ended: CANCEL").await;
    assert_eq!(told(&client, &peer.url("/echo")).await, "200 the end");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_peer_that_says_goodbye_finishes_what_it_has_and_is_dialled_anew() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let mut before = held(&client, &peer).await;
    assert_eq!(told(&client, &peer.url("/farewell")).await, "200 the end");
    let after = told(&client, &peer.url("/echo")).await;
    assert_eq!((after.as_str(), peer.connections()), ("200 the end", 2));
    peer.seen.gate.notify_waiters();
    assert_eq!(before.chunk().await.unwrap().unwrap(), "last");
    assert_eq!(before.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn what_the_peer_says_of_a_stream_decides_whether_it_goes_again() {
    check(
        &["/echo", "/refused", "/echo", "/broken", "/echo", "/abrupt", "/echo"],
        expect![[r#"
            /echo: 200 the end [1 connections]
            /refused: sent: false; could not reach https://PEER: stream error received: refused stream before processing any application logic [2 connections]
            /echo: 200 the end [3 connections]
            /broken: sent: true; the connection to https://PEER broke: stream error received: unexpected internal error encountered [3 connections]
            /echo: 200 the end [3 connections]
            /abrupt: sent: true; the connection to https://PEER broke: stream closed because of a broken pipe [3 connections]
            /echo: 200 the end [4 connections]
        "#]],
    )
    .await;
    check(
        &["/refused-at-first"],
        expect![[r#"
        /refused-at-first: 200 the end [2 connections]
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_request_that_a_goodbye_left_out_goes_again_and_one_it_took_does_not() {
    let signed = Signed::for_loopback();
    let peer = scripted(&signed, &[&[GOAWAY_BEFORE], &[NO_CONTENT]]).await;
    assert_eq!(told(&client(&signed), &format!("https://{peer}/")).await, "204 ");
    let peer = scripted(&signed, &[&[GOAWAY_BEFORE], &[GOAWAY_BEFORE], &[NO_CONTENT]]).await;
    let twice = told(&client(&signed), &format!("https://{peer}/")).await;
    assert!(twice.starts_with("sent: false; could not reach"), "{twice}");
    let peer = scripted(&signed, &[&[GOAWAY_AFTER], &[NO_CONTENT]]).await;
    let taken = told(&client(&signed), &format!("https://{peer}/")).await;
    assert!(taken.starts_with("sent: true; the connection to"), "{taken}");
}

#[tokio::test]
async fn what_a_peer_wants_by_http_1_1_goes_again_so() {
    check(
        &["/echo", "/http1", "/echo"],
        expect![[r#"
            /echo: 200 the end [1 connections]
            /http1: 200 old [2 connections]
            /echo: 200 old [2 connections]
        "#]],
    )
    .await;
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let mut before = held(&client, &peer).await;
    assert_eq!(told(&client, &peer.url("/http1")).await, "200 old");
    peer.seen.gate.notify_waiters();
    assert_eq!(before.chunk().await.unwrap().unwrap(), "last", "the others go on");
}

#[tokio::test]
async fn a_dead_peer_is_found_out_and_dialled_anew() {
    let peer = Peer::allowing(100, 1).await;
    let keep_alive = KeepAlive { after: SOON, answer: 5 * SOON };
    let config = Config { roots: peer.signed.roots(), keep_alive, ..Config::default() };
    let client = Client::new(config);
    let dead = told(&client, &peer.url("/dead")).await;
    let expected = "sent: true; the connection to https://PEER broke: \
                    it did not answer a ping within 400ms";
    assert_eq!(dead.replace(&peer.address.to_string(), "PEER"), expected);
    assert_eq!(told(&client, &peer.url("/echo")).await, "200 the end");
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn silence_ends_one_stream_and_not_the_connection() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let mut other = held(&client, &peer).await;
    let hasty = client.with_patience(Patience { head: None, idle: Some(SOON) });
    let mut slow = held(&hasty, &peer).await;
    let silent = slow.chunk().await.unwrap_err();
    assert!(matches!(silent, Error::Silent { .. }), "{silent:?}");
    let hasty = client.with_patience(Patience { head: Some(SOON), idle: None });
    let late = hasty.send(post(&peer.url("/never"), ""), LONG).await.err().unwrap();
    assert!(matches!(late, Error::TimedOut { sent: true, .. }), "{late:?}");
    peer.seen.until("/held ended: CANCEL").await;
    peer.seen.until("/never ended: CANCEL").await;
    peer.seen.gate.notify_waiters();
    assert_eq!(other.chunk().await.unwrap().unwrap(), "last");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_reader_that_stops_does_not_stop_the_others_and_bodies_pass_whole() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let large: Bytes = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    let echo = || client.send(post(&peer.url("/echo"), large.clone()), LONG);
    let unread = echo().await.unwrap();
    let read = echo().await.unwrap().into_body().bytes(large.len()).await.unwrap();
    assert!(read == large);
    assert!(unread.into_body().bytes(large.len()).await.unwrap() == large);
    let early = client.send(post(&peer.url("/early"), large.clone()), LONG).await.unwrap();
    assert_eq!(early.status(), 413);
    assert_eq!(early.into_body().bytes(16).await.unwrap(), "too much");
    assert_eq!(peer.connections(), 1);
}

/// As many unread answers as fill the window of a connection: the next has another one.
#[tokio::test]
async fn answers_that_nobody_reads_never_fill_a_connection() {
    let peer = Peer::allowing(1_000, 1).await;
    let client = client(&peer.signed);
    let large = Bytes::from(vec![7; 300_000]);
    let mut unread = Vec::new();
    for _ in 0..130 {
        unread.push(client.send(post(&peer.url("/echo"), large.clone()), LONG).await.unwrap());
    }
    let read = client.send(post(&peer.url("/echo"), large.clone()), LONG).await.unwrap();
    assert!(read.into_body().bytes(large.len()).await.unwrap() == large);
    assert_eq!(peer.connections(), 2);
    assert!(unread.pop().unwrap().into_body().bytes(large.len()).await.unwrap() == large);
}

#[tokio::test]
async fn the_host_is_in_the_uri_and_what_belongs_to_a_connection_stays_here() {
    let peer = Peer::allowing(100, 1).await;
    let request = Request::post(peer.url("/head?q=%20"))
        .header("connection", "keep-alive, x-hop")
        .header("keep-alive", "timeout=5")
        .header("te", "gzip")
        .header("transfer-encoding", "chunked")
        .header("x-hop", "1")
        .header("x-end", "2")
        .header("host", "signed.example:8443")
        .body(Bytes::new())
        .unwrap();
    let answer = client(&peer.signed).send(request, LONG).await.unwrap();
    let head = answer.into_body().bytes(1024).await.unwrap();
    let expected = expect![[r#"
        POST https://signed.example:8443/head?q=%20
        x-end: "2"
        content-length: "0""#]];
    expected.assert_eq(&String::from_utf8_lossy(&head));
}

#[tokio::test]
async fn a_query_without_a_path_is_asked_of_the_root() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    let asked = |url: &str| client.send(Request::get(url).body(Bytes::new()).unwrap(), LONG);
    let answer = asked(&peer.url("?head")).await.unwrap();
    let head = answer.into_body().bytes(1024).await.unwrap();
    assert_eq!(head, format!("GET https://{}/?head", peer.address));
}

#[tokio::test]
async fn the_host_that_was_signed_is_the_host_that_the_peer_reads() {
    let peer = Peer::allowing(100, 1).await;
    let signer = Signer {
        access_key: "AKIDEXAMPLE",
        secret_key: "secret",
        session_token: None,
        region: "us-east-1",
        service: "bedrock",
    };
    let signed = |host: &str| {
        let unsigned = Unsigned {
            method: "POST",
            host,
            path: "/head",
            query: "",
            headers: &HeaderMap::new(),
            body: b"the end",
        };
        signer.sign(&unsigned, 1_700_000_000_000).unwrap()
    };
    let mut request = post(&peer.url("/head"), "the end");
    request.headers_mut().extend(signed(&peer.address.to_string()));
    let answer = client(&peer.signed).send(request, LONG).await.unwrap();
    let read = answer.into_body().bytes(4096).await.unwrap();
    let read = String::from_utf8(read.to_vec()).unwrap();
    let host = read.strip_prefix("POST https://").and_then(|rest| rest.split('/').next()).unwrap();
    let again = signed(host);
    let again = again.iter().find(|(name, _)| **name == AUTHORIZATION).unwrap().1;
    assert!(read.contains(again.to_str().unwrap()), "{read}");
}

#[tokio::test]
async fn a_connection_serves_the_name_it_was_opened_for() {
    let peer = Peer::allowing(100, 1).await;
    let client = client(&peer.signed);
    // One certificate for both names, one address.
    let by_name = format!("https://localhost:{}/echo", peer.address.port());
    for (url, connections) in [(peer.url("/echo"), 1), (by_name, 2)] {
        assert_eq!(told(&client, &url).await, "200 the end");
        assert_eq!(peer.connections(), connections);
    }
}

#[tokio::test]
async fn a_peer_that_chooses_http_1_1_has_one_request_at_once_on_a_connection() {
    const FIRST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst";
    const SECOND: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond";
    let signed = Signed::for_loopback();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let acceptor = signed.acceptor("http/1.1");
    let both = Arc::new(Barrier::new(2));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, both) = (acceptor.clone(), Arc::clone(&both));
            tokio::spawn(async move {
                let socket = acceptor.accept(socket).await.unwrap();
                both.wait().await;
                answer(socket, &[FIRST, SECOND]).await;
            });
        }
    });
    let client = client(&signed);
    // Neither is answered before both have a connection.
    let at_once = tokio::join!(told(&client, &url), told(&client, &url));
    assert_eq!(at_once, ("200 first".to_owned(), "200 first".to_owned()));
    assert_eq!(told(&client, &url).await, "200 second");
}

#[tokio::test]
async fn a_root_that_nobody_named_is_not_trusted() {
    let peer = Peer::allowing(100, 1).await;
    let told = told(&Client::new(Config::default()), &peer.url("/echo")).await;
    assert!(told.starts_with("sent: false; could not reach"), "{told}");
    assert!(told.contains("UnknownIssuer"), "{told}");
}

/// An operator's root, through the variable that names it: in a process of its own, since the
/// environment is the process's.
#[tokio::test]
async fn ssl_cert_file_adds_a_root() {
    const URL: &str = "NET_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        let told = told(&Client::new(Config::default()), &url).await;
        assert_eq!((told.as_str(), net::Roots::unread().len()), ("200 the end", 0));
        return;
    }
    let peer = Peer::allowing(100, 1).await;
    let own = std::env::current_exe().unwrap();
    let child = tokio::process::Command::new(own)
        .args(["--exact", "shared::ssl_cert_file_adds_a_root"])
        .env("SSL_CERT_FILE", &peer.signed.root)
        .env(URL, peer.url("/echo"))
        .output();
    let child = tokio::time::timeout(Duration::from_secs(60), child).await.unwrap().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(peer.connections(), 1);
}
