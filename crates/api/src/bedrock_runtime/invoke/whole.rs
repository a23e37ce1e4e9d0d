//! InvokeModel: a native body in, the native answer out.

use bytes::Bytes;
use craton_core::cost::Money;
use engine::model::{Answer, Choice};
use llm::ModelError;
use serde_json::Value as Json;
use wire::bedrock_runtime::types::{InvokeModelRequest, InvokeModelResponse};
use wire::converse::{Call, Options, Usage};
use wire::fault::Fault;
use wire::shape::Shape as _;

use super::body::{Body, malformed};
use super::family::{Embedding, Family, Text};
use super::settings::settings;
use super::{About, Understood, embed, understand, with};
use crate::bedrock_agent::document::tenant;
use crate::bedrock_agent::feature::refused;
use crate::bedrock_runtime::converse::asking;
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::Reply;

pub(crate) async fn invoke_model(cx: &Cx, input: InvokeModelRequest) -> Result<Reply, Fault> {
    let (latency, tier) = (input.performance_config_latency, input.service_tier);
    let target = target(cx, input.model_id, input.body).await?;
    let options = settings!(input).options()?;
    let began = cx.engine.now();
    let told = match target.family {
        Family::Text(text) => converse(cx, text, target, options).await?,
        Family::Embedding(kind) => vectors(cx, kind, target, options).await?,
    };
    let latency_ms = cx.engine.now() - began;
    let body = serde_json::to_vec(&told.answer).expect("its maps have string keys");
    let response = InvokeModelResponse {
        body: Bytes::from(body),
        content_type: "application/json".to_owned(),
        performance_config_latency: latency,
        service_tier: tier,
    };
    let reply = Reply::value(response.into_value()).by(&told.provider).costs(told.cost);
    let reply = match &told.choice {
        Some(choice) => reply.chosen(choice),
        None => reply,
    };
    Ok(counted(reply, told.usage, latency_ms))
}

/// What a request is for.
pub(super) struct Target {
    /// The id to ask for, as the client says it: a profile's or a router's is the engine's to follow.
    pub(super) model: String,
    pub(super) family: Family,
    pub(super) body: Body,
    pub(super) about: About,
}

pub(super) async fn target(
    cx: &Cx,
    model_id: String,
    body: Option<Bytes>,
) -> Result<Target, Fault> {
    if model_id.starts_with("arn:") && model_id.contains(":prompt/") {
        return Err(refused("modelId", &model_id, "managed prompts here; ask by Converse"));
    }
    let body = body.ok_or_else(|| malformed("#: the body is empty"))?;
    let body = Body::read(&body)?;
    let named = cx.engine.model_behind(&tenant(cx), &model_id).await;
    // The models of a router are of one family, that of its fallback model.
    let behind = named.map_err(|error| model_fault::of_converse(error, &model_id))?;
    let bare = llm::bare_id(&behind).to_owned();
    let family = Family::of(&bare, &body)?;
    let about = About { id: cx.request.id.clone(), model: bare, created: cx.engine.now() / 1000 };
    Ok(Target { model: model_id, family, body, about })
}

struct Told {
    provider: String,
    /// Of vectors there is none.
    choice: Option<Choice>,
    answer: Json,
    usage: Usage,
    cost: Option<Money>,
}

async fn converse(cx: &Cx, family: Text, target: Target, options: Options) -> Result<Told, Fault> {
    let Understood { call, native } = understand(family, &target.model, target.body)?;
    let call = with(call, options);
    let answer = cx.engine.ask_model(asking(cx, call)).await;
    let Answer { provider, choice, reply, cost, .. } =
        answer.map_err(|error| model_fault::of_converse(error, &target.model))?;
    if reply.stop_reason.is_malformed() && !native.tells_spoiled() {
        let error = ModelError::gave_up(reply.stop_reason);
        return Err(model_fault::of_converse(error, &target.model));
    }
    let usage = reply.usage;
    let choice = Some(choice);
    Ok(Told { provider, choice, answer: native.whole(reply, &target.about), usage, cost })
}

async fn vectors(
    cx: &Cx,
    family: Embedding,
    target: Target,
    options: Options,
) -> Result<Told, Fault> {
    let asked = embed::read(family, target.body)?;
    let embedded = cx.engine.embed(asked.wanted(cx, &target.model, options.metadata)).await;
    let (provider, embedded) =
        embedded.map_err(|error| model_fault::of_converse(error, &target.model))?;
    let usage = Usage { input_tokens: embedded.input_tokens, ..Usage::default() };
    let answer = asked.answer(embedded, &target.about);
    Ok(Told { provider, choice: None, answer, usage, cost: None })
}

// AWS: counts and latency stand in headers beside the native answer (observed by clients that read
// them: github.com/langchain-ai/langchain-aws, `x-amzn-bedrock-input-token-count`)
fn counted(reply: Reply, usage: Usage, latency_ms: i64) -> Reply {
    let mut reply = reply
        .header("x-amzn-bedrock-invocation-latency", latency_ms.to_string())
        .header("x-amzn-bedrock-input-token-count", usage.input_tokens.to_string())
        .header("x-amzn-bedrock-output-token-count", usage.output_tokens.to_string());
    let cached = [
        ("x-amzn-bedrock-cache-read-input-token-count", usage.cache_read_input_tokens),
        ("x-amzn-bedrock-cache-write-input-token-count", usage.cache_write_input_tokens),
    ];
    for (name, tokens) in cached.into_iter().filter(|(_, tokens)| *tokens > 0) {
        reply = reply.header(name, tokens.to_string());
    }
    reply
}

/// The call that a body makes, for whoever wants to know about it without asking.
pub(crate) async fn call(cx: &Cx, model_id: String, body: Bytes) -> Result<Call, Fault> {
    let target = target(cx, model_id, Some(body)).await?;
    match target.family {
        Family::Text(text) => Ok(understand(text, &target.model, target.body)?.call),
        Family::Embedding(_) => {
            Err(Fault::validation("The provided model doesn't support counting tokens."))
        }
    }
}
