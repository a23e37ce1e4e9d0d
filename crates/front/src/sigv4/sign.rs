//! The signing side of Signature Version 4: for the commands that ask a server of ours, and for
//! requests that are passed on.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::canonical::is_s3;
use super::{ALGORITHM, CONTENT_SHA256, Claim, Credential, Form, Refusal, Signed, sha256, stamp};

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

impl Signer<'_> {
    /// The headers to add to `request`, so that it is signed. Host, time and token are covered,
    /// so are `x-amz-…` headers, and the body by its digest, or by what `x-amz-content-sha256`
    /// says in place of one.
    pub fn sign(&self, request: &Unsigned<'_>, now_ms: i64) -> Result<HeaderMap, Refusal> {
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
        let claim = Claim {
            credential: Credential {
                access_key: self.access_key.into(),
                date: stamp.get(..8).unwrap_or_default().into(),
                region: self.region.into(),
                service: self.service.into(),
            },
            signed_headers: covered(&all).into_iter().map(Into::into).collect(),
            signature: "".into(),
            form: Form::Header,
        };
        let Unsigned { method, host, path, query, .. } = *request;
        let signed = Signed { method, path, query, headers: &all, host: Some(host) };
        let canonical = claim.canonical(&signed, &hash)?;
        let signature = claim.sign(&claim.string_to_sign(&stamp, &canonical), self.secret_key);
        let (date, scope) = (&claim.credential.date, format!("{}/{}", self.region, self.service));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{date}/{scope}/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            self.access_key,
            claim.signed_headers.join(";")
        );
        added.insert(AUTHORIZATION, value(&authorization)?);
        Ok(added)
    }
}

/// Sorted names of the headers that a signature covers.
fn covered(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = headers
        .keys()
        .filter(|name| {
            name.as_str().starts_with("x-amz-")
                || name.as_str() == "content-md5"
                || **name == CONTENT_TYPE
        })
        .map(|name| name.as_str().to_owned())
        .collect();
    names.push("host".to_owned());
    names.sort_unstable();
    names
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .map_err(|_| Refusal::Incomplete("a credential holds characters no header may".into()))
}
