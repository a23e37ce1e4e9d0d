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
async fn remote(kind: &str, more: &str, address: &str) {
    let toml = format!(
        "[providers.fake]\nkind = {kind:?}\nbase_url = \"{address}/v1\"\n{more}\n\
         [[models]]\nmatch = \"*\"\nprovider = \"fake\"\nmodel = \"tiny\"\n"
    );
    suite(&models(&toml), Expectations { parallel: true, errors: true }).await;
}

/// A server of chat completions, asked as the dialect that it is.
async fn chat(dialect: &str, pairs: &'static str) {
    let asks_usage = dialect != "mistral";
    let streams = if asks_usage { Streams::Chat } else { Streams::UsageUnasked };
    let server = Server { path: "/v1/chat/completions", pairs, streams };
    remote("openai", &format!("dialect = {dialect:?}"), &server.serve().await).await;
}

/// Whoever says no more of itself: arguments come as objects, without ids, and the answer stops for
/// no tool.
#[tokio::test]
async fn a_compatible_server_passes_the_suite() {
    chat("compatible", include_str!("compatible.json")).await;
}

#[tokio::test]
async fn openai_passes_the_suite() {
    chat("openai", include_str!("openai.json")).await;
}

/// A stream begins with what the filters say of the prompt, and has no choice there.
#[tokio::test]
async fn azure_passes_the_suite() {
    chat("azure", include_str!("azure.json")).await;
}

/// Thoughts are parts, calls come whole, usage comes unasked, refusals are lists.
#[tokio::test]
async fn mistral_passes_the_suite() {
    chat("mistral", include_str!("mistral.json")).await;
}

/// Usage stands in two places, calls come whole, a full tier is a 498, a spoiled call a 400.
#[tokio::test]
async fn groq_passes_the_suite() {
    chat("groq", include_str!("groq.json")).await;
}

/// Thoughts of a tool loop go back; an answer that ran out of resources is no answer.
#[tokio::test]
async fn deepseek_passes_the_suite() {
    chat("deepseek", include_str!("deepseek.json")).await;
}

/// The last chunk has usage and a choice, and a choice may have failed by itself.
#[tokio::test]
async fn openrouter_passes_the_suite() {
    chat("openrouter", include_str!("openrouter.json")).await;
}

/// Every call is at index 0, and the answer stops for no tool: ollama/ollama pull request 7963,
/// BerriAI/litellm pull request 37792.
#[tokio::test]
async fn ollama_passes_the_suite() {
    chat("ollama", include_str!("ollama.json")).await;
}

/// Ids are empty, and tokens are counted in a place of its own.
#[tokio::test]
async fn llama_cpp_passes_the_suite() {
    chat("llamacpp", include_str!("llama_cpp.json")).await;
}

/// Each piece of a call has an id of its own.
#[tokio::test]
async fn vllm_passes_the_suite() {
    chat("vllm", include_str!("vllm.json")).await;
}

#[tokio::test]
async fn anthropic_passes_the_suite() {
    for streams in [Streams::Messages, Streams::Never] {
        let pairs = include_str!("messages.json");
        let server = Server { path: "/v1/messages", pairs, streams };
        remote("anthropic", "", &server.serve().await).await;
    }
}

/// Encrypted thoughts go round with the calls that they belong to.
#[tokio::test]
async fn responses_passes_the_suite() {
    let pairs = include_str!("responses.json");
    let server = Server { path: "/v1/responses", pairs, streams: Streams::Responses };
    remote("responses", "", &server.serve().await).await;
}

/// Thoughts and signatures go round with the tool uses that they belong to.
#[tokio::test]
async fn gemini_passes_the_suite() {
    let pairs = include_str!("gemini.json");
    let server = Server { path: "/v1/models/tiny", pairs, streams: Streams::Gemini };
    remote("gemini", "", &server.serve().await).await;
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
