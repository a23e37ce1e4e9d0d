//! InvokeModelWithResponseStream: a native body in, the family's own chunks out.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use llm::{Deltas, ModelError, ModelErrorKind};
use serde_json::{Value as Json, json};
use wire::bedrock_runtime::types::{
    InvokeModelWithResponseStreamRequest, InvokeModelWithResponseStreamResponse, PayloadPart,
    ResponseStream,
};
use wire::converse::{Call, Delta, StopReason, Usage};
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::Value;

use super::family::Family;
use super::settings::settings;
use super::whole::target;
use super::{About, Native, Understood, understand, with};
use crate::bedrock_runtime::converse::asking;
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::{Events, Reply};

pub(crate) async fn invoke_model_with_response_stream(
    cx: &Cx,
    input: InvokeModelWithResponseStreamRequest,
) -> Result<Reply, Fault> {
    let (latency, tier) = (input.performance_config_latency, input.service_tier);
    let target = target(cx, input.model_id, input.body).await?;
    let options = settings!(input).options()?;
    let Family::Text(family) = target.family else {
        // AWS: embeddings come whole (Bedrock user guide, "Cohere Embed models")
        return Err(Fault::validation("The model is unsupported for streaming."));
    };
    let Understood { call, native } = understand(family, &target.model, target.body)?;
    let call = Call { stream: true, ..with(call, options) };
    let began = cx.engine.now();
    let answering = cx.engine.stream_model(asking(cx, call)).await;
    let answering = answering.map_err(|error| model_fault::of_converse(error, &target.model))?;
    let head = InvokeModelWithResponseStreamResponse {
        content_type: "application/json".to_owned(),
        performance_config_latency: latency,
        service_tier: tier,
    };
    let spoken = Spoken { deltas: answering.deltas, native, about: target.about, began };
    let reply = Reply::stream(head.into_value(), events(cx.clone(), spoken));
    Ok(reply.by(&answering.provider).chosen(&answering.choice))
}

/// An answer whose first delta has come.
struct Spoken {
    deltas: Deltas,
    native: Box<dyn Native>,
    about: About,
    began: i64,
}

/// One answer under way.
struct Under {
    spoken: Spoken,
    /// Chunks that are ready.
    ready: VecDeque<Json>,
    first_ms: i64,
    usage: Usage,
    reason: Option<StopReason>,
    /// The last chunk or a fault is out.
    over: bool,
}

fn events(cx: Cx, mut spoken: Spoken) -> Events {
    let ready = spoken.native.begin(&spoken.about).into();
    let first_ms = cx.engine.now() - spoken.began;
    let usage = Usage::default();
    let under = Under { spoken, ready, first_ms, usage, reason: None, over: false };
    stream::unfold((cx, under), |(cx, mut under)| async move {
        let event = under.next(|| cx.engine.now()).await?;
        Some((event, (cx, under)))
    })
    .boxed()
}

impl Under {
    async fn next(&mut self, now: impl Fn() -> i64) -> Option<Result<Value, Fault>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(Ok(event(&chunk)));
            }
            if self.over {
                return None;
            }
            match self.spoken.deltas.next().await {
                Some(Ok(Delta::Usage(usage))) => self.usage = usage,
                Some(Ok(Delta::Stop(reason))) => self.reason = Some(reason),
                Some(Ok(delta)) => {
                    self.ready.extend(self.spoken.native.piece(delta, &self.spoken.about));
                }
                Some(Err(error)) => {
                    self.over = true;
                    return Some(Err(failed(error)));
                }
                None => {
                    self.over = true;
                    if let Err(fault) = self.close(now()) {
                        return Some(Err(fault));
                    }
                }
            }
        }
    }

    /// The last chunks; an answer without a stop reason was cut off.
    fn close(&mut self, now: i64) -> Result<(), Fault> {
        let Some(reason) = self.reason else {
            let message = "the model's answer ended before it was complete";
            return Err(Fault::new("ModelStreamErrorException", 424, message));
        };
        if reason.is_malformed() && !self.spoken.native.tells_spoiled() {
            return Err(model_fault::of_stream(ModelError::gave_up(reason)));
        }
        let mut last = self.spoken.native.end(reason, self.usage, &self.spoken.about);
        if let Some(chunk) = last.last_mut() {
            chunk["amazon-bedrock-invocationMetrics"] = self.metrics(now);
        }
        self.ready.extend(last);
        Ok(())
    }

    // AWS: the last chunk of every family has them (github.com/langchain-ai/langchain issue 14120)
    fn metrics(&self, now: i64) -> Json {
        let mut metrics = json!({
            "inputTokenCount": self.usage.input_tokens,
            "outputTokenCount": self.usage.output_tokens,
            "invocationLatency": now - self.spoken.began,
            "firstByteLatency": self.first_ms,
        });
        let cached = [
            ("cacheReadInputTokenCount", self.usage.cache_read_input_tokens),
            ("cacheWriteInputTokenCount", self.usage.cache_write_input_tokens),
        ];
        for (name, tokens) in cached.into_iter().filter(|(_, tokens)| *tokens > 0) {
            metrics[name] = json!(tokens);
        }
        metrics
    }
}

fn event(chunk: &Json) -> Value {
    let bytes = serde_json::to_vec(chunk).expect("its maps have string keys");
    ResponseStream::Chunk(PayloadPart { bytes: Some(Bytes::from(bytes)) }).into_value()
}

/// The stream of this operation has one exception more than that of ConverseStream.
fn failed(error: ModelError) -> Fault {
    match error.kind {
        ModelErrorKind::TimedOut => Fault::new("ModelTimeoutException", 408, error.message),
        ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::Unsupported
        | ModelErrorKind::OverBudget
        | ModelErrorKind::Throttled
        | ModelErrorKind::Unavailable
        | ModelErrorKind::TooLong
        | ModelErrorKind::Malformed => model_fault::of_stream(error),
    }
}
