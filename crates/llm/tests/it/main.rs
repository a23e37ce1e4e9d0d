//! One suite for every provider: whoever answers, a client of Converse sees the same.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, not their helpers")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best in place")]

mod bad_peers;
mod ceilings;
mod corpus;
mod golden;
mod http2;
mod keys;
mod prefix;
mod server;
mod suite;
#[path = "../../../net/tests/it/tls.rs"]
mod tls;

use std::path::Path;

use llm::{Config, Models};
use server::{Server, Streams};
use suite::{Expectations, clumsy, suite};

fn models(toml: &str) -> Models {
    let config: Config = toml::from_str(toml).unwrap();
    let base_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let config = Config { base_dir, ..config };
    Models::open(config, net::Client::new(net::Config::default())).unwrap()
}

const SCRIPTED: &str = r#"
[providers.script]
kind = "scripted"
file = "script.yaml"

[[models]]
match = "*"
provider = "script"
"#;

#[tokio::test]
async fn the_scripted_provider_passes_the_suite() {
    suite(&models(SCRIPTED), Expectations { parallel: true, errors: true }).await;
}

/// Everything of a provider that is a server at `address`.
async fn remote(kind: &str, address: &str) {
    let toml = format!(
        "[providers.fake]\nkind = {kind:?}\nbase_url = \"{address}/v1\"\n\
         [[models]]\nmatch = \"*\"\nprovider = \"fake\"\nmodel = \"tiny\"\n"
    );
    suite(&models(&toml), Expectations { parallel: true, errors: true }).await;
}

async fn chat(pairs: &'static str) {
    let server = Server { path: "/v1/chat/completions", pairs, streams: Streams::Chat };
    remote("openai", &server.serve().await).await;
}

#[tokio::test]
async fn openai_passes_the_suite() {
    chat(include_str!("openai.json")).await;
}

/// Every call is at index 0, and the answer stops for no tool: ollama/ollama pull request 7963,
/// BerriAI/litellm pull request 37792.
#[tokio::test]
async fn ollama_passes_the_suite() {
    chat(include_str!("ollama.json")).await;
}

/// Ids are empty, and tokens are counted in a place of its own.
#[tokio::test]
async fn llama_cpp_passes_the_suite() {
    chat(include_str!("llama_cpp.json")).await;
}

/// Each piece of a call has an id of its own.
#[tokio::test]
async fn vllm_passes_the_suite() {
    chat(include_str!("vllm.json")).await;
}

#[tokio::test]
async fn anthropic_passes_the_suite() {
    for streams in [Streams::Messages, Streams::Never] {
        let pairs = include_str!("messages.json");
        let server = Server { path: "/v1/messages", pairs, streams };
        remote("anthropic", &server.serve().await).await;
    }
}

/// Thoughts and signatures go round with the tool uses that they belong to.
#[tokio::test]
async fn gemini_passes_the_suite() {
    let pairs = include_str!("gemini.json");
    let server = Server { path: "/v1/models/tiny", pairs, streams: Streams::Gemini };
    remote("gemini", &server.serve().await).await;
}

#[tokio::test]
async fn bedrock_passes_the_suite() {
    let pairs = include_str!("bedrock.json");
    let server = Server { path: "/model/tiny", pairs, streams: Streams::Frames };
    let address = server.serve().await;
    let toml = format!(
        "[providers.aws]\nkind = \"bedrock\"\nbase_url = \"{address}\"\nregion = \"eu-west-3\"\n\
         access_key = \"env:PATH\"\nsecret_key = \"env:PATH\"\n\
         [[models]]\nmatch = \"*\"\nprovider = \"aws\"\nmodel = \"tiny\"\n"
    );
    suite(&models(&toml), Expectations { parallel: true, errors: true }).await;
}

#[tokio::test]
async fn what_the_clumsy_provider_says_is_well_formed_and_the_same_each_time() {
    clumsy(&models("")).await;
}

#[tokio::test]
async fn the_embedded_rules_pass_the_suite() {
    let toml = "[[models]]\nmatch = \"*\"\nprovider = \"rules\"\n";
    suite(&models(toml), Expectations { parallel: false, errors: false }).await;
}
