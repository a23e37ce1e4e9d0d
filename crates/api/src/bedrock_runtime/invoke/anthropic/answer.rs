//! A reply as a Messages document, or as the events of a Messages stream.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Reply, StopReason, Usage};

use super::super::{About, Native, words};
use super::citation::told;

pub(super) struct Answer {
    /// The one stop sequence: providers say that one was met, and not which.
    stop: Option<String>,
    /// The numbers of blocks that have begun, by the inner tongue's, which may leave some out.
    begun: BTreeMap<usize, usize>,
}

impl Answer {
    pub(super) fn new(stops: &[String]) -> Self {
        let stop = match stops {
            [only] => Some(only.clone()),
            _ => None,
        };
        Answer { stop, begun: BTreeMap::new() }
    }

    fn met(&self, reason: StopReason) -> Option<&String> {
        self.stop.as_ref().filter(|_| reason == StopReason::StopSequence)
    }

    /// The block's number, after the event that begins it if it is new.
    fn number(&mut self, inner: usize, new: &Json, out: &mut Vec<Json>) -> usize {
        if let Some(number) = self.begun.get(&inner) {
            return *number;
        }
        let number = self.begun.len();
        self.begun.insert(inner, number);
        out.push(json!({"type": "content_block_start", "index": number, "content_block": new}));
        number
    }
}

impl Native for Answer {
    fn whole(&self, reply: Reply, about: &About) -> Json {
        let mut message = message(about);
        message["content"] = reply.content.into_iter().filter_map(block).collect();
        message["stop_reason"] = json!(reason(reply.stop_reason));
        message["stop_sequence"] = json!(self.met(reply.stop_reason));
        message["usage"] = usage(reply.usage);
        message
    }

    /// The input is counted by the time the answer ends; `message_delta` says how much it was.
    fn begin(&mut self, about: &About) -> Vec<Json> {
        let mut message = message(about);
        message["usage"] = usage(Usage::default());
        vec![json!({"type": "message_start", "message": message})]
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let mut out = Vec::new();
        let (at, new, delta) = match delta {
            Delta::Text { index, text } => {
                let delta = json!({"type": "text_delta", "text": text});
                (index, json!({"type": "text", "text": ""}), Some(delta))
            }
            Delta::Reasoning { index, text } => {
                let delta = json!({"type": "thinking_delta", "thinking": text});
                (index, empty_thought(), Some(delta))
            }
            Delta::Signature { index, signature } => {
                let delta = json!({"type": "signature_delta", "signature": signature});
                (index, empty_thought(), Some(delta))
            }
            Delta::Redacted { index, data } => (index, redacted(&data), None),
            Delta::ToolUseStart { index, id, name } => {
                (index, json!({"type": "tool_use", "id": id, "name": name, "input": {}}), None)
            }
            Delta::ToolUseInput { index, json } => {
                let delta = json!({"type": "input_json_delta", "partial_json": json});
                (index, Json::Null, Some(delta))
            }
            Delta::Citation { index, citation } => {
                let delta = json!({"type": "citations_delta", "citation": told(&citation)});
                (index, json!({"type": "text", "text": ""}), Some(delta))
            }
            Delta::BlockStop { index } => {
                let stop = |number| json!({"type": "content_block_stop", "index": number});
                return self.begun.get(&index).map(stop).into_iter().collect();
            }
            Delta::Native(_) | Delta::Stop(_) | Delta::Usage(_) => return out,
        };
        let number = self.number(at, &new, &mut out);
        let event = |delta| json!({"type": "content_block_delta", "index": number, "delta": delta});
        out.extend(delta.map(event));
        out
    }

    fn end(&mut self, why: StopReason, used: Usage, _: &About) -> Vec<Json> {
        let delta = json!({"stop_reason": reason(why), "stop_sequence": self.met(why)});
        vec![
            json!({"type": "message_delta", "delta": delta, "usage": usage(used)}),
            json!({"type": "message_stop"}),
        ]
    }
}

fn message(about: &About) -> Json {
    json!({
        // AWS: ids of messages on Bedrock begin so (responses in the Bedrock user guide)
        "id": format!("msg_bdrk_{}", about.id.replace('-', "")),
        "type": "message",
        "role": "assistant",
        "model": own_name(&about.model),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

/// Anthropic's own name of the model: `claude-3-haiku-20240307` of `anthropic.claude-3-haiku-20240307-v1:0`.
fn own_name(id: &str) -> &str {
    let name = id.strip_prefix("anthropic.").unwrap_or(id);
    name.rsplit_once("-v")
        .filter(|(_, version)| version.starts_with(char::is_numeric))
        .map_or(name, |(name, _)| name)
}

fn block(block: Block) -> Option<Json> {
    match block {
        Block::Text(text) => Some(json!({"type": "text", "text": text})),
        Block::CitationsContent(cited) => {
            let citations = cited["citations"].as_array().into_iter().flatten();
            let citations: Vec<Json> = citations.map(told).collect();
            let text = words(&[Block::CitationsContent(cited)]);
            Some(json!({"type": "text", "text": text, "citations": citations}))
        }
        Block::ToolUse(asked) => Some(json!({
            "type": "tool_use", "id": asked.tool_use_id, "name": asked.name, "input": asked.input,
        })),
        Block::ReasoningContent(thought) => Some(match thought["redactedContent"].as_str() {
            Some(data) => redacted(data),
            None => {
                let said = &thought["reasoningText"];
                let signature = said["signature"].as_str().unwrap_or_default();
                json!({"type": "thinking", "thinking": said["text"], "signature": signature})
            }
        }),
        // No model answers with any other kind.
        _ => None,
    }
}

fn empty_thought() -> Json {
    json!({"type": "thinking", "thinking": "", "signature": ""})
}

fn redacted(data: &str) -> Json {
    let bytes = BASE64_STANDARD.decode(data).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    json!({"type": "redacted_thinking", "data": text.unwrap_or_else(|| data.to_owned())})
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::MalformedModelOutput | StopReason::MalformedToolUse => {
            "end_turn"
        }
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => "refusal",
        StopReason::ModelContextWindowExceeded => "model_context_window_exceeded",
    }
}

fn usage(usage: Usage) -> Json {
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "output_tokens": usage.output_tokens,
    })
}
