//! What a session remembers of its turns: exchanges, each kept once, and which of them a turn reads.
//!
//! A turn reads its [`Past`] and adds messages of its own; what it added becomes exchanges when it
//! ends. Whatever is left out is left out at whole exchanges, so that no tool use ever loses its
//! result. Nothing here reads a clock or the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wire::converse::{Block, Message, ResultBlock, Role};

use super::config::Retention;
use super::origin::{Origin, Utterance};

/// Bytes of text that count as one token: a rough figure for sizing only, never for billing.
pub(crate) const BYTES_PER_TOKEN: usize = 4;
/// What an image counts as, in bytes of text: models shrink a large one to about 1,600 tokens.
const IMAGE: usize = 1_600 * BYTES_PER_TOKEN;
/// Of a document that is not plain text: a page of 50 KB counts as 500 tokens. A rough figure too.
const DOCUMENT_BYTES_PER_TEXT_BYTE: usize = 25;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A question and all that came of it, as the session keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// The run that said it.
    pub run: String,
    /// When it was over.
    pub at: i64,
    pub tokens: usize,
    pub messages: Vec<Utterance>,
}

impl Exchange {
    pub fn new(run: &str, at: i64, messages: Vec<Utterance>) -> Self {
        let tokens = messages.iter().map(|m| tokens(m)).sum();
        Exchange { run: run.to_owned(), at, tokens, messages }
    }

    /// Stands in a replay for an exchange whose text is gone.
    pub fn deleted() -> Self {
        let said = |role, text: &str| {
            let content = vec![Block::Text(text.to_owned())];
            Utterance::new(Message { role, content }, &Origin::Developer)
        };
        let messages = vec![
            said(Role::User, "(craton: this exchange was deleted by the session's retention)"),
            said(Role::Assistant, "(deleted)"),
        ];
        Exchange::new("", 0, messages)
    }
}

/// A stretch of a conversation that came before a turn. A journal holds which; whoever reads the
/// journal fills in the text, so that a long session does not store itself again with each turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The name under which the exchanges are kept; empty before the first.
    pub thread: String,
    /// Their numbers: `first` up to `end`, which is the number of the next.
    pub first: u32,
    pub end: u32,
    /// Restricted data was said in it: whoever reads it is a local model.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restricted: bool,
    #[serde(skip)]
    pub exchanges: Vec<Arc<Exchange>>,
}

impl Past {
    pub fn is_empty(&self) -> bool {
        self.thread.is_empty()
    }

    /// Whether a journal need not hold it.
    pub fn is_unsaid(&self) -> bool {
        self.is_empty() && !self.restricted
    }

    /// Leaves the oldest out.
    pub fn forget(&mut self, exchanges: usize) {
        let gone = exchanges.min(self.exchanges.len());
        self.exchanges.drain(..gone);
        self.first = self.first.saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
    }

    /// Leaves out what its retention no longer lets a turn read.
    pub fn retain(&mut self, retention: &Retention, now: i64) {
        self.forget(surplus(&self.exchanges, retention, now));
    }
}

/// How many of the oldest exchanges a retention drops. Each cap holds by itself. Of what is young
/// enough, the last exchange always stays, however long it is.
fn surplus(exchanges: &[Arc<Exchange>], retention: &Retention, now: i64) -> usize {
    let old = |age: Option<i64>| {
        age.map_or(0, |age| {
            exchanges.iter().take_while(|e| e.at.saturating_add(age) <= now).count()
        })
    };
    let hours = retention.hours.map(|hours| i64::from(hours).saturating_mul(HOUR));
    let days = retention.days.map(|days| i64::from(days).saturating_mul(DAY));
    let most = retention.exchanges.map_or(usize::MAX, |most| most as usize);
    let too_many = exchanges.len().saturating_sub(most);
    let too_long = retention.tokens.map_or(0, |most| too_long(exchanges, most as usize));
    old(hours).max(old(days)).max(too_many).max(too_long)
}

fn too_long(exchanges: &[Arc<Exchange>], most: usize) -> usize {
    let mut total = 0usize;
    let fits = exchanges.iter().rev().take_while(|exchange| {
        total = total.saturating_add(exchange.tokens);
        total <= most
    });
    let last = usize::from(!exchanges.is_empty());
    exchanges.len() - fits.count().max(last)
}

/// Parts messages into exchanges.
///
/// INVARIANT: a cut falls only before a user message that holds no tool result, so that no tool
/// use loses its result.
pub fn exchanges(run: &str, at: i64, messages: &[Utterance]) -> Vec<Exchange> {
    let mut parts: Vec<Vec<Utterance>> = Vec::new();
    for message in messages {
        match parts.last_mut() {
            Some(part) if !begins_exchange(message) => part.push(message.clone()),
            _ => parts.push(vec![message.clone()]),
        }
    }
    parts.into_iter().map(|part| Exchange::new(run, at, part)).collect()
}

/// A block as it is kept of a turn that failed: a file may be why, and would fail every later one.
pub(super) fn without_file(block: Block) -> Block {
    let left_out = |what: &str| {
        let text =
            format!("(craton: {what} was left out here, because the turn it came with failed)");
        Block::Text(text)
    };
    match block {
        Block::Image(_) => left_out("an image"),
        Block::Video(_) => left_out("a video"),
        Block::Document(document) => {
            left_out(&format!("the file {}", document["name"].as_str().unwrap_or("of the user")))
        }
        other => other,
    }
}

/// One conversation of several stretches: a question that follows one without an answer joins it,
/// because Converse wants the roles to take turns.
pub fn merged<'a>(stretches: impl Iterator<Item = &'a Utterance>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for said in stretches {
        match messages.last_mut() {
            Some(last) if last.role == said.role => last.content.extend_from_slice(&said.content),
            _ => messages.push(said.message().clone()),
        }
    }
    messages
}

pub(super) fn begins_exchange(message: &Message) -> bool {
    message.role == Role::User
        && !message.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
}

pub(super) fn tokens(message: &Message) -> usize {
    message.content.iter().map(size).sum::<usize>() / BYTES_PER_TOKEN + 4
}

fn size(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.len(),
        Block::ToolUse(used) => used.name.len() + used.input.to_string().len(),
        Block::ToolResult(result) => result
            .content
            .iter()
            .map(|part| match part {
                ResultBlock::Text(text) => text.len(),
                ResultBlock::Image(_) => IMAGE,
                ResultBlock::Document(document) => document_size(document),
                ResultBlock::Json(json)
                | ResultBlock::Video(json)
                | ResultBlock::SearchResult(json) => json.to_string().len(),
            })
            .sum(),
        Block::Image(_) => IMAGE,
        Block::Document(document) => document_size(document),
        Block::ReasoningContent(json)
        | Block::Video(json)
        | Block::Audio(json)
        | Block::SearchResult(json)
        | Block::CitationsContent(json)
        | Block::GuardContent(json)
        | Block::CachePoint(json) => json.to_string().len(),
    }
}

/// What a document has of text: all of it where it is text, else a rough part of its bytes.
fn document_size(document: &Json) -> usize {
    let bytes = document["source"]["bytes"].as_str().map_or(0, |base64| base64.len() / 4 * 3);
    match document["format"].as_str() {
        Some("csv" | "txt" | "html" | "md") => bytes,
        _ => bytes / DOCUMENT_BYTES_PER_TEXT_BYTE,
    }
}
