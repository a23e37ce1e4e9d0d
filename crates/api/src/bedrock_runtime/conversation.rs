//! What AWS checks of a conversation as a whole: who speaks when, and that every tool use has its
//! result.

use std::collections::HashSet;

use wire::converse::{Block, Message, Role};
use wire::fault::Fault;

pub(super) fn check(messages: &[Message], has_tools: bool) -> Result<(), Fault> {
    if messages.first().is_some_and(|first| first.role != Role::User) || messages.is_empty() {
        return Err(Fault::validation(
            "A conversation must start with a user message. Try again with a conversation that \
             starts with a user message.",
        ));
    }
    if messages.windows(2).any(|pair| pair[0].role == pair[1].role) {
        return Err(Fault::validation(
            "A conversation must alternate between user and assistant roles. Make sure the \
             conversation alternates between user and assistant roles and try again.",
        ));
    }
    let mut blocks = messages.iter().flat_map(|message| &message.content);
    if !has_tools && blocks.any(|b| matches!(b, Block::ToolUse(_) | Block::ToolResult(_))) {
        return Err(Fault::validation(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    check_roles(messages)?;
    check_results(messages)
}

/// AWS: a model asks for tools, the user brings what they gave (user guide, "Call a tool with the
/// Converse API"); images and documents come from the user (user guide, "API restrictions").
pub(super) fn check_roles(messages: &[Message]) -> Result<(), Fault> {
    messages.iter().enumerate().try_for_each(|(at, message)| check_role(at, message))
}

fn check_role(at: usize, message: &Message) -> Result<(), Fault> {
    for (n, block) in message.content.iter().enumerate() {
        let (kind, whose) = match (block, message.role) {
            (Block::ToolUse(_), Role::User) => ("toolUse", "assistant"),
            (Block::ReasoningContent(_), Role::User) => ("reasoningContent", "assistant"),
            (Block::CitationsContent(_), Role::User) => ("citationsContent", "assistant"),
            (Block::ToolResult(_), Role::Assistant) => ("toolResult", "user"),
            (Block::SearchResult(_), Role::Assistant) => ("searchResult", "user"),
            (Block::Image(_), Role::Assistant) => ("image", "user"),
            (Block::Document(_), Role::Assistant) => ("document", "user"),
            _ => continue,
        };
        return Err(Fault::validation(format!(
            "messages.{at}.content.{n} is a {kind} block, which only a message of role {whose} may \
             have"
        )));
    }
    Ok(())
}

fn check_results(messages: &[Message]) -> Result<(), Fault> {
    match unpaired(messages) {
        None => Ok(()),
        Some(Unpaired::Unasked { at, .. }) => Err(Fault::validation(format!(
            "The number of toolResult blocks at messages.{at}.content exceeds the number of \
             toolUse blocks of previous turn."
        ))),
        Some(Unpaired::Missing { at, ids }) => Err(Fault::validation(format!(
            "Expected toolResult blocks at messages.{at}.content for the following Ids: {}",
            ids.join(", ")
        ))),
    }
}

/// Ids of tool uses and results that do not belong together, and the message of the results.
pub(super) enum Unpaired<'a> {
    Unasked { at: usize, ids: Vec<&'a str> },
    Missing { at: usize, ids: Vec<&'a str> },
}

/// The results of a message answer the tool uses of the message before it: all, each once.
pub(super) fn unpaired(messages: &[Message]) -> Option<Unpaired<'_>> {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let given: Vec<&str> = ids(message, |block| match block {
            Block::ToolResult(result) => Some(&result.tool_use_id),
            _ => None,
        });
        let asked: HashSet<&str> = open.iter().copied().collect();
        let unasked = given.iter().copied().filter(|id| !asked.contains(id)).collect::<Vec<_>>();
        if given.len() > open.len() || !unasked.is_empty() {
            // More than were asked for: one has several results.
            let ids = if unasked.is_empty() { given } else { unasked };
            return Some(Unpaired::Unasked { at, ids });
        }
        let given: HashSet<&str> = given.into_iter().collect();
        let missing: Vec<&str> = open.into_iter().filter(|id| !given.contains(id)).collect();
        if !missing.is_empty() {
            return Some(Unpaired::Missing { at, ids: missing });
        }
        open = ids(message, |block| match block {
            Block::ToolUse(asked) => Some(&asked.tool_use_id),
            _ => None,
        });
    }
    None
}

fn ids<'a>(message: &'a Message, id: impl Fn(&'a Block) -> Option<&'a String>) -> Vec<&'a str> {
    message.content.iter().filter_map(id).map(String::as_str).collect()
}
