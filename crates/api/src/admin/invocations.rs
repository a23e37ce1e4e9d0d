//! A turn that is started and looked at later, for callers that keep no stream open.
//!
//! What InvokeAgent takes in its path and its body stands in one JSON object; what it refuses is
//! refused here. The run goes on by itself, and `/runs/{id}` has its state and its answer.

use serde_json::{Value as Json, json};
use wire::bedrock_agent_runtime::SERVICE;
use wire::bedrock_agent_runtime::types::InvokeAgentRequest;
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::{decode, validate};

use crate::bedrock_agent::agent_alias;
use crate::bedrock_agent_runtime::invoke_agent;
use crate::cx::Cx;

pub(super) async fn start(cx: &Cx, body: &[u8]) -> Result<Json, Fault> {
    let input = input(cx, body)?;
    let session_id = input.session_id.clone();
    let begun = invoke_agent::begin(cx, input).await?;
    Ok(json!({ "run": begun.run, "sessionId": session_id }))
}

/// What the body asks of an agent that the caller may invoke.
pub(super) fn input(cx: &Cx, body: &[u8]) -> Result<InvokeAgentRequest, Fault> {
    let shape = SERVICE.operation("InvokeAgent").and_then(|operation| operation.input);
    let shape = shape.expect("the model has InvokeAgent with an input");
    let value = decode::json_text(&SERVICE, shape, body)?;
    validate::check(&SERVICE, shape, &value)?;
    let input = InvokeAgentRequest::from_value(value).map_err(Fault::internal)?;
    // The path names no agent, so the door could not ask.
    let alias = agent_alias::arn_of(cx, &input.agent_id, &input.agent_alias_id);
    cx.authorize("bedrock:InvokeAgent", &alias)?;
    if input.end_session == Some(true) {
        let text = "endSession begins no turn to be looked at; send it with InvokeAgent";
        return Err(Fault::validation(text));
    }
    Ok(input)
}
