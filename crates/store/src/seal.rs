//! The place where payloads will be encrypted. Every payload passes it on the way in and out; the
//! key's id lies beside each row, so that keys can change and rows of an older key stay readable.

use bytes::Bytes;

use crate::error::StoreError;
use crate::tenant::Tenant;

pub(crate) trait Sealer: Send + Sync {
    /// The key that seals the tenant's payloads from now on.
    fn key_id(&self, tenant: &Tenant) -> &'static str;
    fn seal(&self, tenant: &Tenant, plain: Bytes) -> Bytes;
    fn open(&self, tenant: &Tenant, key_id: &str, sealed: Bytes) -> Result<Bytes, StoreError>;
}

/// Leaves payloads as they are.
pub(crate) struct Plain;

const PLAIN: &str = "plain";

impl Sealer for Plain {
    fn key_id(&self, _: &Tenant) -> &'static str {
        PLAIN
    }

    fn seal(&self, _: &Tenant, plain: Bytes) -> Bytes {
        plain
    }

    fn open(&self, tenant: &Tenant, key_id: &str, sealed: Bytes) -> Result<Bytes, StoreError> {
        if key_id == PLAIN {
            return Ok(sealed);
        }
        Err(StoreError::Unreadable {
            kind: "payload of tenant".into(),
            id: tenant.to_string(),
            cause: format!("it was sealed with key {key_id}, which is not here"),
        })
    }
}
