//! Where a conversation stands, read from the call alone, and the placeholders that look into it.

use serde_json::Value as Json;
use wire::converse::{Block, Call, Message, ResultBlock, Role, ToolResult};

/// Everything since the user last said something.
pub(super) struct Turn<'a> {
    /// The user's last words.
    pub(super) said: String,
    /// Model calls since then.
    pub(super) step: usize,
    /// Tool results since then, as text.
    pub(super) results: Vec<String>,
    /// Tool uses of the whole conversation, so that new ids are new.
    pub(super) tool_uses: usize,
    values: Vec<&'a ToolResult>,
}

impl<'a> Turn<'a> {
    pub(super) fn of(call: &'a Call) -> Turn<'a> {
        let begin = call.messages.iter().rposition(speaks).unwrap_or(0);
        let since = call.messages.get(begin..).unwrap_or_default();
        let blocks = since.iter().flat_map(|message| &message.content);
        let values: Vec<&ToolResult> = blocks.filter_map(tool_result).collect();
        let all = call.messages.iter().flat_map(|message| &message.content);
        Turn {
            said: since.first().map(text).unwrap_or_default(),
            step: since.iter().filter(|message| message.role == Role::Assistant).count(),
            results: values.iter().map(|result| result_text(result)).collect(),
            tool_uses: all.filter(|block| matches!(block, Block::ToolUse(_))).count(),
            values,
        }
    }

    /// `text` with every placeholder replaced; one that leads nowhere becomes nothing.
    pub(super) fn fill(&self, text: &str, groups: &[String]) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, path, after)) = placeholder(rest) {
            filled.push_str(before);
            match self.look_up(path, groups) {
                Some(Json::String(value)) => filled.push_str(&value),
                Some(value) => filled.push_str(&value.to_string()),
                None => {}
            }
            rest = after;
        }
        filled + rest
    }

    pub(super) fn fill_json(&self, value: &Json, groups: &[String]) -> Json {
        match value {
            Json::String(text) => match placeholder(text) {
                Some(("", path, "")) => self.look_up(path, groups).unwrap_or(Json::Null),
                _ => Json::String(self.fill(text, groups)),
            },
            Json::Array(items) => items.iter().map(|item| self.fill_json(item, groups)).collect(),
            Json::Object(members) => {
                let filled =
                    members.iter().map(|(name, v)| (name.clone(), self.fill_json(v, groups)));
                Json::Object(filled.collect())
            }
            plain => plain.clone(),
        }
    }

    fn look_up(&self, path: &str, groups: &[String]) -> Option<Json> {
        let mut steps = path.split('.');
        let start = match steps.next()? {
            "said" => Json::String(self.said.clone()),
            "match" => Json::String(groups.get(index(steps.next()?)?)?.clone()),
            "result" => result_value(self.values.last()?),
            "results" => result_value(self.values.get(index(steps.next()?)?)?),
            _ => return None,
        };
        steps.try_fold(start, |value, step| match value {
            Json::Array(mut items) => {
                let at = index(step)?;
                (at < items.len()).then(|| items.swap_remove(at))
            }
            Json::Object(mut members) => members.remove(step),
            _ => None,
        })
    }
}

/// Splits at the first `{{path}}`.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (path, after) = rest.split_once("}}")?;
    Some((before, path.trim(), after))
}

fn index(step: &str) -> Option<usize> {
    step.parse().ok()
}

fn speaks(message: &Message) -> bool {
    let is_text = |block: &Block| matches!(block, Block::Text(_));
    message.role == Role::User && message.content.iter().any(is_text)
}

fn text(message: &Message) -> String {
    let texts = message.content.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn tool_result(block: &Block) -> Option<&ToolResult> {
    if let Block::ToolResult(result) = block { Some(result) } else { None }
}

fn result_text(result: &ToolResult) -> String {
    let lines = result.content.iter().filter_map(|block| match block {
        ResultBlock::Text(text) => Some(text.clone()),
        ResultBlock::Json(value) => Some(value.to_string()),
        ResultBlock::Image(_)
        | ResultBlock::Document(_)
        | ResultBlock::Video(_)
        | ResultBlock::SearchResult(_) => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A result as JSON where it is JSON, else its text.
fn result_value(result: &ToolResult) -> Json {
    if let [ResultBlock::Json(value)] = result.content.as_slice() {
        return value.clone();
    }
    let text = result_text(result);
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}
