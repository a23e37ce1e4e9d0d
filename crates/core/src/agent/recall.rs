//! How much of the conversation before it a turn's prompts have: what a request asks for beyond the
//! session's retention (`promptCreationConfigurations`).
//!
//! Only prompts are cut. The session keeps all that was said, for turns that ask for more of it.

use serde::{Deserialize, Serialize};
use wire::converse::{Block, Message, Role};

use super::history;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recall {
    /// So many of the last exchanges; all, if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<u32>,
    /// Earlier replies without the thoughts that led to them.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub without_thoughts: bool,
}

impl Recall {
    pub(super) fn is_all(&self) -> bool {
        *self == Recall::default()
    }

    /// What is left of the messages before a question. A cut falls between exchanges.
    pub(super) fn of(&self, mut before: Vec<Message>) -> Vec<Message> {
        if let Some(most) = self.exchanges {
            before.drain(..surplus(&before, most as usize));
        }
        if self.without_thoughts {
            before.iter_mut().filter(|said| said.role == Role::Assistant).for_each(drop_thoughts);
        }
        before
    }
}

/// How many of the oldest messages lie before the last `most` exchanges.
fn surplus(messages: &[Message], most: usize) -> usize {
    let begins = messages.iter().enumerate().filter(|(_, m)| history::begins_exchange(m));
    let begins: Vec<usize> = begins.map(|(at, _)| at).collect();
    match begins.len().checked_sub(most) {
        Some(cut) => begins.get(cut).copied().unwrap_or(messages.len()),
        None => 0,
    }
}

// AWS: what stands between <thinking> tags in turns that are over (API reference,
// `PromptCreationConfigurations`). Reasoning that a model gives apart from its text is the same.
fn drop_thoughts(said: &mut Message) {
    let left = said.content.iter().filter_map(|block| match block {
        Block::ReasoningContent(_) => None,
        Block::Text(text) => {
            Some(without_tags(text)).filter(|text| !text.trim().is_empty()).map(Block::Text)
        }
        other => Some(other.clone()),
    });
    let left: Vec<Block> = left.collect();
    // A message without content is none; one of nothing but thoughts stays as it was.
    if !left.is_empty() {
        said.content = left;
    }
}

fn without_tags(text: &str) -> String {
    const OPEN: &str = "<thinking>";
    const CLOSE: &str = "</thinking>";
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, inside)) = rest.split_once(OPEN) {
        kept.push_str(before);
        // A thought that was cut off goes on to the end.
        rest = inside.split_once(CLOSE).map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;
    use wire::converse::{ResultBlock, ToolResult, ToolUse};

    use super::*;

    /// Two exchanges: one with a tool and thoughts of both kinds, one without.
    fn said() -> Vec<Message> {
        let message = |role, content| Message { role, content };
        let text = |text: &str| Block::Text(text.to_owned());
        let id = || "1".to_owned();
        vec![
            message(Role::User, vec![text("where is A-1?")]),
            message(
                Role::Assistant,
                vec![
                    Block::ReasoningContent(json!({"reasoningText": {"text": "hm"}})),
                    text("<thinking>I look</thinking>"),
                    Block::ToolUse(ToolUse {
                        tool_use_id: id(),
                        name: "look".to_owned(),
                        input: json!({}),
                    }),
                ],
            ),
            message(
                Role::User,
                vec![Block::ToolResult(ToolResult {
                    tool_use_id: id(),
                    content: vec![ResultBlock::Text("shipped".to_owned())],
                    status: None,
                })],
            ),
            message(Role::Assistant, vec![text("<thinking>so</thinking>It was shipped.")]),
            message(Role::User, vec![text("thank you")]),
            message(Role::Assistant, vec![text("<thinking>only this")]),
        ]
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(recall: Recall, expected: Expect) {
        let shown = recall.of(said()).into_iter().map(|message| {
            let blocks = message.content.iter().map(|block| match block {
                Block::Text(text) => text.clone(),
                Block::ReasoningContent(_) => "(reasoning)".to_owned(),
                Block::ToolUse(used) => format!("use {}", used.name),
                Block::ToolResult(_) => "(result)".to_owned(),
                other => format!("{other:?}"),
            });
            format!("{:?}: {}", message.role, blocks.collect::<Vec<_>>().join(" + "))
        });
        expected.assert_eq(&shown.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn the_last_exchanges_stay_whole() {
        check(
            Recall { exchanges: Some(1), ..Recall::default() },
            expect![[r#"
                User: thank you
                Assistant: <thinking>only this"#]],
        );
        check(Recall { exchanges: Some(0), ..Recall::default() }, expect![""]);
        assert_eq!(Recall { exchanges: Some(7), ..Recall::default() }.of(said()), said());
        assert_eq!(Recall::default().of(said()), said());
    }

    #[test]
    fn thoughts_go_and_a_message_of_nothing_else_stays() {
        check(
            Recall { without_thoughts: true, ..Recall::default() },
            expect![[r#"
                User: where is A-1?
                Assistant: use look
                User: (result)
                Assistant: It was shipped.
                User: thank you
                Assistant: <thinking>only this"#]],
        );
    }
}
