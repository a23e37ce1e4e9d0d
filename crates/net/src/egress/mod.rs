//! The rules of leaving: whom whoever fetches may reach.
//!
//! A guard is asked twice. Before anything happens it judges the host and the port as they stand;
//! then the name is resolved, once, every address it has is judged, and the connection goes to one of
//! just these addresses. So a name cannot mean one thing to the judge and another to the connection.
//! A connection that is kept for later serves the host it was opened for, under the same guard.
//!
//! Hosts that the operator names himself may stand in a network of his own. Everything else is
//! public or refused, and what serves a cloud's credentials is refused to everybody. Nothing here
//! follows a redirect, reads a proxy variable, or looks into what is said over a connection.

mod address;
mod entry;
mod host;
mod metadata;
mod resolve;
mod rules;
mod stream;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, LazyLock};

use http::Uri;
use tokio::net::TcpStream;

pub use entry::{Entry, EntryError};
pub use resolve::{Looking, Resolve};
pub use rules::{Advice, Config, Denied, Rules, Why};
pub use stream::{Budget, Stream};

use address::Class;
use host::Host;
use resolve::System;
use rules::Scope;
use stream::Account;

use crate::limits;

/// A guard; cheap to clone, and clones share its budget.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    rules: Rules,
    account: Account,
    resolver: Arc<dyn Resolve>,
}

/// Why there is no connection. In both cases nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// However often it is tried.
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Egress {
    pub fn new(rules: Rules) -> Egress {
        Egress::resolving(rules, Arc::new(System))
    }

    /// A guard that asks `resolver` for addresses.
    pub fn resolving(rules: Rules, resolver: Arc<dyn Resolve>) -> Egress {
        let account = Account::new(rules.budget);
        Egress(Arc::new(Inner { rules, account, resolver }))
    }

    /// Whether a connection would be tried; only its addresses can still speak against it.
    pub fn check(&self, host: &str, port: u16) -> Result<(), Denied> {
        self.judge(host, port).map(drop)
    }

    /// As [`Egress::check`], for where `uri` goes.
    pub(crate) fn check_uri(&self, uri: &Uri) -> Result<(), Denied> {
        destination(uri).map_or(Ok(()), |(host, port)| self.check(host, port))
    }

    /// Opens a connection to an address that was judged. How long it may take is the caller's to
    /// bound.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Stream, Unconnected> {
        let (plain, scope) = self.judge(host, port)?;
        let addresses = match &plain {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => self.0.resolver.resolve(name).await?,
        };
        for address in &addresses {
            let refuse = |why| self.0.rules.deny(host, port, why);
            judge_address(*address, scope).map_err(refuse)?;
        }
        let pass = self.0.account.pass()?;
        let tcp = reach(&addresses, port).await?;
        tcp.set_nodelay(true)?;
        Ok(Stream::guarded(tcp, pass))
    }

    /// Gives the guard its bytes again.
    pub fn refill(&self) {
        self.0.account.refill();
    }

    fn judge(&self, host: &str, port: u16) -> Result<(Host, Scope), Denied> {
        let refuse = |why| self.0.rules.deny(host, port, why);
        let plain = Host::parse(host).map_err(|why| refuse(Why::NotAHost(why)))?;
        let scope = self.0.rules.scope(&plain, port);
        match &plain {
            Host::Name(name) if metadata::is_named(name) => {
                return Err(refuse(Why::Never(address::METADATA)));
            }
            Host::Ip(address) => {
                judge_address(*address, scope.unwrap_or(Scope::Public)).map_err(refuse)?;
            }
            Host::Name(_) => {}
        }
        scope.map(|scope| (plain, scope)).ok_or_else(|| refuse(Why::NotListed))
    }
}

fn judge_address(address: IpAddr, scope: Scope) -> Result<(), Why> {
    match (Class::of(address), scope) {
        (Class::Never(what), _) => Err(Why::Never(what)),
        (Class::Own(what), Scope::Public) => Err(Why::Own(what)),
        (Class::Public, Scope::Public) if is_here(address) => {
            Err(Why::Own("an address of this machine"))
        }
        (Class::Own(_) | Class::Public, _) => Ok(()),
    }
}

/// Whether the machine itself has this address, so that even a public one leads inside.
fn is_here(address: IpAddr) -> bool {
    // Some machines may bind what is nobody's, such as this one; there nothing is learnt so.
    static BINDS_ANY: LazyLock<bool> =
        LazyLock::new(|| can_bind(Ipv4Addr::new(240, 0, 0, 1).into()));
    !*BINDS_ANY && can_bind(address)
}

fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Tries one address after the other. All but the last get a share of the time, since the caller
/// bounds the whole.
async fn reach(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let tried = addresses.len().min(limits::ADDRESSES);
    for (at, address) in addresses[..tried].iter().enumerate() {
        let connecting = TcpStream::connect(SocketAddr::new(*address, port));
        let connected = match at + 1 == tried {
            true => connecting.await,
            false => tokio::time::timeout(limits::ATTEMPT, connecting).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))
            }),
        };
        match connected {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Host and port of an absolute http or https URI.
pub(crate) fn destination(uri: &Uri) -> Option<(&str, u16)> {
    let usual = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    Some((uri.host()?, uri.port_u16().unwrap_or(usual)))
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Egress").field(&self.0.rules).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::is_here;

    #[test]
    fn the_machine_knows_its_own_addresses() {
        assert!(is_here(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_here(Ipv4Addr::new(240, 0, 0, 7).into()));
    }
}
