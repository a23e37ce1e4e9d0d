//! ConverseStream: one call, its answer as events while the model makes it.

use std::collections::VecDeque;

use futures_util::{StreamExt as _, stream};
use llm::Deltas;
use serde_json::Value as Json;
use wire::bedrock_runtime::types::{
    CitationsDelta, ContentBlockDelta, ContentBlockDeltaEvent, ContentBlockStart,
    ContentBlockStartEvent, ContentBlockStopEvent, ConversationRole, ConverseStreamMetadataEvent,
    ConverseStreamMetrics, ConverseStreamOutput, ConverseStreamRequest, ConverseStreamResponse,
    ConverseStreamTrace, MessageStartEvent, MessageStopEvent, ReasoningContentBlockDelta,
    ToolUseBlockDelta, ToolUseBlockStart,
};
use wire::converse::{Delta, Usage};
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::Value;

use super::asked::{Echo, Understood, asked};
use super::converse::{asking, stop_reason, usage};
use super::native::NativeFields;
use super::{choice, message};
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::{Events, Reply};

pub(crate) async fn converse_stream(cx: &Cx, input: ConverseStreamRequest) -> Result<Reply, Fault> {
    let asked = asked!(input, "bedrock:InvokeModelWithResponseStream");
    let Understood { mut call, native, echo } = asked.understood(cx).await?;
    call.stream = true;
    let began = cx.engine.now();
    let model_id = call.model.clone();
    let answering = cx.engine.stream_model(asking(cx, call)).await;
    let answering = answering.map_err(|error| model_fault::of_converse(error, &model_id))?;
    let trace = choice::trace(cx, &answering.choice).map(|router| ConverseStreamTrace {
        prompt_router: Some(router),
        ..ConverseStreamTrace::default()
    });
    let answer = Answer { trace, ..Answer::begun(answering.deltas, native, echo) };
    let head = ConverseStreamResponse {}.into_value();
    let reply = Reply::stream(head, events(cx.clone(), began, answer));
    Ok(reply.by(&answering.provider).chosen(&answering.choice))
}

/// One answer under way.
struct Answer {
    deltas: Deltas,
    native: NativeFields,
    /// What the provider found of them.
    found: Json,
    echo: Echo,
    trace: Option<ConverseStreamTrace>,
    /// Events that are ready.
    ready: VecDeque<Value>,
    usage: Usage,
    stopped: bool,
    /// The last event or a fault is out.
    over: bool,
}

fn events(cx: Cx, began: i64, answer: Answer) -> Events {
    stream::unfold((cx, answer), move |(cx, mut answer)| async move {
        let event = answer.next(|| cx.engine.now() - began).await?;
        Some((event, (cx, answer)))
    })
    .boxed()
}

impl Answer {
    fn begun(deltas: Deltas, native: NativeFields, echo: Echo) -> Answer {
        let role = ConversationRole::Assistant;
        let start = ConverseStreamOutput::MessageStart(MessageStartEvent { role });
        Answer {
            deltas,
            native,
            found: Json::Null,
            echo,
            trace: None,
            ready: VecDeque::from([start.into_value()]),
            usage: Usage::default(),
            stopped: false,
            over: false,
        }
    }

    async fn next(&mut self, elapsed: impl Fn() -> i64) -> Option<Result<Value, Fault>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            match self.deltas.next().await {
                Some(Ok(delta)) => self.absorb(delta),
                Some(Err(error)) => {
                    self.over = true;
                    return Some(Err(model_fault::of_stream(error)));
                }
                None => {
                    self.over = true;
                    return Some(self.close(elapsed()));
                }
            }
        }
    }

    fn absorb(&mut self, delta: Delta) {
        match delta {
            Delta::Usage(usage) => self.usage = usage,
            Delta::Native(found) => self.found = found,
            Delta::Stop(reason) => {
                self.stopped = true;
                let stop = MessageStopEvent {
                    stop_reason: stop_reason(reason),
                    additional_model_response_fields: self.native.of(reason, self.found.take()),
                };
                self.ready.push_back(ConverseStreamOutput::MessageStop(stop).into_value());
            }
            other => self.ready.extend(block_event(other).map(ConverseStreamOutput::into_value)),
        }
    }

    /// The last event; an answer without a stop reason was cut off.
    fn close(&mut self, latency_ms: i64) -> Result<Value, Fault> {
        if !self.stopped {
            let message = "the model's answer ended before it was complete";
            return Err(Fault::new("ModelStreamErrorException", 424, message));
        }
        let metadata = ConverseStreamMetadataEvent {
            usage: usage(self.usage),
            metrics: ConverseStreamMetrics { latency_ms },
            trace: self.trace.take(),
            performance_config: self.echo.performance.take(),
            service_tier: self.echo.tier.take(),
        };
        Ok(ConverseStreamOutput::Metadata(metadata).into_value())
    }
}

/// AWS: text has no start event, tool uses have one (API reference, `ConverseStreamOutput`).
fn block_event(delta: Delta) -> Option<ConverseStreamOutput> {
    let index = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let piece = |at: usize, delta: ContentBlockDelta| {
        let event = ContentBlockDeltaEvent { delta, content_block_index: index(at) };
        Some(ConverseStreamOutput::ContentBlockDelta(event))
    };
    match delta {
        Delta::Text { index, text } => piece(index, ContentBlockDelta::Text(text)),
        Delta::Reasoning { index, text } => {
            let delta = ReasoningContentBlockDelta::Text(text);
            piece(index, ContentBlockDelta::ReasoningContent(delta))
        }
        // AWS: a delta of its own for the signature, after the words (API reference,
        // `ReasoningContentBlockDelta`).
        Delta::Signature { signature, .. } if signature.is_empty() => None,
        Delta::Signature { index, signature } => {
            let delta = ReasoningContentBlockDelta::Signature(signature);
            piece(index, ContentBlockDelta::ReasoningContent(delta))
        }
        Delta::Redacted { index, data } => {
            let delta = ReasoningContentBlockDelta::RedactedContent(message::blob(&data)?);
            piece(index, ContentBlockDelta::ReasoningContent(delta))
        }
        Delta::Citation { index, citation } => {
            let citation = CitationsDelta::from_value(Value::from(citation)).ok()?;
            piece(index, ContentBlockDelta::Citation(citation))
        }
        Delta::ToolUseInput { index, json } => {
            piece(index, ContentBlockDelta::ToolUse(ToolUseBlockDelta { input: json }))
        }
        Delta::ToolUseStart { index: at, id, name } => {
            let start = ToolUseBlockStart { tool_use_id: id, name, r#type: None };
            let start = ContentBlockStart::ToolUse(start);
            let event = ContentBlockStartEvent { start, content_block_index: index(at) };
            Some(ConverseStreamOutput::ContentBlockStart(event))
        }
        Delta::BlockStop { index: at } => {
            let event = ContentBlockStopEvent { content_block_index: index(at) };
            Some(ConverseStreamOutput::ContentBlockStop(event))
        }
        Delta::Stop(_) | Delta::Usage(_) | Delta::Native(_) => None,
    }
}
