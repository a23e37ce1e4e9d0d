//! The question that a turn may end with: an agent whose `AMAZON.UserInput` group is on has one tool
//! more, by which the model asks the user for what is missing.
//!
//! Whatever else the reply asked for is done first.

use serde_json::{Value as Json, json};

use crate::agent::event::{AskedUser, Event};
use crate::agent::state::Use;

// AWS: the name by which default prompts tell the model to ask (base prompt templates,
// "user__askuser"; the argument is `question`).
pub const ASK_USER: &str = "user__askuser";

const DESCRIPTION: &str = "Asks the user one question and ends your turn; the answer comes as the user's next message. Use \
     it when something that a tool requires is missing and no other tool can find it.";

/// The tool as the model is told of it.
pub(super) fn tool() -> wire::converse::Tool {
    wire::converse::Tool {
        name: ASK_USER.to_owned(),
        description: DESCRIPTION.to_owned(),
        strict: false,
        schema: json!({
            "type": "object",
            "properties": {
                "question": {"type": "string", "description": "The question, as the user reads it"},
            },
            "required": ["question"],
            "additionalProperties": false,
        }),
    }
}

/// The question of a use of the tool, or what is wrong with it.
pub(super) fn question(input: &Json) -> Result<&str, String> {
    let question = input.get("question").and_then(Json::as_str).unwrap_or_default().trim();
    match question {
        "" => Err("invalid_arguments: question: expected a text; nobody was asked, correct the \
                   arguments and try again"
            .to_owned()),
        question => Ok(question),
    }
}

/// Ends the turn with all questions of the reply.
pub(super) fn ask(asking: &[&Use]) -> Event {
    let questions = asking.iter().filter_map(|used| question(&used.tool_use.input).ok());
    Event::AskedUser(AskedUser {
        tool_uses: asking.iter().map(|used| used.tool_use.tool_use_id.clone()).collect(),
        question: questions.collect::<Vec<_>>().join("\n"),
    })
}
