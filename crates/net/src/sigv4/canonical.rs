//! The canonical request: the one spelling of a request that both sides hash.
//!
//! AWS: services other than S3 remove dot segments and doubled slashes of the path and encode it
//! once more as it stands, percent signs included (botocore `SigV4Auth._normalize_url_path`); S3
//! takes it as it is (botocore `S3SigV4Auth`).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{HeaderAbsent, Signed};

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `signed_headers` in the order in which they are listed.
pub fn canonical_request(
    request: &Signed<'_>,
    service: &str,
    signed_headers: &[Cow<'_, str>],
    payload_hash: &str,
) -> Result<Vec<u8>, HeaderAbsent> {
    let mut text = Vec::with_capacity(512);
    push_line(&mut text, request.method.as_bytes());
    match is_s3(service) {
        true => push_line(&mut text, once_encoded(request.path).as_bytes()),
        false => push_line(&mut text, path(request.path).as_bytes()),
    }
    push_line(&mut text, query(request.query).as_bytes());
    for name in signed_headers {
        push_header(&mut text, request, name)?;
    }
    text.push(b'\n');
    push_line(&mut text, signed_headers.join(";").as_bytes());
    text.extend_from_slice(payload_hash.as_bytes());
    Ok(text)
}

fn push_line(text: &mut Vec<u8>, line: &[u8]) {
    text.extend_from_slice(line);
    text.push(b'\n');
}

fn push_header(text: &mut Vec<u8>, request: &Signed<'_>, name: &str) -> Result<(), HeaderAbsent> {
    text.extend_from_slice(name.as_bytes());
    text.push(b':');
    let values = request.headers.get_all(name);
    let mut any = false;
    for value in &values {
        if any {
            text.push(b',');
        }
        any = true;
        push_trimmed(text, value.as_bytes());
    }
    if !any {
        let host = request.host.filter(|_| name == "host" || name == ":authority");
        let host = host.ok_or_else(|| HeaderAbsent(name.to_owned()))?;
        push_trimmed(text, host.as_bytes());
    }
    text.push(b'\n');
    Ok(())
}

/// Without white space around it, and runs of white space inside as one space.
fn push_trimmed(text: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

/// The scopes of S3's family.
pub fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
}

/// Segments decoded and encoded again, slashes as they stand.
fn once_encoded(raw: &str) -> String {
    raw.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

fn path(raw: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut text = String::with_capacity(raw.len() + 16);
    for segment in &kept {
        text.push('/');
        text.extend(percent_encode(segment.as_bytes(), ENCODED));
    }
    if kept.is_empty() || raw.ends_with('/') {
        text.push('/');
    }
    text
}

/// Pairs in the order of their encoded form; a name without `=` has an empty value.
fn query(raw: &str) -> String {
    if raw.is_empty() {
        return String::new();
    }
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Decoded and encoded again, so that every way to write a character is the same one.
fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    percent_encode(&bytes, ENCODED).to_string()
}
