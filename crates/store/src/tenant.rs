//! The tenant: an account in a region. Every key in the store begins with one.

use std::fmt;
use std::sync::Arc;

/// Whose data it is. Cheap to clone; displayed as `account/region`, which is also its key on disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    key: Arc<str>,
    slash: usize,
}

impl Tenant {
    pub fn new(account: impl AsRef<str>, region: impl AsRef<str>) -> Tenant {
        let account = account.as_ref();
        let region = region.as_ref();
        // INVARIANT: two tenants never share a key. The key splits at its first slash, so an account
        // (digits on AWS, free text in a configuration file) may not bring one of its own.
        let account = account.replace('%', "%25").replace('/', "%2F");
        Tenant { slash: account.len(), key: format!("{account}/{region}").into() }
    }

    pub fn account(&self) -> &str {
        &self.key[..self.slash]
    }

    pub fn region(&self) -> &str {
        &self.key[self.slash + 1..]
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Reads back what [`Tenant::key`] wrote.
    pub(crate) fn from_key(key: &str) -> Tenant {
        Tenant { slash: key.find('/').unwrap_or(key.len()), key: key.into() }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}
