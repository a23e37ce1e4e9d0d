//! Collaborators: who is speaking, what a supervisor asks of them and what they report.

use craton_core::agent::event::{Delegated, Outcome, Parked, ToolReturned};
use craton_core::agent::state::{Member, ROUTE};
use wire::bedrock_agent_runtime::types::{
    AgentCollaboratorInputPayload, AgentCollaboratorInvocationInput,
    AgentCollaboratorInvocationOutput, AgentCollaboratorOutputPayload, Caller, InvocationInput,
    InvocationType, Metadata, ModelInvocationInput, Observation, OrchestrationTrace, PayloadType,
    PromptType, RawResponse, RoutingClassifierModelInvocationOutput, RoutingClassifierTrace, Trace,
    Type,
};

use super::{Above, View, orchestration};
use crate::live::Out;

impl<'a> View<'a> {
    /// The nested turn of one tool use.
    pub(super) fn below(&'a self, tool_use_id: &str) -> Option<View<'a>> {
        let member = self.turn.team.members.get(tool_use_id)?;
        let agent = self.agent.members.get(&member.collaborator)?;
        let above = Some(Above { view: self, member });
        Some(View { turn: &member.turn, agent, record: self.record, at: self.at, above })
    }
}

impl View<'_> {
    pub(super) fn agent_id(&self) -> &str {
        match self.above {
            None => &self.record.agent_id,
            Some(_) => &self.agent.config.agent_id,
        }
    }

    pub(super) fn alias_id(&self) -> &str {
        let accepted = self.turn.accepted.as_ref().filter(|_| self.above.is_some());
        accepted.map_or(&self.record.alias_id, |accepted| &accepted.alias_id)
    }

    pub(super) fn agent_version(&self) -> &str {
        match self.above {
            None => &self.record.agent_version,
            Some(_) => &self.agent.config.agent_version,
        }
    }

    /// The id of the turn: the run's own, or a nested turn's.
    pub(super) fn run(&self) -> &str {
        let accepted = self.turn.accepted.as_ref().filter(|_| self.above.is_some());
        accepted.map_or(&self.record.run, |accepted| &accepted.run)
    }

    pub(super) fn begun_at(&self) -> i64 {
        self.above.map_or(self.record.begun_at, |above| above.member.began_at)
    }

    pub(super) fn collaborator(&self) -> Option<String> {
        self.above.map(|above| above.member.collaborator.clone())
    }

    // AWS: the chain begins with the agent that the client invoked and ends with the one that the
    // part is of (user guide, "Track agent's step-by-step reasoning process using trace").
    pub(super) fn caller_chain(&self) -> Vec<Caller> {
        let mut chain = self.above.map(|above| above.view.caller_chain()).unwrap_or_default();
        chain.push(Caller::AgentAliasArn(self.alias_arn()));
        chain
    }

    /// A hand-off is told once for the tree, when the client gets it.
    pub(super) fn parked_parts(&self, parked: &Parked) -> Vec<Out> {
        match self.above {
            Some(_) => Vec::new(),
            None => self.hand_off_parts(parked, &parked.invocation_id),
        }
    }

    fn hand_off_parts(&self, parked: &Parked, invocation_id: &str) -> Vec<Out> {
        let own = self.hand_off_inputs(parked, invocation_id).into_iter();
        let mut parts: Vec<Out> = own.map(|trace| self.part(trace)).collect();
        for id in &parked.members {
            let Some(below) = self.below(id) else { continue };
            let Some(inside) = &below.turn.parked else { continue };
            parts.extend(below.hand_off_parts(inside, invocation_id));
            let output = AgentCollaboratorOutputPayload {
                return_control_payload: Some(below.payload(inside, invocation_id)),
                r#type: Some(PayloadType::ReturnControl),
                text: None,
            };
            let member = &self.turn.team.members[id];
            parts.push(self.part(self.reported(id, member, output, None)));
        }
        parts
    }

    pub(super) fn delegation(&self, delegated: &Delegated) -> Trace {
        let config = &self.agent.config;
        let one = config.collaborators.iter().find(|one| one.name == delegated.collaborator);
        let input = AgentCollaboratorInvocationInput {
            agent_collaborator_alias_arn: one.map(|one| one.alias_arn.clone()),
            agent_collaborator_name: Some(delegated.collaborator.clone()),
            input: Some(AgentCollaboratorInputPayload {
                text: Some(delegated.accepted.input_text.clone()),
                r#type: Some(PayloadType::Text),
                return_control_results: None,
            }),
        };
        let input = InvocationInput {
            agent_collaborator_invocation_input: Some(input),
            invocation_type: Some(InvocationType::AgentCollaborator),
            trace_id: self.use_id(&delegated.tool_use_id),
            ..InvocationInput::default()
        };
        if delegated.tool_use_id == ROUTE {
            return Trace::RoutingClassifierTrace(RoutingClassifierTrace::InvocationInput(input));
        }
        orchestration(OrchestrationTrace::InvocationInput(input))
    }

    /// What a collaborator came back with, or why it did not.
    pub(super) fn report(&self, member: &Member, returned: &ToolReturned) -> Trace {
        let text = match &returned.outcome {
            Outcome::Answered { body, .. } | Outcome::Reprompt { body } => body,
            Outcome::Error { message }
            | Outcome::Failure { message }
            | Outcome::Unknown { message } => message,
        };
        let output = AgentCollaboratorOutputPayload {
            text: Some(text.clone()),
            r#type: Some(PayloadType::Text),
            return_control_payload: None,
        };
        let metadata = Some(self.took(returned.millis));
        self.reported(&returned.tool_use_id, member, output, metadata)
    }

    fn reported(
        &self,
        tool_use_id: &str,
        member: &Member,
        output: AgentCollaboratorOutputPayload,
        metadata: Option<Metadata>,
    ) -> Trace {
        let config = &self.agent.config;
        let one = config.collaborators.iter().find(|one| one.name == member.collaborator);
        let observation = Observation {
            agent_collaborator_invocation_output: Some(AgentCollaboratorInvocationOutput {
                agent_collaborator_alias_arn: one.map(|one| one.alias_arn.clone()),
                agent_collaborator_name: Some(member.collaborator.clone()),
                metadata,
                output: Some(output),
            }),
            trace_id: self.use_id(tool_use_id),
            r#type: Some(Type::AgentCollaborator),
            ..Observation::default()
        };
        if tool_use_id == ROUTE {
            return Trace::RoutingClassifierTrace(RoutingClassifierTrace::Observation(observation));
        }
        orchestration(OrchestrationTrace::Observation(observation))
    }
}

pub(super) fn routing_input(input: ModelInvocationInput) -> Trace {
    let input = ModelInvocationInput { r#type: Some(PromptType::RoutingClassifier), ..input };
    Trace::RoutingClassifierTrace(RoutingClassifierTrace::ModelInvocationInput(input))
}

pub(super) fn routing_output(
    metadata: Option<Metadata>,
    raw_response: Option<RawResponse>,
    trace_id: Option<String>,
) -> Trace {
    let output = RoutingClassifierModelInvocationOutput { metadata, raw_response, trace_id };
    Trace::RoutingClassifierTrace(RoutingClassifierTrace::ModelInvocationOutput(output))
}
