//! `GenerateContentResponse` to deltas: one document, or the chunks of a stream, each of which is one.

use serde::Deserialize;
use serde_json::Value as Json;
use wire::converse::{Delta, StopReason, Usage};

use super::native;
use super::thoughts::{LAST, NEXT, OWN};
use crate::collect::consistent;
use crate::ids::Ids;
use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::native::Native;
use crate::remote::{Assemble, Fault};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<Tokens>,
    error: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
    #[serde(default)]
    index: u64,
}

#[derive(Debug, Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    #[serde(flatten)]
    other: serde_json::Map<String, Json>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: Option<String>,
    args: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    prompt_token_count: Option<i64>,
    candidates_token_count: Option<i64>,
    thoughts_token_count: Option<i64>,
    tool_use_prompt_token_count: Option<i64>,
    cached_content_token_count: Option<i64>,
}

/// The fold of one answer.
pub(super) struct Assembler {
    ids: Ids,
    open: Option<(Kind, usize)>,
    next_index: usize,
    called: bool,
    finish: Option<StopReason>,
    usage: Option<Usage>,
    size: usize,
    native: Native,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

impl Assemble for Assembler {
    /// No event declares the end: usage may follow the one with the reason.
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
        self.absorb(data, out)?;
        Ok(false)
    }

    fn broke_off(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.end(out)
    }

    fn whole(mut self, body: &[u8]) -> Result<Vec<Delta>, Fault> {
        let mut out = Vec::new();
        self.absorb(body, &mut out)?;
        self.end(&mut out)?;
        Ok(out)
    }
}

impl Assembler {
    pub(super) fn new(ids: Ids, native: Native) -> Self {
        Assembler {
            ids,
            open: None,
            next_index: 0,
            called: false,
            finish: None,
            usage: None,
            size: 0,
            native,
        }
    }

    fn absorb(&mut self, json: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.size += json.len();
        if self.size > REPLY_BYTES {
            return Err(Fault::Malformed("the answer is too long".to_owned()));
        }
        let chunk: Chunk = serde_json::from_slice(json).map_err(|error| {
            Fault::Malformed(format!("the answer is not a generateContent response: {error}"))
        })?;
        if self.native.wanted() {
            native::absorb(&mut self.native.answer, json);
        }
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(Fault::Provider(error));
        }
        if let Some(tokens) = &chunk.usage_metadata {
            self.usage = Some(usage(tokens));
        }
        // A prompt that is refused has no candidates.
        if chunk.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some() {
            self.finish = Some(StopReason::ContentFiltered);
        }
        for candidate in chunk.candidates.into_iter().filter(|candidate| candidate.index == 0) {
            self.candidate(candidate, out)?;
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate, out: &mut Vec<Delta>) -> Result<(), Fault> {
        for part in candidate.content.and_then(|content| content.parts).unwrap_or_default() {
            self.part(part, out)?;
        }
        if let Some(reason) = candidate.finish_reason.filter(|reason| !reason.is_empty()) {
            let message = candidate.finish_message.unwrap_or_default();
            self.finish = Some(stop_reason(&reason, &message)?);
        }
        Ok(())
    }

    fn part(&mut self, part: Part, out: &mut Vec<Delta>) -> Result<(), Fault> {
        if let Some(call) = part.function_call {
            return self.tool_use(call, part.thought_signature, out);
        }
        let Some(text) =
            part.text.or_else(|| part.thought_signature.as_ref().map(|_| String::new()))
        else {
            return match part.other.keys().next() {
                Some(kind) => Err(Fault::Malformed(format!(
                    "the answer holds {kind}, which Converse has no block for"
                ))),
                None => Ok(()),
            };
        };
        let kind = if part.thought { Kind::Thought } else { Kind::Text };
        if !text.is_empty() {
            self.piece(kind, text, out)?;
        }
        match part.thought_signature {
            Some(signature) if part.thought => self.sign(&format!("{OWN}{signature}"), out),
            Some(signature) => {
                self.close(out);
                self.sign(&format!("{LAST}{signature}"), out)
            }
            None => Ok(()),
        }
    }

    fn piece(&mut self, kind: Kind, text: String, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let index = match self.open {
            Some((open, index)) if open == kind => index,
            _ => self.begin(kind, out)?,
        };
        out.push(match kind {
            Kind::Text => Delta::Text { index, text },
            Kind::Thought => Delta::Reasoning { index, text },
        });
        Ok(())
    }

    /// Puts a signature on the thought that is open, or on one without words.
    fn sign(&mut self, signature: &str, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let index = match self.open {
            Some((Kind::Thought, index)) => index,
            _ => {
                let index = self.begin(Kind::Thought, out)?;
                out.push(Delta::Reasoning { index, text: String::new() });
                index
            }
        };
        out.push(Delta::Signature { index, signature: signature.to_owned() });
        self.close(out);
        Ok(())
    }

    fn tool_use(
        &mut self,
        call: FunctionCall,
        signature: Option<String>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        let Some(name) = call.name.filter(|name| !name.is_empty()) else {
            return Err(Fault::Malformed(
                "the answer has a functionCall without a name".to_owned(),
            ));
        };
        if let Some(signature) = signature {
            self.sign(&format!("{NEXT}{signature}"), out)?;
        }
        self.close(out);
        let index = self.number()?;
        let id = self.ids.settle(call.id.unwrap_or_default());
        let json =
            call.args.filter(|args| !args.is_null()).unwrap_or_else(|| serde_json::json!({}));
        self.called = true;
        out.push(Delta::ToolUseStart { index, id, name });
        out.push(Delta::ToolUseInput { index, json: json.to_string() });
        out.push(Delta::BlockStop { index });
        Ok(())
    }

    fn begin(&mut self, kind: Kind, out: &mut Vec<Delta>) -> Result<usize, Fault> {
        self.close(out);
        let index = self.number()?;
        self.open = Some((kind, index));
        Ok(index)
    }

    fn number(&mut self) -> Result<usize, Fault> {
        if self.next_index >= REPLY_BLOCKS {
            return Err(Fault::Malformed("the answer has too many blocks".to_owned()));
        }
        self.next_index += 1;
        Ok(self.next_index - 1)
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        out.extend(self.open.take().map(|(_, index)| Delta::BlockStop { index }));
    }

    fn end(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let Some(finish) = self.finish else {
            return Err(Fault::Malformed("the answer broke off before its end".to_owned()));
        };
        self.close(out);
        out.extend(self.native.found());
        out.push(Delta::Stop(consistent(finish, self.called)));
        out.extend(self.usage.take().map(Delta::Usage));
        Ok(())
    }
}

/// What ended the answer (API reference, FinishReason). A reason that says that the model made no
/// usable answer is a failure of this call.
fn stop_reason(reason: &str, message: &str) -> Result<StopReason, Fault> {
    match reason {
        "MAX_TOKENS" => Ok(StopReason::MaxTokens),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Ok(StopReason::ContentFiltered),
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => {
            Err(Fault::Malformed(format!("the model gave up: {reason} {message}")))
        }
        // `STOP`, also for a stop sequence, and whatever else is to come.
        _ => Ok(StopReason::EndTurn),
    }
}

/// AWS: `inputTokens` leaves out what was read from a cache (Converse, TokenUsage). Thoughts are
/// output that is paid for.
fn usage(tokens: &Tokens) -> Usage {
    let count = |tokens: Option<i64>| tokens.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let cached = count(tokens.cached_content_token_count);
    let input = count(tokens.prompt_token_count);
    let input = input.saturating_add(count(tokens.tool_use_prompt_token_count));
    let said = count(tokens.candidates_token_count);
    Usage {
        input_tokens: input.saturating_sub(cached),
        output_tokens: said.saturating_add(count(tokens.thoughts_token_count)),
        cache_read_input_tokens: cached,
        ..Usage::default()
    }
}
