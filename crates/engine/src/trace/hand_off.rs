//! Calls that the client performs: what it is handed and what it brings.

use craton_core::agent::event::{HandBackState, Parked, Resumed};
use craton_core::agent::state::denied;
use craton_core::agent::tool;
use wire::bedrock_agent_runtime::types::{
    InvocationInputMember, ReturnControlPayload, Source, Trace, Type,
};
use wire::shape::Shape as _;
use wire::value::Value;

use super::View;
use crate::live::Out;

impl View<'_> {
    pub(super) fn hand_off_inputs(&self, parked: &Parked) -> Vec<Trace> {
        let used = parked.tool_uses.iter().filter_map(|id| self.turn.used(id));
        used.filter_map(|used| {
            let used = &used.tool_use;
            let id = self.use_id(&used.tool_use_id);
            self.group_input(&used.name, &used.input, Some(&parked.invocation_id), id)
        })
        .collect()
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
    pub(super) fn of_agent(&self, mut member: InvocationInputMember) -> InvocationInputMember {
        let agent_id = Some(self.record.agent_id.clone());
        match &mut member {
            InvocationInputMember::ApiInvocationInput(input) => input.agent_id = agent_id,
            InvocationInputMember::FunctionInvocationInput(input) => input.agent_id = agent_id,
        }
        member
    }
}
