//! Chat completions to deltas: one document, or the chunks of a stream, through the same fold.
//!
//! Text and reasoning pass at once. Tool calls are held until the end, because servers send their
//! pieces in any order, some without ids, some with arguments as objects; then they come out whole.

use serde::Deserialize;
use serde_json::{Value as Json, json};
use wire::converse::{Delta, StopReason, Usage};

use crate::collect::consistent;
use crate::ids::Ids;
use crate::limits::{REPLY_BLOCKS, REPLY_BYTES};
use crate::media::texts;
use crate::native::Native;
use crate::remote::{Assemble, Fault};

#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
    error: Option<Json>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    /// `delta` in a stream, `message` in a document.
    #[serde(alias = "delta")]
    message: Option<Said>,
    finish_reason: Option<String>,
    /// vLLM: the stop sequence that ended the text, or a token's number.
    stop_reason: Option<Json>,
    /// OpenRouter: what went wrong at whoever answers behind it.
    error: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
struct Said {
    content: Option<Content>,
    /// DeepSeek, vLLM and llama.cpp; Ollama and OpenRouter call it `reasoning`.
    reasoning_content: Option<String>,
    reasoning: Option<Json>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Json>),
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionCall>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall {
    name: Option<String>,
    arguments: Option<Json>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptTokens>,
    /// DeepSeek: how much of the prompt was read from its cache.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
    /// OpenRouter, before models whose writes have a price.
    cache_write_tokens: Option<u64>,
}

/// The fold of one answer.
pub(super) struct Assembler {
    ids: Ids,
    open: Option<(Kind, usize)>,
    next_index: usize,
    calls: Vec<Pending>,
    finish: Option<StopReason>,
    usage: Option<Usage>,
    size: usize,
    native: Native,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

struct Pending {
    place: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Assemble for Assembler {
    fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
        let done = data.trim_ascii() == b"[DONE]";
        match done {
            true => self.end(true, out)?,
            false => self.absorb(data, out)?,
        }
        Ok(done)
    }

    /// Some servers close the connection after the finish reason instead of saying so.
    fn broke_off(&mut self, out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.end(false, out)
    }

    fn whole(mut self, body: &[u8]) -> Result<Vec<Delta>, Fault> {
        let mut out = Vec::new();
        self.absorb(body, &mut out)?;
        self.end(true, &mut out)?;
        Ok(out)
    }
}

impl Assembler {
    pub(super) fn new(ids: Ids, native: Native) -> Self {
        Assembler {
            ids,
            open: None,
            next_index: 0,
            calls: Vec::new(),
            finish: None,
            usage: None,
            size: 0,
            native,
        }
    }

    /// One chunk of a stream, or a document.
    fn absorb(&mut self, json: &[u8], out: &mut Vec<Delta>) -> Result<(), Fault> {
        self.size += json.len();
        if self.size > REPLY_BYTES {
            return Err(Fault::Malformed("the answer is too long".to_owned()));
        }
        let completion: Completion = serde_json::from_slice(json).map_err(|error| {
            Fault::Malformed(format!("the answer is not a chat completion: {error}"))
        })?;
        if self.native.wanted() {
            self.native.merge(as_message(json));
        }
        if let Some(error) = completion.error.filter(|error| !error.is_null()) {
            return Err(Fault::Provider(error));
        }
        if let Some(tokens) = completion.usage {
            self.usage = Some(usage(&tokens));
        }
        // Converse has one reply; `n` is never asked for.
        for choice in completion.choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice, out)?;
        }
        Ok(())
    }

    /// The rest of the deltas. `whole` says that the server declared its end.
    fn end(&mut self, whole: bool, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let anything = self.next_index > 0 || !self.calls.is_empty();
        let finish = match self.finish {
            Some(finish) => finish,
            None if whole && anything => StopReason::EndTurn,
            None => return Err(Fault::Malformed("the answer broke off before its end".to_owned())),
        };
        self.close(out);
        let called = !self.calls.is_empty();
        for call in std::mem::take(&mut self.calls) {
            self.tool_use(call, out)?;
        }
        out.extend(self.native.found());
        out.push(Delta::Stop(consistent(finish, called)));
        out.extend(self.usage.take().map(Delta::Usage));
        Ok(())
    }

    fn choice(&mut self, choice: Choice, out: &mut Vec<Delta>) -> Result<(), Fault> {
        if let Some(failed) = failure(choice.finish_reason.as_deref(), choice.error) {
            return Err(Fault::Provider(failed));
        }
        let said = choice.message.unwrap_or_default();
        if let Some(text) = reasoning(&said) {
            self.piece(Kind::Reasoning, text, out);
        }
        for (kind, text) in said.content.map(Content::into_pieces).unwrap_or_default() {
            self.piece(kind, text, out);
        }
        // A refusal is the model's answer, in words meant for the user.
        if let Some(text) = said.refusal {
            self.piece(Kind::Text, text, out);
        }
        for (place, call) in said.tool_calls.unwrap_or_default().into_iter().enumerate() {
            self.tool_call(place, call)?;
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(stop_reason(&reason, choice.stop_reason.as_ref()));
        }
        Ok(())
    }

    fn piece(&mut self, kind: Kind, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        let index = match self.open {
            Some((open, index)) if open == kind => index,
            _ => {
                self.close(out);
                self.next_index += 1;
                self.open = Some((kind, self.next_index - 1));
                self.next_index - 1
            }
        };
        out.push(match kind {
            Kind::Text => Delta::Text { index, text },
            Kind::Reasoning => Delta::Reasoning { index, text },
        });
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        out.extend(self.open.take().map(|(_, index)| Delta::BlockStop { index }));
    }

    /// A piece belongs to the call with its index, unless it has a name and another id: some servers
    /// number every call 0. Without an index, an id or a name begins a new call and anything else
    /// continues the last.
    fn tool_call(&mut self, place: usize, piece: ToolCall) -> Result<(), Fault> {
        let function = piece.function.unwrap_or(FunctionCall { name: None, arguments: None });
        let found = match piece.index {
            Some(index) => {
                let other = |call: &Pending| function.name.is_some() && call.is_other(&piece.id);
                let mut calls = self.calls.iter().enumerate().rev();
                let found = calls.find(|(_, call)| call.place == Some(index));
                found.filter(|(_, call)| !other(call)).map(|(at, _)| at)
            }
            None if piece.id.is_none() && function.name.is_none() && place == 0 => {
                self.calls.len().checked_sub(1)
            }
            None => None,
        };
        let at = match found {
            Some(at) => at,
            None if self.calls.len() >= REPLY_BLOCKS => {
                return Err(Fault::Malformed("the answer has too many tool calls".to_owned()));
            }
            None => {
                self.calls.push(Pending::new(piece.index));
                self.calls.len() - 1
            }
        };
        self.calls[at].add(piece.id, function);
        Ok(())
    }

    fn tool_use(&mut self, call: Pending, out: &mut Vec<Delta>) -> Result<(), Fault> {
        if call.name.is_empty() {
            return Err(Fault::Malformed("the answer has a tool call without a name".to_owned()));
        }
        let index = self.next_index;
        self.next_index += 1;
        let id = self.ids.settle(call.id);
        out.push(Delta::ToolUseStart { index, id, name: call.name });
        out.push(Delta::ToolUseInput { index, json: call.arguments });
        out.push(Delta::BlockStop { index });
        Ok(())
    }
}

impl Pending {
    fn new(place: Option<u64>) -> Self {
        Pending { place, id: String::new(), name: String::new(), arguments: String::new() }
    }

    fn is_other(&self, id: &Option<String>) -> bool {
        !self.id.is_empty() && id.as_ref().is_some_and(|id| !id.is_empty() && *id != self.id)
    }

    /// Ids and names come once, though some servers repeat them; arguments come in pieces of text,
    /// or at once as an object.
    fn add(&mut self, id: Option<String>, function: FunctionCall) {
        if let Some(id) = id.filter(|_| self.id.is_empty()) {
            self.id = id;
        }
        if let Some(name) = function.name.filter(|_| self.name.is_empty()) {
            self.name = name;
        }
        match function.arguments {
            None | Some(Json::Null) => {}
            Some(Json::String(piece)) => self.arguments.push_str(&piece),
            Some(whole) => self.arguments = whole.to_string(),
        }
    }
}

impl Content {
    fn into_pieces(self) -> Vec<(Kind, String)> {
        match self {
            Content::Text(text) => vec![(Kind::Text, text)],
            Content::Parts(parts) => parts.iter().map(piece_of).collect(),
        }
    }
}

/// Mistral's reasoning models think in a part of their own.
fn piece_of(part: &Json) -> (Kind, String) {
    match &part["thinking"] {
        Json::Array(_) => (Kind::Reasoning, texts(&part["thinking"]).concat()),
        _ => (Kind::Text, part["text"].as_str().unwrap_or_default().to_owned()),
    }
}

/// A chunk as if it were a piece of the document.
fn as_message(json: &[u8]) -> Json {
    let mut chunk: Json = serde_json::from_slice(json).unwrap_or_default();
    let choices = chunk.get_mut("choices").and_then(Json::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Json::as_object_mut) {
        if let Some(delta) = choice.remove("delta") {
            choice.insert("message".to_owned(), delta);
        }
    }
    chunk
}

fn reasoning(said: &Said) -> Option<String> {
    let other = || said.reasoning.as_ref()?.as_str().map(str::to_owned);
    said.reasoning_content.clone().or_else(other)
}

/// An answer that its server gave up, however much of it came.
fn failure(finish: Option<&str>, error: Option<Json>) -> Option<Json> {
    let (status, why) = match finish {
        // Mistral (API reference, "Chat Completion") and OpenRouter ("Errors and Debugging").
        Some("error") => (500, "it ended with an error"),
        // DeepSeek (API documentation, "Create Chat Completion").
        Some("insufficient_system_resource") => (503, "it ran out of resources midway"),
        _ => return error.filter(|error| !error.is_null()),
    };
    let told = error.filter(Json::is_object);
    Some(told.unwrap_or_else(|| json!({ "code": status, "message": why })))
}

fn stop_reason(reason: &str, matched: Option<&Json>) -> StopReason {
    match reason {
        "length" | "max_tokens" | "model_length" => StopReason::MaxTokens,
        "content_filter" => StopReason::ContentFiltered,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "stop" if matched.is_some_and(Json::is_string) => StopReason::StopSequence,
        // `stop`, `eos`, `end_turn` and whatever else a server calls its natural end.
        _ => StopReason::EndTurn,
    }
}

/// AWS: `inputTokens` leaves out what was read from a cache (Converse, TokenUsage).
fn usage(tokens: &Tokens) -> Usage {
    let details = tokens.prompt_tokens_details.as_ref();
    let read = details.and_then(|of| of.cached_tokens).or(tokens.prompt_cache_hit_tokens);
    let written = details.and_then(|of| of.cache_write_tokens).unwrap_or(0);
    let (input, read) = (tokens.prompt_tokens.unwrap_or(0), read.unwrap_or(0));
    Usage {
        input_tokens: input.saturating_sub(read).saturating_sub(written),
        output_tokens: tokens.completion_tokens.unwrap_or(0),
        cache_read_input_tokens: read,
        cache_write_input_tokens: written,
        ..Usage::default()
    }
}
