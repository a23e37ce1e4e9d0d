//! Connections kept for the next request to the same peer: idle ones of HTTP/1.1, and behind a
//! `Door` for each peer those of HTTP/2, which are shared.
//!
//! A peer is a scheme, a host and a port as they were asked for. No connection ever serves another
//! name, whatever its certificate says.
//!
//! Nobody polls an idle connection of HTTP/1.1, so a close by the peer is seen when it is taken out.
//! A sweeper that lives only while something is kept lets go of the old ones.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use http::uri::Authority;
use tokio::time::Instant;

use crate::door::Door;
use crate::limits::{IDLE_PLAIN, IDLE_TLS, IDLE_TOTAL};
use crate::link::Alone;

/// Whom a connection goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) tls: bool,
    pub(crate) authority: Authority,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

#[derive(Default)]
pub(crate) struct Pool(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    by_peer: HashMap<Arc<Peer>, Vec<Resting>>,
    total: usize,
    doors: HashMap<Arc<Peer>, Arc<Door>>,
    swept: bool,
}

struct Resting {
    link: Box<Alone>,
    until: Instant,
}

impl Pool {
    /// The connection to `peer` that rested the shortest and still lives.
    pub(crate) fn take(&self, peer: &Peer) -> Option<Box<Alone>> {
        loop {
            let mut resting = self.lock().pop(peer)?;
            if resting.until > Instant::now() && resting.link.is_usable() {
                return Some(resting.link);
            }
        }
    }

    /// Keeps `link` for the next request, for `trust` at most or as long as peers of its kind do.
    pub(crate) fn rest(
        self: &Arc<Self>,
        link: Box<Alone>,
        trust: Option<Duration>,
        per_peer: usize,
    ) {
        let trust = trust.unwrap_or(if link.peer.tls { IDLE_TLS } else { IDLE_PLAIN });
        let until = Instant::now() + trust;
        let mut idle = self.lock();
        if idle.push(Resting { link, until }, per_peer) {
            self.have_swept(&mut idle);
        }
    }

    /// Where requests to `peer`, which speaks TLS, find a shared connection.
    pub(crate) fn door(self: &Arc<Self>, peer: &Arc<Peer>) -> Arc<Door> {
        let mut idle = self.lock();
        if let Some(door) = idle.doors.get(peer) {
            return Arc::clone(door);
        }
        if idle.doors.len() >= IDLE_TOTAL {
            idle.close_doors(Instant::now(), Duration::ZERO);
        }
        self.have_swept(&mut idle);
        Arc::clone(idle.doors.entry(Arc::clone(peer)).or_default())
    }

    fn have_swept(self: &Arc<Self>, idle: &mut Idle) {
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().expect("nothing panics while holding the pool")
    }
}

impl Idle {
    fn pop(&mut self, peer: &Peer) -> Option<Resting> {
        let resting = self.by_peer.get_mut(peer)?.pop()?;
        self.total -= 1;
        Some(resting)
    }

    /// False when the pool is full and the connection closes instead.
    fn push(&mut self, resting: Resting, per_peer: usize) -> bool {
        if self.total >= IDLE_TOTAL {
            return false;
        }
        let peer = &resting.link.peer;
        if !self.by_peer.contains_key(peer) {
            self.by_peer.insert(Arc::clone(peer), Vec::new());
        }
        let queue = self.by_peer.get_mut(peer).expect("inserted above");
        if queue.len() >= per_peer {
            return false;
        }
        queue.push(resting);
        self.total += 1;
        true
    }

    fn expire(&mut self, now: Instant) {
        self.by_peer.retain(|_, queue| {
            queue.retain(|resting| resting.until > now);
            !queue.is_empty()
        });
        self.total = self.by_peer.values().map(Vec::len).sum();
        self.close_doors(now, IDLE_TLS);
    }

    /// Forgets peers of whom nothing is known, nobody wants anything and nothing was used for `idle`.
    fn close_doors(&mut self, now: Instant, idle: Duration) {
        self.doors.retain(|_, door| door.sweep(now, idle) || Arc::strong_count(door) > 1);
    }
}

/// Runs while something is kept and the client exists.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_PLAIN).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.lock();
        idle.expire(Instant::now());
        if idle.total == 0 && idle.doors.is_empty() {
            idle.swept = false;
            return;
        }
    }
}
