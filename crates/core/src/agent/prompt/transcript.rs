//! A conversation as text, for prompts that speak about it instead of going on with it.

use wire::converse::{Block, Message, ResultBlock, Role, ToolResult};

use super::fill::indented;

/// One line for each thing that was said, asked of a tool or answered by one.
pub(super) fn of(messages: &[Message]) -> String {
    messages.iter().flat_map(lines).collect::<Vec<_>>().join("\n")
}

/// What tools were asked and what they answered.
pub(super) fn of_tools(messages: &[Message]) -> String {
    let blocks = messages.iter().flat_map(|m| m.content.iter().map(|block| (m.role, block)));
    let tools = blocks.filter(|(_, b)| matches!(b, Block::ToolUse(_) | Block::ToolResult(_)));
    tools.filter_map(|(role, block)| line(role, block)).collect::<Vec<_>>().join("\n")
}

/// The last words of the assistant.
pub(super) fn last_answer(messages: &[Message]) -> Option<String> {
    let texts = messages.iter().rev().filter(|message| message.role == Role::Assistant);
    texts.flat_map(|message| message.content.iter().rev()).find_map(|block| match block {
        Block::Text(text) => Some(super::answer(text)),
        _ => None,
    })
}

fn lines(message: &Message) -> impl Iterator<Item = String> + '_ {
    message.content.iter().filter_map(|block| line(message.role, block))
}

fn line(role: Role, block: &Block) -> Option<String> {
    match block {
        Block::Text(text) => Some(match role {
            Role::User => format!("User: {}", indented(text)),
            Role::Assistant => format!("Assistant: {}", indented(&super::answer(text))),
        }),
        Block::ToolUse(used) => Some(format!("Tool call {}: {}", used.name, used.input)),
        Block::ToolResult(result) => Some(format!("Tool result: {}", indented(&body(result)))),
        Block::ReasoningContent(_)
        | Block::Image(_)
        | Block::Document(_)
        | Block::Video(_)
        | Block::Audio(_)
        | Block::SearchResult(_)
        | Block::CitationsContent(_)
        | Block::GuardContent(_)
        | Block::CachePoint(_) => None,
    }
}

fn body(result: &ToolResult) -> String {
    let texts = result.content.iter().map(|part| match part {
        ResultBlock::Text(text) => text.clone(),
        ResultBlock::Json(json) => json.to_string(),
        ResultBlock::Image(_) => "(an image)".to_owned(),
        ResultBlock::Document(_) => "(a document)".to_owned(),
        ResultBlock::Video(_) => "(a video)".to_owned(),
        ResultBlock::SearchResult(found) => found.to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}
