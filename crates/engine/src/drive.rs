//! Drives one run from event to event until it ends or is parked.
//!
//! Events are appended as they come. INVARIANT: an intent that may change something outside is
//! durable before it is performed, and the client's answer goes out after its last event is. A
//! model call waits for neither.

use std::sync::Arc;

use craton_core::agent::call;
use craton_core::agent::event::{Ask, Call, Event, Intent, Outcome, ToolReturned};
use craton_core::agent::state::{End, within};
use craton_core::agent::tool::{Effect, EventContext};
use craton_core::agent::turn;
use store::CommitError;

use crate::flight::Flights;

use crate::parse::{self, ParserCall};
use crate::perform::{self, ModelCall};
use crate::record::{ParkedRun, RunStatus};
use crate::run::{Path, Place, Run, intents};
use crate::session::{self, Closing};
use crate::tool::doubt::{self, Doubt};
use crate::tool::request::Sender;
use crate::tool::{call as tool_call, conduct};
use crate::{Inner, budget, inspect, pending, spend};

/// How a task left its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is over, or the client has to bring something.
    Done,
    /// Its listeners wait with it for the result of a pending call.
    Suspended,
}

pub(crate) async fn drive(inner: &Arc<Inner>, mut run: Run) -> Result<Left, CommitError> {
    let mut flights = Flights::default();
    let mut hold = run.live.hold.subscribe();
    let mut taken_up = false;
    loop {
        let ordered = run.obey(inner, *hold.borrow_and_update());
        if !taken_up && !run.turn.paused {
            taken_up = true;
            for (path, intent) in take_up(&mut run, inner, &mut flights) {
                perform(inner, &run, path, intent, &mut flights);
            }
            pending::look(inner, &mut run, &mut flights);
        }
        run.consult(inner).await.map_err(CommitError::Store)?;
        let undecided = run.pending.len();
        run.decide(inner);
        if run.turn.end.is_some() {
            return finish(inner, run).await.map(|()| Left::Done);
        }
        if run.turn.parked.is_some() {
            return park(inner, run).await.map(|()| Left::Done);
        }
        let intents = intents(&run.pending);
        if !run.pending.is_empty() && !write(inner, &mut run, undecided, ordered).await? {
            continue;
        }
        for (path, intent) in intents {
            perform(inner, &run, path, intent, &mut flights);
        }
        let idle = flights.is_empty() && !run.turn.paused;
        if idle && run.turn.has_pending() && !pending::is_waited_for(inner, &run).await? {
            return pending::suspend(inner, run).await.map(|()| Left::Suspended);
        }
        if idle && let Some(halted) = turn::halt(&run.turn).filter(|_| !run.turn.has_pending()) {
            run.record(inner, inner.clock.now(), halted);
            return park(inner, run).await.map(|()| Left::Done);
        }
        if idle && !run.turn.has_pending() {
            // Nothing can move this turn any more: it must not hold its session for ever.
            tracing::error!(run = run.id, "a turn has nothing left to wait for");
            let (code, message) =
                ("InternalServerException".to_owned(), session::DEFECT.to_owned());
            run.record(inner, inner.clock.now(), Event::Failed { code, message });
            continue;
        }
        let live = run.live.clone();
        tokio::select! {
            biased;
            () = live.cancel.notified() => {
                for (path, failure) in flights.failures() {
                    run.record(inner, inner.clock.now(), within(&path, failure));
                }
                if run.turn.end.is_none() {
                    call_off(inner, &mut run);
                }
            }
            _ = hold.changed() => {}
            () = live.nudge.notified() => for (path, event) in live.delivered() {
                let landed = flights.bring(path, event);
                heed(inner, &mut run, landed);
            },
            landed = flights.land(), if !flights.is_empty() => heed(inner, &mut run, landed),
            () = tokio::time::sleep(pending::patience(inner, &run.turn)), if idle => {
                pending::look(inner, &mut run, &mut flights);
            }
        }
    }
}

/// Appends what is pending, of which the first so many events were outcomes. `false` if a budget has
/// no room any more for what was decided: the run is read again, with its outcomes.
async fn write(
    inner: &Inner,
    run: &mut Run,
    outcomes: usize,
    ordered: bool,
) -> Result<bool, CommitError> {
    let must_last = intents(&run.pending).iter().any(|(_, intent)| changes_something(intent));
    let counted = run.book.moves().then(|| run.pending[..outcomes].to_vec());
    let mut batch = run.append(inner);
    if ordered {
        batch.put(&run.id, &run.summary(RunStatus::Running, None));
    }
    let durable = inner.store.submit(batch);
    if let Some(outcomes) = counted {
        match durable.await {
            Err(error) if budget::is_full(&error) => {
                run.read_again(inner, outcomes).await?;
                return Ok(false);
            }
            done => done?,
        }
        run.tell(inner);
        return Ok(true);
    }
    run.tell(inner);
    if must_last {
        durable.await?;
    }
    Ok(true)
}

/// Takes outcomes in, unless others came first.
fn heed(inner: &Inner, run: &mut Run, landed: Vec<(Path, Event)>) {
    for (path, event) in landed {
        if pending::is_news(run, &path, &event) {
            run.record(inner, inner.clock.now(), within(&path, event));
        }
    }
}

/// Why nobody heard what came of a call.
const STOPPED: &str = "the server stopped before the reply was recorded";

/// What was under way when an earlier process stopped: what may be repeated is, as long as it may be
/// sent; of the rest nobody heard what became.
fn take_up(run: &mut Run, inner: &Arc<Inner>, flights: &mut Flights) -> Vec<(Path, Intent)> {
    let mut again = Vec::new();
    if intents(&run.pending).is_empty() {
        run.turn.walk(&mut |path, turn| {
            let step = turn.steps;
            let asked = turn.asking.map(|purpose| {
                let reserved = turn.budget.reserved.clone().map(Box::new);
                let route = turn.route.clone();
                Intent::AskModel(Ask { route, reserved, ..Ask::new(purpose, step) })
            });
            let parsed = turn.stages.parsing.clone().map(Intent::Parse);
            again.extend(asked.or(parsed).map(|intent| (path.to_vec(), intent)));
        });
    }
    for (path, call) in run.turn.calls_under_way() {
        let late = call.send_by.is_some_and(|by| inner.clock.now() > by);
        if call.effect == Effect::Read || (call.effect.may_repeat() && !late) {
            again.push((path, Intent::Call(call)));
        } else {
            let event = tool_call::interrupted(&call, STOPPED);
            // Whatever its probe costs comes on top of what it may have cost itself.
            let event = doubt::charged(event, call.reserved.as_ref().map(|held| held.cost));
            doubt::begin(inner, run, flights, (path, call, event));
        }
    }
    again
}

fn changes_something(intent: &Intent) -> bool {
    match intent {
        Intent::AskModel(_) | Intent::Parse(_) => false,
        Intent::Call(call) => call.effect != Effect::Read,
    }
}

/// Begins an effect of the turn at a path; its outcome lands there as an event.
fn perform(inner: &Arc<Inner>, run: &Run, path: Path, intent: Intent, flights: &mut Flights) {
    let Some(place) = run.place(&path) else { return };
    let inner = inner.clone();
    match intent {
        Intent::AskModel(ask) => {
            let call = call::model_call(place.turn, place.agent, ask.purpose);
            if call.stream {
                run.live.listen_to(run.counted.asked, run.epoch);
            }
            let live = call.stream.then(|| run.live.clone());
            let asking = run.asking(place, &ask, call);
            let ask = ModelCall { step: ask.step, live, asking };
            flights.begin(path, async move { perform::ask_model(&inner, ask).await });
        }
        Intent::Parse(parse) => {
            let call = ParserCall::new(run, place, parse);
            flights.begin(path, async move { parse::ask_parser(&inner, call).await });
        }
        Intent::Call(call) => {
            let agent = place.agent.clone();
            let request = run.sender(place).request(&call, None);
            let doubt = Doubt::about(run, place, &call);
            let policy = agent.tool(&call.tool).map(|tool| run.policies.of(tool));
            let policy = policy.unwrap_or_default();
            flights.begin(path, async move {
                let event = match agent.tool(&call.tool) {
                    Some(tool) => conduct::call_tool(&inner, tool, &call, &policy, request).await,
                    None => gone(&call),
                };
                doubt.settle(&inner, &call, event).await
            });
        }
    }
}

fn gone(call: &Call) -> Event {
    let message = format!("tool_unavailable: {} is no tool of this agent", call.tool);
    Event::ToolReturned(ToolReturned::new(&call.tool_use_id, Outcome::Error { message }, 0))
}

/// Ends the turn on an operator's word; calls under way have an unknown outcome.
fn call_off(inner: &Inner, run: &mut Run) {
    let at = inner.clock.now();
    for (path, call) in run.turn.calls_under_way() {
        if call.effect != Effect::Read {
            let why = format!("the turn was called off {}", inspect::OPERATOR);
            run.record(inner, at, within(&path, tool_call::interrupted(&call, &why)));
        }
    }
    run.record(inner, at, Event::Cancelled { reason: inspect::OPERATOR.to_owned() });
}

/// Makes the end durable, with the session as the next turn finds it, then tells the client.
async fn finish(inner: &Inner, mut run: Run) -> Result<(), CommitError> {
    let status = match run.turn.end.as_ref() {
        Some(End::Answered(_)) => RunStatus::Answered,
        Some(End::GaveUp(..)) => RunStatus::GaveUp,
        Some(End::Failed { .. }) => RunStatus::Failed,
        Some(End::Cancelled(_)) | None => RunStatus::Cancelled,
    };
    let now = inner.clock.now();
    let record = run.summary(status, Some(now));
    let mut batch = run.append(inner);
    batch.put_until(&run.id, &record, now + inner.text_millis(&run.agent.config));
    spend::tally(&mut batch, &record, now);
    batch.dequeue(&run.id, run.epoch);
    session::commit(inner, &run.tenant, batch, &run.closing(None)).await?;
    inner.alarms.spenders.note(&run.tenant);
    run.tell(inner);
    log(&record, now);
    Ok(())
}

/// Gives the lane free and waits for the client's results, without a task or a lease.
async fn park(inner: &Inner, mut run: Run) -> Result<(), CommitError> {
    let invocation_id =
        run.turn.parked.as_ref().map(|p| p.invocation_id.clone()).unwrap_or_default();
    let record = run.summary(RunStatus::Parked, None);
    let mut batch = run.append(inner);
    batch.put(&run.id, &record);
    batch.park(&run.id, run.epoch);
    let parked = ParkedRun { run: run.id.clone(), invocation_id, epoch: run.epoch };
    let due = inner.clock.now() + inner.limits.parked_millis;
    batch.timer(&session::park_timer(&run.id), due, run.id.clone());
    session::commit(inner, &run.tenant, batch, &run.closing(Some(parked))).await?;
    run.tell(inner);
    Ok(())
}

fn log(record: &crate::record::RunRecord, now: i64) {
    tracing::info!(
        run = record.run,
        agent = record.agent_id,
        session = record.session_id,
        status = ?record.status,
        providers = ?record.providers,
        model_calls = record.model_calls,
        millis = now - record.begun_at,
        "turn ended"
    );
}

impl Run {
    /// Holds the turn or lets it go on, as an operator wants it. `true` if that is new.
    fn obey(&mut self, inner: &Inner, hold: bool) -> bool {
        let (at, ordered) = (inner.clock.now(), hold != self.turn.paused);
        if ordered {
            self.record(inner, at, if hold { Event::Paused } else { Event::Continued });
            self.record.paused_at = hold.then_some(at);
        }
        ordered
    }

    pub(crate) fn closing(&self, parked: Option<ParkedRun>) -> Closing<'_> {
        Closing { record: &self.record, turn: &self.turn, config: &self.agent.config, parked }
    }

    /// Whoever calls tools for the turn at a place.
    pub(crate) fn sender<'a>(&'a self, place: Place<'a>) -> Sender<'a> {
        let accepted = place.turn.accepted.as_ref().expect("a turn's first event accepts it");
        let config = &place.agent.config;
        let context = EventContext {
            agent_name: &config.agent_name,
            agent_id: &config.agent_id,
            agent_alias: &accepted.alias_id,
            agent_version: &config.agent_version,
            session_id: &accepted.session_id,
            input_text: &accepted.input_text,
            session_attributes: &place.turn.session_attributes,
            prompt_session_attributes: &place.turn.prompt_attributes,
            idempotency_key: "",
        };
        Sender { tenant: &self.tenant, run: &self.id, agent: place.agent, context }
    }
}
