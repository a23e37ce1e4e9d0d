//! Calls of tools and what came of them.

use craton_core::agent::event::{Call, Fallback, Outcome, Refused, ToolReturned};
use craton_core::agent::tool;
use wire::bedrock_agent_runtime::types::{
    ActionGroupInvocationInput, ActionGroupInvocationOutput, InvocationInput, InvocationType,
    Metadata, Observation, OrchestrationTrace, RepromptResponse, Source, Trace, Type,
};
use wire::shape::Shape as _;
use wire::value::Value;

use super::{View, orchestration};

impl View<'_> {
    pub(super) fn call_input(&self, call: &Call) -> Vec<Trace> {
        let id = self.use_id(&call.tool_use_id);
        self.group_input(&call.tool, &call.input, None, id).into_iter().collect()
    }

    pub(super) fn group_input(
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

    /// What came of a call, after what went before it: a breaker that was open, a tool that failed
    /// and the call of its fallback.
    pub(super) fn tool_output(&self, returned: &ToolReturned) -> Vec<Trace> {
        let mut traces = self.conduct(returned);
        traces.push(self.tool_result(returned));
        traces
    }

    fn conduct(&self, returned: &ToolReturned) -> Vec<Trace> {
        let (id, conduct) = (&returned.tool_use_id, &returned.conduct);
        let Some(used) = self.turn.used(id).map(|used| &used.tool_use) else { return Vec::new() };
        let mut traces = Vec::new();
        if conduct.breaker.as_deref() == Some("open") {
            traces.push(self.failure(&format!(
                "the circuit breaker of {} is open: the tool was not called",
                used.name
            )));
        }
        if let Some(Fallback { function, why }) = &conduct.fallback {
            let text = format!("{} failed ({why}); {function} is asked instead", used.name);
            traces.push(self.observe(&text, None, self.use_id(id)));
            traces.extend(self.group_input(&used.name, &used.input, None, self.use_id(id)));
        }
        traces
    }

    fn tool_result(&self, returned: &ToolReturned) -> Trace {
        if let Some(member) = self.turn.team.members.get(&returned.tool_use_id) {
            return self.report(member, returned);
        }
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

    pub(super) fn observe(
        &self,
        text: &str,
        metadata: Option<Metadata>,
        trace_id: Option<String>,
    ) -> Trace {
        let output = ActionGroupInvocationOutput { metadata, text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            action_group_invocation_output: Some(output),
            trace_id,
            r#type: Some(Type::ActionGroup),
            ..Observation::default()
        }))
    }

    pub(super) fn reprompt(&self, text: &str, source: Source, trace_id: Option<String>) -> Trace {
        let response = RepromptResponse { source: Some(source), text: Some(text.to_owned()) };
        orchestration(OrchestrationTrace::Observation(Observation {
            reprompt_response: Some(response),
            trace_id,
            r#type: Some(Type::Reprompt),
            ..Observation::default()
        }))
    }

    pub(super) fn refusal(&self, refused: &Refused) -> Trace {
        let id = self.use_id(&refused.tool_use_id);
        self.reprompt(&refused.message, Source::Parser, id)
    }
}
