//! A batch in two stores: what it adds to counters in one, all else in the other.
//!
//! The counters come first, because only they have ceilings that may refuse. Should the other store refuse
//! the rest, what was added is taken back; should the process die in between, it stays: counters err
//! towards too much. No reader of both stores sees the two change at once.

use tokio::sync::oneshot;

use crate::backend::{Done, Submitted};
use crate::batch::Batch;
use crate::store::Store;

/// Submits what is added at once, and the rest once that is durable.
pub(crate) fn submit(counters: &Store, added: Batch, (own, rest): (Store, Batch)) -> Submitted {
    let (told, outcome) = oneshot::channel();
    let (counters, back) = (counters.clone(), added.reversed());
    let counted = counters.submit(added);
    tokio::spawn(async move {
        let done = match counted.await {
            Ok(()) => own.commit(rest).await.inspect_err(|_| drop(counters.submit(back))),
            refused => refused,
        };
        // Whoever does not wait is told nothing.
        let _ = told.send(done.map(|()| Done::Committed));
    });
    Submitted::Later(outcome)
}
