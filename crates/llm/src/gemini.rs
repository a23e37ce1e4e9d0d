//! Google's Gemini API.
//!
//! One call is one `POST {base_url}/models/{model}:generateContent`, or `:streamGenerateContent` when
//! somebody reads along. What the model thought, and the signatures by which it knows its thoughts
//! again, travel in `reasoningContent` and go back where they came from (`thoughts`). Sending and
//! reading are `remote`'s.

mod embed;
mod native;
mod request;
mod response;
mod thoughts;

use http::{HeaderMap, Uri};
use net::Secret;
use serde::Deserialize;
use serde_json::json;
use wire::converse::Call;

use crate::embed::{EmbedCall, Embedded};
use crate::ids::Ids;
use crate::models::ConfigError;
use crate::native::Native;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::remote::{Address, KeyIn, Remote, Sending, in_path};
use response::Assembler;

/// `[providers.NAME]` with `kind = "gemini"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Up to and without `/models`; Google itself if left out.
    #[serde(default = "google_itself")]
    pub base_url: String,
    /// Where the key is, `env:NAME` or `file:/path`; none is sent if left out.
    pub api_key: Option<Secret>,
    /// The environment variable that holds the key, in place of `api_key`.
    pub api_key_env: Option<String>,
    /// For one whole call; 600 if left out.
    pub timeout_seconds: Option<u64>,
}

fn google_itself() -> String {
    "https://generativelanguage.googleapis.com/v1beta".to_owned()
}

pub(crate) struct Gemini {
    remote: Remote,
}

impl Gemini {
    pub(crate) fn open(
        name: &str,
        config: Config,
        client: net::Client,
    ) -> Result<Gemini, ConfigError> {
        let address = Address {
            name,
            base_url: config.base_url.trim_end_matches('/'),
            path: "/models",
            example: "https://generativelanguage.googleapis.com/v1beta",
            api_key: config.api_key,
            api_key_env: config.api_key_env,
            key_in: KeyIn::Header("x-goog-api-key"),
            timeout_seconds: config.timeout_seconds,
        };
        Ok(Gemini { remote: Remote::open(address, client)? })
    }

    /// `models/NAME`, where tuned models have a place of their own.
    fn url(&self, model: &str, verb: &str) -> Result<Uri, ModelError> {
        self.remote.at(&format!("/{}:{verb}", place(model)))
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let verb = if call.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let body =
            request::body(call).map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let assembler = Assembler::new(Ids::after(&call.messages), Native::of(call));
        let url = self.url(&call.model, verb)?;
        let sending = Sending { url, headers: HeaderMap::new(), body, model: &call.model };
        self.remote.ask_at(sending, assembler).await
    }

    async fn count(&self, call: &Call) -> Result<Option<u64>, ModelError> {
        let counted =
            request::counted(call).map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let url = self.url(&call.model, "countTokens")?;
        let body = json!({ "generateContentRequest": counted }).to_string().into_bytes();
        let sending = Sending { url, headers: HeaderMap::new(), body, model: &call.model };
        let (_, answer) = self.remote.fetch(sending).await?;
        let missing = || self.remote.malformed("the answer has no totalTokens");
        answer["totalTokens"].as_u64().map(Some).ok_or_else(missing)
    }

    async fn vectors(&self, call: &EmbedCall) -> Result<Embedded, ModelError> {
        let url = self.url(&call.model, "batchEmbedContents")?;
        let body = embed::body(call);
        let sending = Sending { url, headers: HeaderMap::new(), body, model: &call.model };
        let (_, answer) = self.remote.fetch(sending).await?;
        embed::vectors(&answer, call).map_err(|why| self.remote.malformed(&why))
    }
}

/// The model's resource name, as it stands in a path.
fn place(model: &str) -> String {
    match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => {
            format!("{collection}/{}", in_path(name))
        }
        _ => format!("models/{}", in_path(model)),
    }
}

impl Provider for Gemini {
    fn name(&self) -> &str {
        "gemini"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(self.call(call))
    }

    fn count_tokens<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<u64>, ModelError>> {
        Box::pin(self.count(call))
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        Box::pin(self.vectors(call))
    }
}

#[cfg(test)]
mod tests;
