//! Tools over HTTP: hooks that get Lambda events, and APIs that are called as their documents say.
//!
//! Nothing is repeated here, because only the caller knows whether the tool may see a call twice.

pub(crate) mod api;
pub(crate) mod apis;
mod auth;
pub(crate) mod config;
pub(crate) mod hook;
mod oauth;
mod origin;
mod redirect;
pub(crate) mod webhook;

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use net::Egress;
use net::egress::Rules;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::function::ExecError;
use crate::limits;

/// A client that goes by these rules alone.
fn client(rules: Rules) -> net::Client {
    net::Client::guarded(net::Config::default(), Egress::new(rules))
}

/// Once the request may have left, no failure is safe to repeat.
pub(crate) fn failed(error: net::Error) -> ExecError {
    let sent = error.sent();
    match error {
        net::Error::TimedOut { after, sent: true, .. } => ExecError::TimedOut(after),
        net::Error::Denied(denied) => ExecError::Refused(denied.to_string()),
        error if sent => ExecError::Lost(error.to_string()),
        error => ExecError::NotSent(error.to_string()),
    }
}

/// RFC 3986: all but unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name or a value of a query, a cookie or a form.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The seconds of `Retry-After`. A date is left unread: it would need a clock that agrees with the
/// peer's.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(limits::RETRY_AFTER))
}
