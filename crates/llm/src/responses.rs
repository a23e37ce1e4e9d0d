//! OpenAI's Responses API, and the servers that speak it too.
//!
//! One call is one `POST {base_url}/responses` that the server keeps nothing of (`store: false`): the
//! whole conversation goes with each request. What the model thought comes back encrypted, is kept in
//! the conversation as the proof of a thought, and goes out again as it came. Sending and reading are
//! `remote`'s.

mod request;
mod response;

use std::collections::BTreeMap;

use http::HeaderMap;
use net::Secret;
use serde::Deserialize;
use wire::converse::Call;

use crate::cache::CacheMode;
use crate::headers::Headers;
use crate::ids::Ids;
use crate::models::ConfigError;
use crate::native::Native;
use crate::openai::openai_itself;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote, Sending};
use response::Assembler;

/// By which its thoughts are told from another provider's.
const KIND: &str = "responses";

/// `[providers.NAME]` with `kind = "responses"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Up to and without `/responses`; OpenAI itself if left out.
    #[serde(default = "openai_itself")]
    pub base_url: String,
    /// Where the key is, `env:NAME` or `file:/path`; none is sent if left out.
    pub api_key: Option<Secret>,
    /// The environment variable that holds the key, in place of `api_key`.
    pub api_key_env: Option<String>,
    /// For one whole call; 600 if left out.
    pub timeout_seconds: Option<u64>,
    /// Further headers of each request; a value may be `env:NAME` or `file:/path`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

pub(crate) struct Responses {
    remote: Remote,
    headers: Headers,
    cache: CacheMode,
}

impl Responses {
    pub(crate) fn open(
        name: &str,
        config: Config,
        cache: CacheMode,
        client: net::Client,
    ) -> Result<Responses, ConfigError> {
        let address = Address {
            name,
            base_url: config.base_url.trim_end_matches('/'),
            path: "/responses",
            example: "https://api.openai.com/v1",
            api_key: config.api_key,
            api_key_env: config.api_key_env,
            key_in: KeyIn::Bearer,
            timeout_seconds: config.timeout_seconds,
        };
        let remote = Remote::open(address, client)?;
        Ok(Responses { remote, headers: Headers::open(name, config.headers)?, cache })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let body = request::body(call, self.cache);
        let body = body.map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let sending = self.sending("/responses", &body, call)?;
        let assembler = Assembler::new(Ids::after(&call.messages), Native::of(call));
        self.remote.ask_at(sending, assembler).await
    }

    async fn count(&self, call: &Call) -> Result<Option<u64>, ModelError> {
        let mut body = request::body(call, CacheMode::Off)
            .map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        body.retain(|member, _| request::COUNTED.contains(&member.as_str()));
        let sending = self.sending("/responses/input_tokens", &body, call)?;
        self.remote.count(sending).await
    }

    fn sending<'a>(
        &self,
        path: &str,
        body: &serde_json::Map<String, serde_json::Value>,
        call: &'a Call,
    ) -> Result<Sending<'a>, ModelError> {
        let mut headers = HeaderMap::new();
        self.headers.add(&mut headers, &self.remote)?;
        let body = serde_json::to_vec(body).expect("its maps have string keys");
        Ok(Sending { url: self.remote.at(path)?, headers, body, model: &call.model })
    }
}

impl Provider for Responses {
    fn name(&self) -> &str {
        KIND
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
