//! The table of every operation that Craton serves: one row each, to the function that answers it.
//!
//! A test compares the rows with the operations that the models mark as served.

use futures_core::future::BoxFuture;
use wire::fault::Fault;
use wire::value::Value;

use crate::cx::Cx;
use crate::reply::Reply;
use crate::{bedrock, bedrock_agent, bedrock_agent_runtime, bedrock_runtime, iam, lambda, sts};

/// Takes the decoded and validated input.
pub type Handler = fn(Cx, Value) -> BoxFuture<'static, Result<Reply, Fault>>;

pub struct Row {
    /// As in [`wire::model::Service::name`].
    pub service: &'static str,
    pub operation: &'static str,
    pub handler: Handler,
}

pub fn find(service: &str, operation: &str) -> Option<Handler> {
    let row = ROWS.iter().find(|row| row.operation == operation && row.service == service)?;
    Some(row.handler)
}

/// `"service": { Operation => module::function, … }`. A function is
/// `async fn(&Cx, Input) -> Result<Output, Fault>`, Output being the generated type or a [`Reply`].
macro_rules! ops {
    ($($service:literal: { $($operation:ident => $function:path),* $(,)? })*) => {
        pub static ROWS: &[Row] = &[$($(Row {
            service: $service,
            operation: stringify!($operation),
            handler: |cx, input| Box::pin(async move {
                let input = wire::shape::Shape::from_value(input).map_err(Fault::internal)?;
                $function(&cx, input).await.map(crate::reply::IntoReply::into_reply)
            }),
        },)*)*];
    };
}

ops! {
    "bedrock": {
        ListFoundationModels => bedrock::foundation_model::list,
        GetFoundationModel => bedrock::foundation_model::get,
        GetFoundationModelAvailability => bedrock::foundation_model::availability,
        CreateInferenceProfile => bedrock::inference_profile::create,
        GetInferenceProfile => bedrock::inference_profile::get,
        ListInferenceProfiles => bedrock::inference_profile::list,
        DeleteInferenceProfile => bedrock::inference_profile::delete,
        CreatePromptRouter => bedrock::prompt_router::create,
        GetPromptRouter => bedrock::prompt_router::get,
        ListPromptRouters => bedrock::prompt_router::list,
        DeletePromptRouter => bedrock::prompt_router::delete,
        TagResource => bedrock::tag::tag,
        UntagResource => bedrock::tag::untag,
        ListTagsForResource => bedrock::tag::list,
    }
    "bedrock-agent": {
        CreateAgent => bedrock_agent::agent::create,
        GetAgent => bedrock_agent::agent::get,
        ListAgents => bedrock_agent::agent::list,
        UpdateAgent => bedrock_agent::agent::update,
        DeleteAgent => bedrock_agent::agent::delete,
        PrepareAgent => bedrock_agent::prepare::prepare,
        CreateAgentActionGroup => bedrock_agent::action_group::create,
        GetAgentActionGroup => bedrock_agent::action_group::get,
        ListAgentActionGroups => bedrock_agent::action_group::list,
        UpdateAgentActionGroup => bedrock_agent::action_group::update,
        DeleteAgentActionGroup => bedrock_agent::action_group::delete,
        GetAgentVersion => bedrock_agent::agent_version::get,
        ListAgentVersions => bedrock_agent::agent_version::list,
        DeleteAgentVersion => bedrock_agent::agent_version::delete,
        CreateAgentAlias => bedrock_agent::agent_alias::create,
        GetAgentAlias => bedrock_agent::agent_alias::get,
        ListAgentAliases => bedrock_agent::agent_alias::list,
        UpdateAgentAlias => bedrock_agent::agent_alias::update,
        DeleteAgentAlias => bedrock_agent::agent_alias::delete,
        ListAgentCollaborators => bedrock_agent::agent_collaborator::list,
        AssociateAgentCollaborator => bedrock_agent::agent_collaborator::associate,
        DisassociateAgentCollaborator => bedrock_agent::agent_collaborator::disassociate,
        GetAgentCollaborator => bedrock_agent::agent_collaborator::get,
        UpdateAgentCollaborator => bedrock_agent::agent_collaborator::update,
        ListAgentKnowledgeBases => bedrock_agent::agent_knowledge_base::list,
        TagResource => bedrock_agent::tag::tag,
        UntagResource => bedrock_agent::tag::untag,
        ListTagsForResource => bedrock_agent::tag::list,
        CreatePrompt => bedrock_agent::prompt::create,
        CreatePromptVersion => bedrock_agent::prompt::create_version,
        GetPrompt => bedrock_agent::prompt::get,
        ListPrompts => bedrock_agent::prompt::list,
        UpdatePrompt => bedrock_agent::prompt::update,
        DeletePrompt => bedrock_agent::prompt::delete,
    }
    "bedrock-agent-runtime": {
        DeleteAgentMemory => bedrock_agent_runtime::agent_memory::delete,
        GetAgentMemory => bedrock_agent_runtime::agent_memory::get,
        InvokeAgent => bedrock_agent_runtime::invoke_agent::invoke,
        InvokeInlineAgent => bedrock_agent_runtime::invoke_inline_agent::invoke,
    }
    "bedrock-runtime": {
        Converse => bedrock_runtime::converse::converse,
        ConverseStream => bedrock_runtime::converse_stream::converse_stream,
        CountTokens => bedrock_runtime::count_tokens::count_tokens,
        InvokeModel => bedrock_runtime::invoke::whole::invoke_model,
        InvokeModelWithResponseStream =>
            bedrock_runtime::invoke::stream::invoke_model_with_response_stream,
    }
    "iam": {
        AttachRolePolicy => iam::attachment::attach,
        CreatePolicy => iam::policy::create,
        CreateRole => iam::role::create,
        DeletePolicy => iam::policy::delete,
        DeleteRole => iam::role::delete,
        DeleteRolePolicy => iam::role_policy::delete,
        DetachRolePolicy => iam::attachment::detach,
        GetPolicy => iam::policy::get,
        GetPolicyVersion => iam::policy::get_version,
        GetRole => iam::role::get,
        GetRolePolicy => iam::role_policy::get,
        ListAttachedRolePolicies => iam::attachment::list,
        ListInstanceProfilesForRole => iam::role::list_instance_profiles,
        ListPolicies => iam::policy::list,
        ListPolicyVersions => iam::policy::list_versions,
        ListRolePolicies => iam::role_policy::list,
        ListRoleTags => iam::role_tag::list,
        ListRoles => iam::role::list,
        PutRolePolicy => iam::role_policy::put,
        TagRole => iam::role_tag::tag,
        UntagRole => iam::role_tag::untag,
        UpdateAssumeRolePolicy => iam::role::update_assume_policy,
        UpdateRole => iam::role::update,
    }
    "lambda": {
        CreateAlias => lambda::alias::create,
        DeleteAlias => lambda::alias::delete,
        GetAlias => lambda::alias::get,
        ListAliases => lambda::alias::list,
        UpdateAlias => lambda::alias::update,
        PublishVersion => lambda::version::create,
        ListVersionsByFunction => lambda::version::list,
        AddPermission => lambda::permission::add,
        CreateFunction => lambda::function::create,
        DeleteFunction => lambda::function::delete,
        GetFunction => lambda::function::get,
        GetFunctionConfiguration => lambda::function::get_configuration,
        GetPolicy => lambda::permission::get,
        Invoke => lambda::invoke::invoke,
        ListFunctions => lambda::function::list,
        ListTags => lambda::tag::list,
        RemovePermission => lambda::permission::remove,
        TagResource => lambda::tag::tag,
        UntagResource => lambda::tag::untag,
        UpdateFunctionCode => lambda::code::update,
        UpdateFunctionConfiguration => lambda::function::update_configuration,
    }
    "sts": {
        GetCallerIdentity => sts::identity::get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::model::State;

    #[test]
    fn every_row_is_an_operation_that_the_models_mark_as_served_and_stands_once() {
        for (at, row) in ROWS.iter().enumerate() {
            let name = format!("{} {}", row.service, row.operation);
            let service = wire::model::service(row.service).expect(&name);
            let operation = service.operation(row.operation).expect(&name);
            assert_eq!(operation.state, State::Served, "{name}");
            let same =
                |other: &Row| (other.service, other.operation) == (row.service, row.operation);
            assert!(!ROWS[..at].iter().any(same), "{name} has two rows");
        }
    }

    #[test]
    fn every_operation_that_the_models_mark_as_served_has_its_row() {
        for service in wire::model::SERVICES {
            for operation in service.operations.iter().filter(|o| o.state == State::Served) {
                let (service, operation) = (service.name, operation.name);
                assert!(find(service, operation).is_some(), "{service} {operation} has no row");
            }
        }
    }

    #[test]
    fn every_operation_that_the_models_mark_as_served_has_a_row() {
        for service in wire::model::SERVICES {
            let served = service.operations.iter().filter(|o| o.state == State::Served);
            for operation in served {
                let name = (service.name, operation.name);
                assert!(find(name.0, name.1).is_some(), "{name:?} is served and has no row");
            }
        }
    }
}
