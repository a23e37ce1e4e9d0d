//! A supervisor's collaborators as its model meets them: one tool that sends a message to one of
//! them, and the question which of them should take a whole turn.
//!
//! What the tool's uses and the classifier's words lead to is decided in [`super::turn`]; nothing
//! here runs a collaborator.

use serde_json::{Value as Json, json};
use wire::converse::{Block, Role};

use super::config::{Collaboration, Collaborator};
use super::origin::{Origin, Utterance, push};
use super::tool::{Checker, SchemaProblem, Tool, check_input};

/// AWS: a supervisor reaches its collaborators by a tool of this name and shape (prompt templates
/// of multi-agent collaboration, user guide "Advanced prompt templates").
pub const SEND_MESSAGE: &str = "AgentCommunication__sendMessage";

/// Whom AWS's own templates let a supervisor address besides its collaborators.
const USER: &str = "User";

/// The tool of a supervisor, compiled once.
#[derive(Debug)]
pub struct Messenger {
    description: String,
    schema: Json,
    checker: Checker,
}

/// What the model wants to tell to whom.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    pub recipient: String,
    pub content: String,
}

impl Messenger {
    /// `None` for an agent that works alone.
    pub fn compile(
        collaboration: Collaboration,
        collaborators: &[Collaborator],
        tools: &[Tool],
    ) -> Result<Option<Self>, SchemaProblem> {
        if collaboration == Collaboration::Disabled || collaborators.is_empty() {
            return Ok(None);
        }
        if let Some(taken) = tools.iter().find(|tool| tool.name == SEND_MESSAGE) {
            return Err(SchemaProblem::taken(taken));
        }
        let schema = schema(collaborators);
        let checker = Checker::new(&schema).expect("the schema is ours");
        Ok(Some(Messenger { description: description(collaborators), schema, checker }))
    }

    pub fn for_model(&self) -> wire::converse::Tool {
        wire::converse::Tool {
            name: SEND_MESSAGE.to_owned(),
            description: self.description.clone(),
            schema: self.schema.clone(),
            strict: false,
        }
    }

    /// Reads a use of the tool, or says what is wrong with it.
    pub fn read(&self, input: &Json) -> Result<Letter, String> {
        if input["recipient"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(USER)) {
            let advice = "answer the user with text, without this tool".to_owned();
            return Err(format!("recipient: {USER} is no collaborator; {advice}"));
        }
        let input = check_input(&self.schema, &self.checker, input).map_err(|v| v.join("; "))?;
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        Ok(Letter { recipient: text("recipient"), content: text("content") })
    }
}

fn schema(collaborators: &[Collaborator]) -> Json {
    let names: Vec<&str> = collaborators.iter().map(|one| one.name.as_str()).collect();
    json!({
        "type": "object",
        "properties": {
            "recipient": {
                "type": "string",
                "enum": names,
                "description": "The collaborator that gets the message.",
            },
            "content": {
                "type": "string",
                "minLength": 1,
                "description": "What it is to do, with every value that it needs for it.",
            },
        },
        "required": ["recipient", "content"],
        "additionalProperties": false,
    })
}

fn description(collaborators: &[Collaborator]) -> String {
    format!(
        "Sends a message to one of your collaborators and returns its answer. Messages to several \
         that do not depend on each other belong in one reply: they work side by side. The \
         collaborators:\n{}",
        listed(collaborators)
    )
}

/// One line for each: its name and when it is asked.
pub fn listed(collaborators: &[Collaborator]) -> String {
    let lines = collaborators.iter().map(|one| format!("- {}: {}", one.name, one.instruction));
    lines.collect::<Vec<_>>().join("\n")
}

/// A conversation as others may read it: who said what, without tools and thoughts.
pub fn spoken<'a>(messages: impl Iterator<Item = &'a Utterance>) -> Vec<Utterance> {
    let mut spoken = Vec::new();
    for message in messages {
        let blocks = message.content.iter().zip(message.origins());
        let texts = blocks.filter(|(block, _)| matches!(block, Block::Text(_)));
        let texts: Vec<(Block, Origin)> =
            texts.map(|(block, origin)| (block.clone(), origin.clone())).collect();
        // A conversation begins with the user.
        if texts.is_empty() || (spoken.is_empty() && message.role == Role::Assistant) {
            continue;
        }
        push(&mut spoken, message.role, texts);
    }
    spoken
}

/// What the routing classifier says where the collaborator that answered last goes on.
// AWS: its routing classifier's word, and the tag around its reply (user guide,
// `$last_most_specialized_agent_guideline$`; traces read by awslabs' multi-agent samples).
const KEEP_PREVIOUS: &str = "keep_previous_agent";

/// The collaborator that a classifier's reply names; `None` where the supervisor has to see to it.
pub fn routed<'a>(
    reply: &str,
    last: Option<&str>,
    collaborators: &'a [Collaborator],
) -> Option<&'a Collaborator> {
    let inside = reply.split_once("<a>").map_or(reply, |(_, rest)| rest);
    let word = inside.split("</a>").next().unwrap_or(inside).trim();
    let name = if word == KEEP_PREVIOUS { last? } else { word };
    collaborators.iter().find(|one| one.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team() -> Vec<Collaborator> {
        let one = |name: &str| Collaborator {
            name: name.to_owned(),
            instruction: format!("asked about {name}"),
            relay: false,
            agent_id: "A".to_owned(),
            alias_id: "B".to_owned(),
            alias_arn: "arn".to_owned(),
            config: String::new(),
        };
        vec![one("billing"), one("orders")]
    }

    #[test]
    fn a_classifier_names_one_collaborator_or_leaves_it_to_the_supervisor() {
        let team = team();
        let said = |reply: &str, last| routed(reply, last, &team).map(|one| one.name.as_str());
        assert_eq!(said("<a>orders</a>", None), Some("orders"));
        assert_eq!(said(" billing\n", None), Some("billing"));
        assert_eq!(said("I think <a> billing </a> fits", None), Some("billing"));
        assert_eq!(said("<a>keep_previous_agent</a>", Some("orders")), Some("orders"));
        assert_eq!(said("<a>keep_previous_agent</a>", None), None);
        assert_eq!(said("<a>keep_previous_agent</a>", Some("left the team")), None);
        assert_eq!(said("<a>undecidable</a>", Some("orders")), None);
        assert_eq!(said("", None), None);
        assert_eq!(said("orders or billing", None), None);
    }

    #[test]
    fn a_message_goes_to_a_collaborator_and_to_nobody_else() {
        let team = team();
        let messenger = Messenger::compile(Collaboration::Supervisor, &team, &[]);
        let messenger = messenger.expect("it compiles").expect("a supervisor");
        let read = |recipient: &str, content: &str| {
            messenger.read(&json!({"recipient": recipient, "content": content}))
        };
        let letter = Letter { recipient: "orders".to_owned(), content: "find 1".to_owned() };
        assert_eq!(read("orders", "find 1"), Ok(letter));
        assert!(read("User", "done").unwrap_err().contains("answer the user with text"));
        assert!(read("nobody", "hm").unwrap_err().contains("expected one of"));
        assert!(read("orders", "").is_err());
        assert!(messenger.read(&json!({"recipient": "orders"})).is_err());
    }
}
