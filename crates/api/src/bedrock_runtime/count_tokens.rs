//! CountTokens: how many tokens of input a request would have, without asking the model.
//!
//! The provider's own count, where it has one; else an estimate, which the header
//! `x-craton-token-count: estimate` says, because the answer has no place for it.

use wire::bedrock_runtime::types::{
    ConverseRequest, ConverseTokensRequest, CountTokensInput, CountTokensRequest,
    CountTokensResponse,
};
use wire::converse::Call;
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::Value;

use super::asked::asked;
use super::invoke;
use crate::bedrock_agent::document::tenant;
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::Reply;

pub(crate) async fn count_tokens(cx: &Cx, input: CountTokensRequest) -> Result<Reply, Fault> {
    let model_id = input.model_id.clone();
    let call = match input.input {
        CountTokensInput::Converse(request) => conversation(cx, input.model_id, request).await?,
        CountTokensInput::InvokeModel(request) => {
            invoke::whole::call(cx, input.model_id, request.body).await?
        }
    };
    let counted = cx.engine.count_tokens(&tenant(cx), call).await;
    let counted = counted.map_err(|error| model_fault::of_converse(error, &model_id))?;
    let input_tokens = i64::try_from(counted.tokens).unwrap_or(i64::MAX);
    let reply = Reply::value(CountTokensResponse { input_tokens }.into_value());
    match counted.estimated {
        true => Ok(reply.header("x-craton-token-count", "estimate")),
        false => Ok(reply),
    }
}

/// The members that both requests have are the same ones.
async fn conversation(
    cx: &Cx,
    model_id: String,
    request: ConverseTokensRequest,
) -> Result<Call, Fault> {
    let mut value = request.into_value();
    if let Value::Map(members) = &mut value {
        members.insert("modelId".to_owned(), Value::String(model_id));
    }
    let input = ConverseRequest::from_value(value).map_err(Fault::internal)?;
    Ok(asked!(input, "bedrock:CountTokens").understood(cx).await?.call)
}
