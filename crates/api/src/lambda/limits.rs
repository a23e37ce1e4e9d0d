//! The bounds of this service, each with its source.

/// AWS: 900 seconds (Lambda quotas, "function timeout").
pub(super) const TIMEOUT_SECONDS: i64 = 900;

/// AWS: 10,240 MB (Lambda quotas, "function memory allocation").
pub(super) const MEMORY_MB: i64 = 10_240;

/// AWS: 10,240 MB (Lambda quotas, "/tmp directory storage").
pub(super) const EPHEMERAL_MB: i64 = 10_240;

/// AWS: 4 KB of environment variables in total (Lambda quotas).
pub(super) const ENVIRONMENT_BYTES: usize = 4096;

/// AWS: 20 KB of resource-based policy (Lambda quotas).
pub(super) const POLICY_BYTES: usize = 20_480;

/// AWS: 50 tags on a function (Lambda developer guide, tags).
pub(super) const TAGS: usize = 50;

/// AWS: 64 characters in a function's own name (CreateFunction).
pub(super) const NAME: usize = 64;

/// AWS: 50 functions to a page (ListFunctions).
const PAGE: i64 = 50;

/// How many items a page has.
pub(super) fn page(asked: Option<i64>) -> usize {
    usize::try_from(asked.unwrap_or(PAGE).clamp(1, PAGE)).unwrap_or(1)
}

/// Numbers looked at for one page of versions, of which deleted ones give nothing. Ours.
pub(super) const VERSION_READS: usize = 1_000;

/// AWS: 6 MB for a synchronous request (Lambda quotas).
pub(super) const REQUEST_BYTES: usize = exec::limits::REQUEST_BYTES;

/// AWS: 1 MB for an asynchronous request (Lambda quotas, since October 2025).
pub(super) const EVENT_BYTES: usize = 1024 * 1024;
