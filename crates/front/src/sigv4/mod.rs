//! Signature Version 4, header form: reads what a client claims, and checks the claim against the
//! bytes that arrived.
//!
//! It never trusts a decoded form of the request: path, query and headers are taken raw. It knows
//! no keys; `auth` looks the secret up between reading and checking.

mod canonical;
mod refusal;
mod sign;
#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::limits;
use canonical::canonical_request;
pub use refusal::Refusal;
pub use sign::{Signer, Unsigned};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The signed part of a request, as it came.
pub struct Signed<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// `Host` or `:authority`.
    pub host: Option<&'a str>,
}

/// What the `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    pub access_key: &'a str,
    /// `YYYYMMDD`.
    date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// `None` if the request does not claim to be signed.
    pub fn read(headers: &'a HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
        let text = value.to_str().map_err(|_| Refusal::Incomplete("it is not ASCII".into()))?;
        let Some(fields) = text.strip_prefix(ALGORITHM) else {
            return Err(Refusal::OtherScheme);
        };
        Self::parse(fields).map(Some)
    }

    fn parse(fields: &'a str) -> Result<Self, Refusal> {
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => {}
            }
        }
        let credential = credential.ok_or_else(|| missing("Credential"))?;
        // An access key may hold slashes in other people's systems, so read from the right.
        let mut parts = credential.rsplitn(5, '/');
        let (end, service, region, date, access_key) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key)) =
            (end, service, region, date, access_key)
        else {
            return Err(Refusal::Incomplete(
                "Credential must have the form ACCESS_KEY/YYYYMMDD/REGION/SERVICE/aws4_request."
                    .into(),
            ));
        };
        Ok(Claim {
            access_key,
            date,
            region,
            service,
            signed_headers: headers.ok_or_else(|| missing("SignedHeaders"))?.split(';').collect(),
            signature: signature.ok_or_else(|| missing("Signature"))?,
        })
    }

    /// What can be checked before the body is read: the time, and that host and time are signed.
    pub fn check_head(&self, headers: &HeaderMap, now_ms: i64) -> Result<(), Refusal> {
        if !self.signs("host") && !self.signs(":authority") {
            return Err(Refusal::HostUnsigned);
        }
        let (name, time) = request_time(headers)?;
        if !self.signs(name) {
            return Err(Refusal::DateUnsigned(name));
        }
        let stamp = stamp(time);
        if !stamp.starts_with(self.date) || self.date.len() != 8 {
            return Err(Refusal::ScopeDate { scope: self.date.into(), stamp });
        }
        match now_ms - time {
            late if late > limits::SKEW_MS => Err(Refusal::Expired { stamp, now_ms }),
            late if late < -limits::SKEW_MS => Err(Refusal::Early { stamp, now_ms }),
            _ => Ok(()),
        }
    }

    /// Whether this very request was signed with `secret`.
    pub fn verify(&self, request: &Signed<'_>, body: &[u8], secret: &str) -> Result<(), Refusal> {
        let hash = payload_hash(request.headers, body)?;
        let canonical = canonical_request(request, &self.signed_headers, &hash)?;
        let (_, time) = request_time(request.headers)?;
        let expected = self.sign(&self.string_to_sign(&stamp(time), &canonical), secret);
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::Mismatch)
        }
    }

    fn signs(&self, header: &str) -> bool {
        self.signed_headers.contains(&header)
    }

    fn string_to_sign(&self, stamp: &str, canonical: &[u8]) -> String {
        let Claim { date, region, service, .. } = self;
        let digest = hex(&Sha256::digest(canonical));
        format!("{ALGORITHM}\n{stamp}\n{date}/{region}/{service}/aws4_request\n{digest}")
    }

    fn sign(&self, string_to_sign: &str, secret: &str) -> String {
        let key = hmac(format!("AWS4{secret}").as_bytes(), self.date);
        let key = hmac(&key, self.region);
        let key = hmac(&key, self.service);
        let key = hmac(&key, "aws4_request");
        hex(&hmac(&key, string_to_sign))
    }
}

/// The digest that goes into the canonical request. A client may name it in a header; then the
/// body has to match it.
fn payload_hash(headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let computed = hex(&Sha256::digest(body));
    match headers.get("x-amz-content-sha256") {
        Some(named) if named.as_bytes() != computed.as_bytes() => {
            Err(Refusal::Payload(String::from_utf8_lossy(named.as_bytes()).into_owned()))
        }
        _ => Ok(computed),
    }
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

fn stamp(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => String::new(),
    }
}

fn missing(parameter: &str) -> Refusal {
    Refusal::Incomplete(format!("Authorization header requires '{parameter}' parameter."))
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
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
