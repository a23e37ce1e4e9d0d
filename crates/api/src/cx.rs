//! What an operation knows about its call besides its input: who asks, and which request it is.

use std::sync::Arc;

use engine::Engine;

/// The authenticated sender. Account and region are the tenant of everything the call touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// From the credential scope; the tenant's second half.
    pub region: String,
    /// Empty where a request came unsigned in dev mode.
    pub access_key: String,
    pub arn: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The answer's `x-amzn-requestid`. The run of an InvokeAgent has the same id.
    pub id: String,
    /// `amz-sdk-invocation-id`: the same on every attempt an SDK makes of one call.
    pub invocation_id: Option<String>,
}

/// Handed to every operation. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    pub caller: Arc<Caller>,
    pub request: Arc<RequestInfo>,
    pub engine: Engine,
}
