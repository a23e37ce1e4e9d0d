//! Cases for the AWS SDK for Rust: `clients CASE`, its settings in the environment as a user's are.
//!
//! A case gets what its test gave (the variable CASE) and says its findings in lines of JSON.

mod agents;
mod converse;

use std::error::Error;

use aws_config::{BehaviorVersion, SdkConfig};
use serde_json::Value;

pub(crate) type Found = Result<Value, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let case = std::env::args().nth(1).ok_or("usage: clients CASE")?;
    let given: Value = serde_json::from_str(&std::env::var("CASE")?)?;
    let settings = settings().await;
    let found = match case.as_str() {
        "tool_loop" => converse::tool_loop(&settings, &given).await,
        "streamed" => converse::streamed(&settings, &given).await,
        "kept_alive" => converse::kept_alive(&settings, &given).await,
        "refused_before_the_stream" => converse::refused_before_the_stream(&settings, &given).await,
        "refused_in_the_stream" => converse::refused_in_the_stream(&settings, &given).await,
        "set_up" => agents::set_up(&settings, &given).await,
        "listed" => agents::listed(&settings).await,
        "not_found" => agents::not_found(&settings).await,
        "return_of_control" => agents::return_of_control(&settings, &given).await,
        "agent_streamed" => agents::streamed(&settings, &given).await,
        "agent_refused" => agents::refused(&settings, &given).await,
        other => Err(format!("there is no case {other}").into()),
    };
    say(&found?);
    Ok(())
}

/// As `aws_config::load_defaults`, but for TLS: its default builds a C library that http:// needs not.
async fn settings() -> SdkConfig {
    let plain = aws_smithy_http_client::Builder::new().build_http();
    aws_config::defaults(BehaviorVersion::latest()).http_client(plain).load().await
}

pub(crate) fn say(value: &Value) {
    println!("{value}");
}

pub(crate) fn text<'a>(given: &'a Value, name: &str) -> Result<&'a str, Box<dyn Error>> {
    given[name].as_str().ok_or_else(|| format!("the test gave no {name}").into())
}
