//! Asynchronous invocations: events that are accepted when they are durable, and performed after.
//!
//! An accepted event is a document and a timer in one batch. It is performed at once where there is
//! room, else by upkeep when its timer is due, until it succeeds or is given up. The document and
//! the timer go only with the outcome, so an event whose performer died is due again at the next
//! start: it is performed at least once, as on AWS, each time under the same request id and key.
//! Nobody hears the answer; the log says how it went.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use exec::{ExecError, Invoked};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Batch, CommitError, Record, StoreError, Tenant};

use crate::alert::Alarm;
use crate::tool::{ToolCall, ToolError};
use crate::{Engine, note};

/// Events performed at once, and those of one function among them. Ours: a slow function leaves
/// room for the others.
const AT_ONCE: usize = 64;
const AT_ONCE_OF_FUNCTION: usize = 10;
/// Due events read at once, and how many waiting ones are enough to read no more.
const DUE: usize = 10_000;
const ENOUGH: usize = 1_000;

/// AWS: one minute after the first error and two after the second (Lambda developer guide, "How
/// Lambda handles errors and retries with asynchronous invocation").
const AFTER_FAILURE_MILLIS: [i64; 2] = [60_000, 120_000];
/// AWS: throttles and system errors are tried again after 1 second, growing to 5 minutes (the same).
const DELAY_MILLIS: (i64, i64) = (1_000, 300_000);

const TIMERS: &str = "event/";
const COUNTER: &str = "lambda-events";

/// How long an event is tried. Taken from the function's settings when it is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patience {
    /// Attempts after the first, where the function itself fails.
    pub retries: u32,
    pub age_millis: i64,
}

impl Default for Patience {
    /// AWS: two retries, six hours (PutFunctionEventInvokeConfig).
    fn default() -> Self {
        Patience { retries: 2, age_millis: 6 * 3_600_000 }
    }
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0} asynchronous invocations wait or run, which is the limit; try again later")]
    Full(i64),
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An accepted event. Its id is the id of the request that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    function: String,
    /// JSON.
    payload: String,
    key: Option<String>,
    accepted_at: i64,
    patience: Patience,
    /// Attempts that the function failed.
    failures: u32,
    /// Attempts that did not reach it.
    delays: u32,
    /// When the next attempt may begin.
    #[serde(default)]
    not_before: i64,
}

impl Record for Event {
    const KIND: &'static str = "event-invocation";
    const VERSION: u32 = 1;
}

/// What comes after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    /// At this time, for this reason.
    Again(i64, String),
    /// For this reason.
    GivenUp(String),
}

/// One event, by tenant and id.
type Key = (Tenant, String);

/// The events that this process knows to be due, in order, and those that it performs.
#[derive(Default)]
pub(crate) struct Agenda(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    waiting: VecDeque<(Key, String)>,
    /// Waiting or being performed.
    known: HashSet<Key>,
    /// How many of each function are being performed.
    flying: HashMap<String, usize>,
}

impl Agenda {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that are being performed.
    pub(crate) fn flying(&self) -> usize {
        self.lists().flying.values().sum()
    }

    fn add(&self, key: Key, function: &str) {
        let mut lists = self.lists();
        if lists.known.insert(key.clone()) {
            lists.waiting.push_back((key, function.to_owned()));
        }
    }

    /// The next event for which there is room.
    fn next(&self) -> Option<(Key, String)> {
        let mut lists = self.lists();
        if lists.flying.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let of = |function: &str| lists.flying.get(function).copied().unwrap_or_default();
        let at = lists.waiting.iter().position(|(_, f)| of(f) < AT_ONCE_OF_FUNCTION)?;
        let (key, function) = lists.waiting.remove(at)?;
        *lists.flying.entry(function.clone()).or_default() += 1;
        Some((key, function))
    }

    fn done(&self, key: &Key, function: &str) {
        let mut lists = self.lists();
        lists.known.remove(key);
        let left = lists.flying.get_mut(function).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            lists.flying.remove(function);
        }
    }
}

/// An event that is being performed. Gives its place back, however its task ends.
struct Flight {
    engine: Engine,
    key: Key,
    function: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.engine.0.events.done(&self.key, &self.function);
    }
}

impl Engine {
    /// Accepts an event: when this returns it is durable and will be performed.
    pub async fn invoke_later(&self, call: ToolCall, patience: Patience) -> Result<(), Refused> {
        if is_draining(self) {
            return Err(Refused::Stopping);
        }
        let (tenant, id, now) = (call.tenant, call.request_id, self.now());
        let event = Event {
            payload: String::from_utf8_lossy(&call.payload).into_owned(),
            function: call.function,
            key: call.key,
            accepted_at: now,
            patience,
            failures: 0,
            delays: 0,
            not_before: now,
        };
        let mut batch = Batch::new(&tenant, now);
        batch.add(COUNTER, 1, None, Some(self.0.limits.waiting_events));
        batch.put(&id, &event).timer(&timer(&id), now, event.function.clone());
        self.0.store.commit(batch).await.map_err(|error| match error {
            CommitError::Conflict(_) => Refused::Full(self.0.limits.waiting_events),
            CommitError::Store(error) => Refused::Store(error),
        })?;
        tracing::debug!(function = event.function, request = id, "an event was accepted");
        self.0.events.add((tenant, id), &event.function);
        begin(self);
        Ok(())
    }
}

fn timer(id: &str) -> String {
    format!("{TIMERS}{id}")
}

/// Performs what there is room for, each event in a task of its own.
fn begin(engine: &Engine) {
    if is_draining(engine) {
        return;
    }
    while let Some((key, function)) = engine.0.events.next() {
        let flight = Flight { engine: engine.clone(), key, function };
        tokio::spawn(async move {
            let engine = flight.engine.clone();
            note("performing an accepted event", perform(&flight).await);
            drop(flight);
            begin(&engine);
        });
    }
}

fn is_draining(engine: &Engine) -> bool {
    engine.0.draining.load(Ordering::SeqCst)
}

/// Finds what is due and begins it: retries, and what an earlier process accepted.
pub(crate) async fn perform_due(engine: &Engine) -> Result<(), StoreError> {
    let events = &engine.0.events;
    if events.lists().waiting.len() < ENOUGH {
        for due in engine.0.store.due_timers(TIMERS, engine.now(), DUE).await? {
            let Some(id) = due.id.strip_prefix(TIMERS) else { continue };
            events.add((due.tenant, id.to_owned()), &String::from_utf8_lossy(&due.payload));
        }
    }
    begin(engine);
    Ok(())
}

/// One attempt, and its outcome made durable.
async fn perform(flight: &Flight) -> Result<(), CommitError> {
    let Flight { engine, key: (tenant, id), .. } = flight;
    let store = &engine.0.store;
    let mut event = match store.get::<Event>(tenant, id).await {
        Ok(Some(found)) => found.value,
        Ok(None) => return store.commit(forget(engine, tenant, id)).await,
        Err(StoreError::Unreadable { cause, .. }) => {
            // It would be due each second for ever, and its place in the count never come back.
            tracing::error!(request = id, cause, "an event cannot be read and is dropped");
            let mut batch = forget(engine, tenant, id);
            batch.delete::<Event>(id).add(COUNTER, -1, Some(0), None);
            return store.commit(batch).await;
        }
        Err(error) => return Err(error.into()),
    };
    if engine.now() < event.not_before {
        // It was found due just before the attempt that put it off ended.
        return Ok(());
    }
    let outcome = match event.is_too_old(engine.now()) {
        true => Next::GivenUp("it waited for too long".to_owned()),
        false => {
            let outcome = engine.0.tools.call(event.call(tenant, id)).await;
            if is_stopping(engine, &outcome) {
                // It stays due, for the next start.
                return Ok(());
            }
            event.after(&outcome, engine.now())
        }
    };
    tell(id, &event.function, &outcome, engine.now());
    let mut batch = Batch::new(tenant, engine.now());
    let said = match &outcome {
        Next::GivenUp(why) => {
            given_up(id, &event.function, why).write(&engine.0, tenant, &mut batch)
        }
        Next::Again(..) | Next::Done => None,
    };
    match outcome {
        Next::Again(at, _) => {
            event.not_before = at;
            batch.put(id, &event).timer(&timer(id), at, event.function.clone());
        }
        Next::Done | Next::GivenUp(_) => {
            batch.delete::<Event>(id).clear_timer(&timer(id)).add(COUNTER, -1, Some(0), None);
        }
    }
    store.commit(batch).await?;
    said.into_iter().for_each(|said| engine.0.alarms.keep(tenant, said));
    Ok(())
}

fn forget(engine: &Engine, tenant: &Tenant, id: &str) -> Batch {
    let mut batch = Batch::new(tenant, engine.now());
    batch.clear_timer(&timer(id));
    batch
}

fn given_up(id: &str, function: &str, why: &str) -> Alarm {
    Alarm {
        kind: "invocation.givenUp",
        key: function.to_owned(),
        message: format!("an asynchronous invocation of {function} is given up: {why}"),
        facts: json!({"function": function, "request": id, "why": why}),
    }
}

/// A call that the end of this process broke off says nothing about its function.
fn is_stopping(engine: &Engine, outcome: &Result<Invoked, ToolError>) -> bool {
    is_draining(engine)
        && matches!(outcome, Err(ToolError::Exec(ExecError::Lost(_) | ExecError::NotSent(_))))
}

fn tell(id: &str, function: &str, next: &Next, now: i64) {
    match next {
        Next::Done => tracing::info!(function, request = id, "an event was performed"),
        Next::Again(at, why) => {
            let seconds = (at - now) / 1000;
            tracing::warn!(function, request = id, why, "an event is tried again in {seconds} s");
        }
        Next::GivenUp(why) => {
            tracing::error!(function, request = id, why, "an event was given up and is dropped");
        }
    }
}

impl Event {
    fn call(&self, tenant: &Tenant, id: &str) -> ToolCall {
        ToolCall {
            tenant: tenant.clone(),
            function: self.function.clone(),
            payload: Bytes::from(self.payload.clone()),
            request_id: id.to_owned(),
            // The same on every attempt, so that a tool can recognise the event.
            key: Some(self.key.clone().unwrap_or_else(|| id.to_owned())),
            // AWS: passed to synchronous invocations only (Invoke, `ClientContext`).
            client_context: None,
            timeout: None,
            asked: None,
        }
    }

    fn is_too_old(&self, now: i64) -> bool {
        now - self.accepted_at > self.patience.age_millis
    }

    /// Counts the attempt and says what comes next.
    ///
    /// AWS: an error of the function, a time-out among them, is tried `retries` times more; what
    /// kept the event from the function is tried until it is too old.
    fn after(&mut self, outcome: &Result<Invoked, ToolError>, now: i64) -> Next {
        let why = match outcome {
            Ok(Invoked { error: None, .. }) => return Next::Done,
            Ok(failed) => told(&failed.payload),
            Err(ToolError::NoFunction(_)) => {
                return Next::GivenUp("the function is gone".to_owned());
            }
            Err(error @ ToolError::Exec(exec)) => match exec {
                ExecError::NotSent(_) | ExecError::Throttled(_) => {
                    return self.delayed(&error.to_string(), now);
                }
                ExecError::Lost(_) | ExecError::TimedOut(_) | ExecError::Refused(_) => {
                    error.to_string()
                }
            },
            Err(error @ (ToolError::Store(_) | ToolError::TooLate)) => {
                return self.delayed(&error.to_string(), now);
            }
        };
        let waits = AFTER_FAILURE_MILLIS;
        let failed = usize::try_from(self.failures).unwrap_or(usize::MAX);
        self.failures += 1;
        if self.failures > self.patience.retries {
            return Next::GivenUp(format!("it failed {} times, last: {why}", self.failures));
        }
        self.again(now + waits[failed.min(waits.len() - 1)], &why)
    }

    fn delayed(&mut self, why: &str, now: i64) -> Next {
        let (first, most) = DELAY_MILLIS;
        let wait = first.checked_shl(self.delays.min(20)).unwrap_or(most).min(most);
        self.delays = self.delays.saturating_add(1);
        self.again(now + wait, why)
    }

    fn again(&self, at: i64, why: &str) -> Next {
        match self.is_too_old(at) {
            true => Next::GivenUp(format!("it would be too old for another attempt, last: {why}")),
            false => Next::Again(at, why.to_owned()),
        }
    }
}

/// Type and message of a function's error, for the log.
fn told(payload: &[u8]) -> String {
    let error: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let of = |member: &str| error[member].as_str().unwrap_or("?").chars().take(200).collect();
    let (kind, message): (String, String) = (of("errorType"), of("errorMessage"));
    format!("{kind}: {message}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failed() -> Result<Invoked, ToolError> {
        let (log_tail, duration) = (Vec::new(), Duration::ZERO);
        let error = Some(exec::FunctionError::Unhandled);
        let payload = Bytes::from_static(br#"{"errorType": "E", "errorMessage": "no"}"#);
        Ok(Invoked { payload, error, log_tail, duration, outcome_known: true, retry_after: None })
    }

    /// Attempts that go so, each at the time the one before it asked for: seconds, or the end.
    #[track_caller]
    fn check(patience: Patience, outcome: fn() -> Result<Invoked, ToolError>, expected: &str) {
        let mut event = Event {
            function: "f".to_owned(),
            payload: "{}".to_owned(),
            key: None,
            accepted_at: 0,
            patience,
            failures: 0,
            delays: 0,
            not_before: 0,
        };
        let (mut now, mut seen) = (0, Vec::new());
        let end = loop {
            match event.after(&outcome(), now) {
                Next::Again(at, _) => {
                    seen.push(((at - now) / 1000).to_string());
                    now = at;
                }
                Next::Done => break "done".to_owned(),
                Next::GivenUp(why) => break why,
            }
        };
        let (last, rest) = (seen.split_off(seen.len().saturating_sub(2)), seen.len());
        let shown = if rest > 9 { format!("{rest} more") } else { seen.join(" ") };
        assert_eq!(format!("{shown} {} {end}", last.join(" ")).trim(), expected);
    }

    #[test]
    fn an_event_is_tried_as_long_as_aws_tries_it() {
        let patience = Patience::default;
        check(patience(), failed, "60 120 it failed 3 times, last: E: no");
        check(Patience { retries: 0, ..patience() }, failed, "it failed 1 times, last: E: no");
        check(
            Patience { age_millis: 61_000, ..patience() },
            failed,
            "60 it would be too old for another attempt, last: E: no",
        );
        let lost = || Err(ExecError::Lost("gone".to_owned()).into());
        check(patience(), lost, "60 120 it failed 3 times, last: gone");
        let busy = || Err(ExecError::Throttled("busy".to_owned().into()).into());
        check(
            Patience { age_millis: 1_200_000, ..patience() },
            busy,
            "1 2 4 8 16 32 64 128 256 300 300 it would be too old for another attempt, last: busy",
        );
        let gone = || Err(ToolError::NoFunction("f".to_owned()));
        check(patience(), gone, "the function is gone");
    }
}
