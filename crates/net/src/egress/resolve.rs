//! Who turns a name into addresses: the system, or a test that wants to lie.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// The future of one look-up.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Asked once for each connection; what it answers is judged and connected to as it stands.
pub trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, name: &'a str) -> Looking<'a>;
}

/// The machine's own resolver, with its hosts file.
pub(crate) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Looking<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
