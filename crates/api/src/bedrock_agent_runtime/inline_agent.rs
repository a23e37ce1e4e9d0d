//! An agent that an InvokeInlineAgent request brings along, be it the one that is invoked or a
//! collaborator.
//!
//! It is read by the functions that read CreateAgent and CreateAgentActionGroup and that prepare an
//! agent, so that an inline agent takes and refuses what any other does. It never becomes a
//! resource: only the pinned configuration is kept, under its digest, for the turns that name it.

use std::collections::BTreeSet;

use craton_core::agent::config::{AgentConfig, Collaboration};
use craton_core::agent::turn;
use engine::record::Pinned;
use wire::bedrock_agent::types::{CreateAgentRequest, GuardrailConfiguration};
use wire::bedrock_agent_runtime::types::{
    AgentActionGroup, Collaborator, CollaboratorConfiguration, GuardrailConfigurationWithArn,
    InvokeInlineAgentRequest, KnowledgeBase, PromptOverrideConfiguration, PromptType,
};
use wire::fault::Fault;
use wire::shape::Shape;

use crate::bedrock_agent::document::{self, DRAFT, tenant};
use crate::bedrock_agent::feature::refused;
use crate::bedrock_agent::limits::ACTION_GROUPS;
use crate::bedrock_agent::{action_group, agent, agent_collaborator, prepare, write};
use crate::cx::Cx;

/// AWS: what stands where an agent's id does (`agentId` of a hand-off in the tests of
/// awslabs/amazon-bedrock-agent-samples, the alias ARN of a trace in aws/aws-sdk-go-v2 issue 3218).
pub(super) const INLINE: &str = "INLINE_AGENT";

/// What a request says alike of its agent and of each of the collaborators that it brings.
pub(super) struct Described<'a> {
    created: CreateAgentRequest,
    groups: &'a [AgentActionGroup],
    knowledge_bases: &'a [KnowledgeBase],
    pub(super) collaboration: Collaboration,
    pub(super) team: &'a [CollaboratorConfiguration],
}

impl<'a> Described<'a> {
    pub(super) fn of_request(input: &'a InvokeInlineAgentRequest) -> Result<Self, Fault> {
        let created = CreateAgentRequest {
            agent_name: named(input.agent_name.as_deref()),
            instruction: Some(input.instruction.clone()),
            foundation_model: Some(input.foundation_model.clone()),
            orchestration_type: alike(input.orchestration_type)?,
            custom_orchestration: alike(input.custom_orchestration.clone())?,
            idle_session_ttl_in_seconds: input.idle_session_ttl_in_seconds,
            customer_encryption_key_arn: input.customer_encryption_key_arn.clone(),
            prompt_override_configuration: prompts(input.prompt_override_configuration.as_ref())?,
            guardrail_configuration: guardrail(input.guardrail_configuration.as_ref()),
            ..blank()
        };
        Ok(Described {
            created,
            groups: input.action_groups.as_deref().unwrap_or_default(),
            knowledge_bases: input.knowledge_bases.as_deref().unwrap_or_default(),
            collaboration: agent_collaborator::mode(alike(input.agent_collaboration)?),
            team: input.collaborator_configurations.as_deref().unwrap_or_default(),
        })
    }

    pub(super) fn of_collaborator(input: &'a Collaborator) -> Result<Self, Fault> {
        let created = CreateAgentRequest {
            agent_name: named(input.agent_name.as_deref()),
            instruction: Some(input.instruction.clone()),
            foundation_model: Some(input.foundation_model.clone()),
            idle_session_ttl_in_seconds: input.idle_session_ttl_in_seconds,
            customer_encryption_key_arn: input.customer_encryption_key_arn.clone(),
            prompt_override_configuration: prompts(input.prompt_override_configuration.as_ref())?,
            guardrail_configuration: guardrail(input.guardrail_configuration.as_ref()),
            ..blank()
        };
        Ok(Described {
            created,
            groups: input.action_groups.as_deref().unwrap_or_default(),
            knowledge_bases: input.knowledge_bases.as_deref().unwrap_or_default(),
            collaboration: agent_collaborator::mode(alike(input.agent_collaboration)?),
            team: input.collaborator_configurations.as_deref().unwrap_or_default(),
        })
    }

    /// The configuration that a turn runs, but for the collaborators.
    pub(super) async fn config(&self, cx: &Cx) -> Result<AgentConfig, Fault> {
        check_knowledge_bases(self.knowledge_bases)?;
        let settings = agent::created(&self.created)?;
        let mut draft = agent::draft(INLINE.to_owned(), settings, cx.engine.now());
        draft.groups = groups(cx, self.groups).await?;
        Ok(prepare::pinned(&draft, DRAFT)?.config)
    }
}

/// Keeps a configuration for turns that name it. One that is kept already was compiled before.
pub(super) async fn keep(cx: &Cx, config: AgentConfig) -> Result<String, Fault> {
    let pinned = Pinned { config };
    let (store, digest) = (cx.engine.store(), pinned.digest());
    let known = store.get::<Pinned>(&tenant(cx), &digest).await.map_err(Fault::internal)?;
    if known.is_none() {
        turn::Agent::new(pinned.config.clone())
            .map_err(|problem| Fault::validation(problem.to_string()))?;
        let mut batch = write::batch(cx);
        batch.put(&digest, &pinned);
        store.commit(batch).await.map_err(Fault::internal)?;
    }
    Ok(digest)
}

fn named(name: Option<&str>) -> String {
    name.unwrap_or(INLINE).to_owned()
}

/// What no inline agent has, or what is read elsewhere.
fn blank() -> CreateAgentRequest {
    CreateAgentRequest {
        agent_name: String::new(),
        client_token: None,
        instruction: None,
        foundation_model: None,
        description: None,
        orchestration_type: None,
        custom_orchestration: None,
        idle_session_ttl_in_seconds: None,
        agent_resource_role_arn: None,
        customer_encryption_key_arn: None,
        tags: None,
        prompt_override_configuration: None,
        guardrail_configuration: None,
        memory_configuration: None,
        agent_collaboration: None,
    }
}

fn guardrail(asked: Option<&GuardrailConfigurationWithArn>) -> Option<GuardrailConfiguration> {
    asked.map(|asked| GuardrailConfiguration {
        guardrail_identifier: Some(asked.guardrail_identifier.clone()),
        guardrail_version: Some(asked.guardrail_version.clone()),
    })
}

/// A shape of the run-time model as the one of the build-time model that has the same members.
fn alike<A: Shape, B: Shape>(shape: Option<A>) -> Result<Option<B>, Fault> {
    let same = shape.map(|shape| B::from_value(shape.into_value())).transpose();
    same.map_err(Fault::internal)
}

fn prompts<B: Shape>(asked: Option<&PromptOverrideConfiguration>) -> Result<Option<B>, Fault> {
    let mut configurations = asked.iter().flat_map(|asked| &asked.prompt_configurations);
    let routing = |kind| kind == Some(PromptType::RoutingClassifier);
    if configurations.any(|prompt| routing(prompt.prompt_type)) {
        let field = "promptOverrideConfiguration.promptConfigurations.promptType";
        return Err(refused(field, "ROUTING_CLASSIFIER", "agents that supervise other agents"));
    }
    alike(asked.cloned())
}

fn check_knowledge_bases(asked: &[KnowledgeBase]) -> Result<(), Fault> {
    match asked.first() {
        Some(base) => {
            let (field, feature) = ("knowledgeBases", "knowledge bases of agents");
            Err(refused(field, &base.knowledge_base_id, feature))
        }
        None => Ok(()),
    }
}

async fn groups(cx: &Cx, asked: &[AgentActionGroup]) -> Result<Vec<document::ActionGroup>, Fault> {
    if asked.len() > ACTION_GROUPS {
        let message = format!(
            "{} action groups at 'actionGroups' are more than {ACTION_GROUPS}",
            asked.len()
        );
        return Err(Fault::quota(message));
    }
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for group in asked {
        let name = &group.action_group_name;
        if !names.insert(name) {
            let message = format!("'actionGroups' holds two action groups named {name}");
            return Err(Fault::validation(message));
        }
        let read = action_group::read(cx, as_asked(group.clone())?).await?;
        // It has no id of its own, and one that were drawn would change the digest.
        groups.push(document::ActionGroup { id: name.clone(), ..read });
    }
    Ok(groups)
}

fn as_asked(group: AgentActionGroup) -> Result<action_group::Asked, Fault> {
    Ok(action_group::Asked {
        name: group.action_group_name,
        description: group.description,
        signature: alike(group.parent_action_group_signature)?,
        params: group.parent_action_group_signature_params,
        enabled: true,
        executor: alike(group.action_group_executor)?,
        api: alike(group.api_schema)?,
        functions: alike(group.function_schema)?,
    })
}
