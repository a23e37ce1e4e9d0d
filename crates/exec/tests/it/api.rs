//! APIs called over HTTP: what leaves, with which credentials, and what an answer means.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exec::{Api, ApiCall, ApiConfig, ApiReply, ExecError};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENT: Duration = Duration::from_secs(20);

/// A server on loopback that writes down what it is asked, and answers by a function of it.
struct Peer {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    async fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (answer, notes) = (Arc::new(answer), heard.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, notes) = (answer.clone(), notes.clone());
                tokio::spawn(async move {
                    let request = request(&mut stream).await;
                    notes.lock().unwrap().push(request.clone());
                    match answer(&request) {
                        said if said == "silence" => std::future::pending().await,
                        said => stream.write_all(said.as_bytes()).await.unwrap(),
                    }
                });
            }
        });
        Peer { url, heard }
    }

    /// What it was asked since the last look, with its own address as `HOST`.
    fn heard(&self) -> String {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.join("\n--\n").replace(self.url.trim_start_matches("http://"), "HOST")
    }
}

/// Head and body, in one form: names in lower case and in order.
async fn request(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let end = loop {
        if let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut got).await.unwrap() == 0 {
            return String::new();
        }
    };
    let head = String::from_utf8_lossy(&got[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers: Vec<String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
        .collect();
    headers.sort();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while got.len() < end + 4 + length {
        stream.read_buf(&mut got).await.unwrap();
    }
    let body = String::from_utf8_lossy(&got[end + 4..]).into_owned();
    let kept = headers.into_iter().filter(|line| !line.starts_with("user-agent: craton/"));
    [vec![first], kept.collect(), vec![body]].concat().join("\n").trim_end().to_owned()
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn fine() -> String {
    http("200 OK", "Content-Type: application/json\r\n", "{\"ok\":true}")
}

fn open(config: &Value) -> Result<Api, String> {
    let mut config = config.clone();
    config["functions"] = json!(["orders"]);
    let config: ApiConfig = serde_json::from_value(config).map_err(|e| e.to_string())?;
    Api::open("orders", &config, &net::egress::Config::default())
}

fn get() -> ApiCall {
    ApiCall {
        method: "GET".to_owned(),
        path_and_query: "/orders?page=1".to_owned(),
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        body: bytes::Bytes::new(),
        server: None,
        security: None,
        key: None,
        may_repeat: true,
    }
}

fn post() -> ApiCall {
    let headers = [("content-type", "application/json"), ("cookie", "theme=dark")];
    ApiCall {
        method: "POST".to_owned(),
        path_and_query: "/orders".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: bytes::Bytes::from_static(b"{\"n\":1}"),
        key: Some("k-1".to_owned()),
        may_repeat: false,
        ..get()
    }
}

fn told(outcome: &Result<ApiReply, ExecError>) -> String {
    match outcome {
        Ok(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            let wait = reply.retry_after.map(|wait| format!(" wait {wait:?}")).unwrap_or_default();
            format!("{} {} {body}{wait}", reply.status, reply.media)
        }
        Err(ExecError::Throttled(throttled)) => format!("throttled: {throttled:?}"),
        Err(ExecError::NotSent(why)) => format!("not sent: {why}"),
        Err(ExecError::Lost(why)) => format!("lost: {why}"),
        Err(ExecError::Refused(why)) => format!("refused: {why}"),
        Err(late @ ExecError::TimedOut(_)) => format!("timed out: {late}"),
    }
}

/// A secret in a file of its own.
fn secret(dir: &tempfile::TempDir, name: &str, value: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, value).unwrap();
    format!("file:{}", path.display())
}

#[tokio::test]
async fn a_call_leaves_as_it_was_spelled_with_key_headers_and_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::new(|_| fine()).await;
    let api = open(&json!({
        "server": format!("{}/v1/", peer.url), "headers": {"X-Client": "shop"},
        "auth": {
            "head": {"kind": "api_key", "in": "header", "name": "X-Key", "value": secret(&dir, "a", "aaaaaaaa\n")},
            "query": {"kind": "api_key", "in": "query", "name": "api key", "value": secret(&dir, "b", "b&b=bbbb")},
            "jar": {"kind": "api_key", "in": "cookie", "name": "sid", "value": secret(&dir, "c", "cccccccc")},
            "basic": {"kind": "basic", "user": "ann", "password": secret(&dir, "d", "dddddddd")},
        },
    }))
    .unwrap();
    let outcome = api.call(&post(), PATIENT).await;
    expect![[r#"200 application/json {"ok":true}"#]].assert_eq(&told(&outcome));
    expect![[r#"
        POST /v1/orders?api%20key=b%26b%3Dbbbb
        authorization: Basic YW5uOmRkZGRkZGRk
        content-length: 7
        content-type: application/json
        cookie: theme=dark; sid=cccccccc
        host: HOST
        idempotency-key: k-1
        x-client: shop
        x-key: aaaaaaaa
        {"n":1}"#]]
    .assert_eq(&peer.heard());
    let log = outcome.unwrap().log.replace(&peer.url, "http://HOST");
    expect![[r#"
        POST http://HOST/v1/orders answered 200
    "#]]
    .assert_eq(&log);
}

#[tokio::test]
async fn an_operation_gets_the_credentials_that_its_document_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::new(|_| fine()).await;
    let key = |name: &str| json!({"kind": "api_key", "in": "header", "name": name, "value": secret(&dir, name, name)});
    let api =
        open(&json!({"server": peer.url, "auth": {"one": key("x-one"), "two": key("x-two")}}));
    let api = api.unwrap();
    let asks = async |security: Value| {
        let security = serde_json::from_value(security).unwrap();
        let outcome = api.call(&ApiCall { security, ..get() }, PATIENT).await;
        let heard = peer.heard();
        let sent: Vec<&str> =
            ["x-one", "x-two"].into_iter().filter(|key| heard.contains(key)).collect();
        match outcome {
            Ok(_) => sent.join(" "),
            failed => told(&failed),
        }
    };
    for (security, expect) in [
        (json!(null), expect!["x-one x-two"]),
        (json!([]), expect![[""]]),
        (json!([["three"], ["two"]]), expect!["x-two"]),
        (json!([["one", "two"]]), expect!["x-one x-two"]),
        (json!([[], ["one"]]), expect!["x-one"]),
        (json!([[], ["three"]]), expect![[""]]),
        (
            json!([["three"], ["one", "four"]]),
            expect![
                "refused: HTTP API orders: it asks for credentials of the security scheme three, or one and four, of which craton.toml has none under auth"
            ],
        ),
    ] {
        expect.assert_eq(&asks(security).await);
    }
}

/// What becomes of an answer to a call that may not be repeated.
async fn check(answer: String, expect: &Expect) {
    let peer = Peer::new(move |_| answer.clone()).await;
    let api = open(&json!({"server": peer.url})).unwrap();
    let outcome = api.call(&post(), PATIENT).await;
    expect.assert_eq(&told(&outcome).replace(&peer.url, "http://HOST"));
}

#[tokio::test]
async fn an_answer_says_whether_something_was_done() {
    check(
        http("404 Not Found", "Content-Type: text/plain\r\n", "no"),
        &expect!["404 text/plain no"],
    )
    .await;
    check(http("503 Busy", "Retry-After: 7\r\n", ""), &expect!["503   wait 7s"]).await;
    check(http("429 Slow down", "Retry-After: 9999\r\n", "x"), &expect![[r#"throttled: Throttled { message: "HTTP API orders: it is asked too often, and wants 300 s of rest", retry_after: Some(300s) }"#]]).await;
    check(
        http("429 Slow down", "Retry-After: Fri, 20 Nov 2026 20:00:00 GMT\r\n", "x"),
        &expect![[r#"throttled: Throttled { message: "HTTP API orders: it is asked too often", retry_after: None }"#]],
    )
    .await;
    check(String::new(), &expect!["lost: HTTP API orders: the connection to http://HOST broke: connection closed before message completed"]).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned(), &expect!["lost: HTTP API orders: the connection to http://HOST broke: error reading a body from connection: end of file before message length reached"]).await;
}

#[tokio::test]
async fn silence_is_a_time_out_and_a_closed_door_is_not_sent() {
    let peer = Peer::new(|_| "silence".to_owned()).await;
    let api = open(&json!({"server": peer.url})).unwrap();
    let outcome = api.call(&post(), Duration::from_millis(200)).await;
    assert!(matches!(outcome, Err(ExecError::TimedOut(_))), "{outcome:?}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let api = open(&json!({"server": format!("http://{closed}")})).unwrap();
    let outcome = api.call(&post(), PATIENT).await;
    assert!(matches!(outcome, Err(ExecError::NotSent(_))), "{outcome:?}");
}

#[tokio::test]
async fn what_a_model_may_read_is_bounded_and_free_of_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let echo = Peer::new(|request| http("200 OK", "", request)).await;
    let api = open(&json!({"server": echo.url, "auth": {"a":
        {"kind": "bearer", "token": secret(&dir, "t", "very-secret-token")}, "b":
        {"kind": "api_key", "in": "query", "name": "k", "value": secret(&dir, "k", "plain-key-1")}}}))
    .unwrap();
    let reply = api.call(&get(), PATIENT).await.unwrap();
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains("authorization: Bearer ***") && !body.contains("secret"), "{body}");
    assert!(body.contains("k=***"), "{body}");
    let long = Peer::new(|_| http("200 OK", "", &"x".repeat(400_000))).await;
    let reply = open(&json!({"server": long.url})).unwrap().call(&get(), PATIENT).await.unwrap();
    assert_eq!((reply.body.len(), reply.cut), (exec::limits::API_ANSWER_BYTES, true));
}

#[tokio::test]
async fn a_redirect_to_another_origin_gets_no_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let other = Peer::new(|_| fine()).await;
    let there = other.url.clone();
    let home = Peer::new(move |request| match request.lines().next().unwrap() {
        "GET /orders?page=1&k=plain-key" => http("302 Found", "Location: /moved?x=1\r\n", ""),
        "GET /moved?x=1&k=plain-key" => {
            http("307 Away", &format!("Location: {there}/taken\r\n"), "")
        }
        "POST /orders?k=plain-key" => http("303 Done", "Location: /orders/1\r\n", ""),
        "GET /orders/1?k=plain-key" => fine(),
        _ => http("302 Found", "Location: /again\r\n", ""),
    })
    .await;
    let other_host = other.url.trim_start_matches("http://");
    let api = open(&json!({"server": home.url, "hosts": [other_host], "headers": {"X-Client": "shop"}, "auth": {
        "a": {"kind": "api_key", "in": "query", "name": "k", "value": secret(&dir, "k", "plain-key")},
        "b": {"kind": "bearer", "token": secret(&dir, "t", "very-secret-token")}}}))
    .unwrap();
    let call = ApiCall { key: Some("k-1".to_owned()), ..get() };
    assert_eq!(api.call(&call, PATIENT).await.unwrap().status, 200);
    assert_eq!(home.heard().matches("Bearer very-secret-token").count(), 2);
    expect![[r#"
        GET /taken
        accept: application/json
        host: HOST"#]]
    .assert_eq(&other.heard());
    expect![[r#"200 application/json {"ok":true}"#]]
        .assert_eq(&told(&api.call(&post(), PATIENT).await));
    expect![[r#"
        POST /orders?k=plain-key
        authorization: Bearer very-secret-token
        content-length: 7
        content-type: application/json
        cookie: theme=dark
        host: HOST
        idempotency-key: k-1
        x-client: shop
        {"n":1}
        --
        GET /orders/1?k=plain-key
        authorization: Bearer very-secret-token
        cookie: theme=dark
        host: HOST
        idempotency-key: k-1
        x-client: shop"#]]
    .assert_eq(&home.heard());
    let round = ApiCall { path_and_query: "/round".to_owned(), ..get() };
    expect!["refused: HTTP API orders: it redirects more than 5 times"]
        .assert_eq(&told(&api.call(&round, PATIENT).await));
}

#[tokio::test]
async fn what_breaks_behind_a_redirect_was_still_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let peer =
        Peer::new(move |_| http("303 Done", &format!("Location: http://{closed}/\r\n"), "")).await;
    let api = open(&json!({"server": peer.url, "hosts": [closed.to_string()]})).unwrap();
    let outcome = api.call(&post(), PATIENT).await;
    assert!(matches!(outcome, Err(ExecError::Lost(_))), "{outcome:?}");
    let outcome = api.call(&get(), PATIENT).await;
    assert!(matches!(outcome, Err(ExecError::Refused(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_refusal_behind_a_redirect_does_not_undo_what_came_before() {
    for refusal in ["401 No", "404 Gone", "429 Slow down"] {
        let peer = Peer::new(move |request| match request.starts_with("POST") {
            true => http("303 Done", "Location: /result\r\n", ""),
            false => http(refusal, "", ""),
        })
        .await;
        let api = open(&json!({"server": peer.url})).unwrap();
        let outcome = api.call(&post(), PATIENT).await;
        assert!(matches!(outcome, Err(ExecError::Lost(_))), "{outcome:?}");
        assert_eq!(peer.heard().matches("POST /orders").count(), 1);
    }
}

#[tokio::test]
async fn nothing_that_a_peer_or_a_document_says_opens_a_private_network() {
    let canary = Peer::new(|_| fine()).await;
    let inside = canary.url.clone();
    let peer = Peer::new(move |_| http("302 Found", &format!("Location: {inside}/\r\n"), "")).await;
    let api = open(&json!({"server": peer.url})).unwrap();
    let told = |outcome| told(&outcome).replace(canary.url.trim_start_matches("http://"), "HOST");
    expect!["refused: HTTP API orders: HOST may not be reached: it is a loopback address; if it is meant, name exactly this host and port under hosts in the section of this API"].assert_eq(&told(api.call(&get(), PATIENT).await));
    expect!["302  "].assert_eq(&told(api.call(&post(), PATIENT).await));
    let anybody = open(&json!({})).unwrap();
    for server in ["127.0.0.1", "localhost", "2130706433"] {
        let server = canary.url.replace("127.0.0.1", server);
        let outcome = anybody.call(&ApiCall { server: Some(server), ..get() }, PATIENT).await;
        assert!(matches!(outcome, Err(ExecError::Refused(_))), "{outcome:?}");
    }
    let metadata = ApiCall { server: Some("http://169.254.169.254".to_owned()), ..get() };
    expect!["refused: HTTP API orders: 169.254.169.254:80 may not be reached: it is a cloud's metadata service"].assert_eq(&told(anybody.call(&metadata, PATIENT).await));
    assert_eq!(canary.heard(), "");
}

/// An API that lets only the newest token in, the server that gives tokens out, and their number.
struct Guarded {
    api: Api,
    tokens: Peer,
    given: Arc<Mutex<u32>>,
}

async fn guarded(dir: &tempfile::TempDir, extra: Value) -> Guarded {
    let given = Arc::new(Mutex::new(0));
    let (newest, next) = (given.clone(), given.clone());
    let peer = Peer::new(move |request| {
        let token = format!("Bearer t{}-and-more", newest.lock().unwrap());
        if request.contains(&token) { fine() } else { http("401 No", "", "{}") }
    })
    .await;
    let tokens = Peer::new(move |_| {
        let mut given = next.lock().unwrap();
        *given += 1;
        let token = json!({"access_token": format!("t{given}-and-more"), "token_type": "bearer"});
        http("200 OK", "", &token.to_string())
    })
    .await;
    let mut oauth2 = json!({"kind": "oauth2", "token_url": format!("{}/token", tokens.url),
        "client_id": "me:too", "client_secret": secret(dir, "s", "s&cret 1")});
    for (name, value) in extra.as_object().unwrap() {
        oauth2[name] = value.clone();
    }
    let api = open(&json!({"server": peer.url, "auth": {"o": oauth2}})).unwrap();
    Guarded { api, tokens, given }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_and_again_when_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let guarded = guarded(&dir, json!({"scopes": ["read", "write"]})).await;
    let call = get();
    let ask = async || guarded.api.call(&call, PATIENT).await.unwrap().status;
    assert_eq!(tokio::join!(ask(), ask(), ask(), ask()), (200, 200, 200, 200));
    expect![[r#"
        POST /token
        accept: application/json
        authorization: Basic bWUlM0F0b286cyUyNmNyZXQlMjAx
        content-length: 48
        content-type: application/x-www-form-urlencoded
        host: HOST
        grant_type=client_credentials&scope=read%20write"#]]
    .assert_eq(&guarded.tokens.heard());
    *guarded.given.lock().unwrap() += 1;
    assert_eq!((ask().await, ask().await), (200, 200));
    assert_eq!(guarded.tokens.heard().matches("POST /token").count(), 1);
}

#[tokio::test]
async fn a_client_may_say_who_it_is_in_the_body() {
    let dir = tempfile::tempdir().unwrap();
    let extra = json!({"client_auth": "body", "parameters": {"audience": "a/b"}});
    let guarded = guarded(&dir, extra).await;
    assert_eq!(guarded.api.call(&get(), PATIENT).await.unwrap().status, 200);
    expect![[r#"
        POST /token
        accept: application/json
        content-length: 90
        content-type: application/x-www-form-urlencoded
        host: HOST
        grant_type=client_credentials&audience=a%2Fb&client_id=me%3Atoo&client_secret=s%26cret%201"#]]
    .assert_eq(&guarded.tokens.heard());
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let dir = tempfile::tempdir().unwrap();
    let strict = Peer::new(|_| http("401 No", "", "{}")).await;
    let tokens = Peer::new(|_| {
        http("200 OK", "", r#"{"access_token": "some-token", "token_type": "Bearer"}"#)
    })
    .await;
    let oauth2 = json!({"kind": "oauth2", "token_url": tokens.url, "client_id": "me",
        "client_secret": secret(&dir, "s", "secret-1")});
    let api = open(&json!({"server": strict.url, "auth": {"o": oauth2}})).unwrap();
    assert_eq!(api.call(&post(), PATIENT).await.unwrap().status, 401);
    assert_eq!(strict.heard().matches("POST /orders").count(), 2);
    assert_eq!(tokens.heard().matches("POST /").count(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_no_secret_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for (answer, expect) in [
        (
            http("401 No", "", r#"{"error": "invalid_client", "error_description": "s3cret-1"}"#),
            expect![
                "refused: HTTP API orders: http://HOST refused the client's credentials: 401 invalid_client"
            ],
        ),
        (
            http("400 No", "", r#"{"error": "<b>s3cret-1"}"#),
            expect!["refused: HTTP API orders: http://HOST refused the client's credentials: 400"],
        ),
        (
            http("502 Bad", "", "s3cret-1"),
            expect!["not sent: HTTP API orders: no token from http://HOST: it answered 502"],
        ),
        (
            http("200 OK", "", r#"{"token": "s3cret-1"}"#),
            expect![
                "not sent: HTTP API orders: no token from http://HOST: its answer has no access_token and token_type"
            ],
        ),
        (
            http("200 OK", "", r#"{"access_token": "s3cret-1", "token_type": "mac"}"#),
            expect!["refused: HTTP API orders: http://HOST gives no bearer tokens"],
        ),
        (
            http("302 Found", "Location: /elsewhere\r\n", ""),
            expect!["refused: HTTP API orders: http://HOST refused the client's credentials: 302"],
        ),
    ] {
        let peer = Peer::new(|_| fine()).await;
        let tokens = Peer::new(move |_| answer.clone()).await;
        let oauth2 = json!({"kind": "oauth2", "token_url": tokens.url, "client_id": "me",
            "client_secret": secret(&dir, "s", "s3cret-1")});
        let api = open(&json!({"server": peer.url, "auth": {"o": oauth2}})).unwrap();
        let outcome = told(&api.call(&post(), PATIENT).await).replace(&tokens.url, "http://HOST");
        expect.assert_eq(&outcome);
        assert_eq!(peer.heard(), "");
    }
}

#[tokio::test]
async fn a_document_chooses_only_among_the_servers_that_an_operator_named() {
    let dir = tempfile::tempdir().unwrap();
    let token = json!({"kind": "bearer", "token": secret(&dir, "t", "very-secret-token")});
    let asks = async |config: Value, server: Option<&str>| {
        let call = ApiCall { server: server.map(str::to_owned), ..get() };
        told(&open(&config).unwrap().call(&call, PATIENT).await)
    };
    let named = json!({"hosts": ["127.0.0.1:1", "*.example.com"], "auth": {"a": token}});
    for (server, expect) in [
        (
            None,
            expect![
                "refused: HTTP API orders: neither craton.toml nor the document says where it is; set server"
            ],
        ),
        (
            Some("https://evil.example.org"),
            expect![
                "refused: HTTP API orders: the document's server https://evil.example.org:443 is not among its hosts"
            ],
        ),
        (
            Some("https://example.com"),
            expect![
                "refused: HTTP API orders: the document's server https://example.com:443 is not among its hosts"
            ],
        ),
        (
            Some("https://a.example.com:8443"),
            expect![
                "refused: HTTP API orders: the document's server https://a.example.com:8443 is not among its hosts"
            ],
        ),
        (
            Some("http://127.0.0.1:1"),
            expect![
                "refused: HTTP API orders: credentials do not go to the document's server http://127.0.0.1:1: no TLS"
            ],
        ),
        (
            Some("https://user:pw@a.example.com"),
            expect![[
                r#"refused: HTTP API orders: the document's server "https://user:pw@a.example.com": a user name does not belong into it"#
            ]],
        ),
        (
            Some("/v1"),
            expect![[
                r#"refused: HTTP API orders: the document's server "/v1": it is no http:// or https:// URL"#
            ]],
        ),
        (
            Some("https://a.example.com/{x}"),
            expect![
                "refused: HTTP API orders: the document's server \"https://a.example.com/{x}\" has a variable without a default"
            ],
        ),
    ] {
        expect.assert_eq(&asks(named.clone(), server).await);
    }
}

#[test]
fn a_section_with_a_mistake_is_refused_by_its_name() {
    let refused = |config: Value, expect: Expect| {
        expect.assert_eq(&open(&config).err().unwrap_or_default());
    };
    let token = json!({"a": {"kind": "bearer", "token": "env:CRATON_NO_SUCH_VARIABLE"}});
    refused(
        json!({"server": "orders.internal"}),
        expect!["apis.orders.server: it is no http:// or https:// URL"],
    );
    refused(
        json!({"server": "https://x/?a=1"}),
        expect!["apis.orders.server: it has a query or a fragment"],
    );
    refused(
        json!({"hosts": ["https://x"]}),
        expect![[
            r#""https://x" names no destination: it has more than a host and a port; write host:port, host for port 443, or *.domain:port"#
        ]],
    );
    refused(json!({"hosts": ["*:443"]}), expect!["apis.orders.hosts: an entry names everybody"]);
    refused(
        json!({"server": "https://x", "auth": token}),
        expect!["apis.orders.auth.a: env:CRATON_NO_SUCH_VARIABLE is not set"],
    );
    refused(
        json!({"headers": {"X-Key": "1"}}),
        expect!["apis.orders.auth: set server or hosts, to say whom it is for"],
    );
    refused(
        json!({"server": "https://x", "headers": {"Host": "y"}}),
        expect!["apis.orders.headers: Host says where a request ends; it is not to be set"],
    );
    refused(
        json!({"timeout_seconds": 0}),
        expect!["apis.orders.timeout_seconds: 0 is not 0 to 900"],
    );
    refused(
        json!({"server": "https://x", "auth": {"a": {"kind": "bearer", "token": "hunter2"}}}),
        expect![[r#"a secret is "env:NAME" or "file:/absolute/path", never the value itself"#]],
    );
    refused(
        json!({"server": "https://x", "auth": {"a": {"kind": "mtls"}}}),
        expect!["unknown variant `mtls`, expected one of `api_key`, `bearer`, `basic`, `oauth2`"],
    );
}
