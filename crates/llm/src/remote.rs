//! What providers that are a server elsewhere have in common: address, key, sending, reading.
//!
//! A provider makes the body of its request and an [`Assemble`] for the answer. Here the request is
//! sent with the key of the variable that the configuration names, and the answer is read in one
//! piece or as server-sent events, whichever the server chose. A refusal becomes an error that names
//! the provider and the variable; the key itself is in no message. Nothing is sent twice.

mod aws;
mod error;
mod framing;
mod reader;
mod retry;
mod secrets;
mod sse;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use net::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use wire::converse::{Delta, Usage};

use crate::limits::{CALL_TIMEOUT, ERROR_BODY, REPLY_BYTES, TOKENS};
use crate::models::ConfigError;
use crate::provider::{Deltas, ModelError};

pub(crate) use aws::Aws;
use framing::Framing;
use reader::Reader;

pub(crate) use error::{Fault, Key, Origin};
#[cfg(test)]
pub(crate) use reader::read;
pub(crate) use secrets::Secrets;

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
#[derive(Debug)]
pub(crate) enum KeyIn {
    /// `authorization: Bearer KEY`
    Bearer,
    Header(&'static str),
    /// Nowhere: the request is signed.
    Signature(Box<Aws>),
}

/// One request: the URL, what it says, and the model's name for messages.
pub(crate) struct Sending<'a> {
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) model: &'a str,
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
    timeout: Duration,
    origin: Arc<Origin>,
    key_in: KeyIn,
    /// Reads an environment variable; another function in tests.
    pub(crate) variable: fn(&str) -> Option<String>,
}

impl Remote {
    pub(crate) fn open(address: Address<'_>, client: net::Client) -> Result<Remote, ConfigError> {
        check_endpoint(&address)?;
        let key = key_of(address.name, address.api_key, address.api_key_env)?;
        Ok(Remote {
            client,
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

    /// What stands in a call that this protocol has no place for.
    pub(crate) fn cannot_carry(&self, what: &str) -> ModelError {
        self.origin.cannot_carry(what)
    }

    /// The same, of a call to `model`.
    pub(crate) fn cannot_carry_to(&self, model: &str, what: &str) -> ModelError {
        self.cannot_carry(&format!("{what} (model {model:?})"))
    }

    /// A header that the configuration names and whose value is not to be had.
    pub(crate) fn no_header(&self, name: &HeaderName, why: &str) -> ModelError {
        let message = format!("{}: the header {name}: {why}; nothing was sent", self.origin);
        ModelError::refused(message)
    }

    /// The URL of an operation: `path` follows the base URL.
    pub(crate) fn at(&self, path: &str) -> Result<Uri, ModelError> {
        let url = format!("{}{path}", self.origin.base_url);
        url.parse().map_err(|_| self.cannot_carry(&format!("{url:?} is no URL")))
    }

    pub(crate) async fn ask_at<A: Assemble>(
        &self,
        sending: Sending<'_>,
        assembler: A,
    ) -> Result<Deltas, ModelError> {
        let (response, secrets) = self.send(sending).await?;
        if let Some(framing) = Framing::of(response.headers()) {
            let origin = Arc::clone(&self.origin);
            let reader = Reader::new(response.into_body(), framing, assembler, origin, secrets);
            let next = async |mut reader: Reader<A>| Some((reader.next().await?, reader));
            return Ok(Box::pin(stream::unfold(reader, next)));
        }
        let body = response.into_body().bytes(REPLY_BYTES).await;
        let body = body.map_err(|error| self.origin.net(error))?;
        let deltas = assembler.whole(&body).map_err(|fault| self.origin.fault(fault, &secrets))?;
        Ok(Box::pin(stream::iter(deltas.into_iter().map(sane).map(Ok))))
    }

    /// An operation with an answer of one piece, and its headers.
    pub(crate) async fn fetch(
        &self,
        sending: Sending<'_>,
    ) -> Result<(HeaderMap, Json), ModelError> {
        let (head, body) = self.send(sending).await?.0.into_parts();
        let body = body.bytes(REPLY_BYTES).await.map_err(|error| self.origin.net(error))?;
        let json = serde_json::from_slice(&body)
            .map_err(|error| self.malformed(&format!("the answer is not JSON: {error}")))?;
        Ok((head.headers, json))
    }

    /// Asks an operation that counts tokens; a server that has none says so with 404.
    pub(crate) async fn count(&self, sending: Sending<'_>) -> Result<Option<u64>, ModelError> {
        match self.fetch(sending).await {
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(error),
            Ok((_, counted)) => match counted["input_tokens"].as_u64() {
                Some(tokens) => Ok(Some(tokens)),
                None => Err(self.malformed("the answer has no input_tokens")),
            },
        }
    }

    pub(crate) fn malformed(&self, why: &str) -> ModelError {
        self.origin.fault(Fault::Malformed(why.to_owned()), &Secrets::default())
    }

    /// The answer, and what the request said in confidence.
    async fn send(
        &self,
        sending: Sending<'_>,
    ) -> Result<(http::Response<net::Body>, Secrets), ModelError> {
        let (key, model) = (self.key()?, sending.model);
        let request = self.request(sending, key.as_deref())?;
        let secrets = Secrets::of(request.headers());
        let sent = self.client.send(request, self.timeout).await;
        let response = sent.map_err(|error| self.origin.net(error))?;
        match response.status() {
            StatusCode::OK => Ok((response, secrets)),
            _ => Err(self.refusal(response, model, &secrets).await),
        }
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
        sending: Sending<'_>,
        key: Option<&str>,
    ) -> Result<Request<Bytes>, ModelError> {
        let mut request = Request::new(Bytes::from(sending.body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = sending.url;
        *request.headers_mut() = sending.headers;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        match (&self.key_in, key) {
            (KeyIn::Bearer, Some(key)) => {
                let bearer = format!("Bearer {key}");
                self.put_key(&mut request, header::AUTHORIZATION, &bearer)?;
            }
            (KeyIn::Header(name), Some(key)) => {
                self.put_key(&mut request, HeaderName::from_static(name), key)?;
            }
            (KeyIn::Signature(aws), _) => {
                let now = jiff::Timestamp::now().as_millisecond();
                aws.sign(&mut request, now).map_err(|why| self.origin.no_key(&why))?;
            }
            (KeyIn::Bearer | KeyIn::Header(_), None) => {}
        }
        Ok(request)
    }

    fn put_key(
        &self,
        request: &mut Request<Bytes>,
        name: HeaderName,
        value: &str,
    ) -> Result<(), ModelError> {
        let value = HeaderValue::from_str(value);
        let mut value =
            value.map_err(|_| self.origin.no_key("holds characters that no key has"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        Ok(())
    }

    async fn refusal(
        &self,
        response: http::Response<net::Body>,
        model: &str,
        secrets: &Secrets,
    ) -> ModelError {
        let (head, body) = response.into_parts();
        let body = body.bytes(ERROR_BODY).await.unwrap_or_default();
        let wait = retry::after(&head.headers, &body, jiff::Timestamp::now());
        let body = error::with_type(&head.headers, body);
        Origin::later(self.origin.refusal(head.status, &body, model, secrets), wait)
    }
}

fn check_endpoint(address: &Address<'_>) -> Result<(), ConfigError> {
    let Address { name, base_url, path, example, .. } = address;
    let url: Option<Uri> = format!("{base_url}{path}").parse().ok();
    url.filter(|url| url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https")))
        .map(drop)
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

/// Counts are another program's word, and are added up and paid for.
fn sane(delta: Delta) -> Delta {
    match delta {
        Delta::Usage(said) => Delta::Usage(Usage {
            input_tokens: said.input_tokens.min(TOKENS),
            output_tokens: said.output_tokens.min(TOKENS),
            cache_read_input_tokens: said.cache_read_input_tokens.min(TOKENS),
            cache_write_input_tokens: said.cache_write_input_tokens.min(TOKENS),
            cache_write_hour_input_tokens: said.cache_write_hour_input_tokens.min(TOKENS),
        }),
        other => other,
    }
}

/// A model's name as one segment of a path: ARNs have slashes and colons.
pub(crate) fn in_path(model: &str) -> impl std::fmt::Display + '_ {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(model, KEPT)
}
