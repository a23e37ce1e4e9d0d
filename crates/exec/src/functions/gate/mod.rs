//! The server's side of a jail's way out: takes what a jailed process connects to, and opens the way
//! to the host it means, by the egress rules of its function.
//!
//! Bytes pass as they are, so TLS stays between the function and the host. A way that is not opened
//! is reset, and the function's log says which host it was and what to do. A gate ends, with all of
//! its connections, when its process does.

mod names;
mod plan;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use net::Egress;
use net::egress::Unconnected;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub(crate) use plan::Plan;
pub use plan::refused_hosts;

use crate::functions::connections::Connections;
use crate::functions::logs::Output;
use crate::limits;

/// Of one process.
pub(crate) struct Gate {
    shared: Arc<Shared>,
    /// Of each listener.
    connections: Vec<Connections>,
}

struct Shared {
    egress: Egress,
    plan: Plan,
    /// Hosts below a domain, as they were asked for.
    found: Mutex<BTreeMap<String, Ipv4Addr>>,
    log: Output,
}

impl Gate {
    /// `listeners` are those that the plan asked for.
    pub(crate) fn open(plan: Plan, listeners: Vec<TcpListener>, log: Output) -> Gate {
        let egress = plan.egress();
        let shared = Arc::new(Shared { egress, plan, found: Mutex::default(), log });
        let take = |listener: TcpListener| {
            let asks = listener.local_addr().is_ok_and(is_for_names);
            let most = if asks { limits::GATE_QUESTIONS } else { limits::GATE_CONNECTIONS };
            let shared = Arc::clone(&shared);
            Connections::take(listener, most, move |inside, _| serve(inside, Arc::clone(&shared)))
        };
        let connections = listeners.into_iter().map(take).collect();
        Gate { shared, connections }
    }

    /// Ends what a call has open.
    pub(crate) async fn end_all(&self) {
        for connections in &self.connections {
            connections.end_all_but(None).await;
        }
    }

    /// A call begins: what it may send and receive is whole again.
    pub(crate) fn refill(&self) {
        self.shared.egress.refill();
    }
}

async fn serve(inside: TcpStream, shared: Arc<Shared>) {
    let Ok(at) = inside.local_addr() else { return };
    // It would only cost time.
    let _ = inside.set_nodelay(true);
    if is_for_names(at) {
        // Who breaks off, or asks nothing, is not answered any more.
        let _ = timeout(limits::GATE_NAMES, shared.name(inside)).await;
    } else if let Some((host, port)) = shared.whom(at) {
        shared.pass(inside, &host, port).await;
    } else {
        reset(&inside);
    }
}

fn is_for_names(at: SocketAddr) -> bool {
    at == SocketAddr::from((Ipv4Addr::LOCALHOST, plan::DNS))
}

/// Tells the other end that this was no orderly end.
fn reset(inside: &TcpStream) {
    // Without it the end looks orderly, and the log still says what happened.
    let _ = inside.set_zero_linger();
}

impl Shared {
    /// The host that a connection to this address is for.
    fn whom(&self, at: SocketAddr) -> Option<(String, u16)> {
        let (address, port) = (at.ip().to_canonical(), at.port());
        if let Some((host, port)) = self.plan.fixed.get(&(address, port)) {
            return Some((host.clone(), *port));
        }
        let IpAddr::V4(address) = address else { return None };
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.plan.names.iter().chain(found.iter());
        let (host, _) = all.find(|(_, own)| **own == address)?;
        Some((host.clone(), port))
    }

    async fn pass(&self, mut inside: TcpStream, host: &str, port: u16) {
        let connected = timeout(limits::GATE_CONNECT, self.egress.connect(host, port)).await;
        let mut outside = match connected {
            Ok(Ok(outside)) => outside,
            Ok(Err(Unconnected::Denied(denied))) => return self.refuse(&inside, denied),
            Ok(Err(Unconnected::Failed(error))) => {
                return self
                    .refuse(&inside, format_args!("could not reach {host}:{port}: {error}"));
            }
            Err(_) => {
                let within = limits::GATE_CONNECT;
                let why = format_args!("could not reach {host}:{port} within {within:?}");
                return self.refuse(&inside, why);
            }
        };
        match copy_bidirectional(&mut inside, &mut outside).await {
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                let what = "this call's bytes are used up; functions.max_traffic_mb sets how many";
                self.refuse(&inside, format_args!("the connection to {host}:{port} ends: {what}"));
            }
            Err(_) => reset(&inside),
            Ok(_) => {}
        }
    }

    fn refuse(&self, inside: &TcpStream, why: impl fmt::Display) {
        self.log.say(&format!("[WARN] craton: {why}"));
        reset(inside);
    }

    /// Answers queries for names until the other end has no more.
    async fn name(&self, mut inside: TcpStream) -> io::Result<()> {
        loop {
            let length = match inside.read_u16().await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                length => length?,
            };
            let mut query = vec![0; usize::from(length)];
            inside.read_exact(&mut query).await?;
            let look_up = |name: &str, wants_address| self.look_up(name, wants_address);
            let Some(reply) = names::answer(&query, look_up) else {
                return Ok(());
            };
            let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
            inside.write_all(&[&length.to_be_bytes()[..], &reply].concat()).await?;
        }
    }

    /// The address of a host in the jail, which a host below an allowed domain gets here. Of the
    /// several questions that libraries ask about one host, that for an address has a refusal said.
    fn look_up(&self, name: &str, says: bool) -> Option<Ipv4Addr> {
        if let Some(known) = self.plan.names.get(name) {
            return Some(*known);
        }
        let mut ports = self.plan.open_ports.iter();
        if !ports.any(|port| self.egress.check(name, *port).is_ok()) {
            if says && let Err(denied) = self.egress.check(name, HTTPS) {
                self.log.say(&format!("[WARN] craton: {denied}"));
            }
            return None;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.plan.names.len() + found.len();
        if !found.contains_key(name) && number >= limits::JAIL_NAMES {
            self.log.say(&format!("[WARN] craton: {name} is one name too many for one process"));
            return None;
        }
        Some(*found.entry(name.to_owned()).or_insert_with(|| plan::nth(number)))
    }
}

/// The port that a refusal names when nobody has said one yet.
const HTTPS: u16 = 443;
