//! What a running turn has said so far, for everybody who listens.
//!
//! An activation is one stretch of a run between a client's request and the answer to it. It
//! keeps its outputs while it runs, so that a repeated request hears them from the beginning.
//! [`Live`] holds the activations of this process, the waiting ones included. Those of suspended runs
//! are held by their listeners alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use craton_core::agent::event::Event;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use store::Tenant;
use tokio::sync::{Notify, watch};
use wire::value::Value;

use crate::run::Path;

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
    /// The text of the answer that is being made.
    spoken: Mutex<Spoken>,
    progress: watch::Sender<Progress>,
    driven: AtomicBool,
    pub(crate) cancel: Notify,
    /// Results that others bring to a run that a task drives.
    inbox: Mutex<Vec<(Path, Event)>>,
    pub(crate) nudge: Notify,
    /// Whether an operator wants the run held.
    pub(crate) hold: watch::Sender<bool>,
    /// The session whose lane the run holds or waits for.
    lane: String,
    /// The request that this stretch answers.
    pub(crate) request: String,
}

/// How far a stretch is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    outs: usize,
    /// The last journal row that was sent to the store; it may not be durable yet.
    pub(crate) rows: u64,
    /// Bytes of the answer that is being made.
    pub(crate) spoken: usize,
    pub(crate) done: bool,
}

/// What a model says while it answers, of which the journal knows nothing yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spoken {
    /// The number of the event that asked for it.
    pub(crate) event: u64,
    /// Of the run as it asked.
    pub(crate) epoch: u64,
    pub(crate) text: String,
}

impl Activation {
    pub(crate) fn new(lane: &str, request: &str) -> Arc<Self> {
        Arc::new(Activation {
            outs: Mutex::default(),
            spoken: Mutex::default(),
            progress: watch::Sender::default(),
            driven: AtomicBool::new(false),
            cancel: Notify::new(),
            inbox: Mutex::default(),
            nudge: Notify::new(),
            hold: watch::Sender::default(),
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

    /// Brings the task that drives the stretch an outcome from elsewhere.
    pub(crate) fn deliver(&self, path: Path, event: Event) {
        self.inbox.lock().expect("no holder of this lock panics").push((path, event));
        self.nudge.notify_one();
    }

    pub(crate) fn delivered(&self) -> Vec<(Path, Event)> {
        std::mem::take(&mut *self.inbox.lock().expect("no holder of this lock panics"))
    }

    pub(crate) fn push(&self, out: Out) {
        let count = {
            let mut outs = self.outs.lock().expect("no holder of this lock panics");
            outs.push(out);
            outs.len()
        };
        self.progress.send_modify(|progress| progress.outs = count);
    }

    /// A model is asked, by the event of this number, and will be heard while it answers.
    pub(crate) fn listen_to(&self, event: u64, epoch: u64) {
        let spoken = Spoken { event, epoch, text: String::new() };
        *self.spoken.lock().expect("no holder of this lock panics") = spoken;
    }

    /// A piece of the answer, before the journal has it.
    pub(crate) fn say(&self, text: String) {
        let length = {
            let mut spoken = self.spoken.lock().expect("no holder of this lock panics");
            spoken.text.push_str(&text);
            spoken.text.len()
        };
        self.progress.send_modify(|progress| progress.spoken = length);
        self.push(Out::Chunk(text));
    }

    /// What was said in answer to an event, from a byte on, and in which epoch.
    pub(crate) fn spoken_since(&self, event: u64, byte: usize) -> Option<(u64, String)> {
        let spoken = self.spoken.lock().expect("no holder of this lock panics");
        let here = spoken.event == event && !spoken.text.is_empty();
        here.then(|| (spoken.epoch, spoken.text.get(byte..).unwrap_or_default().to_owned()))
    }

    /// A row of the journal is on its way to the store.
    pub(crate) fn append(&self, row: u64) {
        self.progress.send_modify(|progress| progress.rows = row);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    fn finish(&self) {
        self.progress.send_modify(|progress| progress.done = true);
    }

    /// All outputs from the first on, as they come.
    pub(crate) fn listen(self: &Arc<Self>) -> BoxStream<'static, Out> {
        let begin = (self.clone(), self.watch(), 0);
        stream::unfold(begin, |(live, mut progress, next)| async move {
            let reached = progress.wait_for(|reached| reached.outs > next || reached.done).await;
            if reached.ok()?.outs <= next {
                return None;
            }
            let out = live.outs.lock().expect("no holder of this lock panics")[next].clone();
            Some((out, (live, progress, next + 1)))
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
    /// Suspended runs that somebody listens to.
    suspended: HashMap<Key, Weak<Activation>>,
    lanes: HashMap<Key, usize>,
}

impl Live {
    pub(crate) fn get(&self, tenant: &Tenant, run: &str) -> Option<Arc<Activation>> {
        let (table, key) = (self.table(), (tenant.clone(), run.to_owned()));
        let suspended = || table.suspended.get(&key).and_then(Weak::upgrade);
        table.runs.get(&key).cloned().or_else(suspended)
    }

    /// A stretch goes on without a task, for as long as somebody listens. It leaves its lane.
    pub(crate) fn suspend(&self, tenant: &Tenant, run: &str, activation: &Arc<Activation>) {
        let mut table = self.table();
        let key = (tenant.clone(), run.to_owned());
        activation.driven.store(false, Ordering::SeqCst);
        if table.runs.get(&key).is_some_and(|current| Arc::ptr_eq(current, activation)) {
            table.runs.remove(&key);
            table.leave(tenant, &activation.lane);
        }
        table.suspended.retain(|_, listened| listened.strong_count() > 0);
        table.suspended.insert(key, Arc::downgrade(activation));
    }

    /// A listener comes to a suspended run. The stretch that is listened to already stays.
    pub(crate) fn rejoin(
        &self,
        tenant: &Tenant,
        run: &str,
        activation: Arc<Activation>,
    ) -> Arc<Activation> {
        let mut table = self.table();
        let key = (tenant.clone(), run.to_owned());
        let known = table.runs.get(&key).cloned();
        let known = known.or_else(|| table.suspended.get(&key).and_then(Weak::upgrade));
        known.filter(|known| known.request == activation.request).unwrap_or_else(|| {
            table.suspended.insert(key, Arc::downgrade(&activation));
            activation
        })
    }

    /// A suspended run is over: whoever listens hears that.
    pub(crate) fn dismiss(&self, tenant: &Tenant, run: &str, outs: Vec<Out>) {
        let key = (tenant.clone(), run.to_owned());
        let listened = self.table().suspended.remove(&key).and_then(|weak| weak.upgrade());
        if let Some(activation) = listened {
            outs.into_iter().for_each(|out| activation.push(out));
            activation.finish();
        }
    }

    /// A run's new stretch begins. One that is about to end keeps its listeners.
    pub(crate) fn begin(&self, tenant: &Tenant, run: &str, activation: &Arc<Activation>) {
        let mut table = self.table();
        *table.lanes.entry((tenant.clone(), activation.lane.clone())).or_default() += 1;
        let key = (tenant.clone(), run.to_owned());
        table.suspended.remove(&key);
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

    /// Those that no operator holds.
    pub(crate) fn moving(&self) -> usize {
        self.table().runs.values().filter(|live| !*live.hold.borrow()).count()
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
