//! What a running turn has said so far, for everybody who listens.
//!
//! An activation is one stretch of a run between a client's request and the answer to it. It
//! keeps its outputs while it runs, so that a repeated request hears them from the beginning.

use std::sync::{Arc, Mutex};

use futures_util::stream::{self, BoxStream, StreamExt as _};
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

#[derive(Debug)]
pub(crate) struct Activation {
    outs: Mutex<Vec<Out>>,
    /// How many outputs there are, and whether these are all.
    seen: watch::Sender<(usize, bool)>,
    pub(crate) cancel: Notify,
    /// The session whose lane the run holds or waits for.
    pub(crate) lane: String,
}

impl Activation {
    pub(crate) fn new(lane: &str) -> Arc<Self> {
        let (seen, _) = watch::channel((0, false));
        let (outs, cancel) = (Mutex::new(Vec::new()), Notify::new());
        Arc::new(Activation { outs, seen, cancel, lane: lane.to_owned() })
    }

    pub(crate) fn push(&self, out: Out) {
        let count = {
            let mut outs = self.outs.lock().expect("no holder of this lock panics");
            outs.push(out);
            outs.len()
        };
        self.seen.send_replace((count, false));
    }

    pub(crate) fn finish(&self) {
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
