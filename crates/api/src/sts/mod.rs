//! AWS Security Token Service: who a caller is.

pub(crate) mod identity;
