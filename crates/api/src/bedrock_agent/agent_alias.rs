//! Aliases: names that lead to a version. Making one without a route cuts the next version.

use store::{Batch, Page as Rows, StoreError, Versioned};
use wire::bedrock_agent::types::{
    self as wire_types, AgentAliasHistoryEvent, AgentAliasRoutingConfigurationListItem,
    AgentAliasStatus, AgentAliasSummary, AliasInvocationState, CreateAgentAliasRequest,
    CreateAgentAliasResponse, DeleteAgentAliasRequest, DeleteAgentAliasResponse,
    GetAgentAliasRequest, GetAgentAliasResponse, ListAgentAliasesRequest, ListAgentAliasesResponse,
    UpdateAgentAliasRequest, UpdateAgentAliasResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::document::{
    self, Agent, AgentAlias, AgentVersion, AliasName, DRAFT, Episode, Status, TEST_ALIAS, Tags,
    tenant,
};
use super::limits::{ALIASES, HISTORY, VERSIONS};
use super::page::Page;
use super::write::{self, Once, Stop, retry};
use super::{agent_collaborator, prepare, tag};
use crate::cx::Cx;

type Routing = Option<Vec<AgentAliasRoutingConfigurationListItem>>;

pub(crate) async fn create(
    cx: &Cx,
    input: CreateAgentAliasRequest,
) -> Result<CreateAgentAliasResponse, Fault> {
    let route = asked_route(&input.routing_configuration)?;
    let tags = input.tags.clone().unwrap_or_default();
    tag::check_without_settings(&tags, "aliases")?;
    let once = Once::new("CreateAgentAlias", input.client_token.as_deref(), input.clone());
    let alias = retry(|| try_create(cx, &input, &once, route, &tags)).await?;
    Ok(CreateAgentAliasResponse { agent_alias: shown(cx, &alias, AgentAliasStatus::Creating) })
}

async fn try_create(
    cx: &Cx,
    input: &CreateAgentAliasRequest,
    once: &Once,
    route: Option<u32>,
    tags: &Tags,
) -> Result<AgentAlias, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let id = &input.agent_id;
    let mut agent = document::agent(cx, id).await?;
    if all(cx, id).await?.len() >= ALIASES {
        let message = format!("agent {id} has {ALIASES} aliases, the most allowed");
        return Err(Fault::quota(message).into());
    }
    let mut edits = write::batch(cx);
    let route = routed(cx, &mut agent.value, route, &mut edits, "Create").await?;
    let Route { version, config } = route;
    let now = cx.engine.now();
    let alias = AgentAlias {
        agent_id: id.clone(),
        alias_id: write::new_id(cx),
        name: input.agent_alias_name.clone(),
        client_token: input.client_token.clone(),
        description: input.description.clone(),
        history: vec![Episode { version: version.clone(), began_at: now, ended_at: None }],
        version,
        config: Some(config),
        provisioned: provisioned(&input.routing_configuration),
        paused: false,
        created_at: now,
        updated_at: now,
        tags: tags.clone(),
    };
    once.take(cx, &mut edits, &alias).await?;
    let key = AgentAlias::key(id, &alias.alias_id);
    edits.expect_version::<AgentAlias>(&key, 0);
    claim_name(&mut edits, &alias);
    save(cx, edits, &agent, &alias).await?;
    Ok(alias)
}

pub(crate) async fn update(
    cx: &Cx,
    input: UpdateAgentAliasRequest,
) -> Result<UpdateAgentAliasResponse, Fault> {
    if input.agent_alias_id == TEST_ALIAS {
        return Err(Fault::validation(format!(
            "Value '{TEST_ALIAS}' at 'agentAliasId' is the built-in alias, which always leads to \
             the working draft and cannot be changed"
        )));
    }
    let route = asked_route(&input.routing_configuration)?;
    let alias = retry(|| try_update(cx, &input, route)).await?;
    Ok(UpdateAgentAliasResponse { agent_alias: shown(cx, &alias, AgentAliasStatus::Updating) })
}

async fn try_update(
    cx: &Cx,
    input: &UpdateAgentAliasRequest,
    route: Option<u32>,
) -> Result<AgentAlias, Stop> {
    let id = &input.agent_id;
    let mut agent = document::agent(cx, id).await?;
    let Versioned { version, value: mut alias } =
        document::alias(cx, id, &input.agent_alias_id).await?;
    let mut edits = write::batch(cx);
    edits.expect_version::<AgentAlias>(&AgentAlias::key(id, &alias.alias_id), version);
    // Pausing and resuming alone leaves the route as it is. Ours: AWS does not say.
    let paused = input.alias_invocation_state.map(|s| s == AliasInvocationState::RejectInvocations);
    let only_state = route.is_none() && paused.is_some_and(|paused| paused != alias.paused);
    if !only_state {
        // AWS: without a route an update cuts a version, as a create does
        // (awslabs/generative-ai-cdk-constructs pull request 1116).
        let route = routed(cx, &mut agent.value, route, &mut edits, "Update").await?;
        alias.lead(route, cx.engine.now());
    }
    if input.routing_configuration.is_some() {
        alias.provisioned = provisioned(&input.routing_configuration);
    }
    alias.paused = paused.unwrap_or(alias.paused);
    if alias.name != input.agent_alias_name {
        edits.delete::<AliasName>(&AliasName::key(id, &alias.name));
        alias.name.clone_from(&input.agent_alias_name);
        claim_name(&mut edits, &alias);
    }
    alias.description.clone_from(&input.description);
    alias.updated_at = cx.engine.now();
    save(cx, edits, &agent, &alias).await?;
    Ok(alias)
}

/// Writes the alias, and the agent with it: whoever counts on the agent's aliases or versions
/// sees that they changed.
async fn save(
    cx: &Cx,
    mut batch: Batch,
    agent: &Versioned<Agent>,
    alias: &AgentAlias,
) -> Result<(), Stop> {
    let id = &alias.agent_id;
    batch.expect_version::<Agent>(id, agent.version).put(id, &agent.value);
    batch.put(&AgentAlias::key(id, &alias.alias_id), alias);
    Ok(cx.engine.store().commit(batch).await?)
}

fn claim_name(batch: &mut Batch, alias: &AgentAlias) {
    let key = AliasName::key(&alias.agent_id, &alias.name);
    batch.expect_version::<AliasName>(&key, 0);
    batch.put(&key, &AliasName { alias_id: alias.alias_id.clone() });
}

impl AgentAlias {
    fn lead(&mut self, Route { version, config }: Route, now: i64) {
        if self.version == version {
            return;
        }
        if let Some(last) = self.history.last_mut() {
            last.ended_at = Some(now);
        }
        self.history.push(Episode { version: version.clone(), began_at: now, ended_at: None });
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
        self.version = version;
        self.config = Some(config);
    }
}

/// A version and the digest of what it runs with.
struct Route {
    version: String,
    config: String,
}

/// The version that a request routes to, by number.
fn asked_route(routing: &Routing) -> Result<Option<u32>, Fault> {
    let Some(route) = routing.as_ref().and_then(|routes| routes.first()) else { return Ok(None) };
    match route.agent_version.as_deref() {
        None => Ok(None),
        // AWS: a route to the draft is refused (hashicorp/terraform-provider-awscc pull request
        // 1657); the test alias leads there.
        Some(DRAFT) => Err(Fault::validation(format!(
            "Value '{DRAFT}' at 'routingConfiguration.agentVersion' is not a numbered version; \
             use alias {TEST_ALIAS} to run the working draft"
        ))),
        Some(number) => Ok(Some(number.parse().unwrap_or(0))),
    }
}

/// The provisioned throughput that a request names. Which places it stands for is the operator's to say
/// (`[rates.provisioned]`).
fn provisioned(routing: &Routing) -> Option<String> {
    let route = routing.as_ref()?.first()?;
    route.provisioned_throughput.clone().filter(|arn| !arn.is_empty())
}

/// The version to lead to: the one that was asked for, or a new one.
async fn routed(
    cx: &Cx,
    agent: &mut Agent,
    route: Option<u32>,
    edits: &mut Batch,
    verb: &str,
) -> Result<Route, Stop> {
    if let Some(number) = route {
        let version = document::version(cx, &agent.agent_id, &number.to_string()).await?;
        return Ok(Route { version: version.number.to_string(), config: version.config });
    }
    cut(cx, agent, edits, verb)
}

fn cut(cx: &Cx, agent: &mut Agent, edits: &mut Batch, verb: &str) -> Result<Route, Stop> {
    let state = match agent.status {
        Status::Prepared => None,
        Status::NotPrepared => Some("NOT_PREPARED"),
        Status::Failed => Some("FAILED"),
    };
    if let Some(state) = state {
        return Err(Fault::validation(format!(
            "{verb} operation can't be performed on AgentAlias when Agent is in {state} state. \
             Prepare agent {} first, or route the alias to a version that exists.",
            agent.agent_id
        ))
        .into());
    }
    if agent.last_version >= VERSIONS {
        let message = format!("agent {} has used up its version numbers", agent.agent_id);
        return Err(Fault::quota(message).into());
    }
    agent.last_version += 1;
    let number = agent.last_version;
    let pinned = prepare::pinned(agent, &number.to_string())?;
    let config = pinned.digest();
    edits.put(&config, &pinned);
    let version = AgentVersion {
        agent_id: agent.agent_id.clone(),
        number,
        settings: agent.settings.clone(),
        groups: agent.groups.clone(),
        collaborators: agent.collaborators.clone(),
        created_at: cx.engine.now(),
        config: config.clone(),
    };
    let key = AgentVersion::key(&agent.agent_id, number);
    edits.expect_version::<AgentVersion>(&key, 0).put(&key, &version);
    Ok(Route { version: number.to_string(), config })
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetAgentAliasRequest,
) -> Result<GetAgentAliasResponse, Fault> {
    let alias = document::alias(cx, &input.agent_id, &input.agent_alias_id).await?.value;
    Ok(GetAgentAliasResponse { agent_alias: shown(cx, &alias, AgentAliasStatus::Prepared) })
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListAgentAliasesRequest,
) -> Result<ListAgentAliasesResponse, Fault> {
    let id = &input.agent_id;
    let list = format!("aliases/{id}");
    let page = Page::open(list, input.max_results, input.next_token.as_deref())?;
    document::agent(cx, id).await?;
    let (prefix, store) = (format!("{id}/"), cx.engine.store());
    let (tenant, after) = (tenant(cx), page.after.as_deref());
    let rows = store.list::<AgentAlias>(&tenant, &prefix, after, page.rows()).await;
    let (aliases, next_token) = page.cut(rows.map_err(Fault::internal)?);
    let agent_alias_summaries = aliases.iter().map(|alias| summary(&alias.value)).collect();
    Ok(ListAgentAliasesResponse { agent_alias_summaries, next_token })
}

/// All aliases of an agent, which [`ALIASES`] bounds.
pub(crate) async fn all(cx: &Cx, agent_id: &str) -> Result<Vec<Versioned<AgentAlias>>, StoreError> {
    let (prefix, store) = (format!("{agent_id}/"), cx.engine.store());
    let rows: Rows<AgentAlias> = store.list(&tenant(cx), &prefix, None, ALIASES + 1).await?;
    Ok(rows.into_iter().map(|(_, alias)| alias).collect())
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteAgentAliasRequest,
) -> Result<DeleteAgentAliasResponse, Fault> {
    if input.agent_alias_id == TEST_ALIAS {
        // AWS: refuses the built-in alias (awslabs/amazon-bedrock-agent-samples issue 137).
        return Err(Fault::validation(format!(
            "Value '{TEST_ALIAS}' at 'agentAliasId' is the built-in alias, which lives as long as \
             its agent"
        )));
    }
    retry(|| try_delete(cx, &input)).await?;
    Ok(DeleteAgentAliasResponse {
        agent_id: input.agent_id,
        agent_alias_id: input.agent_alias_id,
        agent_alias_status: AgentAliasStatus::Deleting,
    })
}

async fn try_delete(cx: &Cx, input: &DeleteAgentAliasRequest) -> Result<(), Stop> {
    let alias = document::alias(cx, &input.agent_id, &input.agent_alias_id).await?;
    agent_collaborator::expect_unused(cx, &arn(cx, &alias.value)).await?;
    let key = AgentAlias::key(&input.agent_id, &input.agent_alias_id);
    let mut batch = write::batch(cx);
    batch.expect_version::<AgentAlias>(&key, alias.version).delete::<AgentAlias>(&key);
    batch.delete::<AliasName>(&AliasName::key(&input.agent_id, &alias.value.name));
    cx.engine.forget_alias(&mut batch, &input.agent_id, &input.agent_alias_id);
    Ok(cx.engine.store().commit(batch).await?)
}

pub(crate) fn arn(cx: &Cx, alias: &AgentAlias) -> String {
    arn_of(cx, &alias.agent_id, &alias.alias_id)
}

pub(crate) fn arn_of(cx: &Cx, agent: &str, id: &str) -> String {
    let (region, account) = (&cx.caller.region, &cx.caller.account);
    format!("arn:aws:bedrock:{region}:{account}:agent-alias/{agent}/{id}")
}

fn shown_route(
    version: &str,
    provisioned: Option<&String>,
) -> Vec<AgentAliasRoutingConfigurationListItem> {
    vec![AgentAliasRoutingConfigurationListItem {
        agent_version: Some(version.to_owned()),
        provisioned_throughput: provisioned.cloned(),
    }]
}

fn invocation_state(alias: &AgentAlias) -> AliasInvocationState {
    if alias.paused {
        AliasInvocationState::RejectInvocations
    } else {
        AliasInvocationState::AcceptInvocations
    }
}

fn summary(alias: &AgentAlias) -> AgentAliasSummary {
    AgentAliasSummary {
        agent_alias_id: alias.alias_id.clone(),
        agent_alias_name: alias.name.clone(),
        description: alias.description.clone(),
        routing_configuration: Some(shown_route(&alias.version, alias.provisioned.as_ref())),
        agent_alias_status: AgentAliasStatus::Prepared,
        created_at: Timestamp(alias.created_at),
        updated_at: Timestamp(alias.updated_at),
        alias_invocation_state: Some(invocation_state(alias)),
    }
}

fn shown(cx: &Cx, alias: &AgentAlias, status: AgentAliasStatus) -> wire_types::AgentAlias {
    let event = |episode: &Episode| AgentAliasHistoryEvent {
        routing_configuration: Some(shown_route(&episode.version, None)),
        start_date: Some(Timestamp(episode.began_at)),
        end_date: episode.ended_at.map(Timestamp),
    };
    wire_types::AgentAlias {
        agent_id: alias.agent_id.clone(),
        agent_alias_id: alias.alias_id.clone(),
        agent_alias_name: alias.name.clone(),
        agent_alias_arn: arn(cx, alias),
        client_token: alias.client_token.clone(),
        description: alias.description.clone(),
        routing_configuration: shown_route(&alias.version, alias.provisioned.as_ref()),
        created_at: Timestamp(alias.created_at),
        updated_at: Timestamp(alias.updated_at),
        agent_alias_history_events: Some(alias.history.iter().map(event).collect()),
        agent_alias_status: status,
        failure_reasons: None,
        alias_invocation_state: Some(invocation_state(alias)),
    }
}
