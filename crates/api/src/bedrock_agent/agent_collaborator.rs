//! Collaborators of a supervisor: aliases of other agents that it may ask, part of its working draft
//! and of the versions that are cut from it.
//!
//! An alias is looked at here when it is associated and again when a turn begins, because it may
//! lead elsewhere by then.

use craton_core::agent::config::{Collaboration, Collaborator};
use wire::arn::Arn;
use wire::bedrock_agent::types::{
    self as wire_types, AgentCollaboration, AgentCollaboratorSummary, AgentDescriptor,
    AssociateAgentCollaboratorRequest, AssociateAgentCollaboratorResponse,
    DisassociateAgentCollaboratorRequest, DisassociateAgentCollaboratorResponse,
    GetAgentCollaboratorRequest, GetAgentCollaboratorResponse, ListAgentCollaboratorsRequest,
    ListAgentCollaboratorsResponse, RelayConversationHistory, UpdateAgentCollaboratorRequest,
    UpdateAgentCollaboratorResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::document::{self, Agent, AgentAlias, AgentCollaborator, DRAFT, TEST_ALIAS, tenant};
use super::limits::COLLABORATORS;
use super::page::Page;
use super::write::{self, Once, Stop, retry};
use crate::cx::Cx;

/// Agents read at once where all of them are looked through.
const AGENTS_AT_ONCE: usize = 200;

pub(crate) async fn associate(
    cx: &Cx,
    input: AssociateAgentCollaboratorRequest,
) -> Result<AssociateAgentCollaboratorResponse, Fault> {
    let once =
        Once::new("AssociateAgentCollaborator", input.client_token.as_deref(), input.clone());
    let asked = AgentCollaborator {
        id: String::new(),
        name: input.collaborator_name,
        client_token: input.client_token,
        instruction: input.collaboration_instruction,
        relay: relays(input.relay_conversation_history),
        alias_arn: alias_arn(input.agent_descriptor)?,
        created_at: 0,
        updated_at: 0,
    };
    let made = retry(|| try_associate(cx, &input.agent_id, &once, &asked)).await?;
    let agent_collaborator = shown(&input.agent_id, DRAFT, &made);
    Ok(AssociateAgentCollaboratorResponse { agent_collaborator })
}

async fn try_associate(
    cx: &Cx,
    agent_id: &str,
    once: &Once,
    asked: &AgentCollaborator,
) -> Result<AgentCollaborator, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    check(cx, &agent, asked).await?;
    if agent.collaborators.len() >= COLLABORATORS {
        let message =
            format!("agent {agent_id} has {COLLABORATORS} collaborators, the most allowed");
        return Err(Fault::quota(message).into());
    }
    let now = cx.engine.now();
    let id = write::new_id(cx);
    let made = AgentCollaborator { id, created_at: now, updated_at: now, ..asked.clone() };
    agent.collaborators.push(made.clone());
    agent.touch(now);
    let mut batch = write::batch(cx);
    once.take(cx, &mut batch, &made).await?;
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(made)
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetAgentCollaboratorRequest,
) -> Result<GetAgentCollaboratorResponse, Fault> {
    let all = all(cx, &input.agent_id, &input.agent_version).await?;
    let id = &input.collaborator_id;
    let one = all.iter().find(|one| one.id == *id);
    let one = one.ok_or_else(|| document::missing("agent collaborator", id))?;
    let agent_collaborator = shown(&input.agent_id, &input.agent_version, one);
    Ok(GetAgentCollaboratorResponse { agent_collaborator })
}

/// In the order of association.
pub(crate) async fn list(
    cx: &Cx,
    input: ListAgentCollaboratorsRequest,
) -> Result<ListAgentCollaboratorsResponse, Fault> {
    let (agent_id, version) = (&input.agent_id, &input.agent_version);
    let list = format!("collaborators/{agent_id}/{version}");
    let page = Page::open(list, input.max_results, input.next_token.as_deref())?;
    let all = all(cx, agent_id, version).await?;
    let key = |one: &AgentCollaborator| format!("{:015}/{}", one.created_at, one.id);
    let row = |one: &AgentCollaborator| (key(one), summary(agent_id, version, one));
    let mut rows: Vec<_> = all.iter().map(row).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (agent_collaborator_summaries, next_token) = page.of(rows);
    Ok(ListAgentCollaboratorsResponse { agent_collaborator_summaries, next_token })
}

async fn all(cx: &Cx, agent_id: &str, version: &str) -> Result<Vec<AgentCollaborator>, Fault> {
    if version == DRAFT {
        return Ok(document::agent(cx, agent_id).await?.value.collaborators);
    }
    Ok(document::version(cx, agent_id, version).await?.collaborators)
}

/// A PUT: what the update leaves out falls back to its default.
pub(crate) async fn update(
    cx: &Cx,
    input: UpdateAgentCollaboratorRequest,
) -> Result<UpdateAgentCollaboratorResponse, Fault> {
    let asked = AgentCollaborator {
        id: input.collaborator_id,
        name: input.collaborator_name,
        client_token: None,
        instruction: input.collaboration_instruction,
        relay: relays(input.relay_conversation_history),
        alias_arn: alias_arn(input.agent_descriptor)?,
        created_at: 0,
        updated_at: cx.engine.now(),
    };
    let made = retry(|| try_update(cx, &input.agent_id, &asked)).await?;
    let agent_collaborator = shown(&input.agent_id, DRAFT, &made);
    Ok(UpdateAgentCollaboratorResponse { agent_collaborator })
}

async fn try_update(
    cx: &Cx,
    agent_id: &str,
    asked: &AgentCollaborator,
) -> Result<AgentCollaborator, Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    let place = agent.collaborators.iter().position(|one| one.id == asked.id);
    let place = place.ok_or_else(|| document::missing("agent collaborator", &asked.id))?;
    check(cx, &agent, asked).await?;
    let one = &mut agent.collaborators[place];
    let (client_token, created_at) = (one.client_token.take(), one.created_at);
    *one = AgentCollaborator { client_token, created_at, ..asked.clone() };
    let made = one.clone();
    agent.touch(asked.updated_at);
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(made)
}

pub(crate) async fn disassociate(
    cx: &Cx,
    input: DisassociateAgentCollaboratorRequest,
) -> Result<DisassociateAgentCollaboratorResponse, Fault> {
    retry(|| try_disassociate(cx, &input.agent_id, &input.collaborator_id)).await?;
    Ok(DisassociateAgentCollaboratorResponse {})
}

async fn try_disassociate(cx: &Cx, agent_id: &str, id: &str) -> Result<(), Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    let before = agent.collaborators.len();
    agent.collaborators.retain(|one| one.id != id);
    if agent.collaborators.len() == before {
        return Err(document::missing("agent collaborator", id).into());
    }
    agent.touch(cx.engine.now());
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(())
}

/// What AWS's model cannot say of a collaborator.
async fn check(cx: &Cx, agent: &Agent, asked: &AgentCollaborator) -> Result<(), Fault> {
    let agent_id = &agent.agent_id;
    if agent.settings.collaboration == Collaboration::Disabled {
        return Err(Fault::validation(format!(
            "agent {agent_id} has agentCollaboration DISABLED; set it to SUPERVISOR or \
             SUPERVISOR_ROUTER with UpdateAgent before it gets collaborators"
        )));
    }
    let taken = |one: &&AgentCollaborator| one.name == asked.name && one.id != asked.id;
    if agent.collaborators.iter().any(|one| taken(&one)) {
        return Err(Fault::conflict(format!(
            "agent {agent_id} has a collaborator named {} already",
            asked.name
        )));
    }
    let (target, alias_id) = target(cx, &asked.alias_arn)?;
    if target == *agent_id {
        let message = format!("agent {agent_id} cannot be a collaborator of itself");
        return Err(Fault::validation(message));
    }
    // AWS: a collaborator is asked under an alias that leads to a version (user guide, "Create
    // multi-agent collaboration": associate the alias version of the collaborator agents).
    if alias_id == TEST_ALIAS {
        return Err(Fault::validation(format!(
            "Value '{}' at 'agentDescriptor.aliasArn' names the alias of a working draft; create an \
             alias of agent {target} and associate that",
            asked.alias_arn
        )));
    }
    check_circle(cx, agent_id, &document::alias(cx, &target, &alias_id).await?.value).await
}

/// Refuses an alias below which the agent would come to ask itself.
async fn check_circle(cx: &Cx, agent_id: &str, alias: &AgentAlias) -> Result<(), Fault> {
    let (mut seen, mut open) = (vec![alias.agent_id.clone()], vec![alias.clone()]);
    while let Some(alias) = open.pop() {
        for below in below(cx, &alias).await? {
            if below.agent_id == agent_id {
                return Err(Fault::validation(format!(
                    "agent {agent_id} works for agent {} already, which cannot work for it in turn",
                    alias.agent_id
                )));
            }
            if !seen.contains(&below.agent_id) {
                seen.push(below.agent_id.clone());
                open.push(below);
            }
        }
    }
    Ok(())
}

/// The aliases that an alias's version may ask and that still exist.
async fn below(cx: &Cx, alias: &AgentAlias) -> Result<Vec<AgentAlias>, Fault> {
    let mut aliases = Vec::new();
    for one in all(cx, &alias.agent_id, &alias.version).await.unwrap_or_default() {
        let Ok((agent, id)) = target(cx, &one.alias_arn) else { continue };
        let key = AgentAlias::key(&agent, &id);
        let found = cx.engine.store().get::<AgentAlias>(&tenant(cx), &key).await;
        aliases.extend(found.map_err(Fault::internal)?.map(|found| found.value));
    }
    Ok(aliases)
}

/// Refuses to delete an alias by which a supervisor's working draft asks its agent.
pub(crate) async fn expect_unused(cx: &Cx, alias_arn: &str) -> Result<(), Fault> {
    let mut after = None::<String>;
    loop {
        let store = cx.engine.store();
        let page = store.list::<Agent>(&tenant(cx), "", after.as_deref(), AGENTS_AT_ONCE).await;
        let page = page.map_err(Fault::internal)?;
        let uses = |agent: &Agent| agent.collaborators.iter().any(|c| c.alias_arn == alias_arn);
        if let Some((id, _)) = page.iter().find(|(_, agent)| uses(&agent.value)) {
            return Err(Fault::conflict(format!(
                "alias {alias_arn} is in use as a collaborator of agent {id}; disassociate it there \
                 first"
            )));
        }
        match page.last() {
            Some((last, _)) if page.len() == AGENTS_AT_ONCE => after = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}

/// The agent and the alias that an ARN names in this account and region.
pub(crate) fn target(cx: &Cx, alias_arn: &str) -> Result<(String, String), Fault> {
    let named = Arn::parse(alias_arn)
        .ok()
        .filter(|arn| arn.account == cx.caller.account && arn.region == cx.caller.region);
    let ids = named.as_ref().and_then(|arn| {
        let (agent, alias) = arn.resource.strip_prefix("agent-alias/")?.split_once('/')?;
        Some((agent.to_owned(), alias.to_owned()))
    });
    ids.ok_or_else(|| {
        Fault::validation(format!(
            "Value '{alias_arn}' at 'agentDescriptor.aliasArn' names no alias of account {} in {}",
            cx.caller.account, cx.caller.region
        ))
    })
}

fn alias_arn(descriptor: AgentDescriptor) -> Result<String, Fault> {
    descriptor.alias_arn.filter(|arn| !arn.is_empty()).ok_or_else(|| {
        Fault::validation("agentDescriptor.aliasArn must name the alias of the collaborator")
    })
}

fn relays(asked: Option<RelayConversationHistory>) -> bool {
    asked == Some(RelayConversationHistory::ToCollaborator)
}

/// The draft's team as turns use it.
pub(crate) fn team(agent: &Agent) -> Result<Vec<Collaborator>, Fault> {
    if agent.settings.collaboration == Collaboration::Disabled {
        return Ok(Vec::new());
    }
    // AWS: refuses to prepare a supervisor without collaborators
    // (hashicorp/terraform-provider-aws issue 43059).
    if agent.collaborators.is_empty() {
        return Err(Fault::validation(format!(
            "agent {} supervises ('agentCollaboration') and has no collaborator; associate one with \
             AssociateAgentCollaborator, or set agentCollaboration to DISABLED",
            agent.agent_id
        )));
    }
    Ok(agent.collaborators.iter().map(runnable).collect())
}

fn runnable(one: &AgentCollaborator) -> Collaborator {
    let mut ids = one.alias_arn.rsplit('/');
    let (alias_id, agent_id) = (ids.next(), ids.next());
    Collaborator {
        name: one.name.clone(),
        instruction: one.instruction.clone(),
        relay: one.relay,
        agent_id: agent_id.unwrap_or_default().to_owned(),
        alias_id: alias_id.unwrap_or_default().to_owned(),
        alias_arn: one.alias_arn.clone(),
        config: String::new(),
    }
}

pub(crate) fn mode(asked: Option<AgentCollaboration>) -> Collaboration {
    match asked {
        None | Some(AgentCollaboration::Disabled) => Collaboration::Disabled,
        Some(AgentCollaboration::Supervisor) => Collaboration::Supervisor,
        Some(AgentCollaboration::SupervisorRouter) => Collaboration::SupervisorRouter,
    }
}

pub(crate) fn shown_mode(mode: Collaboration) -> AgentCollaboration {
    match mode {
        Collaboration::Disabled => AgentCollaboration::Disabled,
        Collaboration::Supervisor => AgentCollaboration::Supervisor,
        Collaboration::SupervisorRouter => AgentCollaboration::SupervisorRouter,
    }
}

fn shown_relay(one: &AgentCollaborator) -> RelayConversationHistory {
    match one.relay {
        true => RelayConversationHistory::ToCollaborator,
        false => RelayConversationHistory::Disabled,
    }
}

fn descriptor(one: &AgentCollaborator) -> AgentDescriptor {
    AgentDescriptor { alias_arn: Some(one.alias_arn.clone()) }
}

// AWS: agentId and agentVersion are the supervisor's, as they were asked for (Terraform reads them
// back into the arguments that it made the collaborator with).
fn shown(agent_id: &str, version: &str, one: &AgentCollaborator) -> wire_types::AgentCollaborator {
    wire_types::AgentCollaborator {
        agent_id: agent_id.to_owned(),
        agent_version: version.to_owned(),
        agent_descriptor: descriptor(one),
        collaborator_id: one.id.clone(),
        collaboration_instruction: one.instruction.clone(),
        collaborator_name: one.name.clone(),
        created_at: Timestamp(one.created_at),
        last_updated_at: Timestamp(one.updated_at),
        relay_conversation_history: Some(shown_relay(one)),
        client_token: one.client_token.clone(),
    }
}

fn summary(agent_id: &str, version: &str, one: &AgentCollaborator) -> AgentCollaboratorSummary {
    AgentCollaboratorSummary {
        agent_id: agent_id.to_owned(),
        agent_version: version.to_owned(),
        collaborator_id: one.id.clone(),
        agent_descriptor: descriptor(one),
        collaboration_instruction: one.instruction.clone(),
        relay_conversation_history: shown_relay(one),
        collaborator_name: one.name.clone(),
        created_at: Timestamp(one.created_at),
        last_updated_at: Timestamp(one.updated_at),
    }
}
