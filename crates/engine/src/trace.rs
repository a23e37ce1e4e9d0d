//! What the client sees of a run: traces, hand-offs, answers and exceptions, as views of events.
//!
//! A trace part tells what happened and nothing else: it is made from the event and the turn as
//! it stood before, live and from the journal alike, so both tell the same.

use craton_core::agent::event::{
    Call, Event, HandBackState, Intent, ModelSaid, Outcome, Parked, Refused, Resumed, ToolReturned,
};
use craton_core::agent::origin::Utterance;
use craton_core::agent::prompt;
use craton_core::agent::state::{self, Turn, text_of};
use craton_core::agent::tool;
use craton_core::agent::turn::Agent;
use serde_json::json;
use wire::bedrock_agent_runtime::types::{
    ActionGroupInvocationInput, ActionGroupInvocationOutput, Caller, FailureTrace, FinalResponse,
    InvocationInput, InvocationInputMember, InvocationType, Metadata, ModelInvocationInput,
    Observation, OrchestrationModelInvocationOutput, OrchestrationTrace, PromptType, Rationale,
    RawResponse, RepromptResponse, ReturnControlPayload, Source, Trace, TracePart, Type, Usage,
};
use wire::converse::Message;
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
    let view = View { turn, agent, record, at };
    let mut outs = Vec::new();
    if view.traced(event) {
        outs.extend(view.traces(event).into_iter().map(|trace| view.part(trace)));
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
            _ => {}
        }
        let streamed = turn.stream;
        if ours {
            collected.extend(outs(&turn, agent, record, *at, event));
        }
        state::apply(&mut turn, event);
        if let (true, true, Event::Finished { text }) = (ours, streamed, event) {
            collected.push(Out::Chunk(text.clone()));
        }
        if ours && (turn.parked.is_some() || turn.end.is_some()) {
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
    }
    collected
}

/// All trace parts of a run, asked for or not, for operators.
pub fn full(events: &[Stamped], agent: &Agent, record: &RunRecord) -> Vec<Value> {
    let mut turn = Turn::default();
    let mut parts = Vec::new();
    for Stamped { at, event } in events {
        let view = View { turn: &turn, agent, record, at: *at };
        for trace in view.traces(event) {
            if let Out::Trace(part) = view.part(trace) {
                parts.push(*part);
            }
        }
        state::apply(&mut turn, event);
    }
    parts
}

struct View<'a> {
    turn: &'a Turn,
    agent: &'a Agent,
    record: &'a RunRecord,
    at: i64,
}

impl View<'_> {
    fn traced(&self, event: &Event) -> bool {
        match event {
            Event::Resumed(resumed) => resumed.trace,
            _ => self.turn.trace,
        }
    }

    fn traces(&self, event: &Event) -> Vec<Trace> {
        match event {
            Event::Accepted(_) | Event::Started(_) => Vec::new(),
            Event::Asked(Intent::AskModel { step, .. }) => vec![self.model_input(*step)],
            Event::Asked(Intent::Call(call)) => self.call_input(call),
            Event::ModelSaid(said) => self.model_output(said),
            Event::ModelFailed(failed) => vec![self.failure(&failed.message)],
            Event::ToolReturned(returned) => vec![self.tool_output(returned)],
            Event::Refused(refused) => vec![self.refusal(refused)],
            Event::Parked(parked) => self.hand_off_inputs(parked),
            Event::Resumed(resumed) => self.hand_backs(resumed),
            Event::Cancelled { reason } => vec![self.failure(reason)],
            Event::GaveUp(cause) => vec![self.failure(state::failure_reason(*cause))],
            Event::Finished { text } => vec![self.finish(text)],
            Event::Failed { message, .. } => vec![self.failure(message)],
        }
    }

    fn answer(&self, event: &Event) -> Option<Out> {
        match event {
            Event::Finished { text } if !self.turn.stream => Some(Out::Chunk(text.clone())),
            Event::GaveUp(cause) => Some(Out::Chunk(state::farewell(*cause).to_owned())),
            Event::Parked(parked) => Some(self.return_control(parked)),
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
            | Event::ToolReturned(_)
            | Event::Refused(_)
            | Event::Finished { .. } => None,
        }
    }

    fn part(&self, trace: Trace) -> Out {
        let part = TracePart {
            agent_id: Some(self.record.agent_id.clone()),
            agent_alias_id: Some(self.record.alias_id.clone()),
            agent_version: Some(self.record.agent_version.clone()),
            session_id: Some(self.record.session_id.clone()),
            event_time: Some(Timestamp(self.at)),
            caller_chain: Some(vec![Caller::AgentAliasArn(self.alias_arn())]),
            trace: Some(trace),
            ..TracePart::default()
        };
        Out::Trace(Box::new(part.into_value()))
    }

    fn alias_arn(&self) -> String {
        let tenant = self.turn.accepted.as_ref().map_or("", |accepted| accepted.tenant.as_str());
        let (account, region) = tenant.split_once('/').unwrap_or((tenant, ""));
        let (agent, alias) = (&self.record.agent_id, &self.record.alias_id);
        format!("arn:aws:bedrock:{region}:{account}:agent-alias/{agent}/{alias}")
    }

    /// The run's id and the step: it finds the run in the journal.
    fn trace_id(&self, step: u32) -> Option<String> {
        Some(format!("{}-{step}", self.record.run))
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
                Some(format!("{}-{}-{}", self.record.run, self.turn.steps, place + 1))
            }
            _ => self.now_id(),
        }
    }

    fn model_input(&self, step: u32) -> Trace {
        let messages: Vec<&Message> = self.turn.messages.iter().map(Utterance::message).collect();
        let text = json!({"system": self.turn.system, "messages": messages});
        let accepted = self.turn.accepted.as_ref();
        let embedded = accepted.map(|accepted| &accepted.provider).filter(|p| llm::is_embedded(p));
        let model = match embedded {
            Some(provider) => format!("craton.{provider}"),
            None => self.agent.config.model.clone(),
        };
        orchestration(OrchestrationTrace::ModelInvocationInput(ModelInvocationInput {
            foundation_model: Some(model),
            text: Some(text.to_string()),
            trace_id: self.trace_id(step),
            r#type: Some(PromptType::Orchestration),
            ..ModelInvocationInput::default()
        }))
    }

    fn model_output(&self, said: &ModelSaid) -> Vec<Trace> {
        let raw = json!({
            "provider": said.provider,
            "model": said.model,
            "content": said.reply.content,
            "stopReason": said.reply.stop_reason,
        });
        let usage = Usage {
            input_tokens: i64::try_from(said.reply.usage.input_tokens).ok(),
            output_tokens: i64::try_from(said.reply.usage.output_tokens).ok(),
        };
        let output = OrchestrationModelInvocationOutput {
            metadata: Some(Metadata { usage: Some(usage), ..self.took(said.millis) }),
            raw_response: Some(RawResponse { content: Some(raw.to_string()) }),
            trace_id: self.trace_id(said.step),
            ..OrchestrationModelInvocationOutput::default()
        };
        let mut traces = vec![orchestration(OrchestrationTrace::ModelInvocationOutput(output))];
        if said.reply.asks_for_tools()
            && let Some(text) = prompt::rationale(&text_of(&said.reply.content))
        {
            let rationale = Rationale { text: Some(text), trace_id: self.trace_id(said.step) };
            traces.push(orchestration(OrchestrationTrace::Rationale(rationale)));
        }
        traces
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

    fn call_input(&self, call: &Call) -> Vec<Trace> {
        let id = self.use_id(&call.tool_use_id);
        self.group_input(&call.tool, &call.input, None, id).into_iter().collect()
    }

    fn group_input(
        &self,
        name: &str,
        input: &serde_json::Value,
        invocation: Option<&str>,
        trace_id: Option<String>,
    ) -> Option<Trace> {
        let tool = self.agent.tool(name)?;
        let group = tool::trace_input(tool, input, invocation);
        let group = ActionGroupInvocationInput::from_value(Value::from(group)).ok()?;
        Some(orchestration(OrchestrationTrace::InvocationInput(InvocationInput {
            action_group_invocation_input: Some(group),
            invocation_type: Some(InvocationType::ActionGroup),
            trace_id,
            ..InvocationInput::default()
        })))
    }

    fn tool_output(&self, returned: &ToolReturned) -> Trace {
        let (text, reprompt) = match &returned.outcome {
            Outcome::Answered { body, .. } => (body, false),
            Outcome::Reprompt { body } => (body, true),
            Outcome::Error { message } | Outcome::Unknown { message } => (message, false),
            Outcome::Failure { message } => return self.failure(message),
        };
        let id = self.use_id(&returned.tool_use_id);
        if reprompt {
            return self.reprompt(text, Source::ActionGroup, id);
        }
        self.observe(text, Some(self.took(returned.millis)), id)
    }

    fn observe(&self, text: &str, metadata: Option<Metadata>, trace_id: Option<String>) -> Trace {
        let output = ActionGroupInvocationOutput { metadata, text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            action_group_invocation_output: Some(output),
            trace_id,
            r#type: Some(Type::ActionGroup),
            ..Observation::default()
        }))
    }

    fn reprompt(&self, text: &str, source: Source, trace_id: Option<String>) -> Trace {
        let response = RepromptResponse { source: Some(source), text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            reprompt_response: Some(response),
            trace_id,
            r#type: Some(Type::Reprompt),
            ..Observation::default()
        }))
    }

    fn refusal(&self, refused: &Refused) -> Trace {
        let id = self.use_id(&refused.tool_use_id);
        self.reprompt(&refused.message, Source::Parser, id)
    }

    fn hand_off_inputs(&self, parked: &Parked) -> Vec<Trace> {
        let used = parked.tool_uses.iter().filter_map(|id| self.turn.used(id));
        used.filter_map(|used| {
            let used = &used.tool_use;
            let id = self.use_id(&used.tool_use_id);
            self.group_input(&used.name, &used.input, Some(&parked.invocation_id), id)
        })
        .collect()
    }

    fn hand_backs(&self, resumed: &Resumed) -> Vec<Trace> {
        let observed = resumed.results.iter().map(|result| {
            let id = self.use_id(&result.tool_use_id);
            match result.state {
                HandBackState::Reprompt => self.reprompt(&result.body, Source::ActionGroup, id),
                HandBackState::Success | HandBackState::Failure => {
                    self.observe(&result.body, None, id)
                }
            }
        });
        observed.collect()
    }

    fn return_control(&self, parked: &Parked) -> Out {
        let members = parked.tool_uses.iter().filter_map(|id| {
            let used = &self.turn.used(id)?.tool_use;
            let member = tool::invocation_input(self.agent.tool(&used.name)?, &used.input);
            let member = InvocationInputMember::from_value(Value::from(member)).ok()?;
            Some(self.of_agent(member))
        });
        let payload = ReturnControlPayload {
            invocation_id: Some(parked.invocation_id.clone()),
            invocation_inputs: Some(members.collect()),
        };
        Out::ReturnControl(Box::new(payload.into_value()))
    }

    // AWS: a client that serves several agents tells them apart by `agentId` (API reference,
    // `ApiInvocationInput`, `FunctionInvocationInput`).
    fn of_agent(&self, mut member: InvocationInputMember) -> InvocationInputMember {
        let agent_id = Some(self.record.agent_id.clone());
        match &mut member {
            InvocationInputMember::ApiInvocationInput(input) => input.agent_id = agent_id,
            InvocationInputMember::FunctionInvocationInput(input) => input.agent_id = agent_id,
        }
        member
    }

    fn finish(&self, text: &str) -> Trace {
        let millis = u64::try_from(self.at - self.record.begun_at).unwrap_or(0);
        let metadata = Some(self.took(millis));
        let response = FinalResponse { metadata, text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            final_response: Some(response),
            trace_id: self.now_id(),
            r#type: Some(Type::Finish),
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
