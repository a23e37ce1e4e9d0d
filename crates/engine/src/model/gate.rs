//! One limit: places for calls at the same time, and what a minute holds.
//!
//! Whoever comes first is let in first. A call waits no longer than it may; then it is told how long
//! it had to. Where nothing is set there is no gate.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use craton_core::policy::rate::Minute;
use llm::{ModelError, ModelErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::converse::Usage;

use super::config::Limit;

/// What a caller who found all places taken waits before it asks again: nobody knows when one is free.
const PLACE_HINT: Duration = Duration::from_secs(1);

pub(crate) struct Gate {
    /// Whose it is, for messages: `provider "cloud"`.
    name: String,
    limit: Limit,
    places: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
    minutes: Mutex<Minutes>,
}

#[derive(Default)]
struct Minutes {
    requests: Minute,
    tokens: Minute,
}

/// How long a call may wait, among how many others.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) longest: Duration,
    pub(crate) waiting: usize,
}

/// What a call has taken of several gates. Dropped before it left, it was never there.
#[derive(Default)]
pub(crate) struct Room {
    places: Vec<OwnedSemaphorePermit>,
    drawn: Vec<(Arc<Gate>, u64)>,
    /// Somebody was asked: what was drawn is used.
    used: bool,
}

impl Gate {
    /// `None` where nothing is limited.
    pub(crate) fn of(name: String, limit: Limit) -> Option<Arc<Gate>> {
        let places = limit.concurrency.map(|many| Arc::new(Semaphore::new(many as usize)));
        let (waiting, minutes) = (AtomicUsize::default(), Mutex::default());
        let gate = Gate { name, limit, places, waiting, minutes };
        (!limit.is_none()).then(|| Arc::new(gate))
    }

    fn minutes(&self) -> MutexGuard<'_, Minutes> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether forgetting it would change nothing.
    pub(crate) fn is_idle(&self, now: i64) -> bool {
        let minutes = self.minutes();
        minutes.requests.is_full(now) && minutes.tokens.is_full(now)
    }

    pub(crate) fn counts_tokens(&self) -> bool {
        self.limit.tokens_per_minute.is_some()
    }

    fn counts(&self) -> bool {
        self.counts_tokens() || self.limit.requests_per_minute.is_some()
    }

    /// A place among those at the same time, for which a call waits what is left of its patience.
    async fn place(
        &self,
        waited: Duration,
        patience: Patience,
    ) -> Result<Option<OwnedSemaphorePermit>, ModelError> {
        let Some(places) = &self.places else { return Ok(None) };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Ok(Some(place));
        }
        let _queue = self.queue(patience)?;
        let left = patience.longest.saturating_sub(waited);
        let place = tokio::time::timeout(left, places.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).map(Some).ok_or_else(|| self.taken())
    }

    /// Takes one request and so many tokens of the minute; how long they are not there yet.
    fn draw(&self, tokens: u64, now: i64, longest: Duration) -> Result<Duration, ModelError> {
        let requests = self.limit.requests_per_minute.map(f64::from);
        let rate = self.limit.tokens_per_minute.map(|tokens| tokens as f64);
        let tokens = tokens as f64;
        if requests.is_none() && rate.is_none() {
            return Ok(Duration::ZERO);
        }
        let mut minutes = self.minutes();
        let for_request = requests.map_or(0.0, |rate| minutes.requests.wait(rate, 1.0, now));
        let for_tokens = rate.map_or(0.0, |rate| minutes.tokens.wait(rate, tokens, now));
        let wait = Duration::from_secs_f64(for_request.max(for_tokens) / 1000.0);
        if wait > longest {
            drop(minutes);
            let (rate, what) = match (requests, rate) {
                (Some(rate), _) if for_request >= for_tokens => (rate, "requests"),
                (_, rate) => (rate.unwrap_or_default(), "tokens"),
            };
            return Err(self.full(&format!("its {rate} {what} a minute are used up"), wait));
        }
        requests.into_iter().for_each(|rate| minutes.requests.take(rate, 1.0, now));
        rate.into_iter().for_each(|rate| minutes.tokens.take(rate, tokens, now));
        Ok(wait)
    }

    fn give_back(&self, requests: u32, tokens: u64) {
        let mut minutes = self.minutes();
        if let Some(rate) = self.limit.requests_per_minute {
            minutes.requests.give_back(f64::from(rate), f64::from(requests));
        }
        if let Some(rate) = self.limit.tokens_per_minute {
            minutes.tokens.give_back(rate as f64, tokens as f64);
        }
    }

    /// A place among those that wait.
    fn queue(&self, patience: Patience) -> Result<Queue<'_>, ModelError> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let queue = Queue(&self.waiting);
        if before >= patience.waiting {
            return Err(self.full(&format!("{before} calls wait already"), PLACE_HINT));
        }
        Ok(queue)
    }

    fn taken(&self) -> ModelError {
        let many = self.limit.concurrency.unwrap_or_default();
        self.full(&format!("all of its {many} places were taken for too long"), PLACE_HINT)
    }

    fn full(&self, why: &str, wait: Duration) -> ModelError {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        let message = format!("{} has no room: {why}; try again in {seconds} s", self.name);
        let retry_after = Some(Duration::from_secs_f64(seconds));
        ModelError { retry_after, ..ModelError::new(ModelErrorKind::Throttled, message) }
    }
}

struct Queue<'a>(&'a AtomicUsize);

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    /// Takes room for one call, which it may have to wait for. What was drawn before it was refused
    /// or given up goes back with the room.
    pub(crate) async fn enter(
        &mut self,
        gate: &Arc<Gate>,
        tokens: u64,
        now: i64,
        patience: Patience,
    ) -> Result<(), ModelError> {
        let wait = gate.draw(tokens, now, patience.longest)?;
        self.note(gate, tokens);
        if !wait.is_zero() {
            let _queue = gate.queue(patience)?;
            tokio::time::sleep(wait).await;
        }
        self.places.extend(gate.place(wait, patience).await?);
        Ok(())
    }

    /// Gives up the places alone: the request is over, and what it used counts.
    pub(crate) fn stand_back(&mut self) {
        self.places.clear();
    }

    /// What another room holds besides.
    pub(crate) fn join(&mut self, mut other: Room) {
        self.places.append(&mut other.places);
        self.drawn.append(&mut other.drawn);
    }

    /// `false` where there is no room right now.
    pub(crate) fn enter_now(&mut self, gate: &Arc<Gate>, tokens: u64, now: i64) -> bool {
        if gate.draw(tokens, now, Duration::ZERO).is_err() {
            return false;
        }
        self.note(gate, tokens);
        let Some(places) = &gate.places else { return true };
        let place = places.clone().try_acquire_owned().ok();
        let found = place.is_some();
        self.places.extend(place);
        found
    }

    fn note(&mut self, gate: &Arc<Gate>, tokens: u64) {
        if gate.counts() {
            self.drawn.push((gate.clone(), tokens));
        }
    }

    /// Somebody is asked now.
    pub(crate) fn use_up(&mut self) {
        self.used = true;
    }

    /// As if it had never been there.
    fn undo(&mut self) {
        self.places.clear();
        self.drawn.drain(..).for_each(|(gate, tokens)| gate.give_back(1, tokens));
    }

    /// Counts what was really used in the place of the estimate, and leaves; where nobody was asked,
    /// nothing was.
    pub(crate) fn leave(&mut self, usage: Option<Usage>, now: i64) {
        if !std::mem::take(&mut self.used) {
            return self.undo();
        }
        self.places.clear();
        for (gate, estimate) in self.drawn.drain(..) {
            let Some(usage) = usage.filter(|_| gate.counts_tokens()) else { continue };
            let used = usage.input_tokens + usage.output_tokens + usage.cache_write_input_tokens;
            let rate = gate.limit.tokens_per_minute.unwrap_or(1) as f64;
            let mut minutes = gate.minutes();
            minutes.tokens.give_back(rate, estimate as f64);
            minutes.tokens.take(rate, used as f64, now);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.used {
            self.undo();
        }
    }
}
