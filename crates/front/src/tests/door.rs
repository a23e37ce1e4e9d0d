use std::collections::BTreeSet;

use expect_test::expect;

use super::*;
use crate::admin;

const DOCUMENT: &str = include_str!("../../../../docs/openapi/craton-v1.json");

#[test]
fn every_documented_path_is_served_and_every_served_path_documented() {
    let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let served = api::admin::ROUTES.iter().chain([&admin::HEALTH, &admin::LINKS]);
    let served: BTreeSet<(String, String)> =
        served.map(|(method, path)| ((*method).into(), (*path).into())).collect();
    assert_eq!(documented, served);
    let server = document["servers"][0]["url"].as_str().unwrap();
    assert!(server.ends_with(admin::PREFIX));
}

#[tokio::test]
async fn the_door_opens_in_dev_mode_and_for_keys_that_name_it() {
    let line = |answer: String| {
        let (head, body) = answer.split_once("\n\n").unwrap();
        format!("{} {body}", head.lines().next().unwrap())
    };
    let dev = Server::start(Config::default(), api::ops::find).await;
    let health = line(dev.send(&request("GET /_craton/v1/health", &[], "")).await);
    assert!(health.starts_with("HTTP/1.1 200 OK {\"status\":\"ok\""), "{health}");
    let nothing = line(dev.send(&request("GET /_craton/v1/nothing", &[], "")).await);
    expect![[r#"HTTP/1.1 404 Not Found {"code":"UnknownOperationException","message":"there is no GET /nothing behind this door","requestId":"request-2"}"#]].assert_eq(&nothing);

    let keys = vec![key("AKIDEXAMPLE", None)];
    let config = Config { dev: false, keys, ..Config::default() };
    let keyed = Server::start(config, api::ops::find).await;
    let health = line(keyed.send(&request("GET /_craton/v1/health", &[], "")).await);
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    let unsigned = line(keyed.send(&request("GET /_craton/v1/runs", &[], "")).await);
    expect![[r#"HTTP/1.1 403 Forbidden {"code":"MissingAuthenticationTokenException","message":"Missing Authentication Token","requestId":"request-2"}"#]].assert_eq(&unsigned);
}

/// A request to the door, signed as [`key`] signs.
fn signed(access_key: &str, method: &str, path: &str) -> String {
    let secret = key(access_key, None).secret_key.unwrap();
    let (session_token, region, service) = (None, "us-east-1", "craton");
    let signer =
        net::sigv4::Signer { access_key, secret_key: &secret, session_token, region, service };
    let headers = http::HeaderMap::new();
    let (host, query, body) = ("localhost", "", &b""[..]);
    let unsigned = net::sigv4::Unsigned { method, host, path, query, headers: &headers, body };
    let added = signer.sign(&unsigned, NOW).unwrap();
    let lines = added.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let lines: Vec<String> = lines.collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    request(&format!("{method} {path}"), &lines, "")
}

#[tokio::test]
async fn calls_are_resolved_and_taken_back_by_keys_that_name_that_permission() {
    let keys = vec![
        key("LOOKS", Some(&["*", "craton:Admin"])),
        key("RESOLVES", Some(&["craton:ResolveEffect"])),
        key("BOTH", Some(&["craton:*"])),
    ];
    let config = Config { dev: false, keys, ..Config::default() };
    let server = Server::start(config, api::ops::find).await;
    let mut told = String::new();
    for (method, path) in [
        ("GET", "/runs/r/effects"),
        ("POST", "/runs/r/cancel"),
        ("POST", "/runs/r/effects/k/resolve"),
        ("POST", "/runs/r/%65ffects/k/undo"),
    ] {
        told.push_str(&format!("{method} {path}:"));
        for key in ["LOOKS", "RESOLVES", "BOTH"] {
            let path = format!("{}{path}", admin::PREFIX);
            let answer = server.send(&signed(key, method, &path)).await;
            let denied = answer.contains("is not authorized to perform");
            told.push_str(&format!(" {key} {} {denied};", &answer[9..12]));
        }
        told.push('\n');
    }
    expect![[r#"
        GET /runs/r/effects: LOOKS 404 false; RESOLVES 403 true; BOTH 404 false;
        POST /runs/r/cancel: LOOKS 404 false; RESOLVES 403 true; BOTH 404 false;
        POST /runs/r/effects/k/resolve: LOOKS 403 true; RESOLVES 404 false; BOTH 404 false;
        POST /runs/r/%65ffects/k/undo: LOOKS 403 true; RESOLVES 404 false; BOTH 404 false;
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn pages_and_the_door_take_the_same_signatures() {
    let dev = Server::start(Config::default(), api::ops::find).await;
    for path in ["/_craton/v1/runs", "/_craton/runs"] {
        let line = format!("GET {path}");
        for proof in ["authorization: Bearer bedrock-key", &scope("s3")] {
            let answer = dev.send(&request(&line, &[proof], "")).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{path} {proof}: {answer}");
            assert!(answer.contains("API keys are for models and agents"), "{path}: {answer}");
        }
        let answer = dev.send(&request(&line, &[&scope("craton")], "")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_invocation_may_be_as_large_as_invoke_agents() {
    let dev = Server::start(Config::default(), api::ops::find).await;
    let body = format!("{{\"inputText\":\"{}\"}}", "a".repeat(crate::limits::BODY_OTHER));
    let post = async |path: &str| dev.send(&request(&format!("POST {path}"), &[], &body)).await;
    let answer = post("/_craton/v1/invocations").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("agentId"), "{answer}");
    let answer = post("/_craton/v1/runs").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
