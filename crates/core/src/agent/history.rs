//! What a session remembers of its turns, cut to size at whole exchanges.

use wire::converse::{Block, Message, ResultBlock, Role};

use super::origin::Utterance;

/// Bytes of text that count as one token: a rough figure for sizing only, never for billing.
const BYTES_PER_TOKEN: usize = 4;

/// Drops the oldest exchanges until the rest fits.
///
/// INVARIANT: a cut falls only before a user message that holds no tool result, so that no tool
/// use loses its result. The last exchange always stays.
pub fn trim(mut messages: Vec<Utterance>, max_tokens: usize) -> Vec<Utterance> {
    let mut total: usize = messages.iter().map(|m| tokens(m)).sum();
    while total > max_tokens {
        let Some(next) = (1..messages.len()).find(|&i| begins_exchange(&messages[i])) else {
            break;
        };
        total -= messages.drain(..next).map(|m| tokens(&m)).sum::<usize>();
    }
    messages
}

fn begins_exchange(message: &Message) -> bool {
    message.role == Role::User
        && !message.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
}

fn tokens(message: &Message) -> usize {
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
                ResultBlock::Json(json)
                | ResultBlock::Image(json)
                | ResultBlock::Document(json)
                | ResultBlock::Video(json) => json.to_string().len(),
            })
            .sum(),
        Block::ReasoningContent(json)
        | Block::Image(json)
        | Block::Document(json)
        | Block::Video(json)
        | Block::GuardContent(json)
        | Block::CachePoint(json) => json.to_string().len(),
    }
}
