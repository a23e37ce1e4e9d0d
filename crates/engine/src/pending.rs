//! Calls whose tools answer later: the run is suspended, without a task, a lane or a lease, until a
//! result comes back, the tool is to be asked again, or nobody waits any longer.
//!
//! A result comes by [`Engine::complete`], also after a restart. It is an event of the run like any
//! other outcome: recorded once, whoever brings it and however often. Listeners of a suspended run
//! stay where they are; [`crate::live`] has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::event::{
    Call, Conduct, Deferred, Event, Fallback, Intent, Outcome, ToolReturned,
};
use craton_core::agent::state::{Turn, within};
use craton_core::agent::tool::{self, Effect, Tool};
use craton_core::agent::turn::Agent;
use craton_core::cost::Money;
use serde_json::json;
use store::{Batch, CommitError, StoreError, Tenant};

use crate::flight::Flights;
use crate::journal::{self, Stamped};
use crate::lane::PAGE;
use crate::live::Activation;
use crate::record::{ParkedRun, RunRecord, RunStatus, Session};
use crate::run::{Path, Run, innermost};
use crate::tool::{ToolCall, call as tool_call, doubt};
use crate::{Engine, Inner, lane, note, session, trace};

/// What the ids of suspended runs' timers begin with.
const TIMERS: &str = "pending/";
/// How often a result that came too early, or meets a run that is busy, is tried, and how long in
/// between: a tool's helper may be quicker than the tool's own answer.
const TRIES: u32 = 100;
const TRY_AGAIN: Duration = Duration::from_millis(100);

pub(crate) fn timer(run: &str) -> String {
    format!("{TIMERS}{run}")
}

/// What somebody brings as the result of a pending call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The tool's answer as a function gives it, else the result itself.
    pub body: Bytes,
    /// What the body is if not a result.
    pub state: Option<CallbackState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackState {
    /// An error that the model reads.
    Error,
    /// As a tool's `responseState`.
    Reprompt,
    Failure,
}

/// Why a result was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    #[error("there is no run {0}")]
    NoRun(String),
    #[error("run {run} waits for no result under {token}")]
    NoToken { run: String, token: String },
    #[error("the call {token} of run {run} is closed already: {how}")]
    Late { run: String, token: String, how: &'static str },
    #[error("{0}")]
    Malformed(String),
    #[error("run {0} is busy and could not take the result; bring it again")]
    Busy(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for CallbackError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => CallbackError::Store(error),
            CommitError::Conflict(conflict) => CallbackError::Busy(conflict.id),
        }
    }
}

/// The event of a call whose tool, or whose fallback, said that its result comes later.
pub(crate) fn deferred(
    inner: &Inner,
    call: &Call,
    pending: tool::Pending,
    (fallback, cost): (Option<Fallback>, Option<Money>),
) -> Event {
    let (since, longest) = (inner.clock.now(), inner.limits.pending_millis);
    let wanted = pending.deadline_seconds.map(|seconds| i64::from(seconds) * 1000);
    Event::Deferred(Deferred {
        tool_use_id: call.tool_use_id.clone(),
        token: pending.token.unwrap_or_else(|| call.key.clone()),
        poll_seconds: pending.poll_seconds,
        since,
        due: since + wanted.unwrap_or(longest).min(longest),
        doubt: None,
        fallback,
        cost,
    })
}

/// What is to be done of pending calls when a run is taken up: those that nobody waits for any more
/// are closed, and the tools that want to be asked again are.
pub(crate) fn look(inner: &Arc<Inner>, run: &mut Run, flights: &mut Flights) {
    let now = inner.clock.now();
    for (path, call, deferred) in run.turn.all_pending() {
        if deferred.due <= now {
            let event = expired(&call, &deferred, now);
            match deferred.doubt {
                // A person was waited for already.
                Some(_) => run.record(inner, now, within(&path, event)),
                None => doubt::begin(inner, run, flights, (path, call, event)),
            }
        } else if deferred.poll_seconds.is_some()
            && let Some(place) = run.place(&path)
        {
            let owed = json!({"pending": {"token": deferred.token}});
            let mut request = run.sender(place).request(&call, Some(owed));
            // Only whoever took the call owes its result: another would perform it.
            if let Some(fallback) = &deferred.fallback {
                request.function.clone_from(&fallback.function);
            }
            let (inner, agent) = (inner.clone(), place.agent.clone());
            flights.begin(path, async move {
                match agent.tool(&call.tool) {
                    Some(tool) => poll(&inner, tool, &call, deferred, request).await,
                    None => Event::Deferred(deferred),
                }
            });
        }
    }
}

fn expired(call: &Call, deferred: &Deferred, now: i64) -> Event {
    let seconds = (now - deferred.since) / 1000;
    let outcome = match call.effect {
        Effect::Read => Outcome::Error {
            message: tool::short_error(
                "tool_timed_out",
                &format!("{} brought no result within {seconds} s", call.tool),
                "tell the user, or try again later",
            ),
        },
        Effect::Keyed | Effect::Once | Effect::Compensable => {
            tool_call::unknown(call, &format!("none came within {seconds} s"))
        }
    };
    returned(call, deferred, now, outcome)
}

fn returned(call: &Call, deferred: &Deferred, now: i64, outcome: Outcome) -> Event {
    let millis = u64::try_from(now - deferred.since).unwrap_or(0);
    let returned = ToolReturned::new(&call.tool_use_id, outcome, millis);
    let conduct = Conduct { fallback: deferred.fallback.clone(), ..returned.conduct };
    Event::ToolReturned(ToolReturned { conduct, ..returned })
}

/// Asks a tool for the result that it owes. No answer is no news: it is asked again in time.
async fn poll(
    inner: &Inner,
    tool: &Tool,
    call: &Call,
    deferred: Deferred,
    request: ToolCall,
) -> Event {
    // Each time that it is asked again counts; what it owed before is paid.
    let deferred = Deferred { cost: Some(inner.prices.rates.tool(1, 0, 0)), ..deferred };
    let heard = match inner.tools.call(request).await {
        Ok(invoked) if invoked.outcome_known => tool_call::read(inner, tool, call, &invoked),
        Ok(_) | Err(_) => return Event::Deferred(deferred),
    };
    let now = inner.clock.now();
    match heard {
        tool_call::Heard::Outcome(mut outcome) => {
            tool_call::cut(&mut outcome, inner.turn.tool_answer_bytes);
            doubt::charged(returned(call, &deferred, now, outcome), deferred.cost)
        }
        tool_call::Heard::Pending(pending) => Event::Deferred(Deferred {
            token: pending.token.unwrap_or(deferred.token),
            poll_seconds: pending.poll_seconds.or(deferred.poll_seconds),
            ..deferred
        }),
    }
}

/// Whether an event still says something of the run: a result may come twice, by a callback and by
/// asking, and a tool may say again that it is not done.
pub(crate) fn is_news(run: &Run, path: &[String], event: &Event) -> bool {
    let turn = run.place(path).map(|place| place.turn);
    match event {
        Event::Deferred(deferred) => {
            turn.is_some_and(|turn| !turn.pending().any(|(_, known)| known == deferred))
        }
        Event::ToolReturned(returned) => {
            turn.is_some_and(|turn| turn.awaits(&returned.tool_use_id))
        }
        _ => true,
    }
}

/// Whether somebody waits for the session of a run with pending calls. Such a run keeps its place:
/// only what is said after it is suspended calls it off.
pub(crate) async fn is_waited_for(inner: &Inner, run: &Run) -> Result<bool, CommitError> {
    let lane = inner.store.lane(&run.tenant, &run.session_key(), 2).await;
    Ok(lane.map_err(CommitError::Store)?.len() > 1)
}

/// Leaves a run to its pending calls: no task, no lane, no lease.
pub(crate) async fn suspend(inner: &Inner, mut run: Run) -> Result<(), CommitError> {
    // Whoever takes the run up from here on finds its listeners.
    inner.live.suspend(&run.tenant, &run.id, &run.live);
    let record = run.summary(RunStatus::Parked, None);
    let mut batch = Batch::new(&run.tenant, inner.clock.now());
    if !run.pending.is_empty() {
        run.live.append(run.next);
        run.append_to(inner, &mut batch);
    }
    batch.put(&run.id, &record);
    batch.park(&run.id, run.epoch);
    batch.timer(&timer(&run.id), next_look(inner, &run.turn), run.id.clone());
    let parked = ParkedRun { run: run.id.clone(), invocation_id: String::new(), epoch: run.epoch };
    session::commit(inner, &run.tenant, batch, &run.closing(Some(parked))).await?;
    run.tell(inner);
    Ok(())
}

fn next_look(inner: &Inner, turn: &Turn) -> i64 {
    let now = inner.clock.now();
    let of = |(_, _, deferred): (_, Call, Deferred)| match deferred.poll_seconds {
        Some(seconds) => deferred.due.min(now + i64::from(seconds) * 1000),
        None => deferred.due,
    };
    turn.all_pending().into_iter().map(of).min().unwrap_or(now)
}

/// How long until somebody has to [`look`].
pub(crate) fn patience(inner: &Inner, turn: &Turn) -> Duration {
    let millis = next_look(inner, turn) - inner.clock.now();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Takes up the suspended runs whose time has come.
pub(crate) async fn wake_due(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    for timer in inner.store.due_timers(TIMERS, inner.clock.now(), PAGE).await? {
        let run = String::from_utf8_lossy(&timer.payload);
        match wake(engine, &timer.tenant, &run, None).await {
            Ok(Woken::Up | Woken::Busy) => {}
            Ok(Woken::Gone(mut batch)) => {
                batch.clear_timer(&timer.id);
                note("clearing a timer", inner.store.commit(*batch).await);
            }
            Err(error) => {
                tracing::error!(%run, %error, "a run could not be taken up; tried again");
                lane::put_off(inner, &timer).await;
            }
        }
    }
    Ok(())
}

/// What became of a suspended run that is to be taken up.
pub(crate) enum Woken {
    Up,
    /// It is suspended no more, as long as the batch holds to what was read of it.
    Gone(Box<Batch>),
    /// Somebody else wrote it meanwhile; it has to be looked at again.
    Busy,
}

/// Takes a suspended run up, with the result that somebody brings.
pub(crate) async fn wake(
    engine: &Engine,
    tenant: &Tenant,
    id: &str,
    brought: Option<(Path, Event)>,
) -> Result<Woken, CommitError> {
    let inner = &engine.0;
    let mut batch = Batch::new(tenant, inner.clock.now());
    let Some(record) = session::run_record(inner, tenant, id).await? else {
        batch.expect_version::<RunRecord>(id, 0);
        return Ok(Woken::Gone(Box::new(batch)));
    };
    let key = record.session_key();
    let session = session::current(inner, tenant, &key).await.map_err(CommitError::Store)?;
    batch.expect_version::<Session>(&key, session.version);
    let parked = session.value.parked.clone().filter(|p| p.run == id && p.waits_for_a_tool());
    let Some(parked) = parked else { return Ok(Woken::Gone(Box::new(batch))) };
    let live = inner.live.get(tenant, id);
    if live.as_ref().is_some_and(|live| live.is_driven()) {
        return Ok(Woken::Busy);
    }
    let loaded = engine.parked_run(tenant, &parked, live, None).await;
    let Some(mut run) = loaded.map_err(CommitError::Store)? else {
        tracing::error!(run = id, "a suspended run has no configuration; ended");
        session::give_up(inner, tenant, id, parked.epoch).await?;
        return Ok(Woken::Busy);
    };
    // Whoever came to listen while this was read has a stretch already: that one goes on. From here
    // on they find this one.
    if !Arc::ptr_eq(&inner.live.rejoin(tenant, id, run.live.clone()), &run.live) {
        return Ok(Woken::Busy);
    }
    if let Some((path, event)) = brought.filter(|(path, event)| is_news(&run, path, event)) {
        run.record(inner, inner.clock.now(), within(&path, event));
    }
    batch.unpark(id, Some((&inner.owner, inner.lease_until())));
    if !run.pending.is_empty() {
        run.live.append(run.next);
        run.append_to(inner, &mut batch);
    }
    batch.clear_timer(&timer(id));
    let taken = Session { parked: None, ..session.value };
    batch.put_until(&key, &taken, inner.clock.now() + inner.limits.parked_millis);
    batch.put(id, &run.summary(RunStatus::Running, None));
    match inner.store.commit(batch).await {
        Ok(()) => {}
        Err(CommitError::Conflict(_)) => return Ok(Woken::Busy),
        Err(error) => return Err(error),
    }
    inner.live.begin(tenant, id, &run.live);
    run.tell(inner);
    lane::spawn(engine, run);
    Ok(Woken::Up)
}

impl Engine {
    /// Takes the result of a pending call; returns the run's id once the result is durable. The same
    /// result may be brought again.
    pub async fn complete(
        &self,
        tenant: &Tenant,
        id: &str,
        token: &str,
        callback: &Callback,
    ) -> Result<String, CallbackError> {
        let found = self.find_run(tenant, id).await?;
        let Some(run) = found.map(|record| record.run) else {
            return Err(CallbackError::NoRun(id.to_owned()));
        };
        for _ in 0..TRIES {
            if self.bring(tenant, &run, token, callback).await? {
                return Ok(run);
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        Err(CallbackError::Busy(run))
    }

    /// One try. `false` if the run has to be looked at again.
    async fn bring(
        &self,
        tenant: &Tenant,
        run: &str,
        token: &str,
        callback: &Callback,
    ) -> Result<bool, CallbackError> {
        let inner = &self.0;
        let Some(record) = session::run_record(inner, tenant, run).await? else {
            return Err(CallbackError::NoRun(run.to_owned()));
        };
        let (events, _) = journal::load(inner, tenant, run).await?;
        let of_run = || (run.to_owned(), token.to_owned());
        // Of a call in doubt a person says what became of it, and needs another right for that.
        let asked = find(&events, token).filter(|asked| asked.deferred.doubt.is_none());
        let Some(asked) = asked else {
            if record.status == RunStatus::Running {
                return Ok(false);
            }
            let (run, token) = of_run();
            return Err(CallbackError::NoToken { run, token });
        };
        let agent = inner.agent(tenant, &record.config).await?;
        let agent = agent.and_then(|agent| asked.agent_below(agent));
        let tool = agent.as_deref().and_then(|agent| agent.tool(&asked.call.tool));
        let outcome = outcome(tool, callback, inner.turn.tool_answer_bytes)
            .map_err(CallbackError::Malformed)?;
        let late = |how| {
            let (run, token) = of_run();
            Err(CallbackError::Late { run, token, how })
        };
        match asked.outcome {
            Some(taken) if taken == outcome => return Ok(true),
            Some(Outcome::Unknown { .. }) => return late("nobody waited for it any longer"),
            Some(_) => return late("another result came first"),
            None if record.ended_at.is_some() => return late("the turn is over"),
            None => {}
        }
        let event = returned(&asked.call, &asked.deferred, self.now(), outcome);
        Ok(self.hand_over(tenant, run, (asked.path, event)).await?)
    }

    /// Gives a run an outcome that it waits for. `false` if it has to be looked at again.
    pub(crate) async fn hand_over(
        &self,
        tenant: &Tenant,
        run: &str,
        (path, event): (Path, Event),
    ) -> Result<bool, CommitError> {
        match self.0.live.get(tenant, run).filter(|live| live.is_driven()) {
            Some(live) => {
                live.deliver(path, event);
                Ok(false)
            }
            None => {
                let woken = wake(self, tenant, run, Some((path, event))).await?;
                Ok(matches!(woken, Woken::Up))
            }
        }
    }

    /// Listens to a suspended run that nobody listened to, from the beginning of what it says to a
    /// request.
    pub(crate) async fn listen_again(
        &self,
        tenant: &Tenant,
        run: &str,
        request: &str,
    ) -> Result<Option<Arc<Activation>>, StoreError> {
        let found = self.0.store.get::<RunRecord>(tenant, run).await?;
        let Some(record) = found.map(|f| f.value).filter(|r| r.status == RunStatus::Parked) else {
            return Ok(None);
        };
        let (events, _) = journal::load(&self.0, tenant, &record.run).await?;
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        let Some(agent) = self.0.agent(tenant, &record.config).await? else { return Ok(None) };
        if !turn.has_pending() || turn.request != request {
            return Ok(None);
        }
        let live = Activation::new(&record.session_key(), request);
        for out in trace::open_stretch(&events, &agent, &record) {
            live.push(out);
        }
        let live = self.0.live.rejoin(tenant, &record.run, live);
        // What was suspended when it was read may have gone on since, without this listener.
        let now = self.0.store.get::<RunRecord>(tenant, &record.run).await?;
        let still = now.is_some_and(|found| found.value.status == RunStatus::Parked);
        Ok((still || live.is_driven()).then_some(live))
    }
}

/// A call that was, or is, pending under a token.
struct AskedFor {
    /// Of the turn that waits, and the collaborators that lead there.
    path: Path,
    collaborators: Vec<String>,
    call: Call,
    deferred: Deferred,
    outcome: Option<Outcome>,
}

impl AskedFor {
    fn agent_below(&self, root: Arc<Agent>) -> Option<Arc<Agent>> {
        let names = self.collaborators.iter();
        names.into_iter().try_fold(root, |agent, name| agent.members.get(name).cloned())
    }
}

/// The call that waits under a token, else the last that did.
fn find(events: &[Stamped], token: &str) -> Option<AskedFor> {
    let mut calls: Vec<(Path, &Call)> = Vec::new();
    let mut names: BTreeMap<Path, Vec<String>> = BTreeMap::new();
    let mut found: Option<AskedFor> = None;
    for stamped in events {
        let (path, event) = innermost(&stamped.event);
        match event {
            Event::Asked(Intent::Call(call)) => calls.push((path, call)),
            Event::Delegated(delegated) => {
                let mut team = names.get(&path).cloned().unwrap_or_default();
                team.push(delegated.collaborator.clone());
                let below = path.into_iter().chain([delegated.tool_use_id.clone()]).collect();
                names.insert(below, team);
            }
            Event::Deferred(deferred) if deferred.token == token => {
                let waits = found.as_ref().is_some_and(|found| found.outcome.is_none());
                let of = |(at, call): &&(Path, &Call)| {
                    *at == path && call.tool_use_id == deferred.tool_use_id
                };
                if let (Some((_, call)), false) = (calls.iter().rev().find(of), waits) {
                    found = Some(AskedFor {
                        collaborators: names.get(&path).cloned().unwrap_or_default(),
                        path,
                        call: (*call).clone(),
                        deferred: deferred.clone(),
                        outcome: None,
                    });
                }
            }
            Event::ToolReturned(returned) => {
                if let Some(found) = &mut found
                    && found.path == path
                    && found.call.tool_use_id == returned.tool_use_id
                    && found.outcome.is_none()
                {
                    found.outcome = Some(returned.outcome.clone());
                }
            }
            _ => {}
        }
    }
    found
}

/// What a callback says of its call.
fn outcome(tool: Option<&Tool>, callback: &Callback, most: usize) -> Result<Outcome, String> {
    if callback.body.len() > most {
        return Err(format!("the result has {} bytes of at most {most}", callback.body.len()));
    }
    let Ok(text) = std::str::from_utf8(&callback.body) else {
        return Err("the result is not UTF-8".to_owned());
    };
    let body = text.to_owned();
    match callback.state {
        Some(CallbackState::Error) => {
            return Ok(Outcome::Error {
                message: tool::short_error("tool_failed", &tool::clean_error(text), ""),
            });
        }
        Some(CallbackState::Reprompt) => return Ok(Outcome::Reprompt { body }),
        Some(CallbackState::Failure) => return Ok(Outcome::Failure { message: body }),
        None => {}
    }
    let parsed = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    if parsed.get("messageVersion").is_none() {
        return Ok(Outcome::Answered {
            body,
            session_attributes: None,
            prompt_session_attributes: None,
            ignored: Vec::new(),
        });
    }
    let Some(tool) = tool else { return Err("the call's tool is gone".to_owned()) };
    match tool::read_response(tool, &callback.body, most)? {
        tool::Response::Answer(answer) => Ok(tool_call::outcome(answer)),
        tool::Response::Pending(_) => Err("a result cannot be pending again".to_owned()),
    }
}
