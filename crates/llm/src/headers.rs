//! `headers` of `[providers.NAME]`: what else a server, or a proxy before it, wants to be told.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use net::Secret;

use crate::models::ConfigError;
use crate::provider::ModelError;
use crate::remote::Remote;

/// Headers of every request, each as text or with the place of its value.
#[derive(Debug)]
pub(crate) struct Headers(Vec<(HeaderName, Value)>);

#[derive(Debug)]
enum Value {
    Text(HeaderValue),
    Secret(Secret),
}

impl Headers {
    /// `env:NAME` and `file:/path` are places; anything else is the value.
    pub(crate) fn open(
        provider: &str,
        given: BTreeMap<String, String>,
    ) -> Result<Headers, ConfigError> {
        let opened = given.into_iter().map(|(name, text)| {
            let at = format!("[providers.{provider}] headers.{name}");
            let header =
                name.parse().map_err(|_| ConfigError(format!("{at}: no header's name")))?;
            let value = match text.starts_with("env:") || text.starts_with("file:") {
                true => Secret::try_from(text)
                    .map(Value::Secret)
                    .map_err(|why| ConfigError(format!("{at}: {why}")))?,
                false => HeaderValue::from_str(&text)
                    .map(Value::Text)
                    .map_err(|_| ConfigError(format!("{at}: no header's value")))?,
            };
            Ok((header, value))
        });
        opened.collect::<Result<_, _>>().map(Headers)
    }

    /// Adds them to those of a request; secrets are read anew.
    pub(crate) fn add(&self, headers: &mut HeaderMap, remote: &Remote) -> Result<(), ModelError> {
        for (name, value) in &self.0 {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Secret(secret) => secret
                    .read()
                    .and_then(|value| sensitive(&value))
                    .map_err(|why| remote.no_header(name, &why))?,
            };
            headers.insert(name, value);
        }
        Ok(())
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "its value holds characters that no header has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
