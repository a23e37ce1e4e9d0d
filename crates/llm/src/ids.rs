//! Ids of tool uses that a whole conversation can bear.

use std::collections::HashSet;

use wire::converse::{Block, Message};

use crate::limits::TOOL_USE_ID;

/// Gives each tool use an id that the conversation has not seen, the same on every attempt.
pub(crate) struct Ids {
    taken: HashSet<String>,
    next: usize,
}

impl Ids {
    pub(crate) fn after(messages: &[Message]) -> Self {
        let uses = messages.iter().flat_map(|message| &message.content).filter_map(|block| {
            if let Block::ToolUse(tool) = block { Some(tool.tool_use_id.clone()) } else { None }
        });
        let taken: HashSet<String> = uses.collect();
        Ids { next: taken.len(), taken }
    }

    /// The provider's id if it is one that Converse takes and new, else one of ours.
    pub(crate) fn settle(&mut self, id: String) -> String {
        let mut id = id;
        while !is_tool_use_id(&id) || self.taken.contains(&id) {
            id = format!("tooluse_{}", self.next);
            self.next += 1;
        }
        self.taken.insert(id.clone());
        id
    }
}

fn is_tool_use_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    (1..=TOOL_USE_ID).contains(&id.len()) && id.bytes().all(fits)
}
