//! Anthropic's Messages API, and the servers that speak it too.
//!
//! One call is one `POST {base_url}/v1/messages`, always as a stream: a model that thinks for minutes
//! would otherwise leave the connection idle until somebody between cuts it. What the model thought
//! goes back with the next request exactly as it came, signed or redacted, because the API refuses
//! a tool loop whose thinking was altered. Sending and reading are `remote`'s.

mod request;
mod response;

use net::Secret;
use serde::Deserialize;
use wire::converse::Call;

use crate::ids::Ids;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote};
use response::Assembler;

/// `[providers.NAME]` with `kind = "anthropic"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Up to and without `/v1/messages`; Anthropic itself if left out.
    #[serde(default = "anthropic_itself")]
    pub base_url: String,
    /// Where the key is, `env:NAME` or `file:/path`; none is sent if left out.
    pub api_key: Option<Secret>,
    /// The environment variable that holds the key, in place of `api_key`.
    pub api_key_env: Option<String>,
    /// For one whole call; 600 if left out.
    pub timeout_seconds: Option<u64>,
    /// Output tokens of a call that sets no limit, which the API demands. If left out, what the
    /// model can give as far as its name tells, else 4096.
    pub max_tokens: Option<u32>,
}

fn anthropic_itself() -> String {
    "https://api.anthropic.com".to_owned()
}

pub(crate) struct Anthropic {
    remote: Remote,
    max_tokens: Option<u32>,
}

impl Anthropic {
    pub(crate) fn open(
        name: &str,
        config: Config,
        client: net::Client,
    ) -> Result<Anthropic, ConfigError> {
        // Some write the version of the API into the base URL, as one does for OpenAI.
        let base_url = config.base_url.trim_end_matches('/');
        let address = Address {
            name,
            base_url: base_url.strip_suffix("/v1").unwrap_or(base_url),
            path: "/v1/messages",
            example: "https://api.anthropic.com",
            api_key: config.api_key,
            api_key_env: config.api_key_env,
            key_in: KeyIn::Header("x-api-key"),
            timeout_seconds: config.timeout_seconds,
        };
        Ok(Anthropic { remote: Remote::open(address, client)?, max_tokens: config.max_tokens })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let request = request::request(call, self.max_tokens)
            .map_err(|why| self.remote.cannot_carry(&why))?;
        let assembler = Assembler::new(Ids::after(&call.messages));
        self.remote.ask(request.body, request.headers, &call.model, assembler).await
    }
}

impl Provider for Anthropic {
    fn name(&self) -> &str {
        "anthropic"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(self.call(call))
    }
}

#[cfg(test)]
mod tests;
