//! What providers that are a server elsewhere have in common: address, key, sending, reading.
//!
//! A provider makes the body of its request and an [`Assemble`] for the answer. Here the request is
//! sent with the key of the variable that the configuration names, and the answer is read in one
//! piece or as server-sent events, whichever the server chose. A refusal becomes an error that names
//! the provider and the variable; the key itself is in no message. Nothing is sent twice.

mod error;
mod sse;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use net::Secret;
use wire::converse::Delta;

use crate::limits::{CALL_TIMEOUT, ERROR_BODY, REPLY_BYTES};
use crate::models::ConfigError;
use crate::provider::{Deltas, ModelError};

pub(crate) use error::{Fault, Key, Origin};
#[cfg(test)]
pub(crate) use sse::read;

/// Folds one answer of a protocol into deltas.
pub(crate) trait Assemble: Send + 'static {
    /// The data of one event of a stream; `true` if the server has declared its end with it.
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault>;

    /// The stream ended and the server had not declared it.
    fn broke_off(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault>;

    /// An answer in one piece.
    fn whole(self, body: &[u8]) -> Result<Vec<Delta>, Fault>;
}

/// Where the key stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyIn {
    /// `authorization: Bearer KEY`
    Bearer,
    Header(&'static str),
}

/// A server as `craton.toml` describes it.
pub(crate) struct Address<'a> {
    /// `[providers.NAME]`
    pub(crate) name: &'a str,
    pub(crate) base_url: &'a str,
    /// What follows the base URL.
    pub(crate) path: &'a str,
    /// A base URL as it should look, for the message about one that does not.
    pub(crate) example: &'a str,
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_key_env: Option<String>,
    pub(crate) key_in: KeyIn,
    pub(crate) timeout_seconds: Option<u64>,
}

pub(crate) struct Remote {
    client: net::Client,
    url: Uri,
    timeout: Duration,
    origin: Arc<Origin>,
    key_in: KeyIn,
    /// Reads an environment variable; another function in tests.
    pub(crate) variable: fn(&str) -> Option<String>,
}

impl Remote {
    pub(crate) fn open(address: Address<'_>, client: net::Client) -> Result<Remote, ConfigError> {
        let url = endpoint(&address)?;
        let key = key_of(address.name, address.api_key, address.api_key_env)?;
        Ok(Remote {
            client,
            url,
            timeout: address.timeout_seconds.map_or(CALL_TIMEOUT, Duration::from_secs),
            origin: Arc::new(Origin {
                provider: address.name.to_owned(),
                base_url: address.base_url.to_owned(),
                key,
            }),
            key_in: address.key_in,
            variable: |name| std::env::var(name).ok(),
        })
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    /// What stands in a call that this protocol has no place for.
    pub(crate) fn cannot_carry(&self, what: &str) -> ModelError {
        self.origin.cannot_carry(what)
    }

    /// Posts `body`. `model` is for messages.
    pub(crate) async fn ask<A: Assemble>(
        &self,
        body: Vec<u8>,
        headers: HeaderMap,
        model: &str,
        assembler: A,
    ) -> Result<Deltas, ModelError> {
        let key = self.key()?;
        let request = self.request(body, headers, key.as_deref())?;
        let sent = self.client.send(request, self.timeout).await;
        let response = sent.map_err(|error| self.origin.net(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, model, key.as_deref()).await);
        }
        if is_event_stream(&response) {
            return Ok(Box::pin(self.events(response.into_body(), assembler)));
        }
        let body = response.into_body().bytes(REPLY_BYTES).await;
        let body = body.map_err(|error| self.origin.net(error))?;
        let deltas = assembler.whole(&body).map_err(|fault| self.origin.fault(fault))?;
        Ok(Box::pin(stream::iter(deltas.into_iter().map(Ok))))
    }

    /// The key, or why there is none though there should be.
    fn key(&self) -> Result<Option<String>, ModelError> {
        let read = match &self.origin.key {
            None => return Ok(None),
            Some(Key::Variable(name)) => (self.variable)(name).ok_or("is not set".to_owned()),
            Some(Key::Secret(secret)) => secret.read(),
        };
        match read.map(|key| key.trim().to_owned()) {
            Ok(key) if key.is_empty() => Err(self.origin.no_key("is empty")),
            Ok(key) => Ok(Some(key)),
            Err(why) => Err(self.origin.no_key(&why)),
        }
    }

    fn request(
        &self,
        body: Vec<u8>,
        headers: HeaderMap,
        key: Option<&str>,
    ) -> Result<Request<Bytes>, ModelError> {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            let (name, value) = self.key_header(key)?;
            headers.insert(name, value);
        }
        Ok(request)
    }

    fn key_header(&self, key: &str) -> Result<(HeaderName, HeaderValue), ModelError> {
        let (name, value) = match self.key_in {
            KeyIn::Bearer => {
                (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")))
            }
            KeyIn::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key)),
        };
        let mut value =
            value.map_err(|_| self.origin.no_key("holds characters that no key has"))?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    async fn refusal(
        &self,
        response: http::Response<net::Body>,
        model: &str,
        key: Option<&str>,
    ) -> ModelError {
        let (status, wait) = (response.status(), retry_after(response.headers()));
        let body = response.into_body().bytes(ERROR_BODY).await.unwrap_or_default();
        Origin::later(self.origin.refusal(status, &body, model, key), wait)
    }

    fn events<A: Assemble>(
        &self,
        body: net::Body,
        assembler: A,
    ) -> impl futures_core::Stream<Item = Result<Delta, ModelError>> + use<A> {
        let reader = sse::Reader::new(body, assembler, Arc::clone(&self.origin));
        stream::unfold(reader, async |mut reader| Some((reader.next().await?, reader)))
    }
}

fn endpoint(address: &Address<'_>) -> Result<Uri, ConfigError> {
    let Address { name, base_url, path, example, .. } = address;
    let url: Option<Uri> = format!("{base_url}{path}").parse().ok();
    url.filter(|url| url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https")))
        .ok_or_else(|| {
            ConfigError(format!(
                "[providers.{name}] base_url = {base_url:?}: not an http or https URL; write it as \
                 in {example:?}"
            ))
        })
}

fn key_of(
    name: &str,
    secret: Option<Secret>,
    variable: Option<String>,
) -> Result<Option<Key>, ConfigError> {
    match (secret, variable) {
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "[providers.{name}] has api_key and api_key_env; keep one of them"
        ))),
        (secret, variable) => Ok(secret.map(Key::Secret).or(variable.map(Key::Variable))),
    }
}

/// A server may answer in one piece though it was asked to stream, and the other way round.
fn is_event_stream(response: &http::Response<net::Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Seconds only; model providers send no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
