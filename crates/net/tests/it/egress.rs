//! The guard against hostile URLs, resolvers and redirects, with a canary on the machine itself.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use expect_test::{Expect, expect};
use http::{Request, Uri};
use net::egress::{Budget, Config as Allowed, Entry, Looking, Resolve, Rules, Unconnected};
use net::{Client, Config, Egress, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::canary::{Canary, reaching, urls};
use crate::{LONG, SOON};

/// Answers each look-up with the next of its answers, the last one for ever, and keeps the names.
struct Liar {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Liar {
    fn answering(answers: &[&[&str]]) -> Arc<Liar> {
        let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers: Vec<Vec<IpAddr>> = answers.iter().rev().map(parsed).collect();
        Arc::new(Liar { answers: Mutex::new(answers), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Liar {
    fn resolve<'a>(&'a self, name: &'a str) -> Looking<'a> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop() } else { answers.first().cloned() };
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no answer")) })
    }
}

fn get(url: &str) -> Option<Request<Bytes>> {
    Request::get(url).body(Bytes::new()).ok()
}

fn entry(text: &str) -> Entry {
    text.parse().unwrap()
}

/// Whoever may reach what is public, in a world where every name means this machine.
fn public() -> Egress {
    Egress::resolving(Rules::of(&Allowed::default()), Liar::answering(&[&["127.0.0.1"]]))
}

/// That a URL was turned away by its looks or by the rules, and not by nobody answering.
#[track_caller]
fn assert_turned_away(url: &str, error: &Error) {
    let by_looks = matches!(error, Error::NotSent(why) if why.starts_with("cannot send to"));
    assert!(by_looks || matches!(error, Error::Denied(_)), "{url:?}: {error}");
}

#[tokio::test]
async fn the_client_fetches_none_of_the_urls() {
    let canary = Canary::listen().await;
    let client = Client::guarded(Config::default(), public());
    let urls = urls(canary.port);
    assert!(urls.len() > 500, "{}", urls.len());
    for url in &urls {
        let Some(request) = get(url) else { continue };
        let error = client.send(request, LONG).await.err().expect(url);
        assert_turned_away(url, &error);
    }
    assert_eq!(canary.visits().await, 0);
}

#[tokio::test]
async fn a_connection_is_opened_to_none_of_them() {
    let canary = Canary::listen().await;
    let guard = public();
    for url in urls(canary.port) {
        let Ok(uri) = url.parse::<Uri>() else { continue };
        let (Some(host), port) = (uri.host(), uri.port_u16().unwrap_or(80)) else { continue };
        // Without the user in front of it, it is a host like any other.
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            continue;
        }
        let error = guard.connect(host, port).await.err().expect(&url);
        assert!(matches!(error, Unconnected::Denied(_)), "{url}: {error}");
    }
    assert_eq!(canary.visits().await, 0);
}

/// Sends whoever comes to the location that is next.
async fn signpost(locations: Vec<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for location in locations {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                socket.read_buf(&mut seen).await.unwrap();
            }
            let head = format!(
                "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
        }
    });
    port
}

#[tokio::test]
async fn a_redirect_leads_to_none_of_them() {
    let canary = Canary::listen().await;
    // What has no end of a line in it fits into a header, and a path of the signpost's own is no
    // way inside.
    let own_path = |url: &str| {
        let relative = !url.contains(':') && !url.starts_with("//");
        relative || url.starts_with(|first: char| first.is_ascii_digit())
    };
    let leads = |url: &String| !url.contains(['\r', '\n', '\0']) && !own_path(url);
    let locations: Vec<String> = urls(canary.port).into_iter().filter(leads).collect();
    let at = signpost(locations.clone()).await;
    let named = Rules::of(&Allowed::default()).naming([entry(&format!("127.0.0.1:{at}"))]);
    let guard = Egress::resolving(named, Liar::answering(&[&["127.0.0.1"]]));
    let client = Client::guarded(Config::default(), guard);
    for location in locations {
        let request = get(&format!("http://127.0.0.1:{at}/")).unwrap();
        let error = client.follow(request, LONG).await.err().expect(&location);
        let said = error.to_string();
        let stopped = said.contains("may not be reached")
            || said.contains("is not followed: its location is no plain URL")
            || said.contains("is not followed: cannot send to");
        assert!(stopped, "{location:?}: {said}");
    }
    assert_eq!(canary.visits().await, 0);
}

#[tokio::test]
async fn who_has_no_guard_reaches_the_canary_by_the_same_urls() {
    let canary = Canary::listen().await;
    let client = Client::new(Config::default());
    for url in reaching(canary.port) {
        let Some(request) = get(&url) else { continue };
        // The canary takes the connection and says nothing.
        let _ = client.send(request, SOON).await;
    }
    let visits = canary.visits().await;
    assert!(visits > 40, "{visits}");
}

/// What a guard says about hosts, one line for each.
#[track_caller]
fn check(guard: &Egress, hosts: &[(&str, u16)], expected: &Expect) {
    let say = |(host, port): &(&str, u16)| match guard.check(host, *port) {
        Ok(()) => format!("{host}:{port} is let through\n"),
        Err(denied) => format!("{denied}\n"),
    };
    expected.assert_eq(&hosts.iter().map(say).collect::<String>());
}

#[test]
fn the_operator_names_private_hosts_and_nobody_names_metadata() {
    let allow = ["10.0.0.5:5432", "db.internal:5432", "*.corp.example", "169.254.169.254:80"];
    let allowed = Allowed { allow: allow.map(entry).into(), public: true };
    let hosts = [
        ("10.0.0.5", 5432),
        ("[::ffff:10.0.0.5]", 5432),
        ("10.0.0.5", 80),
        ("10.0.0.6", 5432),
        ("DB.internal", 5432),
        ("x.corp.example", 443),
        ("8.8.8.8", 443),
        ("169.254.169.254", 80),
        ("metadata.google.internal", 80),
        ("127.1", 80),
    ];
    check(
        &Egress::new(Rules::of(&allowed)),
        &hosts,
        &expect![[r#"
        10.0.0.5:5432 is let through
        [::ffff:10.0.0.5]:5432 is let through
        10.0.0.5:80 may not be reached: it is a private address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        10.0.0.6:5432 may not be reached: it is a private address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        DB.internal:5432 is let through
        x.corp.example:443 is let through
        8.8.8.8:443 is let through
        169.254.169.254:80 may not be reached: it is a cloud's metadata service
        metadata.google.internal:80 may not be reached: it is a cloud's metadata service
        127.1:80 may not be reached: it is a number; write an address as four plain decimal numbers
    "#]],
    );
    check(
        &Egress::new(Rules::tenants(&allowed)),
        &hosts[..2],
        &expect![[r#"
            10.0.0.5:5432 may not be reached: it is a private address; what a tenant's document names is reached at public addresses alone
            [::ffff:10.0.0.5]:5432 may not be reached: it is a private address; what a tenant's document names is reached at public addresses alone
        "#]],
    );
    let closed = Allowed { public: false, ..allowed };
    check(
        &Egress::new(Rules::of(&closed)),
        &hosts[..7],
        &expect![[r#"
        10.0.0.5:5432 is let through
        [::ffff:10.0.0.5]:5432 is let through
        10.0.0.5:80 may not be reached: it is a private address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        10.0.0.6:5432 may not be reached: it is a private address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        DB.internal:5432 is let through
        x.corp.example:443 is let through
        8.8.8.8:443 may not be reached: it is on no allow-list; name it under egress.allow in craton.toml
    "#]],
    );
}

/// Connects to `name:port` once for each answer of a resolver, and says what came of it.
async fn connecting(rules: Rules, answers: &[&[&str]], name: &str, port: u16) -> String {
    let liar = Liar::answering(answers);
    let guard = Egress::resolving(rules, Arc::clone(&liar) as Arc<dyn Resolve>);
    let mut told = String::new();
    for _ in answers {
        told += &match guard.connect(name, port).await {
            Ok(_) => "connected\n".to_owned(),
            Err(error) => format!("{error}\n").replace(&port.to_string(), "PORT"),
        };
    }
    assert_eq!(liar.asked().len(), answers.len(), "a name is resolved once for a connection");
    told
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_each_time_and_connected_as_judged() {
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = here.local_addr().unwrap().port();
    let elsewhere = Canary::listen().await;
    let named = Rules::closed().naming([entry(&format!("db.internal:{port}"))]);
    let answers: &[&[&str]] = &[
        &["127.0.0.1"],
        &["169.254.169.254"],
        &["127.0.0.1", "169.254.169.254"],
        &["::ffff:169.254.169.254"],
        &["0.0.0.0"],
        &["127.0.0.1"],
    ];
    let told = connecting(named, answers, "db.internal", port).await;
    expect![[r#"
        connected
        db.internal:PORT may not be reached: it is a cloud's metadata service
        db.internal:PORT may not be reached: it is a cloud's metadata service
        db.internal:PORT may not be reached: it is a cloud's metadata service
        db.internal:PORT may not be reached: it is no host's address
        connected
    "#]]
    .assert_eq(&told);
    let public = Rules::of(&Allowed::default());
    let answers: &[&[&str]] = &[
        &["127.0.0.1"],
        &["93.184.216.34", "127.0.0.1"],
        &["2606:4700::1111", "::1"],
        &["10.0.0.1", "93.184.216.34"],
        &["::ffff:127.0.0.1"],
        &[],
    ];
    let told = connecting(public, answers, "rebind.example", elsewhere.port).await;
    expect![[r#"
        rebind.example:PORT may not be reached: it is a loopback address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        rebind.example:PORT may not be reached: it is a loopback address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        rebind.example:PORT may not be reached: it is a loopback address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        rebind.example:PORT may not be reached: it is a private address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        rebind.example:PORT may not be reached: it is a loopback address; if it is meant, name exactly this host and port under egress.allow in craton.toml
        the name has no address
    "#]].assert_eq(&told);
    assert_eq!(elsewhere.visits().await, 0);
}

#[tokio::test]
async fn no_resolver_hears_of_what_is_refused_by_name() {
    let liar = Liar::answering(&[&["127.0.0.1"]]);
    let guard =
        Egress::resolving(Rules::closed().naming([entry("metadata.goog:80")]), liar.clone());
    for host in ["metadata.goog", "metadata.google.internal", "unlisted.example", "127.1"] {
        guard.connect(host, 80).await.err().expect(host);
    }
    assert_eq!(liar.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_budget_bounds_connections_and_bytes_until_it_is_filled_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let named = Rules::closed().naming([entry(&format!("127.0.0.1:{port}"))]);
    let guard = Egress::new(named.within(Budget { connections: 1, bytes: 8 }));
    let mut first = guard.connect("127.0.0.1", port).await.unwrap();
    let second = guard.connect("127.0.0.1", port).await.err().unwrap();
    assert_eq!(second.to_string(), "1 connections are open");
    first.write_all(b"12345678").await.unwrap();
    let spent = first.write_all(b"9").await.unwrap_err();
    assert_eq!(spent.to_string(), "its bytes are used up");
    drop(first);
    let third = guard.connect("127.0.0.1", port).await.err().unwrap();
    assert_eq!(third.to_string(), "its bytes are used up");
    guard.refill();
    guard.connect("127.0.0.1", port).await.unwrap().write_all(b"12345678").await.unwrap();
}
