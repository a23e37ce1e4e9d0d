//! What a running turn has said so far, for everybody who listens.
//!
//! An activation is one stretch of a run between a client's request and the answer to it. It
//! keeps its outputs while it runs, so that a repeated request hears them from the beginning.
//! [`Live`] holds the activations of this process, the waiting ones included.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use store::Tenant;
use tokio::sync::{Notify, watch};
use wire::value::Value;

/// One thing that the client hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// A piece of the answer.
    Chunk(String),
    /// A `TracePart` in the shape of the wire.
    Trace(Box<Value>),
    /// A `ReturnControlPayload` in the shape of the wire.
    ReturnControl(Box<Value>),
    /// The turn failed with an exception of the wire.
    Fault { code: String, message: String },
}

impl Out {
    pub(crate) fn internal(message: &str) -> Out {
        let code = "InternalServerException".to_owned();
        Out::Fault { code, message: message.to_owned() }
    }
}

#[derive(Debug)]
pub(crate) struct Activation {
    outs: Mutex<Vec<Out>>,
    /// How many outputs there are, and whether these are all.
    seen: watch::Sender<(usize, bool)>,
    driven: AtomicBool,
    pub(crate) cancel: Notify,
    /// The session whose lane the run holds or waits for.
    lane: String,
    /// The request that this stretch answers.
    pub(crate) request: String,
}

impl Activation {
    pub(crate) fn new(lane: &str, request: &str) -> Arc<Self> {
        let (seen, _) = watch::channel((0, false));
        Arc::new(Activation {
            outs: Mutex::default(),
            seen,
            driven: AtomicBool::new(false),
            cancel: Notify::new(),
            lane: lane.to_owned(),
            request: request.to_owned(),
        })
    }

    /// A task takes the stretch up.
    pub(crate) fn drive(&self) {
        self.driven.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_driven(&self) -> bool {
        self.driven.load(Ordering::SeqCst)
    }

    pub(crate) fn push(&self, out: Out) {
        let count = {
            let mut outs = self.outs.lock().expect("no holder of this lock panics");
            outs.push(out);
            outs.len()
        };
        self.seen.send_modify(|(seen, _)| *seen = count);
    }

    fn finish(&self) {
        self.seen.send_modify(|(_, done)| *done = true);
    }

    /// All outputs from the first on, as they come.
    pub(crate) fn listen(self: &Arc<Self>) -> BoxStream<'static, Out> {
        let begin = (self.clone(), self.seen.subscribe(), 0);
        stream::unfold(begin, |(live, mut seen, next)| async move {
            let reached = seen.wait_for(|(count, done)| *count > next || *done).await;
            let (count, _) = *reached.ok()?;
            if count <= next {
                return None;
            }
            let out = live.outs.lock().expect("no holder of this lock panics")[next].clone();
            Some((out, (live, seen, next + 1)))
        })
        .boxed()
    }
}

type Key = (Tenant, String);

/// The activations of this process by run, counted by lane.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    runs: HashMap<Key, Arc<Activation>>,
    lanes: HashMap<Key, usize>,
}

impl Live {
    pub(crate) fn get(&self, tenant: &Tenant, run: &str) -> Option<Arc<Activation>> {
        self.table().runs.get(&(tenant.clone(), run.to_owned())).cloned()
    }

    /// A run's new stretch begins. One that is about to end keeps its listeners.
    pub(crate) fn begin(&self, tenant: &Tenant, run: &str, activation: &Arc<Activation>) {
        let mut table = self.table();
        *table.lanes.entry((tenant.clone(), activation.lane.clone())).or_default() += 1;
        let key = (tenant.clone(), run.to_owned());
        if let Some(before) = table.runs.insert(key, activation.clone()) {
            table.leave(tenant, &before.lane);
        }
    }

    /// A stretch is over: whoever listens hears the end. A stretch that came after it stays.
    pub(crate) fn end(&self, tenant: &Tenant, run: &str, activation: &Arc<Activation>) {
        let mut table = self.table();
        let key = (tenant.clone(), run.to_owned());
        if table.runs.get(&key).is_some_and(|current| Arc::ptr_eq(current, activation)) {
            table.runs.remove(&key);
            table.leave(tenant, &activation.lane);
        }
        drop(table);
        activation.finish();
    }

    /// Stretches of one session, the waiting ones included.
    pub(crate) fn in_lane(&self, tenant: &Tenant, lane: &str) -> usize {
        let key = (tenant.clone(), lane.to_owned());
        self.table().lanes.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.table().runs.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl Table {
    fn leave(&mut self, tenant: &Tenant, lane: &str) {
        let key = (tenant.clone(), lane.to_owned());
        if let Some(count) = self.lanes.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.lanes.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_stretch_leaves_the_one_that_came_after_it() {
        let (live, tenant) = (Live::default(), Tenant::new("0", "r"));
        let (first, second) = (Activation::new("lane", "first"), Activation::new("lane", "second"));
        live.begin(&tenant, "run", &first);
        // A client that is quick brings its results before the first stretch is cleared away.
        live.begin(&tenant, "run", &second);
        assert_eq!(live.in_lane(&tenant, "lane"), 1);
        live.end(&tenant, "run", &first);
        assert_eq!(
            live.get(&tenant, "run").map(|live| live.request.clone()),
            Some("second".into())
        );
        live.end(&tenant, "run", &second);
        live.end(&tenant, "run", &second);
        assert_eq!((live.count(), live.in_lane(&tenant, "lane")), (0, 0));
    }
}
