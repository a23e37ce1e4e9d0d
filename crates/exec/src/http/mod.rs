//! Tools over HTTP: a hook that gets Lambda events, and what calls to other people's APIs need.
//!
//! One request for one call: nothing is repeated here, because only the caller knows whether the
//! tool may see it twice.

pub(crate) mod hook;
pub(crate) mod secret;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use std::time::Duration;

use crate::limits;

/// The seconds of `Retry-After`. A date is left unread: it would need a clock that agrees with the
/// peer's.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(limits::RETRY_AFTER))
}
