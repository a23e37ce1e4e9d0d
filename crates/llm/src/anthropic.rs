//! Anthropic's Messages API, and the servers that speak it too.
//!
//! Words that rest on documents come back with their places in them, and what the API counts of a
//! prompt can be asked beforehand. One call is one `POST {base_url}/v1/messages`, always as a stream: a model that thinks for minutes
//! would otherwise leave the connection idle until somebody between cuts it. What the model thought
//! goes back with the next request exactly as it came, signed or redacted, because the API refuses
//! a tool loop whose thinking was altered. Sending and reading are `remote`'s.

mod citation;
mod native;
mod request;
mod response;

use std::collections::BTreeMap;

use http::HeaderMap;
use net::Secret;
use serde::Deserialize;
use wire::converse::Call;

use crate::cache::CacheMode;
use crate::headers::Headers;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote, Sending};
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
    /// Further headers of each request; a value may be `env:NAME` or `file:/path`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn anthropic_itself() -> String {
    "https://api.anthropic.com".to_owned()
}

pub(crate) struct Anthropic {
    remote: Remote,
    max_tokens: Option<u32>,
    headers: Headers,
    cache: CacheMode,
}

impl Anthropic {
    pub(crate) fn open(
        name: &str,
        config: Config,
        cache: CacheMode,
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
        let remote = Remote::open(address, client)?;
        let headers = Headers::open(name, config.headers)?;
        Ok(Anthropic { remote, max_tokens: config.max_tokens, headers, cache })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let mut request = request::request(call, self.max_tokens, self.cache)
            .map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let body = serde_json::to_vec(&request.body).expect("its maps have string keys");
        self.headers.add(&mut request.headers, &self.remote)?;
        let sending = self.sending("/v1/messages", request.headers, body, call)?;
        self.remote.ask_at(sending, Assembler::new(call)).await
    }

    async fn count(&self, call: &Call) -> Result<Option<u64>, ModelError> {
        let mut request = request::request(call, self.max_tokens, CacheMode::Off)
            .map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        request.body.retain(|member, _| request::COUNTED.contains(&member.as_str()));
        let body = serde_json::to_vec(&request.body).expect("its maps have string keys");
        self.headers.add(&mut request.headers, &self.remote)?;
        let sending = self.sending("/v1/messages/count_tokens", request.headers, body, call)?;
        self.remote.count(sending).await
    }

    fn sending<'a>(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        call: &'a Call,
    ) -> Result<Sending<'a>, ModelError> {
        Ok(Sending { url: self.remote.at(path)?, headers, body, model: &call.model })
    }
}

impl Provider for Anthropic {
    fn name(&self) -> &str {
        "anthropic"
    }

    fn count_tokens<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<u64>, ModelError>> {
        Box::pin(self.count(call))
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(self.call(call))
    }
}

#[cfg(test)]
mod tests;
