//! Anything that speaks OpenAI's chat completions: OpenAI, Azure, vLLM, Ollama, llama.cpp, and many more.
//!
//! One call is one `POST {base_url}/chat/completions`: as server-sent events when somebody reads
//! along, as one JSON document when not. Vectors come from `{base_url}/embeddings`. What a server wants otherwise stands in the table of
//! `dialect`; what it leaves out of its answer, `response` does without. Sending and reading are
//! `remote`'s.

mod dialect;
mod embed;
mod message;
mod request;
mod response;

use std::collections::BTreeMap;

use http::HeaderMap;
use net::Secret;
use serde::Deserialize;
use wire::converse::Call;

use crate::cache::CacheMode;
use crate::embed::{EmbedCall, Embedded};
use crate::headers::Headers;
use crate::ids::Ids;
use crate::limits::{OPENAI_TEXTS, TOKENS};
use crate::models::ConfigError;
use crate::native::Native;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote, Sending};
use dialect::Dialect;
use response::Assembler;

pub use dialect::{Differs, MaxTokensField, Name};

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
    /// What the server is. If left out, by its host, else a server that takes what OpenAI takes.
    pub dialect: Option<Name>,
    /// How the limit of output tokens is named, if not as the dialect has it.
    pub max_tokens_field: Option<MaxTokensField>,
    /// What else the server does otherwise than its dialect says.
    #[serde(default)]
    pub differs: Differs,
    /// Azure's older API: the model is a deployment in the path, and the version is asked for.
    pub api_version: Option<String>,
    /// Further headers of each request; a value may be `env:NAME` or `file:/path`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

pub(crate) fn openai_itself() -> String {
    "https://api.openai.com/v1".to_owned()
}

pub(crate) struct OpenAi {
    remote: Remote,
    dialect: Dialect,
    api_version: Option<String>,
    headers: Headers,
    cache: CacheMode,
}

impl OpenAi {
    pub(crate) fn open(
        name: &str,
        config: Config,
        cache: CacheMode,
        client: net::Client,
    ) -> Result<OpenAi, ConfigError> {
        let host = config.base_url.parse::<http::Uri>().ok();
        let host = host.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let known = config.dialect.unwrap_or_else(|| Name::of_host(host));
        let address = Address {
            name,
            base_url: config.base_url.trim_end_matches('/'),
            path: "/chat/completions",
            example: "http://127.0.0.1:11434/v1",
            api_key: config.api_key,
            api_key_env: config.api_key_env,
            key_in: if known == Name::Azure { KeyIn::Header("api-key") } else { KeyIn::Bearer },
            timeout_seconds: config.timeout_seconds,
        };
        Ok(OpenAi {
            remote: Remote::open(address, client)?,
            dialect: Dialect::new(known, config.max_tokens_field, &config.differs),
            api_version: config.api_version,
            headers: Headers::open(name, config.headers)?,
            cache,
        })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let body = request::body(call, &self.dialect, self.cache)
            .map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let mut headers = HeaderMap::new();
        self.headers.add(&mut headers, &self.remote)?;
        let assembler = Assembler::new(Ids::after(&call.messages), Native::of(call));
        let url = self.remote.at(&self.path(&call.model, "chat/completions"))?;
        self.remote.ask_at(Sending { url, headers, body, model: &call.model }, assembler).await
    }

    /// As many texts in one request as servers take; the requests follow one another.
    async fn vectors(&self, call: &EmbedCall) -> Result<Embedded, ModelError> {
        let mut all = Embedded { vectors: Vec::with_capacity(call.texts.len()), input_tokens: 0 };
        for texts in call.texts.chunks(OPENAI_TEXTS) {
            let mut headers = HeaderMap::new();
            self.headers.add(&mut headers, &self.remote)?;
            let url = self.remote.at(&self.path(&call.model, "embeddings"))?;
            let body = embed::body(call, texts, &self.dialect);
            let sending = Sending { url, headers, body, model: &call.model };
            let (_, answer) = self.remote.fetch(sending).await?;
            let made = embed::vectors(answer, texts.len(), call.normalize)
                .map_err(|why| self.remote.malformed(&why))?;
            all.vectors.extend(made.vectors);
            all.input_tokens += made.input_tokens.min(TOKENS);
        }
        Ok(all)
    }

    /// Azure OpenAI REST reference: `/deployments/{deployment}/chat/completions?api-version=…` below
    /// the base URL, which ends in `/openai`.
    fn path(&self, model: &str, operation: &str) -> String {
        match &self.api_version {
            None => format!("/{operation}"),
            Some(version) => format!("/deployments/{model}/{operation}?api-version={version}"),
        }
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &str {
        "openai"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(self.call(call))
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        Box::pin(self.vectors(call))
    }
}

#[cfg(test)]
mod tests;
