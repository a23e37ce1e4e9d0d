//! Supervising by rules: which collaborator a request is for, by the words that say when each is asked.
//!
//! A supervisor's one tool takes a recipient and a message; a routing classifier has no tool and names
//! one agent. Both read the same lines, `- name: when it is asked`. A message is the user's own
//! words, as far as they are for that collaborator, and nothing is added to them.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};
use wire::converse::{Call, Message, Role, Tool};

use super::asking;
use super::choose::{elliptic, piece, segments};
use super::convo::{Done, Turn, turns};
use super::plan::text_of;
use super::rank::Toolbox;
use super::spans::{Read, read};

/// The name by which supervisors' prompts and clients know the tool.
pub(super) const SEND_MESSAGE: &str = "AgentCommunication__sendMessage";
/// Below this the words say nothing about a collaborator.
const LEAST: f64 = 0.07;
/// Whoever comes this near to the best is meant too.
const NEAR: f64 = 0.7;
/// Words that answer a question rather than ask anew.
const SHORT: usize = 6;

/// The call without the tools that reach collaborators and the user, whose arguments no other rule
/// may fill.
pub(super) fn own(call: &Call) -> Cow<'_, Call> {
    let is_own = |tool: &&Tool| tool.name != SEND_MESSAGE && tool.name != asking::ASK_USER;
    if call.tools.iter().all(|tool| is_own(&tool)) {
        return Cow::Borrowed(call);
    }
    let own = call.tools.iter().filter(is_own).cloned();
    Cow::Owned(Call { tools: own.collect(), ..call.clone() })
}

/// What a supervisor does next with its collaborators.
pub(super) enum Move {
    /// Messages, as inputs of the tool.
    Tell(Vec<Map<String, Json>>),
    Say(String),
}

/// `None` where no collaborator has anything to do with it.
pub(super) fn supervise(call: &Call) -> Option<Move> {
    let tool = call.tools.iter().find(|tool| tool.name == SEND_MESSAGE)?;
    let team = members(&tool.description, &tool.schema);
    let turns = turns(&call.messages);
    let turn = turns.last()?;
    let reports: Vec<&Done> = turn.done.iter().filter(|done| done.tool == SEND_MESSAGE).collect();
    if !reports.is_empty() {
        return Some(Move::Say(report(&reports)));
    }
    if !turn.done.is_empty() {
        return None;
    }
    let letters = letters(&team, &turn.request).or_else(|| follow_up(&turns))?;
    Some(Move::Tell(letters))
}

/// One letter for each collaborator that some part of the request is for.
fn letters(team: &[Tool], request: &str) -> Option<Vec<Map<String, Json>>> {
    let mut letters: Vec<(String, Vec<String>)> = Vec::new();
    for (part, names) in parts(team, request) {
        for name in names {
            match letters.iter_mut().find(|(known, _)| *known == name) {
                Some((_, said)) => said.push(part.clone()),
                None => letters.push((name, vec![part.clone()])),
            }
        }
    }
    let alone = letters.len() == 1;
    let written = letters.into_iter().map(|(name, said)| {
        letter(&name, &if alone { request.to_owned() } else { said.join(" ") })
    });
    Some(written.collect()).filter(|letters: &Vec<_>| !letters.is_empty())
}

fn letter(recipient: &str, content: &str) -> Map<String, Json> {
    let input = json!({"recipient": recipient, "content": content});
    input.as_object().cloned().unwrap_or_default()
}

/// The parts of a request with whom each is for. A part that is for nobody goes with the one before.
fn parts(team: &[Tool], request: &str) -> Vec<(String, Vec<String>)> {
    let whole = read(request, None);
    let mut parts: Vec<(String, Vec<String>)> = Vec::new();
    for (from, to) in segments(&whole.tokens) {
        let names = meant(team, &piece(&whole, from, to));
        let said = sentence(&whole, from, to);
        match parts.last_mut() {
            Some((before, _)) if names.is_empty() => {
                before.push(' ');
                before.push_str(said);
            }
            _ => parts.push((said.to_owned(), names)),
        }
    }
    if parts.iter().all(|(_, names)| names.is_empty()) {
        return vec![(request.to_owned(), meant(team, &whole))];
    }
    parts
}

/// The text between two tokens with the mark that ends it.
fn sentence(whole: &Read, from: usize, to: usize) -> &str {
    let ends = whole.tokens.get(to).filter(|token| token.is_mark(".!?;"));
    let end = ends.unwrap_or(&whole.tokens[to - 1]).end;
    &whole.text[whole.tokens[from].start..end]
}

/// Whom some words are for: the best by its words, and those near it.
fn meant(team: &[Tool], words: &Read) -> Vec<String> {
    let ranked = Toolbox::open(team).rank(words, &[]);
    let best = ranked.first().map_or(0.0, |(_, score)| *score);
    let near = ranked.iter().filter(|(_, score)| *score >= LEAST && *score >= NEAR * best);
    near.map(|(at, _)| team[*at].name.clone()).collect()
}

/// A few words after a turn that collaborators worked on are for them.
fn follow_up(turns: &[Turn]) -> Option<Vec<Map<String, Json>>> {
    let (turn, before) = turns.split_last()?;
    let words = read(&turn.request, None).tokens;
    let asked = before.last()?.done.iter().filter(|done| done.tool == SEND_MESSAGE);
    let names = asked.filter_map(|done| done.input["recipient"].as_str());
    let letters: Vec<_> = names.map(|name| letter(name, &turn.request)).collect();
    (!letters.is_empty() && (words.len() <= SHORT || elliptic(&words))).then_some(letters)
}

/// What came back, in the order in which it was asked for.
fn report(reports: &[&Done]) -> String {
    let said = reports.iter().map(|done| {
        let text = text_of(&done.result);
        match done.failed {
            false => text,
            true => {
                let name = done.input["recipient"].as_str().unwrap_or("a collaborator");
                format!("{name} could not help with its part.")
            }
        }
    });
    said.collect::<Vec<_>>().join("\n")
}

/// The collaborators as things that words can mean.
fn members(described: &str, schema: &Json) -> Vec<Tool> {
    let named = listed(described);
    let names = schema["properties"]["recipient"]["enum"].as_array().into_iter().flatten();
    let member = |name: &str| {
        let about = named.iter().find(|(known, _)| known == name);
        as_tool(name, about.map_or("", |(_, about)| about))
    };
    names.filter_map(Json::as_str).map(member).collect()
}

/// Lines such as `- billing: asked about invoices`.
fn listed(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split_once(": "));
    lines.map(|(name, about)| (name.trim().to_owned(), about.to_owned())).collect()
}

fn as_tool(name: &str, about: &str) -> Tool {
    Tool { name: name.to_owned(), description: about.to_owned(), schema: json!({}), strict: false }
}

/// The word of a routing classifier, if the call asks for one.
pub(super) fn route(call: &Call) -> Option<String> {
    let asked = text(call.messages.last().filter(|last| last.role == Role::User)?);
    if !call.tools.is_empty() || !asked.contains("<a>undecidable</a>") {
        return None;
    }
    let word = choice(&asked).unwrap_or_else(|| "undecidable".to_owned());
    Some(format!("<a>{word}</a>"))
}

fn choice(asked: &str) -> Option<String> {
    let team: Vec<Tool> =
        listed(within(asked, "agents")?).iter().map(|(name, about)| as_tool(name, about)).collect();
    let request = within(asked, "input").or_else(|| within(asked, "last_user_request"))?.trim();
    let mut names: Vec<String> =
        parts(&team, request).into_iter().flat_map(|(_, names)| names).collect();
    names.sort();
    names.dedup();
    let words = read(request, None).tokens;
    let leans = words.len() <= SHORT || elliptic(&words);
    match names.len() {
        1 => names.pop(),
        0 if leans && asked.contains("keep_previous_agent") => {
            Some("keep_previous_agent".to_owned())
        }
        _ => None,
    }
}

/// What stands between a tag's last opening and what closes it.
fn within<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, inside) = text.rsplit_once(&format!("<{tag}>"))?;
    inside.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

fn text(message: &Message) -> String {
    let texts = message.content.iter().filter_map(|block| match block {
        wire::converse::Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}
