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
