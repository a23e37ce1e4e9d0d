//! Calls that the client performs: what it is handed and what it brings.

use craton_core::agent::event::{HandBackState, Parked, Resumed};
use craton_core::agent::state::denied;
use craton_core::agent::tool;
use wire::bedrock_agent_runtime::types::{
    InvocationInputMember, OrchestrationTrace, Rationale, ReturnControlPayload, Source, Trace, Type,
};
use wire::shape::Shape as _;
use wire::value::Value;

use super::{View, orchestration};
use crate::live::Out;

impl View<'_> {
    pub(super) fn hand_off_inputs(&self, parked: &Parked, invocation_id: &str) -> Vec<Trace> {
        let used = parked.tool_uses.iter().filter_map(|id| self.turn.used(id));
        used.flat_map(|used| {
            let used = &used.tool_use;
            let id = self.use_id(&used.tool_use_id);
            let why = parked.escalated.get(&used.tool_use_id);
            let why = why.map(|why| self.escalation(&used.name, why, id.clone()));
            let input = self.group_input(&used.name, &used.input, Some(invocation_id), id);
            why.into_iter().chain(input)
        })
        .collect()
    }

    /// Why a policy puts a call before a person.
    fn escalation(&self, tool: &str, why: &str, trace_id: Option<String>) -> Trace {
        let text = Some(format!("a person decides about this call of {tool}: {why}"));
        orchestration(OrchestrationTrace::Rationale(Rationale { text, trace_id }))
    }

    pub(super) fn hand_backs(&self, resumed: &Resumed) -> Vec<Trace> {
        let observed = resumed.results.iter().filter_map(|result| {
            let id = self.use_id(&result.tool_use_id);
            match result.state {
                HandBackState::Reprompt => {
                    Some(self.reprompt(&result.body, Source::ActionGroup, id))
                }
                HandBackState::Success | HandBackState::Failure => {
                    Some(self.observe(&result.body, None, id))
                }
                HandBackState::Denied => Some(self.observe(&denied(&result.body), None, id)),
                // The call that is made now tells of itself.
                HandBackState::Confirmed => None,
            }
        });
        observed.collect()
    }

    // AWS: the question is the final response of an observation ASK_USER (user guide, "Trace events",
    // and the `type` of `Observation`).
    pub(super) fn question(&self, text: &str) -> Trace {
        self.final_response(text, Type::AskUser)
    }

    pub(super) fn return_control(&self, parked: &Parked) -> Out {
        let payload = self.payload(parked, &parked.invocation_id);
        Out::ReturnControl(Box::new(payload.into_value()))
    }

    /// What the client is handed of this turn and of those nested in it.
    pub(super) fn payload(&self, parked: &Parked, invocation_id: &str) -> ReturnControlPayload {
        ReturnControlPayload {
            invocation_id: Some(invocation_id.to_owned()),
            invocation_inputs: Some(self.handed(parked)),
        }
    }

    fn handed(&self, parked: &Parked) -> Vec<InvocationInputMember> {
        let own = parked.tool_uses.iter().filter_map(|id| {
            let used = &self.turn.used(id)?.tool_use;
            let tool = self.agent.tool(&used.name)?;
            let member = tool::invocation_input(tool, &used.input, parked.asks(tool, id));
            let member = InvocationInputMember::from_value(Value::from(member)).ok()?;
            Some(self.of_agent(member))
        });
        let mut handed: Vec<InvocationInputMember> = own.collect();
        for below in parked.members.iter().filter_map(|id| self.below(id)) {
            let parked = below.turn.parked.iter();
            handed.extend(parked.flat_map(|parked| below.handed(parked)));
        }
        handed
    }

    // AWS: a client that serves several agents tells them apart by `agentId` and `collaboratorName`
    // (API reference, `ApiInvocationInput`, `FunctionInvocationInput`).
    fn of_agent(&self, mut member: InvocationInputMember) -> InvocationInputMember {
        let (agent_id, collaborator) = (Some(self.agent_id().to_owned()), self.collaborator());
        match &mut member {
            InvocationInputMember::ApiInvocationInput(input) => {
                (input.agent_id, input.collaborator_name) = (agent_id, collaborator);
            }
            InvocationInputMember::FunctionInvocationInput(input) => {
                (input.agent_id, input.collaborator_name) = (agent_id, collaborator);
            }
        }
        member
    }
}
