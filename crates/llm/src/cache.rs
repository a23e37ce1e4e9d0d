//! Where a prompt is worth keeping in a provider's cache.
//!
//! A cache knows a prompt by its first bytes: tools, then system, then messages. [`plan`] marks the
//! ends of what the next call will begin with too, and [`key`] names that beginning for providers
//! that route by a name. Both are functions of the call alone: the same call is marked the same way
//! on every attempt. The client's own `cachePoint`s win; beside them nothing is marked.
//!
//! A mark is a hint and changes no words of the prompt. Providers that cache by themselves get none.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wire::converse::{Block, Call, Role};

use crate::limits::{BYTES_PER_TOKEN, CACHE_LEAST_TOKENS, CACHE_MARKS, CACHE_TOKENS_BY_MODEL};

/// `cache` of `[providers.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// Marks where a client sets none itself.
    #[default]
    Auto,
    /// The client's own marks alone.
    Off,
}

/// What a provider's cache asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Marks that a request may have.
    pub(crate) most: usize,
    /// A shorter beginning is not kept.
    pub(crate) least_tokens: usize,
    /// Whether tools can be marked themselves.
    pub(crate) tools: bool,
}

impl Rules {
    /// For a model by its name, wherever it runs.
    pub(crate) fn of(model: &str) -> Rules {
        let least_tokens = least_tokens(model);
        // AWS: Nova keeps system and messages, and no tools (Bedrock user guide, "Prompt caching").
        Rules { most: CACHE_MARKS, least_tokens, tools: !model.contains("nova") }
    }
}

/// The shortest beginning of a prompt that a model's cache keeps.
pub fn least_tokens(model: &str) -> usize {
    let known = CACHE_TOKENS_BY_MODEL.iter().find(|(part, _)| model.contains(part));
    known.map_or(CACHE_LEAST_TOKENS, |(_, tokens)| *tokens)
}

/// What to mark: a tool, a system text or a message by its place, with the `cachePoint` to follow it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Marks {
    pub(crate) tools: BTreeMap<usize, Json>,
    pub(crate) system: BTreeMap<usize, Json>,
    pub(crate) messages: BTreeSet<usize>,
}

pub(crate) fn plan(call: &Call, mode: CacheMode, rules: Rules) -> Marks {
    let (tools, system) = (call.cache.tools.clone(), call.cache.system.clone());
    if mode == CacheMode::Off || is_marked(call) {
        return Marks { tools, system, messages: BTreeSet::new() };
    }
    let mut marks = Marks::default();
    let mut size = Size { bytes: 0, enough: rules.least_tokens * BYTES_PER_TOKEN };
    let point = json!({ "type": "default" });
    if size.reaches(&call.tools) && rules.tools {
        marks.tools.extend(call.tools.len().checked_sub(1).map(|last| (last, point.clone())));
    }
    if size.reaches(&call.system) {
        let last = call.system.iter().rposition(|text| !text.trim().is_empty());
        marks.system.extend(last.map(|last| (last, point)));
    }
    if goes_on(call) && size.reaches(&call.messages) {
        let room = rules.most.saturating_sub(marks.tools.len() + marks.system.len());
        marks.messages.extend(ends(call).take(room));
    }
    marks
}

/// A name for the beginning that all steps of an agent share. It tells nothing of who asks.
pub(crate) fn key(call: &Call) -> Option<String> {
    if call.tools.is_empty() && call.system.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    write(&(&call.tools, &call.system), &mut Hashing(&mut hash));
    let digest = hash.finalize();
    Some(digest.iter().take(KEY_BYTES).map(|byte| format!("{byte:02x}")).collect())
}

/// Of a digest: enough that two beginnings never meet by chance.
const KEY_BYTES: usize = 16;

fn is_marked(call: &Call) -> bool {
    let mut blocks = call.messages.iter().flat_map(|message| &message.content);
    let cache = &call.cache;
    !cache.tools.is_empty()
        || !cache.system.is_empty()
        || call.additional.get("cache_control").is_some()
        || blocks.any(|block| matches!(block, Block::CachePoint(_)))
}

/// Whether another call will begin with these messages: a single question without tools is likely
/// to be the only one, and to keep it costs more than to read it once.
fn goes_on(call: &Call) -> bool {
    call.messages.len() > 1 || !call.tools.is_empty()
}

/// The end of the conversation, then the end of the step before: a provider looks back for what it
/// keeps over some blocks only, and a step with many tools has more.
fn ends(call: &Call) -> impl Iterator<Item = usize> {
    let users = call.messages.iter().enumerate().rev();
    users.filter(|(_, message)| message.role == Role::User).map(|(place, _)| place).take(2)
}

/// Counts what was written of the prompt, until it is enough.
struct Size {
    bytes: usize,
    enough: usize,
}

impl Size {
    fn reaches(&mut self, more: &impl Serialize) -> bool {
        if self.bytes < self.enough {
            write(more, self);
        }
        self.bytes >= self.enough
    }
}

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(value: &impl Serialize, out: &mut impl io::Write) {
    serde_json::to_writer(out, value).expect("its maps have string keys, and counting cannot fail");
}

#[cfg(test)]
mod tests;
