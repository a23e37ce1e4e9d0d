//! The stages around an agent's own steps: what a user says is sorted, an answer is looked over.
//!
//! Rules judge nothing. Every request is one to work on, because the planning that follows calls
//! nothing that it does not find asked for, and every answer stays as it is. A stage is known by what
//! its prompt names, in our default prompts as in AWS's own templates: the tags of the answer, and with
//! them the agent and all five categories, or the answer that is to be looked over. The tags alone are
//! anybody's.

use wire::converse::{Block, Call};

/// "Something the agent can help with", in the categories of AWS's template as in ours.
const CAN_HELP: &str = "<category>D</category>";

/// The word of a stage, if the system text asks for one.
pub(super) fn word(call: &Call) -> Option<String> {
    let asks = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let both = |text: &&String| text.contains(&open) && text.contains(&close);
        call.system.iter().find(both).filter(|_| call.tools.is_empty())
    };
    if asks("category").is_some_and(|text| sorts(text)) {
        return Some(CAN_HELP.to_owned());
    }
    let answer = asks("final_response").and_then(|_| last_answer(call))?;
    Some(format!("<final_response>{answer}</final_response>"))
}

/// Whether it sorts for an agent, into categories that stand as `A:` or `Category A:`.
fn sorts(text: &str) -> bool {
    let labels = |letter: char| {
        let label = format!("{letter}:");
        text.split_whitespace().any(|word| word.trim_start_matches('-') == label)
    };
    text.contains("agent") && ('A'..='E').all(labels)
}

fn last_answer(call: &Call) -> Option<&str> {
    let mut texts = call.messages.last()?.content.iter().rev().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let (_, inside) = texts.next()?.rsplit_once("<latest_response>")?;
    inside.split_once("</latest_response>").map(|(inside, _)| inside.trim())
}
