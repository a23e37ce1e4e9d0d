//! Drives one run from event to event until it ends or is parked.
//!
//! Events are appended as they come. INVARIANT: an intent that may change something outside is
//! durable before it is performed, and the client's answer goes out after its last event is. A
//! model call waits for neither.

use std::sync::Arc;

use craton_core::agent::call;
use craton_core::agent::event::{Call, Event, Intent, Outcome, ToolReturned};
use craton_core::agent::state::End;
use craton_core::agent::tool::{Effect, EventContext};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use store::CommitError;

use crate::function::ToolCall;
use crate::perform::{self, ModelCall};
use crate::record::{ParkedRun, RunStatus};
use crate::run::Run;
use crate::session::{self, Closing};
use crate::{Inner, inspect};

type Effects = FuturesUnordered<BoxFuture<'static, Event>>;

pub(crate) async fn drive(inner: &Arc<Inner>, mut run: Run) -> Result<(), CommitError> {
    let mut effects = Effects::new();
    let mut failure = None;
    let mut hold = run.live.hold.subscribe();
    let mut taken_up = false;
    loop {
        let ordered = run.obey(inner, *hold.borrow_and_update());
        if !taken_up && !run.turn.paused {
            taken_up = true;
            for intent in take_up(&mut run, inner) {
                perform(inner, &run, intent, &mut effects);
            }
        }
        run.decide(inner);
        if run.turn.end.is_some() {
            return finish(inner, run).await;
        }
        if run.turn.parked.is_some() {
            return park(inner, run).await;
        }
        let intents = intents(&run);
        if !run.pending.is_empty() {
            let mut batch = run.append(inner);
            if ordered {
                batch.put(&run.id, &run.summary(RunStatus::Running, None));
            }
            let durable = inner.store.submit(batch);
            run.tell();
            if intents.iter().any(changes_something) {
                durable.await?;
            }
        }
        for intent in intents {
            perform(inner, &run, intent, &mut effects);
        }
        if effects.is_empty() && !run.turn.paused {
            // Nothing can move this turn any more: it must not hold its session for ever.
            tracing::error!(run = run.id, "a turn has nothing left to wait for");
            let (code, message) =
                ("InternalServerException".to_owned(), session::DEFECT.to_owned());
            run.record(inner.clock.now(), Event::Failed { code, message });
            continue;
        }
        let live = run.live.clone();
        tokio::select! {
            biased;
            () = live.cancel.notified() => match failure.take() {
                Some(failure) => run.record(inner.clock.now(), failure),
                None => call_off(inner, &mut run),
            },
            _ = hold.changed() => {}
            Some(event) = effects.next() => {
                let event = hold_failure(event, &mut failure);
                let done = if effects.is_empty() { failure.take() } else { None };
                for event in event.into_iter().chain(done) {
                    run.record(inner.clock.now(), event);
                }
            }
        }
    }
}

/// What was under way when an earlier process stopped: what may be repeated is, the rest is
/// closed as unknown.
fn take_up(run: &mut Run, inner: &Inner) -> Vec<Intent> {
    let mut again = Vec::new();
    if let Some(purpose) = run.turn.asking.filter(|_| intents(run).is_empty()) {
        again.push(Intent::AskModel { purpose, step: run.turn.steps });
    }
    let open: Vec<Call> = run.turn.open_calls().cloned().collect();
    for call in open {
        match call.effect {
            Effect::Read | Effect::Keyed => again.push(Intent::Call(call)),
            Effect::Once => run.record(inner.clock.now(), perform::interrupted(&call)),
        }
    }
    again
}

/// A tool that declares the turn failed has the last word: what runs beside it may change
/// something, so its outcome is waited for. Of several that do, the first ends the turn.
fn hold_failure(event: Event, failure: &mut Option<Event>) -> Option<Event> {
    let Event::ToolReturned(returned) = event else { return Some(event) };
    let Outcome::Failure { message } = &returned.outcome else {
        return Some(Event::ToolReturned(returned));
    };
    if failure.is_some() {
        let outcome = Outcome::Error { message: message.clone() };
        return Some(Event::ToolReturned(ToolReturned { outcome, ..returned }));
    }
    *failure = Some(Event::ToolReturned(returned));
    None
}

/// The intents among the pending events.
fn intents(run: &Run) -> Vec<Intent> {
    let asked = run.pending.iter().filter_map(|stamped| match &stamped.event {
        Event::Asked(intent) => Some(intent.clone()),
        _ => None,
    });
    asked.collect()
}

fn changes_something(intent: &Intent) -> bool {
    match intent {
        Intent::AskModel { .. } => false,
        Intent::Call(call) => call.effect != Effect::Read,
    }
}

/// Begins an effect; its outcome comes out of `effects` as an event.
fn perform(inner: &Arc<Inner>, run: &Run, intent: Intent, effects: &mut Effects) {
    let inner = inner.clone();
    match intent {
        Intent::AskModel { purpose, step } => {
            run.live.listen_to(run.counted.asked, run.epoch);
            let ask = ModelCall {
                step,
                call: call::model_call(&run.turn, &run.agent, purpose),
                live: run.turn.stream.then(|| run.live.clone()),
            };
            effects.push(Box::pin(async move { perform::ask_model(&inner, ask).await }));
        }
        Intent::Call(call) => {
            let agent = run.agent.clone();
            let request = run.tool_call(&call);
            effects.push(Box::pin(async move {
                match agent.tool(&call.tool) {
                    Some(tool) => perform::call_tool(&inner, tool, &call, request).await,
                    None => gone(&call),
                }
            }));
        }
    }
}

fn gone(call: &Call) -> Event {
    let message = format!("tool_unavailable: {} is no tool of this agent", call.tool);
    let tool_use_id = call.tool_use_id.clone();
    let outcome = Outcome::Error { message };
    Event::ToolReturned(ToolReturned { tool_use_id, outcome, millis: 0 })
}

/// Ends the turn on an operator's word; calls under way have an unknown outcome.
fn call_off(inner: &Inner, run: &mut Run) {
    let at = inner.clock.now();
    let open: Vec<Call> = run.turn.open_calls().cloned().collect();
    for call in open.iter().filter(|call| call.effect != Effect::Read) {
        run.record(at, perform::interrupted(call));
    }
    run.record(at, Event::Cancelled { reason: inspect::OPERATOR.to_owned() });
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
    batch.put(&run.id, &record);
    batch.dequeue(&run.id, run.epoch);
    session::commit(inner, &run.tenant, batch, &run.closing(None)).await?;
    run.tell();
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
    run.tell();
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
            self.record(at, if hold { Event::Paused } else { Event::Continued });
            self.record.paused_at = hold.then_some(at);
        }
        ordered
    }

    fn closing(&self, parked: Option<ParkedRun>) -> Closing<'_> {
        Closing { record: &self.record, turn: &self.turn, config: &self.agent.config, parked }
    }

    fn tool_call(&self, call: &Call) -> ToolCall {
        let accepted = self.accepted();
        let config = &self.agent.config;
        let context = EventContext {
            agent_name: &config.agent_name,
            agent_id: &config.agent_id,
            agent_alias: &accepted.alias_id,
            agent_version: &config.agent_version,
            session_id: &accepted.session_id,
            input_text: &accepted.input_text,
            session_attributes: &self.turn.session_attributes,
            prompt_session_attributes: &self.turn.prompt_attributes,
            idempotency_key: &call.key,
        };
        let payload = self
            .agent
            .tool(&call.tool)
            .map(|tool| perform::event_bytes(&context, tool, call))
            .unwrap_or_default();
        ToolCall {
            tenant: self.tenant.clone(),
            function: call.target.clone(),
            payload,
            request_id: self.id.clone(),
            key: Some(call.key.clone()),
            client_context: None,
        }
    }
}
