//! Signature Version 4, in a header or presigned in the query: reads what a client claims, and
//! checks the claim against the bytes that arrived.
//!
//! It never trusts a decoded form of the request: path, query and headers are taken raw. It knows
//! no keys; `auth` looks the secret up between reading and checking.

mod presigned;
mod refusal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use net::sigv4::{
    ALGORITHM, CONTENT_SHA256, Scope, Signed, canonical_request, is_s3, sha256, signature, stamp,
};
use subtle::ConstantTimeEq;

use crate::limits;
pub(crate) use presigned::stripped;
pub use refusal::Refusal;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The body that a signature covers.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    Whole(&'a [u8]),
    /// Not looked at, for nothing will be done with it: its digest is what the client says.
    Unread,
}

/// What a request says about its signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    pub credential: Credential<'a>,
    signed_headers: Vec<Cow<'a, str>>,
    signature: Cow<'a, str>,
    form: Form,
}

/// `ACCESS_KEY/YYYYMMDD/REGION/SERVICE/aws4_request`.
#[derive(Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    pub access_key: Cow<'a, str>,
    date: Cow<'a, str>,
    pub region: Cow<'a, str>,
    pub service: Cow<'a, str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Form {
    Header,
    /// When it was signed, and for how long; without that, as long as a header.
    Presigned {
        time: i64,
        seconds: Option<i64>,
    },
}

impl<'a> Claim<'a> {
    /// `None` if the request does not claim to be signed.
    pub fn read(headers: &'a HeaderMap, query: &'a str) -> Result<Option<Self>, Refusal> {
        let Some(value) = headers.get(AUTHORIZATION) else { return Claim::presigned(query) };
        let text = value.to_str().map_err(|_| Refusal::Incomplete("it is not ASCII".into()))?;
        let Some(fields) = text.strip_prefix(ALGORITHM) else {
            return Err(Refusal::OtherScheme);
        };
        Self::parse(fields).map(Some)
    }

    /// The claim of a query string.
    pub fn presigned(query: &'a str) -> Result<Option<Self>, Refusal> {
        presigned::read(query)
    }

    fn parse(fields: &'a str) -> Result<Self, Refusal> {
        let (mut claimed, mut headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => claimed = Some(value),
                Some(("SignedHeaders", value)) => headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => {}
            }
        }
        let headers = headers.ok_or_else(|| missing("SignedHeaders"));
        Ok(Claim {
            credential: credential(claimed.ok_or_else(|| missing("Credential"))?.into())?,
            signed_headers: headers?.split(';').map(Cow::from).collect(),
            signature: signature.ok_or_else(|| missing("Signature"))?.into(),
            form: Form::Header,
        })
    }

    /// What can be checked before the body is read: the time, and that host and time are signed.
    pub fn check_head(&self, headers: &HeaderMap, now_ms: i64) -> Result<(), Refusal> {
        if !self.signs("host") && !self.signs(":authority") {
            return Err(Refusal::HostUnsigned);
        }
        let time = self.time(headers)?;
        let stamp = stamp(time);
        let date = &self.credential.date;
        if !stamp.starts_with(&**date) || date.len() != 8 {
            return Err(Refusal::ScopeDate { scope: date.to_string(), stamp });
        }
        let lasts_ms = self.lasts_ms();
        match now_ms - time {
            late if late > lasts_ms => Err(Refusal::Expired { stamp, now_ms, lasts_ms }),
            late if late < -limits::SKEW_MS => Err(Refusal::Early { stamp, now_ms }),
            _ => Ok(()),
        }
    }

    /// Whether this very request was signed with `secret`.
    pub fn verify(
        &self,
        request: &Signed<'_>,
        payload: Payload<'_>,
        secret: &str,
    ) -> Result<(), Refusal> {
        if let Some(name) = self.unsigned_header(request.headers) {
            return Err(Refusal::HeaderUnsigned(name.to_owned()));
        }
        let without_signature;
        let query = match self.form {
            Form::Header => request.query,
            Form::Presigned { .. } => {
                without_signature = presigned::unsigned(request.query);
                &without_signature
            }
        };
        let hash = self.payload_hash(request.headers, payload)?;
        let request = Signed { query, ..*request };
        let Credential { date, region, service, .. } = &self.credential;
        let canonical = canonical_request(&request, service, &self.signed_headers, &hash)
            .map_err(|absent| Refusal::HeaderAbsent(absent.0))?;
        let time = self.time(request.headers)?;
        let expected = signature(Scope { date, region, service }, &stamp(time), &canonical, secret);
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }

    /// A header that tells the service what to do and was not signed: whoever holds a link, or
    /// stands between, may have added it.
    // AWS: every x-amz-* header has to be signed (S3: "There were headers present in the request
    // which were not signed"). Without effect here: date and digest, which the signature covers
    // in its own ways, the token, and what only names a client or a proxy.
    fn unsigned_header<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        const FREE: [&str; 5] = [
            "x-amz-date",
            CONTENT_SHA256,
            "x-amz-security-token",
            "x-amz-user-agent",
            "x-amz-cf-id",
        ];
        let names = headers.keys().map(http::HeaderName::as_str);
        let mut told = names.filter(|name| name.starts_with("x-amz-") && !FREE.contains(name));
        told.find(|name| !self.signs(name))
    }

    /// When it was signed. In a header, what dates it has to be signed as well.
    fn time(&self, headers: &HeaderMap) -> Result<i64, Refusal> {
        if let Form::Presigned { time, .. } = self.form {
            return Ok(time);
        }
        let (name, time) = request_time(headers)?;
        if self.signs(name) { Ok(time) } else { Err(Refusal::DateUnsigned(name)) }
    }

    /// Only S3 may leave it out.
    pub(crate) fn covers_body(&self) -> bool {
        !is_s3(&self.credential.service)
    }

    /// How long ago a presigned request was signed.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        match self.form {
            Form::Presigned { time, .. } => now_ms - time,
            Form::Header => 0,
        }
    }

    fn lasts_ms(&self) -> i64 {
        match self.form {
            // AWS: sts takes 15 minutes for all that is presigned for less; here what the signer
            // asked for holds
            Form::Presigned { seconds: Some(seconds), .. } => seconds * 1000,
            Form::Presigned { seconds: None, .. } | Form::Header => limits::SKEW_MS,
        }
    }

    /// The digest that goes into the canonical request. A client may name it in a header; then the
    /// body has to match it.
    fn payload_hash(&self, headers: &HeaderMap, payload: Payload<'_>) -> Result<String, Refusal> {
        let named = headers.get(CONTENT_SHA256);
        let named = named.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let s3 = is_s3(&self.credential.service);
        let body = match (payload, named) {
            // AWS: of S3 alone, where a query has no place for a digest and TLS covers the body
            (_, None) if s3 && self.form != Form::Header => return Ok(UNSIGNED.to_owned()),
            (_, Some(named)) if s3 && is_no_digest(&named) => return Ok(named),
            (Payload::Unread, named) => return Ok(named.unwrap_or_else(|| sha256(b""))),
            (Payload::Whole(body), None) => return Ok(sha256(body)),
            (Payload::Whole(body), Some(named)) => (sha256(body), named),
        };
        let (computed, named) = body;
        if computed == named { Ok(computed) } else { Err(Refusal::Payload(named)) }
    }

    fn signs(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == header)
    }
}

fn credential(text: Cow<'_, str>) -> Result<Credential<'_>, Refusal> {
    let found = match text {
        Cow::Borrowed(text) => scope(text).ok_or_else(malformed)?,
        Cow::Owned(text) => scope(&text).ok_or_else(malformed).map(|found| Credential {
            access_key: found.access_key.into_owned().into(),
            date: found.date.into_owned().into(),
            region: found.region.into_owned().into(),
            service: found.service.into_owned().into(),
        })?,
    };
    match is_region(&found.region) {
        true => Ok(found),
        false => Err(Refusal::Region(found.region.into_owned())),
    }
}

/// A region becomes part of ARNs and of the hosts that requests are passed on to.
pub(crate) fn is_region(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=limits::REGION).contains(&text.len()) && text.bytes().all(plain)
}

fn scope(text: &str) -> Option<Credential<'_>> {
    // An access key may hold slashes in other people's systems, so read from the right.
    let mut parts = text.rsplitn(5, '/').map(Cow::from);
    let (end, service, region, date) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let access_key = parts.next()?;
    (end == "aws4_request").then_some(Credential { access_key, date, region, service })
}

fn malformed() -> Refusal {
    Refusal::Incomplete(
        "Credential must have the form ACCESS_KEY/YYYYMMDD/REGION/SERVICE/aws4_request.".into(),
    )
}

fn is_no_digest(named: &str) -> bool {
    named == UNSIGNED || named.starts_with("STREAMING-")
}

/// The header that dates the request, and its time in epoch milliseconds.
fn request_time(headers: &HeaderMap) -> Result<(&'static str, i64), Refusal> {
    if let Some(value) = headers.get("x-amz-date") {
        let time = value.to_str().ok().and_then(parse_stamp).ok_or(Refusal::BadDate)?;
        return Ok(("x-amz-date", time));
    }
    let value = headers.get(DATE).ok_or(Refusal::NoDate)?;
    let text = value.to_str().map_err(|_| Refusal::BadDate)?;
    let time = jiff::fmt::rfc2822::parse(text).map_err(|_| Refusal::BadDate)?;
    Ok(("date", time.timestamp().as_millisecond()))
}

/// `20150830T123600Z`.
fn parse_stamp(text: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

fn missing(parameter: &str) -> Refusal {
    Refusal::Incomplete(format!("Authorization header requires '{parameter}' parameter."))
}
