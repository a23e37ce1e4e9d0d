//! Numbered versions: immutable copies of a prepared draft. Aliases cut them; here they are read
//! and deleted.

use wire::bedrock_agent::types::{
    self as wire_types, AgentStatus, AgentVersionSummary, DeleteAgentVersionRequest,
    DeleteAgentVersionResponse, GetAgentVersionRequest, GetAgentVersionResponse,
    ListAgentVersionsRequest, ListAgentVersionsResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::document::{self, Agent, AgentVersion, DRAFT, tenant};
use super::page::Page;
use super::write::{self, Stop, retry};
use super::{agent, agent_alias, agent_collaborator, memory, prompt_override};
use crate::cx::Cx;

pub(crate) async fn get(
    cx: &Cx,
    input: GetAgentVersionRequest,
) -> Result<GetAgentVersionResponse, Fault> {
    let version = document::version(cx, &input.agent_id, &input.agent_version).await?;
    Ok(GetAgentVersionResponse { agent_version: shown(cx, &version) })
}

/// The draft, then the numbers from the newest on.
pub(crate) async fn list(
    cx: &Cx,
    input: ListAgentVersionsRequest,
) -> Result<ListAgentVersionsResponse, Fault> {
    let id = &input.agent_id;
    let list = format!("versions/{id}");
    let page = Page::open(list, input.max_results, input.next_token.as_deref())?;
    let agent = document::agent(cx, id).await?.value;
    let mut rows = Vec::new();
    if page.after.is_none() {
        rows.push((DRAFT.to_owned(), draft(&agent)));
    }
    let before = page.after.as_deref().filter(|after| *after != DRAFT);
    let (prefix, store) = (format!("{id}/"), cx.engine.store());
    let read = store.list_back::<AgentVersion>(&tenant(cx), &prefix, before, page.rows()).await;
    let read = read.map_err(Fault::internal)?;
    rows.extend(read.into_iter().map(|(key, version)| (key, summary(&version.value))));
    let (agent_version_summaries, next_token) = page.cut(rows);
    Ok(ListAgentVersionsResponse { agent_version_summaries, next_token })
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteAgentVersionRequest,
) -> Result<DeleteAgentVersionResponse, Fault> {
    let skip = input.skip_resource_in_use_check.unwrap_or(false);
    retry(|| try_delete(cx, &input.agent_id, &input.agent_version, skip)).await?;
    Ok(DeleteAgentVersionResponse {
        agent_id: input.agent_id,
        agent_version: input.agent_version,
        agent_status: AgentStatus::Deleting,
    })
}

async fn try_delete(cx: &Cx, id: &str, version: &str, skip: bool) -> Result<(), Stop> {
    let holder = document::agent(cx, id).await?;
    let number = document::version(cx, id, version).await?.number;
    let aliases = agent_alias::all(cx, id).await?;
    let users = aliases.iter().map(|alias| &alias.value);
    let users: Vec<&str> = users
        .filter(|alias| alias.version == number.to_string())
        .map(|alias| alias.alias_id.as_str())
        .collect();
    if !skip && !users.is_empty() {
        return Err(Fault::conflict(format!(
            "version {number} of agent {id} is in use by its aliases {}; route them to another \
             version first, or set skipResourceInUseCheck",
            users.join(", ")
        ))
        .into());
    }
    let mut batch = write::batch(cx);
    // Aliases are routed under the agent's version too, so none comes to use this one meanwhile.
    batch.expect_version::<Agent>(id, holder.version).put(id, &holder.value);
    batch.delete::<AgentVersion>(&AgentVersion::key(id, number));
    cx.engine.store().commit(batch).await?;
    Ok(())
}

fn draft(of: &Agent) -> AgentVersionSummary {
    AgentVersionSummary {
        agent_name: of.settings.name.clone(),
        agent_status: agent::status(of.status),
        agent_version: DRAFT.to_owned(),
        created_at: Timestamp(of.created_at),
        updated_at: Timestamp(of.updated_at),
        description: of.settings.description.clone(),
        guardrail_configuration: None,
    }
}

fn summary(version: &AgentVersion) -> AgentVersionSummary {
    AgentVersionSummary {
        agent_name: version.settings.name.clone(),
        agent_status: AgentStatus::Prepared,
        agent_version: version.number.to_string(),
        created_at: Timestamp(version.created_at),
        updated_at: Timestamp(version.created_at),
        description: version.settings.description.clone(),
        guardrail_configuration: None,
    }
}

fn shown(cx: &Cx, version: &AgentVersion) -> wire_types::AgentVersion {
    let settings = &version.settings;
    wire_types::AgentVersion {
        agent_id: version.agent_id.clone(),
        agent_name: settings.name.clone(),
        agent_arn: agent::arn(cx, &version.agent_id),
        version: version.number.to_string(),
        instruction: settings.instruction.clone(),
        agent_status: AgentStatus::Prepared,
        foundation_model: settings.foundation_model.clone(),
        description: settings.description.clone(),
        idle_session_ttl_in_seconds: i64::from(settings.idle_session_ttl_seconds),
        agent_resource_role_arn: settings.role_arn.clone().unwrap_or_default(),
        customer_encryption_key_arn: None,
        created_at: Timestamp(version.created_at),
        updated_at: Timestamp(version.created_at),
        failure_reasons: None,
        recommended_actions: None,
        prompt_override_configuration: Some(prompt_override::shown(settings.own_prompts.as_ref())),
        guardrail_configuration: None,
        memory_configuration: settings.memory.as_ref().map(memory::shown),
        agent_collaboration: Some(agent_collaborator::shown_mode(settings.collaboration)),
    }
}
