//! Effects under way in a tree of turns, each with the turn that waits for it.

use std::collections::BTreeMap;
use std::future::Future;

use craton_core::agent::event::{Event, Outcome, ToolReturned};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::run::Path;

#[derive(Default)]
pub(crate) struct Flights {
    under_way: FuturesUnordered<BoxFuture<'static, (Path, Event)>>,
    /// How many each turn waits for.
    counts: BTreeMap<Path, usize>,
    /// Failures that end a turn once nothing runs beside them any more.
    held: BTreeMap<Path, Event>,
}

impl Flights {
    pub(crate) fn begin(
        &mut self,
        path: Path,
        effect: impl Future<Output = Event> + Send + 'static,
    ) {
        *self.counts.entry(path.clone()).or_default() += 1;
        self.under_way.push(Box::pin(async move { (path, effect.await) }));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.held.is_empty()
    }

    /// What comes next: an outcome, and the failures that nothing keeps back any more.
    pub(crate) async fn land(&mut self) -> Vec<(Path, Event)> {
        let mut landed = Vec::new();
        if let Some((path, event)) = self.under_way.next().await {
            self.leave(&path);
            landed.extend(self.hold_failure(path, event));
        }
        landed.extend(self.released());
        landed
    }

    /// The same for an outcome that comes from elsewhere.
    pub(crate) fn bring(&mut self, path: Path, event: Event) -> Vec<(Path, Event)> {
        let mut landed: Vec<(Path, Event)> = self.hold_failure(path, event).into_iter().collect();
        landed.extend(self.released());
        landed
    }

    /// All that were held back.
    pub(crate) fn failures(&mut self) -> BTreeMap<Path, Event> {
        std::mem::take(&mut self.held)
    }

    fn leave(&mut self, path: &Path) {
        if let Some(count) = self.counts.get_mut(path) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(path);
            }
        }
    }

    /// A tool that declares its turn failed has the last word there: what runs beside it may change
    /// something, so its outcome is waited for. Of several that do, the first ends the turn.
    fn hold_failure(&mut self, path: Path, event: Event) -> Option<(Path, Event)> {
        let Event::ToolReturned(returned) = event else { return Some((path, event)) };
        let Outcome::Failure { message } = &returned.outcome else {
            return Some((path, Event::ToolReturned(returned)));
        };
        if self.held.contains_key(&path) {
            let outcome = Outcome::Error { message: message.clone() };
            return Some((path, Event::ToolReturned(ToolReturned { outcome, ..returned })));
        }
        self.held.insert(path, Event::ToolReturned(returned));
        None
    }

    /// Failures beside which nothing is under way, in their turn or below it.
    fn released(&mut self) -> Vec<(Path, Event)> {
        let counts = &self.counts;
        let waits = |path: &Path| counts.keys().any(|other| other.starts_with(path));
        let (kept, released) =
            std::mem::take(&mut self.held).into_iter().partition(|(path, _)| waits(path));
        self.held = kept;
        let released: BTreeMap<Path, Event> = released;
        released.into_iter().collect()
    }
}
