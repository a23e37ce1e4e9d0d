//! Messages to deltas: the events of a stream, or a document taken as if it had been streamed.
//!
//! Each block passes as it comes. Blocks that Converse has no word for are left out, and the rest
//! are numbered anew.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;
use wire::converse::{Call, Delta, StopReason, Usage};

use super::{citation, native};
use crate::collect::consistent;
use crate::ids::Ids;
use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::native::Native;
use crate::remote::{Assemble, Fault};

/// The fold of one answer.
pub(super) struct Assembler {
    ids: Ids,
    /// The API's number of each block that is still open, and ours.
    open: BTreeMap<u64, usize>,
    next_index: usize,
    called: bool,
    stop: Option<StopReason>,
    usage: Usage,
    size: usize,
    native: Native,
    /// Whether the client reads events, of which it may name the last.
    stream: bool,
}

impl Assembler {
    pub(super) fn new(call: &Call) -> Self {
        Assembler {
            ids: Ids::after(&call.messages),
            open: BTreeMap::new(),
            next_index: 0,
            called: false,
            stop: None,
            usage: Usage::default(),
            size: 0,
            native: Native::of(call),
            stream: call.stream,
        }
    }

    fn start(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let (number, block) = (number(event)?, &event["content_block"]);
        if self.next_index >= REPLY_BLOCKS {
            return Err(malformed("the answer has too many blocks"));
        }
        let index = self.next_index;
        match block["type"].as_str().unwrap_or_default() {
            "text" => {
                out.extend(piece(block, "text", |text| Delta::Text { index, text }));
                let citations = block["citations"].as_array().into_iter().flatten();
                let citations = citations.filter_map(citation::converse);
                out.extend(citations.map(|citation| Delta::Citation { index, citation }));
            }
            "thinking" => {
                out.extend(piece(block, "thinking", |text| Delta::Reasoning { index, text }));
                // INVARIANT: thinking of this API has a signature, if an empty one, by which it is
                // told from another provider's when it goes back.
                let signature = block["signature"].as_str().unwrap_or_default().to_owned();
                out.push(Delta::Signature { index, signature });
            }
            "redacted_thinking" => {
                let data = BASE64_STANDARD.encode(block["data"].as_str().unwrap_or_default());
                out.push(Delta::Redacted { index, data });
            }
            "tool_use" => self.tool_use(index, block, out)?,
            // What a tool of the model's host did; there is nothing to answer.
            _ => return Ok(()),
        }
        self.next_index += 1;
        match self.open.insert(number, index) {
            None => Ok(()),
            Some(_) => Err(malformed("two blocks of the answer share a number")),
        }
    }

    fn tool_use(&mut self, index: usize, block: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        if name.is_empty() {
            return Err(malformed("the answer has a tool call without a name"));
        }
        self.called = true;
        let id = self.ids.settle(text("id"));
        out.push(Delta::ToolUseStart { index, id, name });
        // A stream begins with an empty input; a document has all of it here.
        if block["input"].as_object().is_some_and(|input| !input.is_empty()) {
            out.push(Delta::ToolUseInput { index, json: block["input"].to_string() });
        }
        Ok(())
    }

    fn delta(&self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some(&index) = self.open.get(&number(event)?) else { return Ok(()) };
        let delta = &event["delta"];
        out.extend(match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => piece(delta, "text", |text| Delta::Text { index, text }),
            "thinking_delta" => piece(delta, "thinking", |text| Delta::Reasoning { index, text }),
            "signature_delta" => {
                piece(delta, "signature", |signature| Delta::Signature { index, signature })
            }
            "citations_delta" => citation::converse(&delta["citation"])
                .map(|citation| Delta::Citation { index, citation }),
            "input_json_delta" => {
                piece(delta, "partial_json", |json| Delta::ToolUseInput { index, json })
            }
            _ => None,
        });
        Ok(())
    }

    fn stop(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let closed = self.open.remove(&number(event)?);
        out.extend(closed.map(|index| Delta::BlockStop { index }));
        Ok(())
    }

    /// Counts are totals so far, and those that are not told again stand.
    fn count(&mut self, usage: &Json) {
        let told = |name: &str, before: u64| usage[name].as_u64().unwrap_or(before);
        let before = self.usage;
        self.usage = Usage {
            input_tokens: told("input_tokens", before.input_tokens),
            output_tokens: told("output_tokens", before.output_tokens),
            cache_read_input_tokens: told(
                "cache_read_input_tokens",
                before.cache_read_input_tokens,
            ),
            cache_write_input_tokens: told(
                "cache_creation_input_tokens",
                before.cache_write_input_tokens,
            ),
            cache_write_hour_input_tokens: usage["cache_creation"]["ephemeral_1h_input_tokens"]
                .as_u64()
                .unwrap_or(before.cache_write_hour_input_tokens),
        };
    }

    fn halt(&mut self, reason: &Json) {
        self.stop = reason.as_str().map(stop_reason).or(self.stop);
    }

    fn end(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some(stop) = self.stop else { return Err(broken_off()) };
        let open = std::mem::take(&mut self.open).into_values();
        out.extend(open.map(|index| Delta::BlockStop { index }));
        out.extend(self.native.found());
        out.push(Delta::Stop(consistent(stop, self.called)));
        out.push(Delta::Usage(self.usage));
        Ok(())
    }
}

impl Assemble for Assembler {
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
        self.size += data.len();
        if self.size > REPLY_BYTES {
            return Err(malformed("the answer is too long"));
        }
        let event = parse(data)?;
        if self.native.wanted() {
            native::absorb(&mut self.native.answer, &event, self.stream);
        }
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.count(&event["message"]["usage"]),
            "content_block_start" => self.start(&event, out)?,
            "content_block_delta" => self.delta(&event, out)?,
            "content_block_stop" => self.stop(&event, out)?,
            "message_delta" => {
                self.halt(&event["delta"]["stop_reason"]);
                self.count(&event["usage"]);
            }
            "message_stop" => {
                self.end(out)?;
                return Ok(true);
            }
            "error" => return Err(Fault::Provider(event)),
            // `ping`, and whatever is added: the API asks to pass over events that one does not know.
            _ => {}
        }
        Ok(false)
    }

    /// A server that says why the model stopped has said all.
    fn broke_off(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.end(out)
    }

    fn whole(mut self, body: &[u8]) -> Result<Vec<Delta>, Fault> {
        let message = parse(body)?;
        if message["type"] == "error" {
            return Err(Fault::Provider(message));
        }
        let Some(content) = message["content"].as_array() else {
            return Err(malformed("the answer is not a message: it has no content"));
        };
        let mut out = Vec::new();
        for (number, block) in content.iter().enumerate() {
            let event = serde_json::json!({ "index": number, "content_block": block });
            self.start(&event, &mut out)?;
            self.stop(&event, &mut out)?;
        }
        self.count(&message["usage"]);
        self.halt(&message["stop_reason"]);
        self.native.answer = message;
        self.end(&mut out)?;
        Ok(out)
    }
}

fn parse(data: &[u8]) -> Result<Json, Fault> {
    let json: Result<Json, _> = serde_json::from_slice(data);
    json.map_err(|error| malformed(&format!("the answer is not JSON: {error}")))
}

fn number(event: &Json) -> Result<u64, Fault> {
    event["index"].as_u64().ok_or_else(|| malformed("a block of the answer has no number"))
}

fn piece(holder: &Json, member: &str, delta: impl FnOnce(String) -> Delta) -> Option<Delta> {
    let text = holder[member].as_str().filter(|text| !text.is_empty())?;
    Some(delta(text.to_owned()))
}

fn malformed(why: &str) -> Fault {
    Fault::Malformed(why.to_owned())
}

fn broken_off() -> Fault {
    malformed("the answer broke off before its end")
}

fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "refusal" => StopReason::ContentFiltered,
        "model_context_window_exceeded" => StopReason::ModelContextWindowExceeded,
        // `end_turn`; and `pause_turn`, which tools of the model's host bring about: what was said
        // until then is the answer, and the client may ask for more.
        _ => StopReason::EndTurn,
    }
}
