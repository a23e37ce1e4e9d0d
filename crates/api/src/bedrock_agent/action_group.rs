//! Action groups: the tools of an agent's working draft, and of its versions to read.
//!
//! A schema is compiled when it arrives, by the compiler that turns use, so that a client hears
//! what is wrong with it here and not in the middle of a conversation.

use std::collections::BTreeMap;

use craton_core::agent::config::{self, Executor, Parameter, ParameterKind, Schema};
use craton_core::agent::tool;
use wire::bedrock_agent::types::{
    APISchema, ActionGroupExecutor, ActionGroupSignature, ActionGroupState, ActionGroupSummary,
    AgentActionGroup, CreateAgentActionGroupRequest, CreateAgentActionGroupResponse,
    CustomControlMethod, DeleteAgentActionGroupRequest, DeleteAgentActionGroupResponse, Function,
    FunctionSchema, GetAgentActionGroupRequest, GetAgentActionGroupResponse,
    ListAgentActionGroupsRequest, ListAgentActionGroupsResponse, ParameterDetail,
    RequireConfirmation, S3Identifier, Type, UpdateAgentActionGroupRequest,
    UpdateAgentActionGroupResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::built_in;
use super::document::{self, ActionGroup, Agent, DRAFT};
use super::limits::{ACTION_GROUPS, SCHEMA_BYTES};
use super::page::Page;
use super::write::{self, Once, Stop, retry};
use crate::cx::Cx;

pub(crate) async fn create(
    cx: &Cx,
    input: CreateAgentActionGroupRequest,
) -> Result<CreateAgentActionGroupResponse, Fault> {
    let once = Once::new("CreateAgentActionGroup", input.client_token.as_deref(), input.clone());
    let client_token = input.client_token;
    let asked = Asked {
        name: input.action_group_name,
        description: input.description,
        signature: input.parent_action_group_signature,
        params: input.parent_action_group_signature_params,
        enabled: input.action_group_state != Some(ActionGroupState::Disabled),
        executor: input.action_group_executor,
        api: input.api_schema,
        functions: input.function_schema,
    };
    let asked = ActionGroup { client_token, ..read(cx, asked).await? };
    check(&asked)?;
    let made = retry(|| try_create(cx, &input.agent_id, &once, &asked)).await?;
    Ok(CreateAgentActionGroupResponse { agent_action_group: shown(&input.agent_id, DRAFT, &made) })
}

async fn try_create(
    cx: &Cx,
    agent_id: &str,
    once: &Once,
    asked: &ActionGroup,
) -> Result<ActionGroup, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    check_name(&agent, &asked.name, "")?;
    if agent.groups.len() >= ACTION_GROUPS {
        let message =
            format!("agent {agent_id} has {ACTION_GROUPS} action groups, the most allowed");
        return Err(Fault::quota(message).into());
    }
    let now = cx.engine.now();
    let id = write::new_id(cx);
    let made = ActionGroup { id, created_at: now, updated_at: now, ..asked.clone() };
    agent.groups.push(made.clone());
    agent.touch(now);
    let mut batch = write::batch(cx);
    once.take(cx, &mut batch, &made).await?;
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(made)
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetAgentActionGroupRequest,
) -> Result<GetAgentActionGroupResponse, Fault> {
    let groups = groups(cx, &input.agent_id, &input.agent_version).await?;
    let id = &input.action_group_id;
    let group = groups.iter().find(|group| group.id == *id);
    let group = group.ok_or_else(|| document::missing("action group", id))?;
    let agent_action_group = shown(&input.agent_id, &input.agent_version, group);
    Ok(GetAgentActionGroupResponse { agent_action_group })
}

/// In the order of creation.
pub(crate) async fn list(
    cx: &Cx,
    input: ListAgentActionGroupsRequest,
) -> Result<ListAgentActionGroupsResponse, Fault> {
    let list = format!("action-groups/{}/{}", input.agent_id, input.agent_version);
    let page = Page::open(list, input.max_results, input.next_token.as_deref())?;
    let groups = groups(cx, &input.agent_id, &input.agent_version).await?;
    let key = |group: &ActionGroup| format!("{:015}/{}", group.created_at, group.id);
    let mut rows: Vec<_> = groups.iter().map(|group| (key(group), summary(group))).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (action_group_summaries, next_token) = page.of(rows);
    Ok(ListAgentActionGroupsResponse { action_group_summaries, next_token })
}

async fn groups(cx: &Cx, agent_id: &str, version: &str) -> Result<Vec<ActionGroup>, Fault> {
    if version == DRAFT {
        return Ok(document::agent(cx, agent_id).await?.value.groups);
    }
    Ok(document::version(cx, agent_id, version).await?.groups)
}

fn summary(group: &ActionGroup) -> ActionGroupSummary {
    ActionGroupSummary {
        action_group_id: group.id.clone(),
        action_group_name: group.name.clone(),
        action_group_state: state(group),
        description: group.description.clone(),
        updated_at: Timestamp(group.updated_at),
    }
}

pub(crate) async fn update(
    cx: &Cx,
    input: UpdateAgentActionGroupRequest,
) -> Result<UpdateAgentActionGroupResponse, Fault> {
    let asked = Asked {
        name: input.action_group_name,
        description: input.description,
        signature: input.parent_action_group_signature,
        params: input.parent_action_group_signature_params,
        enabled: input.action_group_state != Some(ActionGroupState::Disabled),
        executor: input.action_group_executor,
        api: input.api_schema,
        functions: input.function_schema,
    };
    let (id, updated_at) = (input.action_group_id, cx.engine.now());
    let asked = ActionGroup { id, updated_at, ..read(cx, asked).await? };
    check(&asked)?;
    let made = retry(|| try_update(cx, &input.agent_id, &asked)).await?;
    Ok(UpdateAgentActionGroupResponse { agent_action_group: shown(&input.agent_id, DRAFT, &made) })
}

/// A PUT: what the update leaves out is gone.
async fn try_update(cx: &Cx, agent_id: &str, asked: &ActionGroup) -> Result<ActionGroup, Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    check_name(&agent, &asked.name, &asked.id)?;
    let group = agent.groups.iter_mut().find(|group| group.id == asked.id);
    let group = group.ok_or_else(|| document::missing("action group", &asked.id))?;
    let (client_token, created_at) = (group.client_token.take(), group.created_at);
    *group = ActionGroup { client_token, created_at, ..asked.clone() };
    let made = group.clone();
    agent.touch(asked.updated_at);
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(made)
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteAgentActionGroupRequest,
) -> Result<DeleteAgentActionGroupResponse, Fault> {
    let skip = input.skip_resource_in_use_check.unwrap_or(false);
    retry(|| try_delete(cx, &input.agent_id, &input.action_group_id, skip)).await?;
    Ok(DeleteAgentActionGroupResponse {})
}

async fn try_delete(cx: &Cx, agent_id: &str, id: &str, skip: bool) -> Result<(), Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, agent_id).await?;
    let group = agent.group(id).ok_or_else(|| document::missing("action group", id))?;
    if group.enabled && !skip {
        // AWS: seen in awslabs/generative-ai-cdk-constructs issue 626.
        let message = format!(
            "ActionGroup with name {} cannot be deleted when it is Enabled. Either use \
             SkipResourceInUseCheckOnDelete flag or mark it as Disabled.",
            group.name
        );
        return Err(Fault::validation(message).into());
    }
    agent.groups.retain(|group| group.id != id);
    agent.touch(cx.engine.now());
    let mut batch = write::batch(cx);
    batch.expect_version::<Agent>(agent_id, version).put(agent_id, &agent);
    cx.engine.store().commit(batch).await?;
    Ok(())
}

fn check_name(agent: &Agent, name: &str, except: &str) -> Result<(), Fault> {
    if agent.groups.iter().any(|group| group.name == name && group.id != except) {
        let message = format!("agent {} has an action group named {name} already", agent.agent_id);
        return Err(Fault::conflict(message));
    }
    Ok(())
}

/// A group as a client describes it, in whichever of its requests.
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) signature: Option<ActionGroupSignature>,
    pub(crate) params: Option<BTreeMap<String, String>>,
    pub(crate) enabled: bool,
    pub(crate) executor: Option<ActionGroupExecutor>,
    pub(crate) api: Option<APISchema>,
    pub(crate) functions: Option<FunctionSchema>,
}

/// The group that is asked for, without an id or times. An enabled one can be performed; whether
/// its schema compiles is not looked at yet.
pub(crate) async fn read(cx: &Cx, asked: Asked) -> Result<ActionGroup, Fault> {
    built_in::check(&asked)?;
    let schema_from = schema_from(asked.api.as_ref())?;
    let group = ActionGroup {
        id: String::new(),
        client_token: None,
        signature: asked.signature.map(|signature| signature.as_str().to_owned()),
        description: asked.description,
        enabled: asked.enabled,
        executor: asked.executor.map(executor),
        schema: schema(cx, &asked.name, asked.api, asked.functions).await?,
        schema_from,
        listing: None,
        name: asked.name,
        created_at: 0,
        updated_at: 0,
    };
    check_complete(cx, &group)?;
    Ok(group)
}

fn check_complete(cx: &Cx, group: &ActionGroup) -> Result<(), Fault> {
    let complete = match (&group.executor, &group.schema) {
        (Some(_), Some(_)) => true,
        // The server says itself which tools there are.
        (Some(Executor::Lambda(function)), None) => {
            cx.engine.tools().mcp_server(function).is_some()
        }
        (Some(Executor::ReturnControl) | None, _) => false,
    };
    if group.signature.is_none() && group.enabled && !complete {
        return Err(Fault::validation(format!(
            "action group {} is enabled and needs an actionGroupExecutor, and either an apiSchema \
             or a functionSchema",
            group.name
        )));
    }
    Ok(())
}

/// A schema compiles, whatever the group's state.
fn check(group: &ActionGroup) -> Result<(), Fault> {
    let Some(group) = runnable(group) else { return Ok(()) };
    match tool::compile(&[group]) {
        Ok(_) => Ok(()),
        Err(problem) => Err(Fault::validation(problem.to_string())),
    }
}

/// The group as turns use it.
pub(crate) fn runnable(group: &ActionGroup) -> Option<config::ActionGroup> {
    let schema = match &group.listing {
        Some(listing) => Schema::Mcp(listing.clone()),
        None => group.schema.clone()?,
    };
    Some(config::ActionGroup {
        id: group.id.clone(),
        name: group.name.clone(),
        description: group.description.clone(),
        executor: group.executor.clone()?,
        schema,
    })
}

fn executor(asked: ActionGroupExecutor) -> Executor {
    match asked {
        ActionGroupExecutor::Lambda(arn) => Executor::Lambda(arn),
        ActionGroupExecutor::CustomControl(CustomControlMethod::ReturnControl) => {
            Executor::ReturnControl
        }
    }
}

/// The schema's text, wherever it lies.
async fn schema(
    cx: &Cx,
    group: &str,
    api: Option<APISchema>,
    functions: Option<FunctionSchema>,
) -> Result<Option<Schema>, Fault> {
    match (api, functions) {
        (Some(_), Some(_)) => Err(Fault::validation(
            "an action group has either an apiSchema or a functionSchema, not both",
        )),
        (Some(APISchema::Payload(text)), None) => Ok(Some(Schema::OpenApi(text))),
        (Some(APISchema::S3(place)), None) => {
            let (bucket, key) = location(&place)?;
            Ok(Some(Schema::OpenApi(text_of(cx, group, &bucket, &key).await?)))
        }
        (None, Some(FunctionSchema::Functions(list))) => {
            Ok(Some(Schema::Functions(list.into_iter().map(function).collect())))
        }
        (None, None) => Ok(None),
    }
}

fn schema_from(api: Option<&APISchema>) -> Result<Option<(String, String)>, Fault> {
    match api {
        Some(APISchema::S3(place)) => location(place).map(Some),
        Some(APISchema::Payload(_)) | None => Ok(None),
    }
}

fn location(place: &S3Identifier) -> Result<(String, String), Fault> {
    match (place.s3_bucket_name.clone(), place.s3_object_key.clone()) {
        (Some(bucket), Some(key)) => Ok((bucket, key)),
        _ => Err(Fault::validation("apiSchema.s3 needs both s3BucketName and s3ObjectKey")),
    }
}

/// AWS: the schema is read when the group is made or changed, and this is said where it cannot be
/// (awslabs/generative-ai-cdk-constructs issue 1086). A later change of the object needs an update.
async fn text_of(cx: &Cx, group: &str, bucket: &str, key: &str) -> Result<String, Fault> {
    cx.authorize_object(bucket, key)?;
    let read = cx.engine.buckets().read(bucket, key, SCHEMA_BYTES).await;
    let text = read.map_err(|error| error.to_string()).and_then(|body| {
        String::from_utf8(body.to_vec()).map_err(|_| "it is not UTF-8".to_owned())
    });
    text.map_err(|why| {
        Fault::validation(format!(
            "Failed to create OpenAPI 3 model from the JSON/YAML object that you provided for \
             action {group}: s3://{bucket}/{key}: {why}"
        ))
    })
}

fn function(asked: Function) -> config::Function {
    let parameter = |(name, asked): (String, ParameterDetail)| {
        let kind = match asked.r#type {
            Type::String => ParameterKind::String,
            Type::Number => ParameterKind::Number,
            Type::Integer => ParameterKind::Integer,
            Type::Boolean => ParameterKind::Boolean,
            Type::Array => ParameterKind::Array,
        };
        let required = asked.required.unwrap_or(false);
        (name, Parameter { kind, description: asked.description, required })
    };
    let parameters = asked.parameters.unwrap_or_default().into_iter().map(parameter).collect();
    config::Function {
        name: asked.name,
        description: asked.description,
        parameters,
        confirm: asked.require_confirmation == Some(RequireConfirmation::Enabled),
    }
}

fn state(group: &ActionGroup) -> ActionGroupState {
    if group.enabled { ActionGroupState::Enabled } else { ActionGroupState::Disabled }
}

fn shown(agent_id: &str, version: &str, group: &ActionGroup) -> AgentActionGroup {
    let (api_schema, function_schema) = match group.schema.clone() {
        Some(Schema::OpenApi(text)) => {
            let place = group.schema_from.clone().map(|(bucket, key)| S3Identifier {
                s3_bucket_name: Some(bucket),
                s3_object_key: Some(key),
            });
            (Some(place.map_or(APISchema::Payload(text), APISchema::S3)), None)
        }
        Some(Schema::Functions(list)) => {
            let functions = list.into_iter().map(shown_function).collect();
            (None, Some(FunctionSchema::Functions(functions)))
        }
        Some(Schema::Mcp(_)) | None => (None, None),
    };
    AgentActionGroup {
        agent_id: agent_id.to_owned(),
        agent_version: version.to_owned(),
        action_group_id: group.id.clone(),
        action_group_name: group.name.clone(),
        client_token: group.client_token.clone(),
        description: group.description.clone(),
        created_at: Timestamp(group.created_at),
        updated_at: Timestamp(group.updated_at),
        parent_action_signature: built_in::shown(group),
        parent_action_group_signature_params: None,
        action_group_executor: group.executor.clone().map(|executor| match executor {
            Executor::Lambda(arn) => ActionGroupExecutor::Lambda(arn),
            Executor::ReturnControl => {
                ActionGroupExecutor::CustomControl(CustomControlMethod::ReturnControl)
            }
        }),
        api_schema,
        function_schema,
        action_group_state: state(group),
    }
}

fn shown_function(function: config::Function) -> Function {
    let confirm = match function.confirm {
        true => RequireConfirmation::Enabled,
        false => RequireConfirmation::Disabled,
    };
    let parameter = |(name, parameter): (String, Parameter)| {
        let r#type = match parameter.kind {
            ParameterKind::String => Type::String,
            ParameterKind::Number => Type::Number,
            ParameterKind::Integer => Type::Integer,
            ParameterKind::Boolean => Type::Boolean,
            ParameterKind::Array => Type::Array,
        };
        let (description, required) = (parameter.description, Some(parameter.required));
        (name, ParameterDetail { description, r#type, required })
    };
    Function {
        name: function.name,
        description: function.description,
        parameters: Some(function.parameters.into_iter().map(parameter).collect()),
        require_confirmation: Some(confirm),
    }
}
