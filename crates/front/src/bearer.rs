//! Bedrock API keys: `Authorization: Bearer …` in place of a signature.
//!
//! A long-term key is a secret that `craton.toml` lists. A short-term key is a presigned request in
//! base64, and proves what a signature proves: who holds it had a listed key's secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{HeaderMap, Uri};
use net::sigv4::Signed;

use crate::limits;
use crate::sigv4::{Claim, Payload, Refusal};

// AWS: prefix, request and encoding (aws-bedrock-token-generator for Python and JavaScript)
const SHORT_TERM: &str = "bedrock-api-key-";
const ACTION: &str = "Action=CallWithBearerToken";
/// Stands behind the signed query.
const VERSION: &str = "&Version=1";

/// The scope under which a token is good.
pub(crate) const SERVICE: &str = "bedrock";
/// What its holder must be allowed, besides the operation itself.
// AWS: bedrock:CallWithBearerToken (Service Authorization Reference)
pub(crate) const PERMISSION: &str = "bedrock:CallWithBearerToken";

/// Whether a service takes API keys at all. More services of AWS's sign as bedrock.
pub(crate) fn opens(service: &str) -> bool {
    matches!(service, "bedrock" | "bedrock-runtime" | "bedrock-agent" | "bedrock-agent-runtime")
}

/// The token of a request.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The presigned request inside a short-term key.
pub(crate) struct ShortTerm {
    query: String,
    headers: HeaderMap,
}

impl ShortTerm {
    /// `None` for any other token.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let bytes = STANDARD.decode(token.strip_prefix(SHORT_TERM)?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let url = text.strip_suffix(VERSION).unwrap_or(&text);
        let uri: Uri = format!("https://{url}").parse().ok()?;
        let query = uri.query().filter(|query| query.split('&').any(|pair| pair == ACTION))?;
        let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
        let headers = HeaderMap::from_iter([(HOST, host)]);
        (uri.path() == "/").then(|| ShortTerm { query: query.to_owned(), headers })
    }

    /// Who claims to have made it.
    pub(crate) fn claim(&self) -> Result<Claim<'_>, Refusal> {
        let claim = Claim::presigned(&self.query)?.ok_or(Refusal::Bearer)?;
        if claim.credential.service == SERVICE { Ok(claim) } else { Err(Refusal::Bearer) }
    }

    pub(crate) fn check(&self, claim: &Claim<'_>, now_ms: i64) -> Result<(), Refusal> {
        claim.check_head(&self.headers, now_ms)?;
        if claim.age_ms(now_ms) > limits::SHORT_TERM_MS {
            return Err(Refusal::BearerExpired);
        }
        Ok(())
    }

    pub(crate) fn verify(&self, claim: &Claim<'_>, secret: &str) -> Result<(), Refusal> {
        let (query, headers) = (self.query.as_str(), &self.headers);
        let request = Signed { method: "POST", path: "/", query, headers, host: None };
        claim.verify(&request, Payload::Whole(b""), secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As AWS's generator makes it (by botocore 1.44) at 2026-11-20T10:00:00Z.
    const TOKEN: &str = "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdvcml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFLSURFWEFNUExFJTJGMjAyNjExMjAlMkZldS13ZXN0LTElMkZiZWRyb2NrJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjBUMTAwMDAwWiZYLUFtei1FeHBpcmVzPTQzMjAwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCZYLUFtei1TaWduYXR1cmU9ZDkzNWYwZGU5M2NmOThkM2E4ODk0YmM5NDA1OGFmMGViMjUwNjkxNGExMzFhNmE4MjFhMjRkMjY0NjlhZTg1YiZWZXJzaW9uPTE=";
    const NOW: i64 = 1_795_168_800_000;
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn check(token: &str, now_ms: i64, secret: &str) -> Result<String, Refusal> {
        let token = ShortTerm::read(token).ok_or(Refusal::Bearer)?;
        let claim = token.claim()?;
        token.check(&claim, now_ms)?;
        token.verify(&claim, secret)?;
        Ok(format!("{} {}", claim.credential.access_key, claim.credential.region))
    }

    /// The same token with other words inside.
    fn changed(from: &str, to: &str) -> String {
        let inside = STANDARD.decode(TOKEN.strip_prefix(SHORT_TERM).unwrap()).unwrap();
        let inside = String::from_utf8(inside).unwrap();
        assert!(inside.contains(from), "{inside}");
        format!("{SHORT_TERM}{}", STANDARD.encode(inside.replacen(from, to, 1)))
    }

    #[test]
    fn a_short_term_key_proves_its_makers_secret_for_twelve_hours_at_most() {
        assert_eq!(check(TOKEN, NOW, SECRET).as_deref(), Ok("AKIDEXAMPLE eu-west-1"));
        assert_eq!(check(TOKEN, NOW, "other"), Err(Refusal::Mismatch));
        let later = check(TOKEN, NOW + 13 * 3_600_000, SECRET);
        assert!(matches!(later, Err(Refusal::Expired { .. })), "{later:?}");
        let region = changed("eu-west-1", "us-east-1");
        assert_eq!(check(&region, NOW, SECRET), Err(Refusal::Mismatch));
        let longer = changed("X-Amz-Expires=43200", "X-Amz-Expires=43201");
        assert_eq!(check(&longer, NOW, SECRET), Err(Refusal::Mismatch));
        for wrong in [
            changed("Action=CallWithBearerToken", "Action=InvokeModel"),
            changed("%2Fbedrock%2F", "%2Flambda%2F"),
            changed("/?", "/other?"),
            "bedrock-api-key-%%%".to_owned(),
            "ABSKsomething".to_owned(),
        ] {
            assert_eq!(check(&wrong, NOW, SECRET), Err(Refusal::Bearer), "{wrong}");
        }
    }
}
