//! The signing side of Signature Version 4: for the commands that ask a server of ours, and for
//! requests that are passed on.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use sha2::{Digest, Sha256};

use super::{ALGORITHM, Claim, Refusal, Signed, canonical_request, hex, stamp};

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
    pub body: &'a [u8],
}

impl Signer<'_> {
    /// The headers to add to `request`, so that it is signed. Host, time and token are covered,
    /// and so is the body by its digest.
    pub fn sign(&self, request: &Unsigned<'_>, now_ms: i64) -> Result<HeaderMap, Refusal> {
        let stamp = stamp(now_ms);
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", value(&stamp)?);
        let mut signed_headers = vec!["host", "x-amz-date"];
        if let Some(token) = self.session_token {
            headers.insert("x-amz-security-token", value(token)?);
            signed_headers.push("x-amz-security-token");
        }
        let claim = Claim {
            access_key: self.access_key,
            date: stamp.get(..8).unwrap_or_default(),
            region: self.region,
            service: self.service,
            signed_headers,
            signature: "",
        };
        let Unsigned { method, host, path, query, body } = *request;
        let signed = Signed { method, path, query, headers: &headers, host: Some(host) };
        let hash = hex(&Sha256::digest(body));
        let canonical = canonical_request(&signed, &claim.signed_headers, &hash)?;
        let signature = claim.sign(&claim.string_to_sign(&stamp, &canonical), self.secret_key);
        let (date, scope) = (claim.date, format!("{}/{}", self.region, self.service));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{date}/{scope}/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            self.access_key,
            claim.signed_headers.join(";")
        );
        headers.insert(AUTHORIZATION, value(&authorization)?);
        Ok(headers)
    }
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .map_err(|_| Refusal::Incomplete("a credential holds characters no header may".into()))
}
