//! Items of Responses to deltas: the events of a stream, or a document taken as if it had been
//! streamed.
//!
//! A message, a thought and a function call are one block each. Items of tools that the server ran
//! itself are left out, and the rest are numbered anew.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use wire::converse::{Delta, StopReason, Usage};

use super::KIND;
use crate::collect::consistent;
use crate::ids::Ids;
use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::native::Native;
use crate::remote::{Assemble, Fault};
use crate::signature;

/// The fold of one answer.
pub(super) struct Assembler {
    ids: Ids,
    /// The API's number of each item that is still open.
    open: BTreeMap<u64, Item>,
    next_index: usize,
    called: bool,
    size: usize,
    native: Native,
}

struct Item {
    index: usize,
    kind: Kind,
    /// Whether anything of it was told; what was not comes with its end.
    told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call,
}

impl Assembler {
    pub(super) fn new(ids: Ids, native: Native) -> Self {
        Assembler { ids, open: BTreeMap::new(), next_index: 0, called: false, size: 0, native }
    }

    fn added(&mut self, number: u64, item: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let kind = match item["type"].as_str().unwrap_or_default() {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            "function_call" => Kind::Call,
            // What a tool of the server's own did; there is nothing to answer.
            _ => return Ok(()),
        };
        if self.next_index >= REPLY_BLOCKS {
            return Err(malformed("the answer has too many items"));
        }
        let index = self.next_index;
        if kind == Kind::Call {
            let name = string(item, "name");
            if name.is_empty() {
                return Err(malformed("the answer has a function call without a name"));
            }
            self.called = true;
            let id = self.ids.settle(string(item, "call_id"));
            out.push(Delta::ToolUseStart { index, id, name });
        }
        self.next_index += 1;
        match self.open.insert(number, Item { index, kind, told: false }) {
            None => Ok(()),
            Some(_) => Err(malformed("two items of the answer share a number")),
        }
    }

    /// A piece of an item; those of items that were left out are too.
    fn piece(&mut self, event: &Json, kind: Kind, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let number = number(event)?;
        let Some(item) = self.open.get_mut(&number).filter(|item| item.kind == kind) else {
            return Ok(());
        };
        let text = string(event, "delta");
        if !text.is_empty() {
            item.told = true;
            out.push(words(kind, item.index, text));
        }
        Ok(())
    }

    /// The parts of a summary are paragraphs.
    fn part(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let item = self.open.get(&number(event)?);
        let item = item.filter(|item| item.kind == Kind::Reasoning && item.told);
        out.extend(item.map(|item| words(Kind::Reasoning, item.index, PARAGRAPH.to_owned())));
        Ok(())
    }

    fn done(&mut self, number: u64, whole: &Json, out: &mut Vec<Delta>) {
        let Some(item) = self.open.remove(&number) else { return };
        let (index, kind) = (item.index, item.kind);
        let text = match kind {
            _ if item.told => String::new(),
            Kind::Message => message_text(whole),
            Kind::Reasoning => thought_text(whole),
            Kind::Call => string(whole, "arguments"),
        };
        // A block that began has words, if none.
        if !text.is_empty() || (kind != Kind::Call && !item.told) {
            out.push(words(kind, index, text));
        }
        let encrypted = string(whole, "encrypted_content");
        if kind == Kind::Reasoning && !encrypted.is_empty() {
            let proof = format!("{}:{encrypted}", string(whole, "id"));
            out.push(Delta::Signature { index, signature: signature::of(KIND, &proof) });
        }
        out.push(Delta::BlockStop { index });
    }

    /// The last word on the answer: why it ended, and what it took.
    fn finish(&mut self, response: Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        if response["error"].is_object() || response["status"] == "failed" {
            return Err(Fault::Provider(response["error"].clone()));
        }
        let open: Vec<u64> = self.open.keys().copied().collect();
        open.into_iter().for_each(|number| self.done(number, &Json::Null, out));
        let stop = consistent(stop_reason(&response), self.called);
        let usage = usage(&response["usage"]);
        self.native.answer = response;
        out.extend(self.native.found());
        out.push(Delta::Stop(stop));
        out.push(Delta::Usage(usage));
        Ok(())
    }
}

impl Assemble for Assembler {
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
        self.size += data.len();
        if self.size > REPLY_BYTES {
            return Err(malformed("the answer is too long"));
        }
        // Some servers end the stream as chat completions do, after the last word.
        if data.trim_ascii() == b"[DONE]" {
            return Ok(false);
        }
        let mut event = parse(data)?;
        match event["type"].as_str().unwrap_or_default() {
            "response.output_item.added" => self.added(number(&event)?, &event["item"], out)?,
            "response.output_item.done" => self.done(number(&event)?, &event["item"], out),
            "response.output_text.delta" | "response.refusal.delta" => {
                self.piece(&event, Kind::Message, out)?;
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.piece(&event, Kind::Reasoning, out)?;
            }
            "response.reasoning_summary_part.added" => self.part(&event, out)?,
            "response.function_call_arguments.delta" => self.piece(&event, Kind::Call, out)?,
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.finish(event["response"].take(), out)?;
                return Ok(true);
            }
            "error" => return Err(Fault::Provider(event)),
            // `response.created` and other stations, ends of parts, and whatever is added.
            _ => {}
        }
        Ok(false)
    }

    fn broke_off(&mut self, _: &mut Vec<Delta>) -> Result<(), Fault> {
        Err(malformed("the answer broke off before its end"))
    }

    fn whole(mut self, body: &[u8]) -> Result<Vec<Delta>, Fault> {
        let response = parse(body)?;
        let mut out = Vec::new();
        match response["output"].as_array() {
            None if response["error"].is_null() => {
                return Err(malformed("the answer is not a response: it has no output"));
            }
            items => {
                for (number, item) in (0..).zip(items.into_iter().flatten()) {
                    self.added(number, item, &mut out)?;
                    self.done(number, item, &mut out);
                }
            }
        }
        self.finish(response, &mut out)?;
        Ok(out)
    }
}

/// Between two parts of a summary.
const PARAGRAPH: &str = "\n\n";

fn words(kind: Kind, index: usize, text: String) -> Delta {
    match kind {
        Kind::Message => Delta::Text { index, text },
        Kind::Reasoning => Delta::Reasoning { index, text },
        Kind::Call => Delta::ToolUseInput { index, json: text },
    }
}

/// A refusal is the model's answer, in words meant for the user.
fn message_text(item: &Json) -> String {
    let parts = item["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str().or(part["refusal"].as_str())).collect()
}

fn thought_text(item: &Json) -> String {
    let texts = |member: &str| -> Vec<String> {
        let parts = item[member].as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).map(str::to_owned).collect()
    };
    match texts("summary") {
        summary if summary.is_empty() => texts("content").join(""),
        summary => summary.join(PARAGRAPH),
    }
}

fn stop_reason(response: &Json) -> StopReason {
    match response["incomplete_details"]["reason"].as_str() {
        Some("max_output_tokens") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::ContentFiltered,
        _ => StopReason::EndTurn,
    }
}

/// AWS: `inputTokens` leaves out what was read from a cache (Converse, TokenUsage).
fn usage(tokens: &Json) -> Usage {
    let count = |value: &Json| value.as_u64().unwrap_or(0);
    let read = count(&tokens["input_tokens_details"]["cached_tokens"]);
    Usage {
        input_tokens: count(&tokens["input_tokens"]).saturating_sub(read),
        output_tokens: count(&tokens["output_tokens"]),
        cache_read_input_tokens: read,
        ..Usage::default()
    }
}

fn parse(data: &[u8]) -> Result<Json, Fault> {
    let json: Result<Json, _> = serde_json::from_slice(data);
    json.map_err(|error| malformed(&format!("the answer is not JSON: {error}")))
}

fn number(event: &Json) -> Result<u64, Fault> {
    event["output_index"].as_u64().ok_or_else(|| malformed("an item of the answer has no number"))
}

fn string(holder: &Json, member: &str) -> String {
    holder[member].as_str().unwrap_or_default().to_owned()
}

fn malformed(why: &str) -> Fault {
    Fault::Malformed(why.to_owned())
}
