//! What a process connects to: taken one connection after the other, so many at a time, and ended
//! together when a call must leave nothing to the next.
//!
//! Who is more than the bound waits in the kernel's queue. Nothing here reads what is sent.

use std::collections::HashMap;
use std::future::Future;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use crate::limits;

/// The connections of one listener. Dropping it ends them.
pub(crate) struct Connections {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

struct Order {
    keep: Option<u64>,
    done: oneshot::Sender<()>,
}

impl Connections {
    /// `serve` gets each connection with a number of its own.
    pub(crate) fn take<F, S>(listener: TcpListener, most: usize, serve: S) -> Connections
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(TcpStream, u64) -> F + Send + 'static,
    {
        let (orders, heard) = mpsc::channel(1);
        Connections { orders, task: tokio::spawn(accept(listener, most, serve, heard)) }
    }

    /// Resolves when no other connection than `keep` is open, those included that nobody has taken
    /// yet.
    pub(crate) async fn end_all_but(&self, keep: Option<u64>) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Order { keep, done }).await.is_ok() {
            // A task that is gone has ended them.
            let _ = ended.await;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<F, S>(
    listener: TcpListener,
    most: usize,
    serve: S,
    mut orders: mpsc::Receiver<Order>,
) where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream, u64) -> F + Send + 'static,
{
    // Owned here, so that aborting this task closes the connections too.
    let (mut open, mut handles) = (JoinSet::new(), HashMap::new());
    let mut next: u64 = 0;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some(Order { keep, done }) = order else { return };
                turn_away(&listener);
                end(&mut open, &mut handles, keep).await;
                // Who asked may have left.
                let _ = done.send(());
            }
            Some(ended) = open.join_next() => if let Ok(number) = ended {
                handles.remove(&number);
            },
            accepted = listener.accept(), if open.len() < most => match accepted {
                Ok((stream, _)) => {
                    let (number, serving) = (next, serve(stream, next));
                    next += 1;
                    let work = async move { serving.await; number };
                    handles.insert(number, open.spawn(work));
                }
                // Such as too many open files: what is open goes on, and may make room.
                Err(error) => {
                    tracing::warn!(%error, "a function's connections cannot be accepted");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Empties the kernel's queue, of which the runtime may not have heard yet.
fn turn_away(listener: &TcpListener) {
    while rustix::net::accept(listener).is_ok() {}
}

async fn end(open: &mut JoinSet<u64>, handles: &mut HashMap<u64, AbortHandle>, keep: Option<u64>) {
    handles.retain(|number, handle| {
        let kept = Some(*number) == keep;
        if !kept {
            handle.abort();
        }
        kept
    });
    while open.len() > handles.len() && open.join_next().await.is_some() {}
}
