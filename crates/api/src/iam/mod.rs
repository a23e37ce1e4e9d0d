//! AWS Identity and Access Management: roles and policies.
//!
//! Everything is stored and shown as on AWS, and nothing is enforced by it yet: what a caller may
//! do is set beside its access key in `craton.toml` (docs/iam.md).
