//! What the client sees of a run: traces, hand-offs, answers and exceptions, as views of events.
//!
//! A trace part tells what happened and nothing else: it is made from the event and the turn as
//! it stood before, live and from the journal alike, so both tell the same.

mod budget;
mod hand_off;
mod model;
mod stages;
mod team;
mod tool;

use craton_core::agent::event::{
    Event, HandBackState, Intent, Outcome, Purpose, ToolReturned, Verdict,
};
use craton_core::agent::state::{self, Member, Turn};
use craton_core::agent::turn::Agent;
use wire::bedrock_agent_runtime::types::{
    FailureTrace, FinalResponse, Metadata, Observation, OrchestrationTrace, Trace, TracePart, Type,
};
use wire::shape::Shape as _;
use wire::value::{Timestamp, Value};

use crate::journal::Stamped;
use crate::live::Out;
use crate::record::RunRecord;

/// What an event tells the client, given the turn as it stood before the event.
///
/// The text of a streamed answer is left out: it went out while it was made.
pub(crate) fn outs(
    turn: &Turn,
    agent: &Agent,
    record: &RunRecord,
    at: i64,
    event: &Event,
) -> Vec<Out> {
    heard(turn, agent, record, (at, event), None)
}

/// The same for somebody else than the client: `traces` overrules what the client asked for.
pub(crate) fn heard(
    turn: &Turn,
    agent: &Agent,
    record: &RunRecord,
    (at, event): (i64, &Event),
    traces: Option<bool>,
) -> Vec<Out> {
    let view = View { turn, agent, record, at, above: None };
    let mut outs = Vec::new();
    if traces.unwrap_or_else(|| view.traced(event)) {
        outs.extend(view.parts(event));
    }
    outs.extend(view.answer(event));
    outs
}

/// The outputs of the stretch that a request began, once that stretch is over.
pub(crate) fn stretch(
    events: &[Stamped],
    agent: &Agent,
    record: &RunRecord,
    request: &str,
) -> Option<Vec<Out>> {
    let (mut turn, mut collected, mut ours) = (Turn::default(), Vec::new(), false);
    for Stamped { at, event } in events {
        match event {
            Event::Accepted(accepted) => ours = accepted.run == request,
            Event::Resumed(resumed) => ours = resumed.request == request,
            Event::Replenished(replenished) => ours = replenished.request == request,
            _ => {}
        }
        let streamed = agent.has_streamed(&turn);
        if ours {
            collected.extend(outs(&turn, agent, record, *at, event));
        }
        state::apply(&mut turn, event);
        if let (true, true, Event::Finished { text }) = (ours, streamed, event) {
            collected.push(Out::Chunk(text.clone()));
        }
        let stopped = turn.parked.is_some() || turn.budget.halted.is_some();
        if ours && (stopped || turn.end.is_some()) {
            return Some(collected);
        }
    }
    None
}

/// The outputs since the last request, of a stretch that goes on.
pub(crate) fn open_stretch(events: &[Stamped], agent: &Agent, record: &RunRecord) -> Vec<Out> {
    let (mut turn, mut collected) = (Turn::default(), Vec::new());
    for Stamped { at, event } in events {
        if matches!(event, Event::Accepted(_) | Event::Resumed(_)) {
            collected.clear();
        }
        collected.extend(outs(&turn, agent, record, *at, event));
        state::apply(&mut turn, event);
        if turn.budget.halted.is_some() {
            collected.clear();
        }
    }
    collected
}

/// All trace parts of a run, asked for or not, for operators.
pub fn full(events: &[Stamped], agent: &Agent, record: &RunRecord) -> Vec<Value> {
    let mut turn = Turn::default();
    let mut parts = Vec::new();
    for Stamped { at, event } in events {
        let view = View { turn: &turn, agent, record, at: *at, above: None };
        for out in view.parts(event) {
            if let Out::Trace(part) = out {
                parts.push(*part);
            }
        }
        state::apply(&mut turn, event);
    }
    parts
}

/// A turn as its client sees it at one event.
struct View<'a> {
    turn: &'a Turn,
    agent: &'a Agent,
    record: &'a RunRecord,
    at: i64,
    /// The supervisor that it works for.
    above: Option<Above<'a>>,
}

#[derive(Clone, Copy)]
struct Above<'a> {
    view: &'a View<'a>,
    member: &'a Member,
}

impl View<'_> {
    /// The client that is heard now says so for the whole tree.
    fn traced(&self, event: &Event) -> bool {
        match event {
            Event::Resumed(resumed) => resumed.trace,
            _ => self.turn.trace,
        }
    }

    /// The parts of an event, each of the agent that it is about.
    fn parts(&self, event: &Event) -> Vec<Out> {
        match event {
            Event::Within(within) => {
                let below = self.below(&within.tool_use_id);
                below.map(|view| view.parts(&within.event)).unwrap_or_default()
            }
            Event::Parked(parked) => self.parked_parts(parked),
            _ => self.traces(event).into_iter().map(|trace| self.part(trace)).collect(),
        }
    }

    fn traces(&self, event: &Event) -> Vec<Trace> {
        match event {
            Event::Accepted(_) | Event::Started(_) => Vec::new(),
            Event::Asked(Intent::AskModel(ask)) => self.model_input(ask).into_iter().collect(),
            Event::Asked(Intent::Parse(_)) => Vec::new(),
            Event::Asked(Intent::Call(call)) => self.call_input(call),
            Event::ModelSaid(said) => self.model_output(said),
            Event::ModelFailed(failed) => vec![self.failure(&failed.message)],
            Event::ModelOverflowed(overflowed) => vec![self.model_overflow(overflowed)],
            Event::Shrunk(_) => Vec::new(),
            Event::Parsed(parsed) => self.parsed(parsed),
            Event::ToolReturned(returned) => self.tool_output(returned),
            Event::Refused(refused) => vec![self.refusal(refused)],
            Event::Resumed(resumed) => self.hand_backs(resumed),
            // Its result is told when it comes.
            Event::Deferred(_) => Vec::new(),
            Event::AskedUser(asked) => vec![self.question(&asked.question)],
            Event::Delegated(delegated) => vec![self.delegation(delegated)],
            Event::Paused | Event::Continued => Vec::new(),
            // Told in `parts`: they are of several agents.
            Event::Parked(_) | Event::Within(_) => Vec::new(),
            Event::Cancelled { reason } => vec![self.failure(reason)],
            Event::GaveUp(cause) => vec![self.failure(state::failure_reason(*cause))],
            Event::Finished { text } => vec![self.finish(text)],
            Event::Failed { message, .. } => vec![self.failure(message)],
            Event::Exhausted(exhausted) => self.over_budget(exhausted),
            Event::Halted { text } => vec![self.finish(text)],
            Event::Replenished(_) | Event::Lost => Vec::new(),
        }
    }

    fn answer(&self, event: &Event) -> Option<Out> {
        match event {
            Event::Finished { text } if !self.agent.has_streamed(self.turn) => {
                Some(Out::Chunk(text.clone()))
            }
            Event::Parsed(parsed) => match &parsed.verdict {
                Verdict::Failed { message } => Some(fault("DependencyFailedException", message)),
                Verdict::Judged { .. }
                | Verdict::Calls { .. }
                | Verdict::Said { .. }
                | Verdict::Again { .. } => None,
            },
            Event::GaveUp(cause) => Some(Out::Chunk(state::farewell(*cause).to_owned())),
            Event::AskedUser(asked) => Some(Out::Chunk(asked.question.clone())),
            Event::Halted { text } => Some(Out::Chunk(text.clone())),
            Event::Parked(parked) => Some(self.return_control(parked)),
            // The supervisor goes on where nobody could be chosen.
            Event::ModelFailed(_) if self.turn.asking == Some(Purpose::Route) => None,
            Event::ModelFailed(failed) => Some(fault(&failed.code, &failed.message)),
            Event::Failed { code, message } => Some(fault(code, message)),
            Event::ToolReturned(ToolReturned { outcome: Outcome::Failure { message }, .. }) => {
                Some(fault("DependencyFailedException", message))
            }
            Event::Cancelled { reason } => {
                let message = format!("the turn was called off: {reason}");
                Some(fault("ConflictException", &message))
            }
            Event::Resumed(resumed) => resumed
                .results
                .iter()
                .find(|r| r.state == HandBackState::Failure)
                .map(|r| fault("DependencyFailedException", &r.body)),
            Event::Accepted(_)
            | Event::Started(_)
            | Event::Asked(_)
            | Event::ModelSaid(_)
            | Event::ModelOverflowed(_)
            | Event::Shrunk(_)
            | Event::ToolReturned(_)
            | Event::Refused(_)
            | Event::Deferred(_)
            | Event::Delegated(_)
            | Event::Within(_)
            | Event::Paused
            | Event::Continued
            | Event::Exhausted(_)
            | Event::Replenished(_)
            | Event::Lost
            | Event::Finished { .. } => None,
        }
    }

    fn part(&self, trace: Trace) -> Out {
        let part = TracePart {
            agent_id: Some(self.agent_id().to_owned()),
            agent_alias_id: Some(self.alias_id().to_owned()),
            agent_version: Some(self.agent_version().to_owned()),
            session_id: Some(self.record.session_id.clone()),
            event_time: Some(Timestamp(self.at)),
            caller_chain: Some(self.caller_chain()),
            collaborator_name: self.collaborator(),
            trace: Some(trace),
        };
        Out::Trace(Box::new(part.into_value()))
    }

    fn alias_arn(&self) -> String {
        let tenant = self.turn.accepted.as_ref().map_or("", |accepted| accepted.tenant.as_str());
        let (account, region) = tenant.split_once('/').unwrap_or((tenant, ""));
        let (agent, alias) = (self.agent_id(), self.alias_id());
        format!("arn:aws:bedrock:{region}:{account}:agent-alias/{agent}/{alias}")
    }

    /// The turn's id and the step: it finds the run in the journal. A nested turn's id is the run's
    /// and the place of the tool use that it works on, each with its step.
    fn trace_id(&self, step: u32) -> Option<String> {
        Some(format!("{}-{step}", self.run()))
    }

    fn now_id(&self) -> Option<String> {
        self.trace_id(self.turn.steps)
    }

    /// One id for all that is told of one tool use: the step's, and where a reply has several the
    /// use's place in it too. They run side by side, and nothing else tells their ends apart.
    fn use_id(&self, tool_use_id: &str) -> Option<String> {
        let uses = &self.turn.uses;
        let place = uses.iter().position(|used| used.tool_use.tool_use_id == tool_use_id);
        match place {
            Some(place) if uses.len() > 1 => {
                Some(format!("{}-{}-{}", self.run(), self.turn.steps, place + 1))
            }
            _ => self.now_id(),
        }
    }

    fn took(&self, millis: u64) -> Metadata {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        Metadata {
            client_request_id: Some(self.record.run.clone()),
            start_time: Some(Timestamp(self.at.saturating_sub(millis))),
            end_time: Some(Timestamp(self.at)),
            total_time_ms: Some(millis),
            ..Metadata::default()
        }
    }

    fn finish(&self, text: &str) -> Trace {
        self.final_response(text, Type::Finish)
    }

    /// What ends a turn for its user: an answer or a question.
    fn final_response(&self, text: &str, kind: Type) -> Trace {
        let millis = u64::try_from(self.at - self.begun_at()).unwrap_or(0);
        let metadata = Some(self.took(millis));
        let response = FinalResponse { metadata, text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            final_response: Some(response),
            trace_id: self.now_id(),
            r#type: Some(kind),
            ..Observation::default()
        }))
    }

    fn failure(&self, reason: &str) -> Trace {
        Trace::FailureTrace(FailureTrace {
            failure_reason: Some(reason.to_owned()),
            trace_id: self.now_id(),
            ..FailureTrace::default()
        })
    }
}

fn orchestration(trace: OrchestrationTrace) -> Trace {
    Trace::OrchestrationTrace(trace)
}

fn fault(code: &str, message: &str) -> Out {
    Out::Fault { code: code.to_owned(), message: message.to_owned() }
}
