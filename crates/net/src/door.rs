//! Who opens a connection to a peer that speaks TLS, and who waits for one to be shared.
//!
//! Before the first handshake nobody knows whether the peer shares connections, so one request goes
//! ahead and the others wait for what it finds. A peer of HTTP/1.1 is then dialled by each on its
//! own. One of HTTP/2 gets a further connection only when those there are, and those under way,
//! cannot carry all who wait. A peer that refuses a request over HTTP/2 because it wants HTTP/1.1 gets
//! that from everybody for a while.
//!
//! How long anybody waits here is the caller's to bound; whoever gives up leaves nothing behind.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::shared::{Lease, Shared};

#[derive(Default)]
pub(crate) struct Door {
    state: Mutex<State>,
    /// A dial ended, or a place is free again.
    moved: Arc<Notify>,
}

#[derive(Default)]
struct State {
    links: Vec<Arc<Shared>>,
    dialing: usize,
    waiting: usize,
    /// How many streams the peer allowed on the last connection.
    streams: Option<usize>,
    /// When the peer chose HTTP/1.1.
    alone: Option<Instant>,
    /// When the peer asked for HTTP/1.1 on a connection of HTTP/2.
    wants_http1: Option<Instant>,
}

/// What a request does next.
pub(crate) enum Turn {
    Go(Lease),
    Dial(Dialing),
    /// A connection of HTTP/1.1, of one's own.
    DialHttp1,
}

impl Door {
    /// Waits for a place on a connection, or for the word to open one.
    pub(crate) async fn enter(self: &Arc<Self>) -> Turn {
        let _waiting = Waiting::at(self);
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if let Some(turn) = self.turn() {
                return turn;
            }
            moved.await;
        }
    }

    fn turn(self: &Arc<Self>) -> Option<Turn> {
        let mut state = self.lock();
        if state.wants_http1.is_some() {
            return Some(Turn::DialHttp1);
        }
        state.links.retain(|link| link.is_open());
        if let Some(lease) = state.links.iter().find_map(Shared::lease) {
            return Some(Turn::Go(lease));
        }
        if !state.wants_another() {
            return None;
        }
        state.dialing += 1;
        Some(Turn::Dial(Dialing { door: Arc::clone(self) }))
    }

    /// The peer chose HTTP/1.1: its connections are nobody else's.
    pub(crate) fn set_alone(&self) {
        self.lock().alone = Some(Instant::now());
    }

    /// The peer wants HTTP/1.1, although it has chosen HTTP/2.
    pub(crate) fn set_wants_http1(&self) {
        self.lock().wants_http1 = Some(Instant::now());
        self.moved.notify_waiters();
    }

    /// Lets go of connections that nobody has used for `idle`; false when nothing is left to know.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) -> bool {
        let mut state = self.lock();
        let old = |since: Instant| since + idle <= now;
        state.links.retain(|link| link.is_open() && !link.idle_since().is_some_and(old));
        state.wants_http1 = state.wants_http1.filter(|since| !old(*since));
        let known = state.wants_http1.is_some() || state.alone.is_some_and(|since| !old(since));
        known || !state.links.is_empty() || state.dialing + state.waiting > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while holding the door")
    }
}

impl State {
    /// Whether those who wait are more than the connections under way will carry. Each gives one
    /// place to who dials it.
    fn wants_another(&self) -> bool {
        let others = self.streams.map_or(usize::MAX, |streams| streams.saturating_sub(1));
        self.alone.is_some()
            || self.dialing == 0
            || self.waiting > self.dialing.saturating_mul(others)
    }
}

struct Waiting(Arc<Door>);

impl Waiting {
    fn at(door: &Arc<Door>) -> Waiting {
        door.lock().waiting += 1;
        Waiting(Arc::clone(door))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A connection under way. Others wait for it until this is dropped.
pub(crate) struct Dialing {
    door: Arc<Door>,
}

impl Dialing {
    /// Who is to be told of places that are free again.
    pub(crate) fn freed(&self) -> Arc<Notify> {
        Arc::clone(&self.door.moved)
    }

    /// The connection is there, for its dialler first.
    pub(crate) fn opened(&self, link: &Arc<Shared>) {
        let mut state = self.door.lock();
        state.alone = None;
        state.links.push(Arc::clone(link));
    }

    /// The peer allows so many streams.
    pub(crate) fn settled(self, streams: usize) {
        self.door.lock().streams = Some(streams.max(1));
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        self.door.lock().dialing -= 1;
        self.door.moved.notify_waiters();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "clippy knows test functions, not their helpers")]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::DuplexStream;
    use tokio::time::Instant;

    use super::{Dialing, Door, Turn};
    use crate::pool::Peer;
    use crate::shared::{KeepAlive, Lease, Shared};

    const IDLE: Duration = Duration::from_secs(30);

    async fn dial(door: &Arc<Door>) -> Dialing {
        match door.enter().await {
            Turn::Dial(dialing) => dialing,
            Turn::Go(_) | Turn::DialHttp1 => panic!("there is a connection"),
        }
    }

    async fn opened(door: &Arc<Door>) -> (Lease, DuplexStream) {
        let (here, there) = tokio::io::duplex(1024);
        let authority = "peer.example".parse().unwrap();
        let peer = Arc::new(Peer { tls: true, authority });
        let dialing = dial(door).await;
        (Shared::open(peer, here, dialing, KeepAlive::default()).await.unwrap(), there)
    }

    #[tokio::test]
    async fn a_connection_that_nobody_uses_is_let_go_of_in_time() {
        let door = Arc::new(Door::default());
        let (lease, there) = opened(&door).await;
        let server = tokio::spawn(async move {
            let mut server = h2::server::handshake(there).await.unwrap();
            server.accept().await.is_none()
        });
        // Its settings come, and so a second place.
        let Turn::Go(second) = door.enter().await else { panic!("one connection is enough") };
        assert!(door.sweep(Instant::now() + 2 * IDLE, IDLE), "it is in use");
        drop((lease, second));
        assert!(door.sweep(Instant::now() + IDLE / 2, IDLE), "it is not old");
        assert!(!door.sweep(Instant::now() + 2 * IDLE, IDLE), "it is idle and old");
        assert!(server.await.unwrap(), "it says goodbye");
    }

    #[tokio::test]
    async fn who_waits_for_a_dial_dials_when_it_fails() {
        let door = Arc::new(Door::default());
        let first = dial(&door).await;
        let waiting = tokio::spawn({
            let door = Arc::clone(&door);
            async move { dial(&door).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.unwrap();
        door.set_alone();
        drop((dial(&door).await, second));
        assert!(door.sweep(Instant::now(), IDLE), "what it speaks is known");
        assert!(!door.sweep(Instant::now() + 2 * IDLE, IDLE));
    }

    #[tokio::test]
    async fn that_a_peer_wants_http_1_1_is_known_for_a_while() {
        let door = Arc::new(Door::default());
        let _dialing = dial(&door).await;
        door.set_wants_http1();
        assert!(matches!(door.enter().await, Turn::DialHttp1));
        assert!(door.sweep(Instant::now() + IDLE / 2, IDLE));
        assert!(matches!(door.enter().await, Turn::DialHttp1));
        door.sweep(Instant::now() + 2 * IDLE, IDLE);
        assert!(door.turn().is_none(), "it waits for the dial again");
    }
}
