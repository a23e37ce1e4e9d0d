//! InvokeInlineAgent: a turn of an agent that is described in the request.
//!
//! The turn pins the description as it would pin a prepared agent. A request that brings results of
//! a hand-off has to describe its agent as well, as on AWS, but the turn goes on with what it
//! began with.

use engine::request::TurnRequest;
use wire::bedrock_agent_runtime::types::{
    InlineSessionState, InvokeInlineAgentRequest, InvokeInlineAgentResponse, SessionState,
};
use wire::fault::Fault;
use wire::shape::Shape as _;

use super::invoke_agent::{CONTENT_TYPE, asked, check_performance, hear, recall, reply};
use super::{file, inline_team, response_stream, session_state};
use crate::bedrock_agent::document::{TEST_ALIAS, tenant};
use crate::cx::Cx;
use crate::reply::Reply;
use engine::request::INLINE;

pub(crate) async fn invoke(cx: &Cx, input: InvokeInlineAgentRequest) -> Result<Reply, Fault> {
    check(&input)?;
    let mut given = input.inline_session_state.clone().unwrap_or_default();
    let attached = given.files.take().unwrap_or_default();
    let state = session_state::read(state_of(given))?;
    let asked = asked(input.end_session, input.input_text.clone(), state.results)?;
    let files = file::read(cx, attached, &asked).await?;
    let config = inline_team::pin(cx, &input).await?;
    let streaming = input.streaming_configurations.unwrap_or_default();
    let request = TurnRequest {
        tenant: tenant(cx),
        request: cx.request.id.clone(),
        repeat: cx.request.invocation_id.clone(),
        agent_id: INLINE.to_owned(),
        alias_id: TEST_ALIAS.to_owned(),
        session_id: input.session_id.clone(),
        config,
        input: asked,
        session_attributes: state.session_attributes,
        prompt_session_attributes: state.prompt_session_attributes,
        conversation: state.conversation,
        files,
        memory_id: None,
        recall: recall(input.prompt_creation_configurations),
        stream: streaming.stream_final_response.unwrap_or(false),
        trace: input.enable_trace.unwrap_or(false),
        provisioned: None,
    };
    let hearing = hear(cx, request).await?;
    let content_type = CONTENT_TYPE.to_owned();
    let head = InvokeInlineAgentResponse { content_type, session_id: input.session_id };
    Ok(reply(cx, head.into_value(), hearing, response_stream::inline_events))
}

fn check(input: &InvokeInlineAgentRequest) -> Result<(), Fault> {
    let models = input.bedrock_model_configurations.as_ref();
    check_performance(models.and_then(|models| models.performance_config.as_ref()))
}

fn state_of(given: InlineSessionState) -> SessionState {
    SessionState {
        conversation_history: given.conversation_history,
        files: given.files,
        invocation_id: given.invocation_id,
        knowledge_base_configurations: None,
        prompt_session_attributes: given.prompt_session_attributes,
        return_control_invocation_results: given.return_control_invocation_results,
        session_attributes: given.session_attributes,
    }
}
