//! Agents: the working draft's settings, and the agent as a whole.

use store::Batch;
use wire::bedrock_agent::types::{
    self as wire_types, AgentStatus, AgentSummary, CreateAgentRequest, CreateAgentResponse,
    DeleteAgentRequest, DeleteAgentResponse, GetAgentRequest, GetAgentResponse, ListAgentsRequest,
    ListAgentsResponse, OrchestrationType, UpdateAgentRequest, UpdateAgentResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::document::{
    self, Agent, AgentAlias, AgentName, AgentVersion, AliasName, DRAFT, Episode, Settings, Status,
    TEST_ALIAS, TEST_ALIAS_NAME, Tags, tenant,
};
use super::feature::Asked;
use super::limits::{ALIASES, IDLE_SESSION_TTL};
use super::page::Page;
use super::write::{self, Once, Stop, retry};
use super::{agent_alias, agent_collaborator, memory, prompt_override, tag};
use crate::cx::Cx;

/// Versions read at once while an agent is deleted.
const VERSIONS_AT_ONCE: usize = 200;

pub(crate) async fn create(
    cx: &Cx,
    input: CreateAgentRequest,
) -> Result<CreateAgentResponse, Fault> {
    let settings = created(&input)?;
    let tags = input.tags.clone().unwrap_or_default();
    tag::check(&tags)?;
    let once = Once::new("CreateAgent", input.client_token.as_deref(), input.clone());
    let token = input.client_token.as_deref();
    let agent = retry(|| try_create(cx, &once, &settings, &tags, token)).await?;
    Ok(CreateAgentResponse { agent: shown(cx, &agent, AgentStatus::Creating) })
}

async fn try_create(
    cx: &Cx,
    once: &Once,
    settings: &Settings,
    tags: &Tags,
    token: Option<&str>,
) -> Result<Agent, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let now = cx.engine.now();
    let agent = Agent {
        client_token: token.map(str::to_owned),
        tags: tags.clone(),
        ..draft(write::new_id(cx), settings.clone(), now)
    };
    let id = &agent.agent_id;
    let mut batch = write::batch(cx);
    once.take(cx, &mut batch, &agent).await?;
    batch.expect_version::<Agent>(id, 0).put(id, &agent);
    claim_name(&mut batch, id, &settings.name);
    let alias = test_alias(id, now);
    batch.put(&AliasName::key(id, &alias.name), &AliasName { alias_id: alias.alias_id.clone() });
    batch.put(&AgentAlias::key(id, &alias.alias_id), &alias);
    cx.engine.store().commit(batch).await?;
    Ok(agent)
}

/// An agent that nobody has saved yet.
pub(crate) fn draft(agent_id: String, settings: Settings, now: i64) -> Agent {
    Agent {
        agent_id,
        client_token: None,
        settings,
        groups: Vec::new(),
        collaborators: Vec::new(),
        status: Status::NotPrepared,
        failure_reasons: Vec::new(),
        created_at: now,
        updated_at: now,
        prepared_at: None,
        last_version: 0,
        tags: Tags::new(),
    }
}

fn claim_name(batch: &mut Batch, agent_id: &str, name: &str) {
    batch.expect_version::<AgentName>(name, 0);
    batch.put(name, &AgentName { agent_id: agent_id.to_owned() });
}

/// AWS: every agent has this alias, it always runs the working draft (user guide, "Deploy an
/// agent").
fn test_alias(agent_id: &str, now: i64) -> AgentAlias {
    AgentAlias {
        agent_id: agent_id.to_owned(),
        alias_id: TEST_ALIAS.to_owned(),
        name: TEST_ALIAS_NAME.to_owned(),
        client_token: None,
        description: Some("Test Alias for Agent".to_owned()),
        version: DRAFT.to_owned(),
        config: None,
        provisioned: None,
        paused: false,
        history: vec![Episode { version: DRAFT.to_owned(), began_at: now, ended_at: None }],
        created_at: now,
        updated_at: now,
        tags: Tags::new(),
    }
}

pub(crate) async fn get(cx: &Cx, input: GetAgentRequest) -> Result<GetAgentResponse, Fault> {
    let agent = document::agent(cx, &input.agent_id).await?.value;
    Ok(GetAgentResponse { agent: shown(cx, &agent, status(agent.status)) })
}

pub(crate) async fn list(cx: &Cx, input: ListAgentsRequest) -> Result<ListAgentsResponse, Fault> {
    let page = Page::open("agents".to_owned(), input.max_results, input.next_token.as_deref())?;
    let rows = cx.engine.store();
    let rows = rows.list::<Agent>(&tenant(cx), "", page.after.as_deref(), page.rows()).await;
    let (agents, next_token) = page.cut(rows.map_err(Fault::internal)?);
    let agent_summaries = agents.iter().map(|agent| summary(&agent.value)).collect();
    Ok(ListAgentsResponse { agent_summaries, next_token })
}

fn summary(agent: &Agent) -> AgentSummary {
    AgentSummary {
        agent_id: agent.agent_id.clone(),
        agent_name: agent.settings.name.clone(),
        agent_status: status(agent.status),
        description: agent.settings.description.clone(),
        updated_at: Timestamp(agent.updated_at),
        latest_agent_version: Some(match agent.last_version {
            0 => DRAFT.to_owned(),
            number => number.to_string(),
        }),
        guardrail_configuration: None,
    }
}

pub(crate) async fn update(
    cx: &Cx,
    input: UpdateAgentRequest,
) -> Result<UpdateAgentResponse, Fault> {
    let settings = updated(&input)?;
    let agent = retry(|| try_update(cx, &input.agent_id, &settings)).await?;
    Ok(UpdateAgentResponse { agent: shown(cx, &agent, AgentStatus::Updating) })
}

async fn try_update(cx: &Cx, id: &str, settings: &Settings) -> Result<Agent, Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, id).await?;
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(id, version);
    if settings.name != agent.settings.name {
        batch.delete::<AgentName>(&agent.settings.name);
        claim_name(&mut batch, id, &settings.name);
    }
    agent.settings = settings.clone();
    agent.touch(cx.engine.now());
    batch.put(id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(agent)
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteAgentRequest,
) -> Result<DeleteAgentResponse, Fault> {
    let skip = input.skip_resource_in_use_check.unwrap_or(false);
    retry(|| try_delete(cx, &input.agent_id, skip)).await?;
    Ok(DeleteAgentResponse { agent_id: input.agent_id, agent_status: AgentStatus::Deleting })
}

async fn try_delete(cx: &Cx, id: &str, skip: bool) -> Result<(), Stop> {
    let agent = document::agent(cx, id).await?;
    let aliases = agent_alias::all(cx, id).await?;
    let used = aliases.iter().map(|alias| &alias.value);
    let used: Vec<&str> =
        used.filter(|a| a.alias_id != TEST_ALIAS).map(|a| a.alias_id.as_str()).collect();
    if !skip && !used.is_empty() {
        return Err(Fault::conflict(format!(
            "agent {id} is in use by its aliases {}; delete them first, or set \
             skipResourceInUseCheck",
            used.join(", ")
        ))
        .into());
    }
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(id, agent.version).delete::<Agent>(id);
    batch.delete::<AgentName>(&agent.value.settings.name);
    for alias in aliases.iter().take(ALIASES).map(|alias| &alias.value) {
        batch.delete::<AliasName>(&AliasName::key(id, &alias.name));
        batch.delete::<AgentAlias>(&AgentAlias::key(id, &alias.alias_id));
        cx.engine.forget_alias(&mut batch, id, &alias.alias_id);
    }
    delete_versions(cx, id, &mut batch).await?;
    cx.engine.store().commit(batch).await?;
    Ok(())
}

async fn delete_versions(cx: &Cx, id: &str, batch: &mut Batch) -> Result<(), Stop> {
    let (prefix, mut after) = (format!("{id}/"), None::<String>);
    loop {
        let store = cx.engine.store();
        let page = store
            .list::<AgentVersion>(&tenant(cx), &prefix, after.as_deref(), VERSIONS_AT_ONCE)
            .await?;
        for (key, _) in &page {
            batch.delete::<AgentVersion>(key);
        }
        match page.last() {
            Some((last, _)) if page.len() == VERSIONS_AT_ONCE => after = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}

pub(crate) fn created(input: &CreateAgentRequest) -> Result<Settings, Fault> {
    Asked::from(input).check()?;
    Ok(Settings {
        name: input.agent_name.clone(),
        instruction: input.instruction.clone(),
        foundation_model: input.foundation_model.clone(),
        description: input.description.clone(),
        role_arn: input.agent_resource_role_arn.clone(),
        idle_session_ttl_seconds: ttl(input.idle_session_ttl_in_seconds),
        collaboration: agent_collaborator::mode(input.agent_collaboration),
        memory: memory::read(input.memory_configuration.as_ref()),
        own_prompts: input
            .prompt_override_configuration
            .as_ref()
            .map(prompt_override::given)
            .transpose()?,
    })
}

/// A PUT: what the update leaves out falls back to its default.
fn updated(input: &UpdateAgentRequest) -> Result<Settings, Fault> {
    Asked::from(input).check()?;
    Ok(Settings {
        name: input.agent_name.clone(),
        instruction: input.instruction.clone(),
        foundation_model: Some(input.foundation_model.clone()),
        description: input.description.clone(),
        role_arn: Some(input.agent_resource_role_arn.clone()),
        idle_session_ttl_seconds: ttl(input.idle_session_ttl_in_seconds),
        collaboration: agent_collaborator::mode(input.agent_collaboration),
        memory: memory::read(input.memory_configuration.as_ref()),
        own_prompts: input
            .prompt_override_configuration
            .as_ref()
            .map(prompt_override::given)
            .transpose()?,
    })
}

fn ttl(asked: Option<i64>) -> u32 {
    asked.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(IDLE_SESSION_TTL)
}

pub(crate) fn arn(cx: &Cx, agent_id: &str) -> String {
    format!("arn:aws:bedrock:{}:{}:agent/{agent_id}", cx.caller.region, cx.caller.account)
}

pub(crate) fn status(status: Status) -> AgentStatus {
    match status {
        Status::NotPrepared => AgentStatus::NotPrepared,
        Status::Prepared => AgentStatus::Prepared,
        Status::Failed => AgentStatus::Failed,
    }
}

/// The agent as clients see it, in a status that may be a passing one.
pub(crate) fn shown(cx: &Cx, agent: &Agent, status: AgentStatus) -> wire_types::Agent {
    let settings = &agent.settings;
    wire_types::Agent {
        agent_id: agent.agent_id.clone(),
        agent_name: settings.name.clone(),
        agent_arn: arn(cx, &agent.agent_id),
        agent_version: DRAFT.to_owned(),
        client_token: agent.client_token.clone(),
        instruction: settings.instruction.clone(),
        agent_status: status,
        foundation_model: settings.foundation_model.clone(),
        description: settings.description.clone(),
        orchestration_type: Some(OrchestrationType::Default),
        custom_orchestration: None,
        idle_session_ttl_in_seconds: i64::from(settings.idle_session_ttl_seconds),
        agent_resource_role_arn: settings.role_arn.clone().unwrap_or_default(),
        customer_encryption_key_arn: None,
        created_at: Timestamp(agent.created_at),
        updated_at: Timestamp(agent.updated_at),
        prepared_at: agent.prepared_at.map(Timestamp),
        failure_reasons: Some(agent.failure_reasons.clone()).filter(|reasons| !reasons.is_empty()),
        recommended_actions: None,
        prompt_override_configuration: Some(prompt_override::shown(settings.own_prompts.as_ref())),
        guardrail_configuration: None,
        memory_configuration: settings.memory.as_ref().map(memory::shown),
        agent_collaboration: Some(agent_collaborator::shown_mode(settings.collaboration)),
    }
}
