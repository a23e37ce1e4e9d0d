//! Converse: one call, one whole answer.

use std::collections::BTreeMap;

use craton_core::route::StepKind;
use engine::model::{Answer, Asking, Payer};
use engine::spend;
use wire::bedrock_runtime::types::{
    self as wire_types, CacheDetail, CacheTTL, ConversationRole, ConverseMetrics, ConverseOutput,
    ConverseRequest, ConverseResponse, ConverseTrace, StopReason, TokenUsage,
};
use wire::converse::{self, Block, Call, Reply as ModelReply, Usage};
use wire::fault::Fault;
use wire::shape::Shape as _;

use super::asked::{Understood, asked};
use super::{choice, message};
use crate::bedrock_agent::document::tenant;
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::Reply;

pub(crate) async fn converse(cx: &Cx, input: ConverseRequest) -> Result<Reply, Fault> {
    let Understood { call, native, echo } =
        asked!(input, "bedrock:InvokeModel").understood(cx).await?;
    let model_id = call.model.clone();
    let began = cx.engine.now();
    let answer = cx.engine.ask_model(asking(cx, call)).await;
    let Answer { provider, choice, mut reply, cost, .. } =
        answer.map_err(|error| model_fault::of_converse(error, &model_id))?;
    let latency_ms = cx.engine.now() - began;
    let response = ConverseResponse {
        stop_reason: stop_reason(reply.stop_reason),
        usage: usage(reply.usage),
        additional_model_response_fields: native.of(reply.stop_reason, reply.native.take()),
        output: ConverseOutput::Message(said(reply)?),
        metrics: ConverseMetrics { latency_ms },
        trace: choice::trace(cx, &choice).map(|router| ConverseTrace {
            prompt_router: Some(router),
            ..ConverseTrace::default()
        }),
        performance_config: echo.performance,
        service_tier: echo.tier,
    };
    Ok(Reply::value(response.into_value()).by(&provider).chosen(&choice).costs(cost))
}

/// A client's own call of a model.
pub(crate) fn asking(cx: &Cx, call: Call) -> Asking {
    let payer = payer(&call.options.metadata);
    Asking { tenant: tenant(cx), kind: StepKind::Planning, payer, call, route: None }
}

/// Who pays, as the metadata of a request says it.
pub(crate) fn payer(said: &BTreeMap<String, String>) -> Payer {
    if said.is_empty() {
        return Payer::default();
    }
    let named = |names: &[&str]| names.iter().find_map(|name| said.get(*name)).cloned();
    let (user, customer) = (named(spend::USER), named(spend::CUSTOMER));
    let session = named(spend::SESSION).filter(|name| !name.is_empty());
    Payer { user, customer, session, ..Payer::default() }
}

fn said(reply: ModelReply) -> Result<wire_types::Message, Fault> {
    let content: Result<_, Fault> = reply.content.into_iter().map(block).collect();
    Ok(wire_types::Message { role: ConversationRole::Assistant, content: content? })
}

fn block(block: Block) -> Result<wire_types::ContentBlock, Fault> {
    message::shown(block).map_err(Fault::internal)
}

pub(crate) fn stop_reason(reason: converse::StopReason) -> StopReason {
    match reason {
        converse::StopReason::EndTurn => StopReason::EndTurn,
        converse::StopReason::ToolUse => StopReason::ToolUse,
        converse::StopReason::MaxTokens => StopReason::MaxTokens,
        converse::StopReason::StopSequence => StopReason::StopSequence,
        converse::StopReason::ContentFiltered => StopReason::ContentFiltered,
        converse::StopReason::GuardrailIntervened => StopReason::GuardrailIntervened,
        converse::StopReason::ModelContextWindowExceeded => StopReason::ModelContextWindowExceeded,
        converse::StopReason::MalformedModelOutput => StopReason::MalformedModelOutput,
        converse::StopReason::MalformedToolUse => StopReason::MalformedToolUse,
    }
}

pub(crate) fn usage(usage: Usage) -> TokenUsage {
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let cached = |tokens: u64| Some(count(tokens)).filter(|tokens| *tokens > 0);
    TokenUsage {
        input_tokens: count(usage.input_tokens),
        output_tokens: count(usage.output_tokens),
        // AWS: what was read from or written to a cache stands apart from the input but counts in
        // the total (API reference, `TokenUsage`).
        total_tokens: [
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens,
        ]
        .into_iter()
        .map(count)
        .sum(),
        cache_read_input_tokens: cached(usage.cache_read_input_tokens),
        cache_write_input_tokens: cached(usage.cache_write_input_tokens),
        cache_details: cache_details(usage),
    }
}

/// AWS: what was written, by how long it stays (API reference, `CacheDetail`).
fn cache_details(usage: Usage) -> Option<Vec<CacheDetail>> {
    let hour = usage.cache_write_hour_input_tokens;
    let minutes = usage.cache_write_input_tokens.saturating_sub(hour);
    let written = [(CacheTTL::V1h, hour), (CacheTTL::V5m, minutes)];
    let details = written.into_iter().filter(|(_, tokens)| *tokens > 0).map(|(ttl, tokens)| {
        CacheDetail { ttl, input_tokens: i64::try_from(tokens).unwrap_or(i64::MAX) }
    });
    let details: Vec<CacheDetail> = details.collect();
    (!details.is_empty()).then_some(details)
}
