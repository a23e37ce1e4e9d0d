//! The bounds of this service, each with its source.

/// AWS: 100 items to a page where the client does not say (every list of IAM, `MaxItems`).
pub(super) const PAGE: i64 = 100;

/// AWS: 10 managed policies on a role (IAM quotas, default).
pub(super) const ATTACHED: usize = 10;

/// AWS: 10,240 characters of inline policies on a role, without white space (IAM quotas).
pub(super) const INLINE_CHARS: usize = 10_240;

/// AWS: 6,144 characters of a managed policy, without white space (IAM quotas).
pub(super) const POLICY_CHARS: usize = 6_144;

/// AWS: 2,048 characters of a trust policy (IAM quotas, default).
pub(super) const TRUST_CHARS: usize = 2_048;

/// AWS: 50 tags on a role or policy (IAM quotas).
pub(super) const TAGS: usize = 50;

/// AWS: sessions of a role last an hour where the client does not say (CreateRole).
pub(super) const SESSION_SECONDS: i64 = 3600;
