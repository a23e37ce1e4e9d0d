//! Anything that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, and many more.
//!
//! One call is one `POST {base_url}/chat/completions`: as server-sent events when somebody reads
//! along, as one JSON document when not. The servers differ in what they leave out, and `response`
//! takes what it gets. Sending and reading are `remote`'s.

mod request;
mod response;

use http::HeaderMap;
use net::Secret;
use serde::Deserialize;
use wire::converse::Call;

use crate::ids::Ids;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote};
use response::Assembler;

/// `[providers.NAME]` with `kind = "openai"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Up to and without `/chat/completions`; OpenAI itself if left out.
    #[serde(default = "openai_itself")]
    pub base_url: String,
    /// Where the key is, `env:NAME` or `file:/path`; none is sent if left out.
    pub api_key: Option<Secret>,
    /// The environment variable that holds the key, in place of `api_key`.
    pub api_key_env: Option<String>,
    /// For one whole call; 600 if left out.
    pub timeout_seconds: Option<u64>,
    /// How the limit of output tokens is named. If left out, `max_completion_tokens` for OpenAI and
    /// Azure, whose newer models know no other, and `max_tokens` for everybody else.
    pub max_tokens_field: Option<MaxTokensField>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    MaxTokens,
    MaxCompletionTokens,
}

fn openai_itself() -> String {
    "https://api.openai.com/v1".to_owned()
}

pub(crate) struct OpenAi {
    remote: Remote,
    max_tokens_field: MaxTokensField,
}

impl OpenAi {
    pub(crate) fn open(
        name: &str,
        config: Config,
        client: net::Client,
    ) -> Result<OpenAi, ConfigError> {
        let address = Address {
            name,
            base_url: config.base_url.trim_end_matches('/'),
            path: "/chat/completions",
            example: "http://127.0.0.1:11434/v1",
            api_key: config.api_key,
            api_key_env: config.api_key_env,
            key_in: KeyIn::Bearer,
            timeout_seconds: config.timeout_seconds,
        };
        let remote = Remote::open(address, client)?;
        let field = config.max_tokens_field.unwrap_or_else(|| field_for(remote.host()));
        Ok(OpenAi { remote, max_tokens_field: field })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let body = request::body(call, self.max_tokens_field)
            .map_err(|why| self.remote.cannot_carry(&why))?;
        let assembler = Assembler::new(Ids::after(&call.messages));
        self.remote.ask(body, HeaderMap::new(), &call.model, assembler).await
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &str {
        "openai"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(self.call(call))
    }
}

fn field_for(host: &str) -> MaxTokensField {
    if host == "api.openai.com" || host.ends_with(".openai.azure.com") {
        MaxTokensField::MaxCompletionTokens
    } else {
        MaxTokensField::MaxTokens
    }
}

#[cfg(test)]
mod tests;
