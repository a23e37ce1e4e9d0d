//! Anything that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, and many more.
//!
//! One call is one `POST {base_url}/chat/completions`: as server-sent events when somebody reads
//! along, as one JSON document when not. The servers differ in what they leave out, and `response`
//! takes what it gets. A refusal becomes an error that names this provider and the variable its key
//! comes from; the key itself is in no message.

mod error;
mod request;
mod response;
mod sse;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use serde::Deserialize;
use wire::converse::{Call, Delta};

use crate::limits::{CALL_TIMEOUT, ERROR_BODY, REPLY_BYTES};
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use error::Origin;
use response::{Assembler, Ids};

/// `[providers.NAME]` with `kind = "openai"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Up to and without `/chat/completions`; OpenAI itself if left out.
    #[serde(default = "openai_itself")]
    pub base_url: String,
    /// The environment variable that holds the key; none is sent if left out.
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
    client: net::Client,
    url: Uri,
    timeout: Duration,
    max_tokens_field: MaxTokensField,
    origin: Arc<Origin>,
    /// Reads an environment variable; another function in tests.
    variable: fn(&str) -> Option<String>,
}

impl OpenAi {
    pub(crate) fn open(
        name: &str,
        config: Config,
        client: net::Client,
    ) -> Result<OpenAi, ConfigError> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let url = endpoint(name, &base_url)?;
        let host = url.host().unwrap_or_default();
        let field = config.max_tokens_field.unwrap_or_else(|| field_for(host));
        Ok(OpenAi {
            client,
            timeout: config.timeout_seconds.map_or(CALL_TIMEOUT, Duration::from_secs),
            max_tokens_field: field,
            origin: Arc::new(Origin {
                provider: name.to_owned(),
                base_url,
                key_variable: config.api_key_env,
            }),
            url,
            variable: |name| std::env::var(name).ok(),
        })
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let key = self.key()?;
        let body = request::body(call, self.max_tokens_field)
            .map_err(|why| self.origin.cannot_carry(&why))?;
        let request = self.request(body, key.as_ref());
        let sent = self.client.send(request, self.timeout).await;
        let response = sent.map_err(|error| self.origin.net(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, &call.model, key.as_ref()).await);
        }
        let assembler = Assembler::new(Ids::after(&call.messages));
        if is_event_stream(&response) {
            return Ok(Box::pin(self.events(response.into_body(), assembler)));
        }
        let body = response.into_body().bytes(REPLY_BYTES).await;
        let body = body.map_err(|error| self.origin.net(error))?;
        let deltas = assembler.whole(&body).map_err(|fault| self.origin.fault(fault))?;
        Ok(Box::pin(stream::iter(deltas.into_iter().map(Ok))))
    }

    /// The `authorization` header, or why there is none though there should be.
    fn key(&self) -> Result<Option<HeaderValue>, ModelError> {
        let Some(variable) = &self.origin.key_variable else { return Ok(None) };
        let key = (self.variable)(variable).unwrap_or_default();
        if key.trim().is_empty() {
            return Err(self.origin.no_key(variable, "is not set"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
            .map_err(|_| self.origin.no_key(variable, "holds characters that no key has"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn request(&self, body: Vec<u8>, key: Option<&HeaderValue>) -> Request<Bytes> {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        request
    }

    async fn refusal(
        &self,
        response: http::Response<net::Body>,
        model: &str,
        key: Option<&HeaderValue>,
    ) -> ModelError {
        let status = response.status();
        let body = response.into_body().bytes(ERROR_BODY).await.unwrap_or_default();
        let key = key.and_then(|key| key.to_str().ok()?.strip_prefix("Bearer "));
        self.origin.refusal(status, &body, model, key)
    }

    fn events(
        &self,
        body: net::Body,
        assembler: Assembler,
    ) -> impl futures_core::Stream<Item = Result<Delta, ModelError>> + use<> {
        let reader = sse::Reader::new(body, assembler, Arc::clone(&self.origin));
        stream::unfold(reader, async |mut reader| Some((reader.next().await?, reader)))
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

fn endpoint(name: &str, base_url: &str) -> Result<Uri, ConfigError> {
    let url: Option<Uri> = format!("{base_url}/chat/completions").parse().ok();
    url.filter(|url| url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            ConfigError(format!(
                "[providers.{name}] base_url = {base_url:?}: not an http or https URL; \
                 write it as in \"http://127.0.0.1:11434/v1\""
            ))
        })
}

fn field_for(host: &str) -> MaxTokensField {
    if host == "api.openai.com" || host.ends_with(".openai.azure.com") {
        MaxTokensField::MaxCompletionTokens
    } else {
        MaxTokensField::MaxTokens
    }
}

/// A server may answer in one piece though it was asked to stream.
fn is_event_stream(response: &http::Response<net::Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests;
