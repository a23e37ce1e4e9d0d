//! Bounds of Bedrock's control plane, each with its source.

/// Tags of a resource. AWS: 50 (Bedrock user guide, "Tag Amazon Bedrock resources").
pub(super) const TAGS: usize = 50;

/// Application inference profiles of an account in a region. AWS: 1,000 (service quota L-40EC9882,
/// "Inference profiles per account").
pub(super) const PROFILES: usize = 1000;

/// Custom prompt routers of an account in a region. Craton's own bound, so that they are listed at
/// once.
pub(super) const ROUTERS: usize = 500;
