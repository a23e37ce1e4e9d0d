//! AWS Identity and Access Management: roles and policies.
//!
//! Everything is stored and shown as on AWS, and nothing is enforced by it yet: what a caller may
//! do is set beside its access key in `craton.toml` (docs/iam.md). `record` holds the documents,
//! `policy_text` what a policy must look like.

pub(crate) mod attachment;
pub(crate) mod policy;
pub(crate) mod role;
pub(crate) mod role_policy;
pub(crate) mod role_tag;

mod fault;
mod limits;
mod page;
mod policy_text;
mod record;

#[cfg(test)]
mod tests;
