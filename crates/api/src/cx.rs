//! What an operation knows about its call besides its input: who asks, and which request it is.

use std::sync::Arc;

use engine::Engine;
use store::Tenant;
use wire::fault::Fault;

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
    /// `x-craton-dry-run`: a turn that is to change nothing.
    pub dry_run: bool,
}

/// Says what a caller may do. Whoever admits requests knows.
pub trait Permissions: Send + Sync {
    /// `action` is IAM's name (`bedrock:InvokeAgent`), `resource` an ARN.
    fn check(&self, caller: &Caller, action: &str, resource: &str) -> Result<(), Fault>;
}

/// Handed to every operation. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    pub caller: Arc<Caller>,
    pub request: Arc<RequestInfo>,
    pub engine: Engine,
    pub permissions: Arc<dyn Permissions>,
}

impl Cx {
    /// Refuses what a request names besides that which it is for, unless its caller may use it. The
    /// operation itself, and what its path names, were asked for before.
    pub(crate) fn authorize(&self, action: &str, resource: &str) -> Result<(), Fault> {
        self.permissions.check(&self.caller, action, resource)
    }

    /// Asks for an object of S3, which has to be done before it is read.
    pub(crate) fn authorize_object(&self, bucket: &str, key: &str) -> Result<(), Fault> {
        self.authorize("s3:GetObject", &format!("arn:aws:s3:::{bucket}/{key}"))
    }
}

/// Whose everything is that a call touches; IAM's resources know no regions and have their own.
pub(crate) fn tenant(cx: &Cx) -> Tenant {
    Tenant::new(&cx.caller.account, &cx.caller.region)
}
