//! Converse's answers to deltas: one document, or the events of a stream under their names.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize as _;
use serde_json::Value as Json;
use wire::converse::{Block, Delta, Reply, StopReason, Usage};

use crate::collect::{consistent, deltas};
use crate::ids::Ids;
use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::remote::{Assemble, Fault};

/// The fold of one answer.
pub(super) struct Assembler {
    ids: Ids,
    /// Ours, by the server's number of the block.
    places: HashMap<u64, usize>,
    next: usize,
    open: BTreeSet<usize>,
    called: bool,
    stop: Option<StopReason>,
    usage: Option<Usage>,
    size: usize,
}

impl Assemble for Assembler {
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
        self.size += data.len();
        if self.size > REPLY_BYTES {
            return Err(Fault::Malformed("the answer is too long".to_owned()));
        }
        let event = read(data)?;
        let Some((name, event)) = only(&event) else { return Ok(false) };
        match name {
            "contentBlockStart" => self.start(event, out)?,
            "contentBlockDelta" => self.delta(event, out)?,
            "contentBlockStop" => self.stop(event, out),
            "messageStop" => self.finish(event, out)?,
            // AWS: it is the last event (API reference, `ConverseStreamOutput`).
            "metadata" => {
                self.usage = event.get("usage").map(usage);
                self.end(out)?;
                return Ok(true);
            }
            // `messageStart`, keep-alives, and what is yet to come.
            _ => {}
        }
        Ok(false)
    }

    fn broke_off(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.end(out)
    }

    fn whole(mut self, body: &[u8]) -> Result<Vec<Delta>, Fault> {
        let answer = read(body)?;
        let content = answer.pointer("/output/message/content").and_then(Json::as_array);
        let Some(content) = content else {
            return Err(Fault::Malformed("the answer has no output.message.content".to_owned()));
        };
        if content.len() > REPLY_BLOCKS {
            return Err(Fault::Malformed("the answer has too many blocks".to_owned()));
        }
        let blocks: Result<Vec<Block>, Fault> = content.iter().map(|b| self.block(b)).collect();
        let reply = Reply {
            content: blocks?,
            stop_reason: consistent(stop_reason(&answer["stopReason"])?, self.called),
            usage: usage(&answer["usage"]),
            native: Json::Null,
        };
        let mut out: Vec<Delta> = native(&answer).into_iter().collect();
        out.extend(deltas(reply, 0));
        Ok(out)
    }
}

impl Assembler {
    pub(super) fn new(ids: Ids) -> Self {
        Assembler {
            ids,
            places: HashMap::new(),
            next: 0,
            open: BTreeSet::new(),
            called: false,
            stop: None,
            usage: None,
            size: 0,
        }
    }

    /// A block of a whole answer.
    fn block(&mut self, block: &Json) -> Result<Block, Fault> {
        match Block::deserialize(block) {
            Ok(Block::ToolUse(mut tool)) => {
                self.called = true;
                tool.tool_use_id = self.ids.settle(tool.tool_use_id);
                Ok(Block::ToolUse(tool))
            }
            Ok(
                known @ (Block::Text(_) | Block::ReasoningContent(_) | Block::CitationsContent(_)),
            ) => Ok(known),
            _ => Err(unknown(only(block).map_or("a block of no kind", |(kind, _)| kind))),
        }
    }

    fn start(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let tool = match only(&event["start"]) {
            Some(("toolUse", tool)) => tool,
            Some((kind, _)) => return Err(unknown(kind)),
            None => return Ok(()),
        };
        let Some(name) = tool["name"].as_str().filter(|name| !name.is_empty()) else {
            return Err(Fault::Malformed("the answer has a toolUse without a name".to_owned()));
        };
        let id = self.ids.settle(tool["toolUseId"].as_str().unwrap_or_default().to_owned());
        let index = self.place(event)?;
        self.called = true;
        out.push(Delta::ToolUseStart { index, id, name: name.to_owned() });
        Ok(())
    }

    fn delta(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some((kind, said)) = only(&event["delta"]) else { return Ok(()) };
        let index = self.place(event)?;
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        match kind {
            "text" => out.push(Delta::Text { index, text: text(said) }),
            "toolUse" => out.push(Delta::ToolUseInput { index, json: text(&said["input"]) }),
            "citation" => out.push(Delta::Citation { index, citation: said.clone() }),
            "reasoningContent" => thought(index, said, out),
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn stop(&mut self, event: &Json, out: &mut Vec<Delta>) {
        let place = event["contentBlockIndex"].as_u64().and_then(|at| self.places.remove(&at));
        if let Some(index) = place.filter(|index| self.open.remove(index)) {
            out.push(Delta::BlockStop { index });
        }
    }

    fn finish(&mut self, event: &Json, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.stop = Some(stop_reason(&event["stopReason"])?);
        out.extend(native(event));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some(stop) = self.stop else {
            return Err(Fault::Malformed("the answer broke off before its end".to_owned()));
        };
        let open = std::mem::take(&mut self.open).into_iter();
        out.extend(open.map(|index| Delta::BlockStop { index }));
        out.push(Delta::Stop(consistent(stop, self.called)));
        out.extend(self.usage.take().map(Delta::Usage));
        Ok(())
    }

    /// Our number of an event's block: from 0, without gaps.
    fn place(&mut self, event: &Json) -> Result<usize, Fault> {
        let at = event["contentBlockIndex"].as_u64().unwrap_or(0);
        if let Some(place) = self.places.get(&at) {
            return Ok(*place);
        }
        if self.next >= REPLY_BLOCKS {
            return Err(Fault::Malformed("the answer has too many blocks".to_owned()));
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(at, place);
        self.open.insert(place);
        Ok(place)
    }
}

fn read(json: &[u8]) -> Result<Json, Fault> {
    serde_json::from_slice(json)
        .map_err(|error| Fault::Malformed(format!("the answer is not Converse's: {error}")))
}

/// The member of a union.
fn only(union: &Json) -> Option<(&str, &Json)> {
    let (kind, value) = union.as_object()?.iter().find(|(_, value)| !value.is_null())?;
    Some((kind, value))
}

fn unknown(kind: &str) -> Fault {
    Fault::Malformed(format!("the answer holds {kind}, which is not known"))
}

fn native(answer: &Json) -> Option<Delta> {
    let fields = answer.get("additionalModelResponseFields")?;
    (!fields.is_null()).then(|| Delta::Native(fields.clone()))
}

fn thought(index: usize, said: &Json, out: &mut Vec<Delta>) {
    let text = |member: &str| said[member].as_str().map(str::to_owned);
    if let Some(text) = text("text") {
        out.push(Delta::Reasoning { index, text });
    }
    if let Some(signature) = text("signature") {
        out.push(Delta::Signature { index, signature });
    }
    if let Some(data) = text("redactedContent") {
        out.push(Delta::Redacted { index, data });
    }
}

/// A reason yet unknown is an end like any other, unless it says that the model failed.
fn stop_reason(reason: &Json) -> Result<StopReason, Fault> {
    if let Ok(known) = StopReason::deserialize(reason) {
        return Ok(known);
    }
    match reason.as_str().unwrap_or_default() {
        "" => Err(Fault::Malformed("the answer has no stopReason".to_owned())),
        gave_up if gave_up.starts_with("malformed_") => {
            Err(Fault::Malformed(format!("the model gave up: {gave_up}")))
        }
        _ => Ok(StopReason::EndTurn),
    }
}

fn usage(usage: &Json) -> Usage {
    let count = |member: &str| usage[member].as_u64().unwrap_or(0);
    let details = usage["cacheDetails"].as_array().into_iter().flatten();
    let hour = details.filter(|detail| detail["ttl"] == "1h");
    let hour = hour.filter_map(|detail| detail["inputTokens"].as_u64());
    Usage {
        input_tokens: count("inputTokens"),
        output_tokens: count("outputTokens"),
        cache_read_input_tokens: count("cacheReadInputTokens"),
        cache_write_input_tokens: count("cacheWriteInputTokens"),
        cache_write_hour_input_tokens: hour.fold(0, u64::saturating_add),
    }
}
