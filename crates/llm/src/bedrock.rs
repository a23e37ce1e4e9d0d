//! Amazon Bedrock, and every other server that speaks Converse: another Craton, for one.
//!
//! The inner tongue is Converse, so a call goes out nearly as it is, to `/model/{id}/converse` or
//! `…/converse-stream`, signed by SigV4 or with a Bedrock API key. Answers are one document, or frames
//! that `remote` cuts. Embeddings go through InvokeModel with the bodies of Titan and Cohere.

mod embed;
mod request;
mod response;

use http::{HeaderMap, Uri};
use net::Secret;
use serde::Deserialize;
use serde_json::Value as Json;
use wire::converse::Call;

use crate::cache::CacheMode;
use crate::embed::{EmbedCall, Embedded};
use crate::ids::Ids;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, ModelErrorKind, Provider};
use crate::remote::{Address, Aws, KeyIn, Remote, Sending, in_path};
use response::Assembler;

/// `[providers.NAME]` with `kind = "bedrock"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `AWS_REGION` or `AWS_DEFAULT_REGION` if left out.
    pub region: Option<String>,
    /// Another server than AWS's own of the region.
    pub base_url: Option<String>,
    /// A Bedrock API key, `env:NAME` or `file:/path`. If neither this nor `access_key` is there,
    /// the environment's `AWS_BEARER_TOKEN_BEDROCK`, else its access keys.
    pub api_key: Option<Secret>,
    /// Access keys that sign each request.
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// For one whole call; 600 if left out.
    pub timeout_seconds: Option<u64>,
}

/// AWS: the variable of a Bedrock API key (Bedrock user guide, "Use an API key").
const BEARER: &str = "AWS_BEARER_TOKEN_BEDROCK";

pub(crate) struct Bedrock {
    remote: Remote,
    cache: CacheMode,
}

impl Bedrock {
    pub(crate) fn open(
        name: &str,
        config: Config,
        cache: CacheMode,
        client: net::Client,
    ) -> Result<Bedrock, ConfigError> {
        let region = region(name, &config)?;
        let base_url = config.base_url.clone().unwrap_or_else(|| aws_itself(&region));
        let timeout_seconds = config.timeout_seconds;
        let (api_key, api_key_env, key_in) = credentials(name, config, region)?;
        let address = Address {
            name,
            base_url: base_url.trim_end_matches('/'),
            path: "/model",
            example: "https://bedrock-runtime.us-east-1.amazonaws.com",
            api_key,
            api_key_env,
            key_in,
            timeout_seconds,
        };
        Ok(Bedrock { remote: Remote::open(address, client)?, cache })
    }

    fn url(&self, model: &str, operation: &str) -> Result<Uri, ModelError> {
        self.remote.at(&format!("/model/{}/{operation}", in_path(model)))
    }

    async fn call(&self, call: &Call) -> Result<Deltas, ModelError> {
        let url =
            self.url(&call.model, if call.stream { "converse-stream" } else { "converse" })?;
        let body = request::body(call, self.cache)
            .map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        let sending = sending(url, &call.model, &body);
        self.remote.ask_at(sending, Assembler::new(Ids::after(&call.messages))).await
    }

    /// AWS: CountTokens knows some models only and says so of the others (API reference).
    async fn count(&self, call: &Call) -> Result<Option<u64>, ModelError> {
        let url = self.url(&call.model, "count-tokens")?;
        let body =
            request::counted(call).map_err(|why| self.remote.cannot_carry_to(&call.model, &why))?;
        match self.remote.fetch(sending(url, &call.model, &body)).await {
            Ok((_, answer)) => Ok(answer["inputTokens"].as_u64()),
            Err(error) if counts_not(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One of the bodies that `embed` makes for a call.
    async fn invoke(&self, model: &str, body: &Json) -> Result<(HeaderMap, Json), ModelError> {
        let url = self.url(model, "invoke")?;
        self.remote.fetch(sending(url, model, body)).await
    }

    async fn vectors(&self, call: &EmbedCall) -> Result<Embedded, ModelError> {
        let Some(family) = embed::Family::of(&call.model) else {
            let message = format!("bedrock: {:?} makes no embeddings that are known", call.model);
            return Err(ModelError::new(ModelErrorKind::Unsupported, message));
        };
        let mut all = Embedded { vectors: Vec::with_capacity(call.texts.len()), input_tokens: 0 };
        for body in family.bodies(call) {
            let (headers, answer) = self.invoke(&call.model, &body).await?;
            let read = family.read(&headers, &answer, call.normalize);
            let part = read.map_err(|why| self.remote.malformed(&why))?;
            all.vectors.extend(part.vectors);
            all.input_tokens = all.input_tokens.saturating_add(part.input_tokens);
        }
        match all.vectors.len() == call.texts.len() {
            true => Ok(all),
            false => Err(self.remote.malformed("the answer has not one embedding for each text")),
        }
    }
}

fn sending<'a>(url: Uri, model: &'a str, body: &Json) -> Sending<'a> {
    let body = serde_json::to_vec(body).expect("its maps have string keys");
    Sending { url, headers: HeaderMap::new(), body, model }
}

fn counts_not(error: &ModelError) -> bool {
    let said = error.message.to_ascii_lowercase();
    let unsupported = error.status == Some(400) && said.contains("support");
    unsupported || error.status == Some(501)
}

fn region(name: &str, config: &Config) -> Result<String, ConfigError> {
    let of_environment = || {
        let set = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().map(std::env::var);
        set.filter_map(Result::ok).find(|region| !region.is_empty())
    };
    let region = config.region.clone().or_else(of_environment).or_else(|| {
        // Of a server that is not AWS's the region is only what its signature says.
        config.base_url.as_ref().map(|_| "us-east-1".to_owned())
    });
    let fits = |region: &String| region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    region.filter(fits).ok_or_else(|| {
        ConfigError(format!(
            "[providers.{name}] has no region; write region = \"us-east-1\" or set AWS_REGION"
        ))
    })
}

/// AWS: the endpoints of each partition (AWS general reference, "Service endpoints").
fn aws_itself(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://bedrock-runtime.{region}.{suffix}")
}

type Credentials = (Option<Secret>, Option<String>, KeyIn);

/// What the configuration names goes before the environment, and a Bedrock API key before keys that
/// sign, as in the SDKs.
fn credentials(name: &str, config: Config, region: String) -> Result<Credentials, ConfigError> {
    let Config { api_key, access_key, secret_key, session_token, .. } = config;
    if access_key.is_some() != secret_key.is_some() {
        return Err(ConfigError(format!(
            "[providers.{name}] needs access_key and secret_key together"
        )));
    }
    match (api_key, &access_key) {
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "[providers.{name}] has api_key and access_key; keep one of them"
        ))),
        (Some(secret), None) => Ok((Some(secret), None, KeyIn::Bearer)),
        (None, None) if std::env::var_os(BEARER).is_some_and(|key| !key.is_empty()) => {
            Ok((None, Some(BEARER.to_owned()), KeyIn::Bearer))
        }
        (None, _) => {
            let aws = Aws { region, access_key, secret_key, session_token };
            Ok((None, None, KeyIn::Signature(Box::new(aws))))
        }
    }
}

impl Provider for Bedrock {
    fn name(&self) -> &str {
        "bedrock"
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
