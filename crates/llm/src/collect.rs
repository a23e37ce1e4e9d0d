//! Deltas to reply, and back.
//!
//! Pure: the same deltas always give the same reply. The engine feeds every delta of a call through a
//! [`Collect`] beside showing it to the client, so that what is journalled is what was said.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Reply, StopReason, ToolUse, Usage};

use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::provider::ModelError;

/// Folds the deltas of one call.
#[derive(Debug, Default)]
pub struct Collect {
    parts: BTreeMap<usize, Part>,
    stop: Option<StopReason>,
    usage: Usage,
    native: Json,
    bytes: usize,
    fault: Option<&'static str>,
}

#[derive(Debug)]
enum Part {
    Text { text: String, citations: Vec<Json> },
    Reasoning { text: String, signature: Option<String> },
    Redacted(String),
    Tool { id: String, name: String, input: String },
}

impl Collect {
    pub fn absorb(&mut self, delta: Delta) {
        match delta {
            Delta::Text { index, text } => self.text(index, &text),
            Delta::Reasoning { index, text } => self.reasoning(index, &text),
            Delta::Signature { index, signature } => self.signature(index, &signature),
            Delta::Redacted { index, data } => self.redacted(index, &data),
            Delta::ToolUseStart { index, id, name } => self.tool(index, id, name),
            Delta::ToolUseInput { index, json } => self.input(index, &json),
            Delta::Citation { index, citation } => self.citation(index, citation),
            Delta::BlockStop { .. } => {}
            Delta::Stop(reason) => self.stop = Some(reason),
            Delta::Usage(usage) => self.usage = usage,
            Delta::Native(fields) => self.native = fields,
        }
    }

    /// The reply, if the deltas make one: they must have come to a stop.
    ///
    /// Tool input that is not JSON stays in the reply as a string, for the agent loop to send back
    /// as a repairable mistake.
    pub fn finish(self) -> Result<Reply, ModelError> {
        if let Some(fault) = self.fault {
            return Err(ModelError::malformed(format!("the model's reply is unusable: {fault}")));
        }
        let Some(stop_reason) = self.stop else {
            return Err(ModelError::malformed("the model's reply broke off before its end"));
        };
        let content = self.parts.into_values().filter_map(Part::into_block).collect();
        Ok(Reply { content, stop_reason, usage: self.usage, native: self.native })
    }

    fn text(&mut self, index: usize, more: &str) {
        match self.part(index, more.len(), Part::text) {
            Some(Part::Text { text, .. }) => text.push_str(more),
            other => self.fault = mixed(other.is_some()).or(self.fault),
        }
    }

    fn citation(&mut self, index: usize, citation: Json) {
        match self.part(index, citation.to_string().len(), Part::text) {
            Some(Part::Text { citations, .. }) => citations.push(citation),
            other => self.fault = mixed(other.is_some()).or(self.fault),
        }
    }

    fn reasoning(&mut self, index: usize, more: &str) {
        match self.part(index, more.len(), Part::reasoning) {
            Some(Part::Reasoning { text, .. }) => text.push_str(more),
            other => self.fault = mixed(other.is_some()).or(self.fault),
        }
    }

    fn signature(&mut self, index: usize, more: &str) {
        match self.part(index, more.len(), Part::reasoning) {
            Some(Part::Reasoning { signature, .. }) => {
                signature.get_or_insert_default().push_str(more);
            }
            other => self.fault = mixed(other.is_some()).or(self.fault),
        }
    }

    fn redacted(&mut self, index: usize, more: &str) {
        match self.part(index, more.len(), || Part::Redacted(String::new())) {
            Some(Part::Redacted(data)) => data.push_str(more),
            other => self.fault = mixed(other.is_some()).or(self.fault),
        }
    }

    fn tool(&mut self, index: usize, id: String, name: String) {
        if self.parts.contains_key(&index) {
            self.fault = Some("two blocks share an index");
            return;
        }
        let size = id.len() + name.len();
        self.part(index, size, || Part::Tool { id, name, input: String::new() });
    }

    fn input(&mut self, index: usize, more: &str) {
        let fits = self.grow(more.len());
        match self.parts.get_mut(&index) {
            Some(Part::Tool { input, .. }) if fits => input.push_str(more),
            Some(Part::Tool { .. }) => {}
            _ => self.fault = Some("tool input comes before its tool use"),
        }
    }

    /// The part at `index`, made if it is new; `None` once the reply is larger than allowed.
    fn part(&mut self, index: usize, size: usize, new: impl FnOnce() -> Part) -> Option<&mut Part> {
        if !self.grow(size) {
            return None;
        }
        if self.parts.len() >= REPLY_BLOCKS && !self.parts.contains_key(&index) {
            self.fault = Some("it has too many blocks");
            return None;
        }
        Some(self.parts.entry(index).or_insert_with(new))
    }

    fn grow(&mut self, size: usize) -> bool {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > REPLY_BYTES {
            self.fault = Some("it is too long");
        }
        self.bytes <= REPLY_BYTES
    }
}

fn mixed(exists: bool) -> Option<&'static str> {
    exists.then_some("one block holds two kinds of content")
}

impl Part {
    fn text() -> Part {
        Part::Text { text: String::new(), citations: Vec::new() }
    }

    fn reasoning() -> Part {
        Part::Reasoning { text: String::new(), signature: None }
    }

    /// Empty text is no block: Converse refuses it when the history comes back. Reasoning that is
    /// signed goes back to its provider as it came, even without words.
    fn into_block(self) -> Option<Block> {
        match self {
            Part::Text { text, citations } if citations.is_empty() => {
                (!text.is_empty()).then_some(Block::Text(text))
            }
            // AWS: `citationsContent` holds the words and what they rest on (API reference,
            // `CitationsContentBlock`).
            Part::Text { text, citations } => Some(Block::CitationsContent(
                json!({ "content": [{ "text": text }], "citations": citations }),
            )),
            Part::Reasoning { text, signature: None } => (!text.is_empty())
                .then(|| Block::ReasoningContent(json!({ "reasoningText": { "text": text } }))),
            Part::Reasoning { text, signature: Some(signature) } => Some(Block::ReasoningContent(
                json!({ "reasoningText": { "text": text, "signature": signature } }),
            )),
            Part::Redacted(data) => {
                Some(Block::ReasoningContent(json!({ "redactedContent": data })))
            }
            Part::Tool { id, name, input } => {
                let input = parse_input(input);
                Some(Block::ToolUse(ToolUse { tool_use_id: id, name, input }))
            }
        }
    }
}

/// A tool without parameters is called with nothing, `null` or `{}`: all mean the empty object.
fn parse_input(text: String) -> Json {
    if text.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(&text) {
        Ok(Json::Null) => json!({}),
        Ok(input) => input,
        Err(_) => Json::String(text),
    }
}

/// The deltas that fold to `reply`; text comes in pieces of `piece` characters, whole if zero.
pub fn deltas(reply: Reply, piece: usize) -> Vec<Delta> {
    let mut deltas = Vec::with_capacity(reply.content.len() * 3 + 2);
    for (index, block) in reply.content.into_iter().enumerate() {
        match block {
            Block::Text(text) => {
                let pieces = split(&text, piece).into_iter();
                deltas.extend(pieces.map(|text| Delta::Text { index, text }));
            }
            Block::ReasoningContent(content) => deltas.extend(reasoning(index, &content)),
            Block::CitationsContent(content) => deltas.extend(cited(index, &content)),
            Block::ToolUse(tool) => {
                let json = input_text(tool.input);
                deltas.push(Delta::ToolUseStart { index, id: tool.tool_use_id, name: tool.name });
                deltas.push(Delta::ToolUseInput { index, json });
            }
            // No model of Converse answers with any other kind.
            _ => continue,
        }
        deltas.push(Delta::BlockStop { index });
    }
    deltas.push(Delta::Stop(reply.stop_reason));
    deltas.push(Delta::Usage(reply.usage));
    deltas
}

fn cited(index: usize, content: &Json) -> Vec<Delta> {
    let texts = content["content"].as_array().into_iter().flatten();
    let texts: String = texts.filter_map(|part| part["text"].as_str()).collect();
    let citations = content["citations"].as_array().into_iter().flatten().cloned();
    let citations = citations.map(|citation| Delta::Citation { index, citation });
    std::iter::once(Delta::Text { index, text: texts }).chain(citations).collect()
}

fn reasoning(index: usize, content: &Json) -> Vec<Delta> {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    if let Some(data) = text(&content["redactedContent"]) {
        return vec![Delta::Redacted { index, data }];
    }
    let said = &content["reasoningText"];
    let mut deltas =
        vec![Delta::Reasoning { index, text: text(&said["text"]).unwrap_or_default() }];
    let signature = text(&said["signature"]);
    deltas.extend(signature.map(|signature| Delta::Signature { index, signature }));
    deltas
}

/// What ended a reply, going by its content: servers say `stop` beside tool calls, and `tool_use`
/// beside none.
pub(crate) fn consistent(finish: StopReason, called: bool) -> StopReason {
    match finish {
        StopReason::EndTurn | StopReason::StopSequence if called => StopReason::ToolUse,
        StopReason::ToolUse if !called => StopReason::EndTurn,
        other => other,
    }
}

fn input_text(input: Json) -> String {
    match input {
        Json::String(malformed) => malformed,
        input => input.to_string(),
    }
}

fn split(text: &str, piece: usize) -> Vec<String> {
    if piece == 0 {
        return vec![text.to_owned()];
    }
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(piece).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests;
