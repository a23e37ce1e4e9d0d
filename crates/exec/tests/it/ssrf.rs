//! The URLs that nobody may fetch, against this crate's own fetchers. net's suite holds the rules;
//! this one, that each fetcher goes by them.

use std::time::Duration;

use bytes::Bytes;
use exec::{Api, ApiCall, ApiConfig, ExecError, HttpTool};
use http::Uri;
use net::egress::{Config as Allowed, Rules};
use net::{Client, Egress};

#[allow(dead_code, reason = "net's suite needs more of it")]
#[path = "../../../net/tests/it/canary.rs"]
mod canary;

use canary::{Canary, urls};

const LONG: Duration = Duration::from_secs(10);

/// Without the names that a resolver would be asked for: these are net's to test, with resolvers
/// of its own.
fn unresolved(port: u16) -> Vec<String> {
    let is_name = |url: &String| {
        let uri = url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().to_ascii_lowercase();
        let known = host == "localhost" || host == "instance-data" || host.contains("metadata");
        let last = host.rsplit('.').next().unwrap_or_default();
        let number = last.starts_with("0x") || host.starts_with('[');
        !known && !number && last.contains(|byte: char| byte.is_ascii_alphabetic())
    };
    let urls: Vec<String> = urls(port).into_iter().filter(|url| !is_name(url)).collect();
    assert!(urls.len() > 400, "{}", urls.len());
    urls
}

/// That it was turned away before anything was sent, and not by nobody answering.
#[track_caller]
fn assert_turned_away(url: &str, error: &ExecError) {
    let before = matches!(error, ExecError::Refused(_) | ExecError::NotSent(_));
    assert!(before && !error.to_string().contains("could not reach"), "{url:?}: {error:?}");
}

#[tokio::test]
async fn a_hook_posts_to_none_of_the_urls() {
    let canary = Canary::listen().await;
    let guard = Egress::new(Rules::of(&Allowed::default()));
    let tool = HttpTool::new(Client::guarded(net::Config::default(), guard));
    for url in unresolved(canary.port) {
        let error = tool.invoke(&url, Bytes::new(), &[], LONG).await.expect_err(&url);
        assert_turned_away(&url, &error);
    }
    assert_eq!(canary.visits().await, 0);
}

#[tokio::test]
async fn an_api_is_called_at_none_of_them_whatever_its_document_says() {
    let canary = Canary::listen().await;
    let config = ApiConfig { functions: vec!["orders".to_owned()], ..ApiConfig::default() };
    let api = Api::open("orders", &config, &Allowed::default()).unwrap();
    for url in unresolved(canary.port) {
        let call = ApiCall {
            method: "GET".to_owned(),
            path_and_query: "/orders".to_owned(),
            headers: vec![],
            body: Bytes::new(),
            server: Some(url.clone()),
            security: None,
            key: None,
            may_repeat: true,
        };
        let error = api.call(&call, LONG).await.expect_err(&url);
        assert_turned_away(&url, &error);
    }
    assert_eq!(canary.visits().await, 0);
}
