//! A session's history cut to size: whole exchanges only.

use proptest::prelude::*;
use wire::converse::{Block, Message, ResultBlock, Role, ToolResult, ToolUse};

use super::script::{check_history, results};
use crate::agent::history::trim;
use crate::agent::origin::{Origin, Utterance};

/// Exchanges as tool rounds and text length; an odd length means that the turn failed, so that
/// the next question joins its last message.
fn conversation(exchanges: &[(usize, usize)]) -> Vec<Utterance> {
    let mut messages: Vec<Message> = Vec::new();
    for (at, (rounds, length)) in exchanges.iter().enumerate() {
        user(&mut messages, Block::Text("q".repeat(length + 1)));
        for round in 0..*rounds {
            let id = format!("{at}-{round}");
            let used = ToolUse {
                tool_use_id: id.clone(),
                name: "t".to_owned(),
                input: serde_json::json!({"x": "y".repeat(*length)}),
            };
            let content = vec![Block::ToolUse(used)];
            messages.push(Message { role: Role::Assistant, content });
            let content = vec![ResultBlock::Text("r".repeat(length + 1))];
            let result = ToolResult { tool_use_id: id, content, status: None };
            user(&mut messages, Block::ToolResult(result));
        }
        if length % 2 == 0 {
            let content = vec![Block::Text("a".repeat(length + 1))];
            messages.push(Message { role: Role::Assistant, content });
        }
    }
    messages.into_iter().map(|message| Utterance::new(message, &Origin::User)).collect()
}

fn user(messages: &mut Vec<Message>, block: Block) {
    match messages.last_mut() {
        Some(last) if last.role == Role::User => last.content.push(block),
        _ => messages.push(Message { role: Role::User, content: vec![block] }),
    }
}

proptest! {
    #[test]
    fn a_cut_never_splits_an_exchange(
        exchanges in prop::collection::vec((0usize..3, 0usize..80), 1..8),
        room in 0usize..300,
    ) {
        let whole = conversation(&exchanges);
        let kept = trim(whole.clone(), room);
        prop_assert!(whole.ends_with(&kept));
        prop_assert!(!kept.is_empty());
        check_history(&kept);
        if kept.len() < whole.len() {
            prop_assert!(results(&kept[0]).is_empty());
        }
        // Cutting again changes nothing, and all is kept where there is room.
        prop_assert_eq!(trim(kept.clone(), room), kept);
        prop_assert_eq!(trim(whole.clone(), usize::MAX), whole);
    }
}
