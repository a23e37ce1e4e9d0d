//! Who asks AWS: access keys that sign each request.
//!
//! It reads no clock. Keys are read anew for each request, so that those that are replaced count from then on.

use bytes::Bytes;
use http::Request;
use net::Secret;
use net::sigv4::{Signer, Unsigned};

/// AWS's standard variables, where the configuration names no place.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// AWS: Bedrock's runtime signs as `bedrock` (its API model, signingName).
const SERVICE: &str = "bedrock";

#[derive(Debug)]
pub(crate) struct Aws {
    pub(crate) region: String,
    pub(crate) access_key: Option<Secret>,
    pub(crate) secret_key: Option<Secret>,
    pub(crate) session_token: Option<Secret>,
}

impl Aws {
    /// Signs a request that is whole but for that; or says which credential is missing.
    pub(super) fn sign(&self, request: &mut Request<Bytes>, now_ms: i64) -> Result<(), String> {
        let access_key = read(self.access_key.as_ref(), ACCESS_KEY)?;
        let secret_key = read(self.secret_key.as_ref(), SECRET_KEY)?;
        let token = self.token()?;
        let signer = Signer {
            access_key: &access_key,
            secret_key: &secret_key,
            session_token: token.as_deref(),
            region: &self.region,
            service: SERVICE,
        };
        let uri = request.uri();
        let unsigned = Unsigned {
            method: request.method().as_str(),
            host: uri.authority().map_or("", http::uri::Authority::as_str),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: request.headers(),
            body: request.body(),
        };
        let mut added = signer.sign(&unsigned, now_ms).map_err(|error| error.to_string())?;
        if let Some(token) = added.get_mut("x-amz-security-token") {
            token.set_sensitive(true);
        }
        request.headers_mut().extend(added);
        Ok(())
    }

    /// One of the environment belongs to keys of the environment alone.
    fn token(&self) -> Result<Option<String>, String> {
        match &self.session_token {
            Some(secret) => secret.read().map(Some),
            None if self.access_key.is_some() => Ok(None),
            None => Ok(std::env::var(SESSION_TOKEN).ok().filter(|token| !token.is_empty())),
        }
    }
}

fn read(secret: Option<&Secret>, variable: &str) -> Result<String, String> {
    match secret {
        Some(secret) => secret.read(),
        None => std::env::var(variable)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("the environment variable {variable} is not set")),
    }
}
