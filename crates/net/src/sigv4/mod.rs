//! Signature Version 4: signs what goes out, and has the arithmetic by which front checks what came.
//!
//! Requests to AWS, requests that are passed on, and those of our own commands are signed here. It
//! reads no clock and holds no keys: the time and the secret come with each call.

mod canonical;

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use sha2::{Digest, Sha256};

pub use canonical::{canonical_request, is_s3};

pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The header that names the body's digest.
pub const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The signed part of a request, as it stands on the wire.
pub struct Signed<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// `Host` or `:authority`.
    pub host: Option<&'a str>,
}

/// What a signature holds for: a day, a region, a service.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// `YYYYMMDD`.
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// A header that is listed as signed and is not there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {0} is to be signed but not in the request")]
pub struct HeaderAbsent(pub String);

/// Who signs, and for which scope.
pub struct Signer<'a> {
    pub access_key: &'a str,
    pub secret_key: &'a str,
    pub session_token: Option<&'a str>,
    pub region: &'a str,
    pub service: &'a str,
}

/// What gets signed. Path and query as they stand on the wire.
pub struct Unsigned<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    /// Those that the request has already: the ones that AWS wants signed will be covered.
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// A credential that fits into no header.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a credential holds characters no header may")]
pub struct Unsignable;

impl Signer<'_> {
    /// The headers to add to `request`, so that it is signed. Host, time and token are covered,
    /// so are `x-amz-…` headers, and the body by its digest, or by what `x-amz-content-sha256`
    /// says in place of one.
    pub fn sign(&self, request: &Unsigned<'_>, now_ms: i64) -> Result<HeaderMap, Unsignable> {
        let stamp = stamp(now_ms);
        let mut added = HeaderMap::new();
        added.insert("x-amz-date", value(&stamp)?);
        if let Some(token) = self.session_token {
            added.insert("x-amz-security-token", value(token)?);
        }
        let named = request.headers.get(CONTENT_SHA256).and_then(|value| value.to_str().ok());
        let hash = named.map_or_else(|| sha256(request.body), str::to_owned);
        // AWS: S3 wants the header, other services take it or leave it (S3 API reference)
        if is_s3(self.service) && named.is_none() {
            added.insert(CONTENT_SHA256, value(&hash)?);
        }
        let mut all = request.headers.clone();
        all.extend(added.clone());
        let authorization = self.authorization(request, &all, &stamp, &hash);
        added.insert(AUTHORIZATION, value(&authorization)?);
        Ok(added)
    }

    fn authorization(
        &self,
        request: &Unsigned<'_>,
        headers: &HeaderMap,
        stamp: &str,
        hash: &str,
    ) -> String {
        let names = covered(headers);
        let Unsigned { method, host, path, query, .. } = *request;
        let signed = Signed { method, path, query, headers, host: Some(host) };
        let canonical = canonical_request(&signed, self.service, &names, hash)
            .expect("the covered headers are those of the request, and its host");
        let date = stamp.get(..8).unwrap_or_default();
        let scope = Scope { date, region: self.region, service: self.service };
        let signature = signature(scope, stamp, &canonical, self.secret_key);
        format!(
            "{ALGORITHM} Credential={}/{date}/{}/{}/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            self.access_key,
            self.region,
            self.service,
            names.join(";")
        )
    }
}

/// Sorted names of the headers that a signature covers.
fn covered(headers: &HeaderMap) -> Vec<Cow<'_, str>> {
    let mut names: Vec<Cow<'_, str>> = headers
        .keys()
        .filter(|name| {
            name.as_str().starts_with("x-amz-")
                || name.as_str() == "content-md5"
                || **name == CONTENT_TYPE
        })
        .map(|name| name.as_str().into())
        .collect();
    names.push("host".into());
    names.sort_unstable();
    names
}

fn value(text: &str) -> Result<HeaderValue, Unsignable> {
    HeaderValue::from_str(text).map_err(|_| Unsignable)
}

/// The signature of a canonical request, in hex.
pub fn signature(scope: Scope<'_>, stamp: &str, canonical: &[u8], secret: &str) -> String {
    let Scope { date, region, service } = scope;
    let digest = sha256(canonical);
    let text = format!("{ALGORITHM}\n{stamp}\n{date}/{region}/{service}/aws4_request\n{digest}");
    let key = hmac(format!("AWS4{secret}").as_bytes(), date);
    let key = hmac(&key, region);
    let key = hmac(&key, service);
    let key = hmac(&key, "aws4_request");
    hex(&hmac(&key, &text))
}

/// `20150830T123600Z`; empty for a time that no calendar has.
pub fn stamp(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => String::new(),
    }
}

/// In lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// HMAC-SHA256 in lower-case hex.
pub fn keyed_digest(key: &[u8], bytes: &[u8]) -> String {
    hex(&mac(key, bytes))
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    mac(key, text.as_bytes())
}

fn mac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests;
