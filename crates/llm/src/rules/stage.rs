//! The stages around an agent's own steps: what a user says is sorted, an answer is looked over.
//!
//! Rules judge nothing. Every request is one to work on, because the planning that follows calls
//! nothing that it does not find asked for, and every answer stays as it is. A stage is known by the
//! tags that its prompt names: those of the default prompts, which AWS's own templates have too.

use wire::converse::{Block, Call};

/// "Something the agent can help with", in the categories of AWS's template as in ours.
const CAN_HELP: &str = "<category>D</category>";

/// The word of a stage, if the system text asks for one.
pub(super) fn word(call: &Call) -> Option<String> {
    let asks = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        call.tools.is_empty()
            && call.system.iter().any(|text| text.contains(&open) && text.contains(&close))
    };
    if asks("category") {
        return Some(CAN_HELP.to_owned());
    }
    let answer = asks("final_response").then(|| last_answer(call)).flatten()?;
    Some(format!("<final_response>{answer}</final_response>"))
}

fn last_answer(call: &Call) -> Option<&str> {
    let mut texts = call.messages.last()?.content.iter().rev().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let (_, inside) = texts.next()?.rsplit_once("<latest_response>")?;
    inside.split_once("</latest_response>").map(|(inside, _)| inside.trim())
}
