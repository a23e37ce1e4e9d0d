//! An agent that an InvokeInlineAgent request brings along, be it the one that is invoked or a
//! collaborator.
//!
//! It is read by the functions that read CreateAgent and CreateAgentActionGroup and that prepare an
//! agent, so that an inline agent takes and refuses what any other does. It never becomes a
//! resource: only the pinned configuration is kept, under its digest, for the turns that name it.

use std::collections::BTreeSet;

use craton_core::agent::config::{AgentConfig, Collaboration, Executor, Stage};
use engine::kept::KeepError;
use engine::record::Pinned;
use engine::request::INLINE;
use wire::bedrock_agent::types::{self as build_time, CreateAgentRequest, GuardrailConfiguration};
use wire::bedrock_agent_runtime::types::{
    AgentActionGroup, Collaborator, CollaboratorConfiguration, GuardrailConfigurationWithArn,
    InvokeInlineAgentRequest, KnowledgeBase, PromptConfiguration, PromptOverrideConfiguration,
    PromptType,
};
use wire::fault::Fault;
use wire::shape::Shape;

use crate::bedrock_agent::document::{self, DRAFT, Settings, tenant};
use crate::bedrock_agent::feature::refused;
use crate::bedrock_agent::limits::ACTION_GROUPS;
use crate::bedrock_agent::prompt_override::{self, Prompts};
use crate::bedrock_agent::{action_group, agent, agent_collaborator, listing, prepare};
use crate::cx::Cx;

/// What a request says alike of its agent and of each of the collaborators that it brings.
pub(super) struct Described<'a> {
    created: CreateAgentRequest,
    prompts: Option<Prompts>,
    groups: &'a [AgentActionGroup],
    knowledge_bases: &'a [KnowledgeBase],
    pub(super) collaboration: Collaboration,
    pub(super) team: &'a [CollaboratorConfiguration],
}

/// The agent that is invoked, in the form in which its collaborators are described.
pub(super) fn invoked(input: &InvokeInlineAgentRequest) -> Collaborator {
    Collaborator {
        action_groups: input.action_groups.clone(),
        agent_collaboration: input.agent_collaboration,
        agent_name: input.agent_name.clone(),
        collaborator_configurations: input.collaborator_configurations.clone(),
        customer_encryption_key_arn: input.customer_encryption_key_arn.clone(),
        foundation_model: input.foundation_model.clone(),
        guardrail_configuration: input.guardrail_configuration.clone(),
        idle_session_ttl_in_seconds: input.idle_session_ttl_in_seconds,
        instruction: input.instruction.clone(),
        knowledge_bases: input.knowledge_bases.clone(),
        prompt_override_configuration: input.prompt_override_configuration.clone(),
    }
}

impl<'a> Described<'a> {
    pub(super) fn of(input: &'a Collaborator) -> Result<Self, Fault> {
        let created = CreateAgentRequest {
            agent_name: input.agent_name.clone().unwrap_or_else(|| INLINE.to_owned()),
            instruction: Some(input.instruction.clone()),
            foundation_model: Some(input.foundation_model.clone()),
            idle_session_ttl_in_seconds: input.idle_session_ttl_in_seconds,
            customer_encryption_key_arn: input.customer_encryption_key_arn.clone(),
            guardrail_configuration: guardrail(input.guardrail_configuration.as_ref()),
            ..blank()
        };
        let asked = input.prompt_override_configuration.as_ref();
        Ok(Described {
            created,
            prompts: asked.map(prompts).transpose()?,
            groups: input.action_groups.as_deref().unwrap_or_default(),
            knowledge_bases: input.knowledge_bases.as_deref().unwrap_or_default(),
            collaboration: agent_collaborator::mode(alike(input.agent_collaboration)?),
            team: input.collaborator_configurations.as_deref().unwrap_or_default(),
        })
    }

    /// With what only the agent that is invoked may ask for.
    pub(super) fn orchestrated(mut self, input: &InvokeInlineAgentRequest) -> Result<Self, Fault> {
        self.created.orchestration_type = alike(input.orchestration_type)?;
        self.created.custom_orchestration = alike(input.custom_orchestration.clone())?;
        Ok(self)
    }

    /// The configuration that a turn runs, but for the collaborators.
    pub(super) async fn config(&self, cx: &Cx) -> Result<AgentConfig, Fault> {
        check_knowledge_bases(self.knowledge_bases)?;
        let own_prompts = self.prompts.clone();
        let settings = Settings { own_prompts, ..agent::created(&self.created)? };
        let mut draft = agent::draft(INLINE.to_owned(), settings, cx.engine.now());
        draft.groups = groups(cx, self.groups).await?;
        for group in &draft.groups {
            if let Some(Executor::Lambda(function)) = &group.executor {
                cx.authorize("lambda:InvokeFunction", function)?;
            }
        }
        let listed = listing::take(cx, &mut draft.groups).await;
        listed.map_err(|why| Fault::new("DependencyFailedException", 424, why))?;
        let config = prepare::pinned(&draft, DRAFT)?.config;
        authorize(cx, &config)?;
        Ok(config)
    }
}

/// An inline agent has no role, so its models and its parser are its caller's to use, like the
/// functions of its groups.
fn authorize(cx: &Cx, config: &AgentConfig) -> Result<(), Fault> {
    let stages = config.stages.iter().filter_map(|stage| stage.model.as_ref());
    for model in stages.chain([&config.model]) {
        let arn = match model.starts_with("arn:") {
            true => model.clone(),
            false => format!("arn:aws:bedrock:{}::foundation-model/{model}", cx.caller.region),
        };
        cx.authorize("bedrock:InvokeModel", &arn)?;
    }
    config.parser.iter().try_for_each(|arn| cx.authorize("lambda:InvokeFunction", arn))
}

/// Keeps a configuration for turns that name it by the digest that comes back.
pub(super) async fn keep(cx: &Cx, config: AgentConfig) -> Result<String, Fault> {
    let kept = cx.engine.keep(&tenant(cx), &Pinned { config }).await;
    kept.map_err(|error| match error {
        KeepError::Unfit(problem) => Fault::validation(problem.to_string()),
        KeepError::Store(error) => Fault::internal(error),
    })
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

/// Prompts of an inline agent: those of any agent, and the routing classifier's, which only the
/// run-time API has.
fn prompts(asked: &PromptOverrideConfiguration) -> Result<Prompts, Fault> {
    let settings = asked.prompt_configurations.iter().map(|prompt| {
        let kind = prompt.prompt_type.ok_or_else(|| {
            let field = "promptOverrideConfiguration.promptConfigurations.promptType";
            Fault::validation(format!("{field} must be set"))
        })?;
        let same = PromptConfiguration { prompt_type: None, ..prompt.clone() };
        let same = alike(Some(same))?.unwrap_or_default();
        Ok::<(Stage, build_time::PromptConfiguration), Fault>((stage(kind), same))
    });
    let settings: Vec<_> = settings.collect::<Result<_, _>>()?;
    let settings: Vec<_> = settings.iter().map(|(stage, prompt)| (*stage, prompt)).collect();
    prompt_override::taken(
        &settings,
        asked.override_lambda.as_deref().filter(|arn| !arn.is_empty()),
    )
}

fn stage(kind: PromptType) -> Stage {
    match kind {
        PromptType::PreProcessing => Stage::PreProcessing,
        PromptType::Orchestration => Stage::Orchestration,
        PromptType::KnowledgeBaseResponseGeneration => Stage::KnowledgeBaseResponseGeneration,
        PromptType::PostProcessing => Stage::PostProcessing,
        PromptType::RoutingClassifier => Stage::RoutingClassifier,
    }
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
