//! The tool by which an agent asks its user for what is missing, where its developer gave it one.
//!
//! Without the tool the question is the answer, in plain words.

use serde_json::json;
use wire::converse::{Block, Call, Reply, StopReason, ToolUse, Usage};

// AWS: the name of the tool (base prompt templates of agents).
pub(super) const ASK_USER: &str = "user__askuser";

pub(super) fn is_offered(call: &Call) -> bool {
    call.tools.iter().any(|tool| tool.name == ASK_USER)
}

pub(super) fn ask(call: &Call, question: &str) -> Reply {
    let tool_use_id = format!("rules_{}_ask", call.messages.len());
    let (name, input) = (ASK_USER.to_owned(), json!({"question": question}));
    let content = vec![Block::ToolUse(ToolUse { tool_use_id, name, input })];
    Reply {
        content,
        stop_reason: StopReason::ToolUse,
        usage: Usage::default(),
        native: serde_json::Value::Null,
    }
}
