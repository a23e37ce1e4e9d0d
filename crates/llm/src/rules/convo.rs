//! The conversation as these rules see it: turns, what was asked, which tools answered what.
//!
//! Reads Converse messages only. A turn begins with a user message that has text of its own;
//! tool results belong to the turn in which they came.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use wire::converse::{Block, Message, ResultBlock, Role, ToolResult, ToolStatus};

use super::asking::ASK_USER;

/// One finished tool use.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) tool: String,
    pub(super) input: Json,
    pub(super) result: Json,
    pub(super) failed: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    /// The user's own words, all text blocks of the message.
    pub(super) request: String,
    pub(super) done: Vec<Done>,
    /// The assistant's last words to the user, if the turn is over.
    pub(super) answer: Option<String>,
}

/// How much of a message is read: what is longer is a document, not a request.
const REQUEST_CHARS: usize = 8_000;

pub(super) fn turns(messages: &[Message]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut open: BTreeMap<&str, (&str, &Json)> = BTreeMap::new();
    for message in messages {
        let words = words(message);
        if message.role == Role::User && !words.is_empty() {
            turns.push(Turn {
                request: words.chars().take(REQUEST_CHARS).collect(),
                ..Turn::default()
            });
        }
        if turns.is_empty() {
            turns.push(Turn::default());
        }
        let Some(turn) = turns.last_mut() else { continue };
        let uses = message.content.iter().any(|b| matches!(b, Block::ToolUse(_)));
        if message.role == Role::Assistant && !uses {
            turn.answer = Some(words);
        }
        for block in &message.content {
            match block {
                Block::ToolUse(u) => {
                    open.insert(&u.tool_use_id, (&u.name, &u.input));
                }
                Block::ToolResult(r) => {
                    let (tool, input) =
                        open.remove(r.tool_use_id.as_str()).unwrap_or(("", &Json::Null));
                    // What was asked stands in the words that follow.
                    if tool != ASK_USER {
                        turn.done.push(done(tool, input, r));
                    }
                }
                Block::Text(_)
                | Block::ReasoningContent(_)
                | Block::Image(_)
                | Block::Document(_)
                | Block::Video(_)
                | Block::Audio(_)
                | Block::SearchResult(_)
                | Block::CitationsContent(_)
                | Block::GuardContent(_)
                | Block::CachePoint(_) => {}
            }
        }
    }
    turns
}

fn words(message: &Message) -> String {
    let texts = message
        .content
        .iter()
        .filter_map(|b| if let Block::Text(t) = b { Some(t.trim()) } else { None });
    texts.filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n")
}

fn done(tool: &str, input: &Json, result: &ToolResult) -> Done {
    let value = value(result);
    let failed = result.status == Some(ToolStatus::Error) || refuses(&value);
    Done { tool: tool.to_owned(), input: input.clone(), result: value, failed }
}

/// The result as JSON; text that is JSON is read as such.
fn value(result: &ToolResult) -> Json {
    let mut parts: Vec<Json> = result
        .content
        .iter()
        .filter_map(|block| match block {
            ResultBlock::Text(t) => Some(parsed(t)),
            ResultBlock::Json(j) => Some(opened(j.clone())),
            ResultBlock::Image(_)
            | ResultBlock::Document(_)
            | ResultBlock::Video(_)
            | ResultBlock::SearchResult(_) => None,
        })
        .collect();
    if parts.len() == 1 { parts.remove(0) } else { Json::Array(parts) }
}

fn parsed(text: &str) -> Json {
    match serde_json::from_str(text.trim()) {
        Ok(json @ (Json::Object(_) | Json::Array(_))) => opened(json),
        _ => text.trim().into(),
    }
}

/// A single `body` or `result` around the answer is taken off.
fn opened(json: Json) -> Json {
    match &json {
        Json::Object(map) if map.len() == 1 => match map.iter().next() {
            Some((key, Json::String(text))) if key == "body" => parsed(text),
            Some((key, inner @ (Json::Object(_) | Json::Array(_))))
                if ["result", "body", "data"].contains(&key.as_str()) =>
            {
                inner.clone()
            }
            _ => json,
        },
        _ => json,
    }
}

/// A result that says it failed although nobody marked it.
fn refuses(result: &Json) -> bool {
    if let Json::String(text) = result {
        return is_coded(text);
    }
    let Json::Object(map) = result else { return false };
    let error = map.get("error").or_else(|| map.get("errorMessage")).or_else(|| map.get("errors"));
    error.is_some_and(|e| {
        !e.is_null() && *e != Json::Bool(false) && *e != Json::String(String::new())
    }) || map.get("success") == Some(&Json::Bool(false))
        || map.get("ok") == Some(&Json::Bool(false))
}

/// `order_not_found: no order matches 4471`: a code of several words, then what it means.
fn is_coded(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(code, _)| {
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        code.contains('_') && code.split('_').all(word)
    })
}

/// A plain value of a result or of arguments, and where it stands.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// The keys on the way to it.
    pub(super) path: Vec<String>,
    pub(super) value: &'a Json,
    place: Vec<Step>,
    /// Which document it is of, where leaves of several are compared.
    pub(super) source: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Member(usize),
}

impl Leaf<'_> {
    /// How many steps the way to both has in common.
    fn common(&self, other: &Leaf<'_>) -> usize {
        self.place.iter().zip(&other.place).take_while(|(a, b)| a == b).count()
    }

    /// Whether the two belong to different members of a list.
    pub(super) fn is_apart(&self, other: &Leaf<'_>) -> bool {
        let at = self.common(other);
        let member = |l: &Leaf<'_>| matches!(l.place.get(at), Some(Step::Member(_)));
        self.source == other.source && member(self) && member(other)
    }

    /// Whether it is said of what the other is a part of: no list stands between.
    pub(super) fn is_beside(&self, other: &Leaf<'_>) -> bool {
        let at = if self.source == other.source { self.common(other) } else { 0 };
        !self.place[at..].iter().any(|s| matches!(s, Step::Member(_)))
    }

    /// How deep the object lies that has this as a field and the other somewhere within, if one has.
    pub(super) fn around(&self, other: &Leaf<'_>) -> Option<usize> {
        let key = self.place.iter().rposition(|s| matches!(s, Step::Key(_)))?;
        (self.source == other.source && self.common(other) >= key && key < other.place.len())
            .then_some(key)
    }
}

/// Every leaf of a result.
pub(super) fn leaves(value: &Json) -> Vec<Leaf<'_>> {
    let mut out = Vec::new();
    walk(value, &mut Vec::new(), &mut out);
    out
}

/// No result has more leaves than anybody wants to hear or search.
const LEAVES: usize = 400;

fn walk<'a>(value: &'a Json, place: &mut Vec<Step>, out: &mut Vec<Leaf<'a>>) {
    if out.len() >= LEAVES {
        return;
    }
    let mut within = |step: Step, inner: &'a Json| {
        place.push(step);
        walk(inner, place, out);
        place.pop();
    };
    match value {
        Json::Object(map) => map.iter().for_each(|(k, inner)| within(Step::Key(k.clone()), inner)),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| within(Step::Member(i), inner));
        }
        Json::Null => {}
        Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let key = |s: &Step| if let Step::Key(k) = s { Some(k.clone()) } else { None };
            let path = place.iter().filter_map(key).collect();
            out.push(Leaf { path, value, place: place.clone(), source: 0 });
        }
    }
}
