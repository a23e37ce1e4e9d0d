//! Who said what: each content block of a conversation carries its origin, so that whoever judges a
//! conversation later can tell the user's words from a tool's.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use wire::converse::{Block, Message, Role};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The caller, also where it brings a conversation along.
    #[default]
    User,
    /// Whoever built the agent, and Craton itself.
    Developer,
    /// A tool by its name, whoever performed it.
    Tool(String),
    Document,
    Memory,
    Web,
    Model,
}

/// A message and the origin of each of its blocks, in order. Reads as the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Utterance {
    message: Message,
    origins: Vec<Origin>,
}

impl Utterance {
    /// A message of which every block has one origin.
    pub fn new(message: Message, origin: &Origin) -> Self {
        let origins = vec![origin.clone(); message.content.len()];
        Utterance { message, origins }
    }

    pub fn message(&self) -> &Message {
        &self.message
    }

    /// INVARIANT: as many as blocks.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The blocks, to change what they say and not what they are.
    pub(super) fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        self.message.content.iter_mut()
    }

    /// The same message with each block made into another of its origin.
    pub(super) fn with(mut self, change: impl Fn(Block) -> Block) -> Self {
        self.message.content = self.message.content.into_iter().map(change).collect();
        self
    }

    fn push(&mut self, block: Block, origin: Origin) {
        self.message.content.push(block);
        self.origins.push(origin);
    }
}

impl Deref for Utterance {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// Adds blocks as one side's; two messages in a row of one side become one, as Converse wants it.
pub(super) fn push(history: &mut Vec<Utterance>, role: Role, blocks: Vec<(Block, Origin)>) {
    if history.last().is_none_or(|last| last.role != role) {
        let message = Message { role, content: Vec::new() };
        history.push(Utterance { message, origins: Vec::new() });
    }
    if let Some(last) = history.last_mut() {
        for (block, origin) in blocks {
            last.push(block, origin);
        }
    }
}
