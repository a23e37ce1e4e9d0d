//! One suite for every provider: whoever answers, a client of Converse sees the same.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, not their helpers")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best in place")]

mod chat;
mod corpus;
mod suite;

use std::path::Path;

use llm::{Config, Models};
use suite::{Expectations, suite};

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

#[tokio::test]
async fn an_openai_compatible_server_passes_the_suite() {
    let base_url = chat::serve().await;
    let toml = format!(
        "[providers.fake]\nkind = \"openai\"\nbase_url = \"{base_url}\"\n\
         [[models]]\nmatch = \"*\"\nprovider = \"fake\"\nmodel = \"tiny\"\n"
    );
    suite(&models(&toml), Expectations { parallel: true, errors: true }).await;
}

#[tokio::test]
async fn the_embedded_rules_pass_the_suite() {
    let toml = "[[models]]\nmatch = \"*\"\nprovider = \"rules\"\n";
    suite(&models(toml), Expectations { parallel: false, errors: false }).await;
}
