//! The presigned form: the claim stands in the query string, for links and tokens that are made
//! now and used later.

use std::borrow::Cow;

use net::sigv4::ALGORITHM;
use percent_encoding::percent_decode_str;

use super::{Claim, Form, Refusal, credential, parse_stamp};

/// The parameter that is not signed, because it is the signature.
const SIGNATURE: &str = "X-Amz-Signature";

// AWS: "X-Amz-Expires must be less than a week (in seconds)" (S3, authenticating requests: query
// parameters)
const LONGEST_SECONDS: i64 = 7 * 24 * 60 * 60;

/// `None` if the query does not claim to be signed.
pub(super) fn read(query: &str) -> Result<Option<Claim<'_>>, Refusal> {
    let Some(algorithm) = parameter(query, "X-Amz-Algorithm") else {
        return match parameter(query, SIGNATURE) {
            Some(_) => Err(missing("X-Amz-Algorithm")),
            None => Ok(None),
        };
    };
    if algorithm != ALGORITHM {
        return Err(Refusal::OtherScheme);
    }
    let wanted = |name| parameter(query, name).ok_or_else(|| missing(name));
    let credential = credential(wanted("X-Amz-Credential")?)?;
    let time = parse_stamp(&wanted("X-Amz-Date")?).ok_or(Refusal::BadDate)?;
    let seconds = parameter(query, "X-Amz-Expires").map(|text| expiry(&text)).transpose()?;
    let headers = wanted("X-Amz-SignedHeaders")?;
    Ok(Some(Claim {
        credential,
        signed_headers: headers.split(';').map(|name| name.to_owned().into()).collect(),
        signature: wanted(SIGNATURE)?,
        form: Form::Presigned { time, seconds },
    }))
}

/// The query string without its signature, as it was signed.
pub(super) fn unsigned(query: &str) -> String {
    without(query, |name| name == SIGNATURE)
}

/// The query string without what authenticates it.
pub(crate) fn stripped(query: &str) -> String {
    const AUTHENTICATION: [&str; 7] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Security-Token",
        SIGNATURE,
    ];
    without(query, |name| AUTHENTICATION.contains(&name))
}

fn without(query: &str, drop: impl Fn(&str) -> bool) -> String {
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !drop(pair.split('=').next().unwrap_or(""))).collect();
    kept.join("&")
}

fn expiry(text: &str) -> Result<i64, Refusal> {
    let seconds = text.parse().ok().filter(|seconds| (1..=LONGEST_SECONDS).contains(seconds));
    seconds.ok_or_else(|| {
        let text = format!("X-Amz-Expires must be a number from 1 to {LONGEST_SECONDS}.");
        Refusal::Incomplete(text)
    })
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    percent_decode_str(value).decode_utf8().ok()
}

fn missing(name: &str) -> Refusal {
    Refusal::Incomplete(format!("Query-string authentication requires the {name} parameter."))
}
