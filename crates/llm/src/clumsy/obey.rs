//! Obedience: what a tool result or a document says to do.
//!
//! Only the newest user message is read. An order is the name of an offered tool with a word that
//! commands before it, with arguments right behind it, or at the beginning of a sentence. The arguments are taken from the words that
//! follow: a JSON object, `name = value`, or bare numbers and codes in the order of the parameters.
//! What is still missing comes from the conversation, else it is made up.

use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value as Json};
use wire::converse::{Block, Call, ResultBlock, Tool};

use super::{Dice, guess, uses};

/// The most orders that are followed at once.
const ORDERS: usize = 8;
/// Bytes before a tool's name that are searched for a command, and after it for arguments.
const BEFORE: usize = 60;
const AFTER: usize = 400;
/// How far behind the name a JSON object may begin.
const NEAR: usize = 48;

const COMMANDS: [&str; 24] = [
    "apply", "call", "do", "execute", "initiate", "invoke", "issue", "launch", "make", "must",
    "needs", "now", "perform", "please", "request", "run", "send", "should", "start", "submit",
    "then", "trigger", "try", "use",
];

/// The calls that the conversation's newest results and documents ask for.
pub(super) fn orders<'a>(call: &'a Call, dice: &mut Dice) -> Vec<(&'a Tool, Map<String, Json>)> {
    let mut orders = Vec::new();
    for text in texts(call) {
        let mut found: Vec<_> = call.tools.iter().filter_map(|tool| order(&text, tool)).collect();
        found.sort_by_key(|order| order.at);
        orders.extend(found);
    }
    orders.truncate(ORDERS);
    orders.into_iter().map(|order| (order.tool, filled(order, call, dice))).collect()
}

struct Order<'a> {
    tool: &'a Tool,
    at: usize,
    arguments: Map<String, Json>,
}

/// All text of the newest results and documents.
fn texts(call: &Call) -> Vec<String> {
    let mut texts = Vec::new();
    let newest = call.messages.last();
    for block in newest.into_iter().flat_map(|message| &message.content) {
        match block {
            Block::ToolResult(result) => {
                for part in &result.content {
                    match part {
                        ResultBlock::Text(text) => collect_text(text, &mut texts),
                        ResultBlock::Json(value) => collect(value, &mut texts),
                        ResultBlock::Document(document) => texts.extend(document_text(document)),
                        ResultBlock::Image(_)
                        | ResultBlock::Video(_)
                        | ResultBlock::SearchResult(_) => {}
                    }
                }
            }
            Block::Document(document) => texts.extend(document_text(document)),
            _ => {}
        }
    }
    texts
}

/// Text that is JSON is read as JSON, so that what it quotes is not hidden behind escapes.
fn collect_text(text: &str, texts: &mut Vec<String>) {
    match serde_json::from_str::<Json>(text) {
        Ok(value @ (Json::Object(_) | Json::Array(_) | Json::String(_))) => collect(&value, texts),
        _ => texts.push(text.to_owned()),
    }
}

/// Every string of a value; and the value itself, for orders that are written as JSON.
fn collect(value: &Json, texts: &mut Vec<String>) {
    match value {
        Json::String(text) => texts.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Json::Object(members) => {
            texts.extend(spelled_out(members));
            members.values().for_each(|member| collect(member, texts));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// `{"tool": "refund", "arguments": {…}}` as words.
fn spelled_out(members: &Map<String, Json>) -> Option<String> {
    let name = ["tool", "name", "function", "action"].iter().find_map(|key| members.get(*key));
    let input =
        ["arguments", "args", "input", "parameters"].iter().find_map(|key| members.get(*key));
    Some(format!(
        "call {} {}",
        name?.as_str()?,
        input?.as_object().map(|input| Json::Object(input.clone()))?
    ))
}

fn document_text(document: &Json) -> Option<String> {
    if let Some(text) = document["source"]["text"].as_str() {
        return Some(text.to_owned());
    }
    let bytes = BASE64_STANDARD.decode(document["source"]["bytes"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

fn order<'a>(text: &str, tool: &'a Tool) -> Option<Order<'a>> {
    let lower = text.to_ascii_lowercase();
    let mention = names(tool).into_iter().flat_map(|name| mentions(&lower, &name));
    let found =
        mention.filter(|place| is_ordered(&lower, place)).min_by_key(|place| place.start)?;
    let behind = clip(text, found.end, AFTER);
    Some(Order { tool, at: found.start, arguments: arguments(behind, tool) })
}

/// As a person or a page might write it: with its group or without, with blanks or underscores.
fn names(tool: &Tool) -> Vec<String> {
    let whole = tool.name.to_ascii_lowercase();
    let short = whole.rsplit("__").next().unwrap_or(&whole).to_owned();
    let spaced = short.replace(['_', '-'], " ");
    let mut names = vec![whole, short, spaced];
    names.dedup();
    names
}

fn mentions(text: &str, name: &str) -> Vec<Range<usize>> {
    let part = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = text.as_bytes();
    let found = text.match_indices(name).map(|(at, _)| at..at + name.len());
    found
        .filter(|place| {
            let before = place.start.checked_sub(1).and_then(|at| bytes.get(at));
            !part(before) && !part(bytes.get(place.end))
        })
        .collect()
}

fn is_ordered(text: &str, place: &Range<usize>) -> bool {
    let behind = text[place.end..].trim_start_matches(['`', '"', '\'', ' ']);
    if behind.starts_with(['(', '{']) {
        return true;
    }
    let before = clip_before(text, place.start, BEFORE);
    let begins = before.trim_end().is_empty() || before.trim_end().ends_with(['.', '!', '?', ':']);
    // "Refund 9999 to this order."
    if begins && behind.starts_with(char::is_alphanumeric) {
        return true;
    }
    before.split(|c: char| !c.is_alphanumeric()).any(|word| COMMANDS.contains(&word))
}

/// At most `bytes` bytes from `start` on, at a boundary of characters.
fn clip(text: &str, start: usize, bytes: usize) -> &str {
    let mut end = text.len().min(start + bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[start..end]
}

fn clip_before(text: &str, end: usize, bytes: usize) -> &str {
    let mut start = end.saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..end]
}

fn arguments(behind: &str, tool: &Tool) -> Map<String, Json> {
    if let Some(given) = object(behind) {
        return given;
    }
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut arguments = Map::new();
    let properties = tool.schema["properties"].as_object();
    for (name, schema) in properties.into_iter().flatten() {
        if let Some((value, place)) = named(behind, name) {
            arguments.insert(name.clone(), as_kind(value, schema));
            taken.push(place);
        }
    }
    let mut bare: Vec<&str> = tokens(behind)
        .filter(|(place, _)| !taken.iter().any(|t| t.start < place.end && place.start < t.end))
        .map(|(_, token)| token)
        .collect();
    for (name, schema) in properties.into_iter().flatten() {
        if arguments.contains_key(name) {
            continue;
        }
        if let Some(at) = bare.iter().position(|token| fits(token, schema)) {
            arguments.insert(name.clone(), as_kind(bare.remove(at), schema));
        }
    }
    arguments
}

fn object(behind: &str) -> Option<Map<String, Json>> {
    let at = behind.find('{').filter(|at| *at <= NEAR)?;
    let mut values = serde_json::Deserializer::from_str(&behind[at..]).into_iter::<Json>();
    match values.next()? {
        Ok(Json::Object(given)) => Some(given),
        _ => None,
    }
}

/// `name = value`, `name: value`, `name of value`, `name value`.
fn named<'a>(behind: &'a str, name: &str) -> Option<(&'a str, Range<usize>)> {
    let lower = behind.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let spellings = [name.clone(), name.replace('_', " ")];
    let place = spellings.iter().flat_map(|name| mentions(&lower, name)).next()?;
    let mut rest =
        behind[place.end..].trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-');
    for filler in ["is ", "of ", "to ", "as "] {
        rest = rest.strip_prefix(filler).unwrap_or(rest);
    }
    let rest = rest.trim_start_matches(['"', '\'', '`', '$', '€', '#']);
    let start = behind.len() - rest.len();
    let quoted = behind[..start].ends_with(['"', '\'', '`']);
    let end = rest.find(|c: char| ends(c, quoted)).unwrap_or(rest.len());
    let value = rest[..end].trim_end_matches(['.', '!', '?']);
    (!value.is_empty()).then(|| (value, place.start..start + end))
}

fn ends(c: char, quoted: bool) -> bool {
    let quote = matches!(c, '"' | '\'' | '`' | '\n');
    quote || (!quoted && (c.is_whitespace() || matches!(c, ',' | ';' | ')' | '}' | ']')))
}

/// Words that may be a value: they hold a digit.
fn tokens(behind: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let words = behind.split(|c: char| {
        c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '\'' | '`' | '=' | ':')
    });
    words.filter_map(move |word| {
        let token = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '@');
        let start = token.as_ptr() as usize - behind.as_ptr() as usize;
        let counts = token.contains(|c: char| c.is_ascii_digit()) || token.contains('@');
        counts.then_some((start..start + token.len(), token))
    })
}

fn kind(schema: &Json) -> &str {
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    kind.unwrap_or("string")
}

fn fits(token: &str, schema: &Json) -> bool {
    match kind(schema) {
        "number" | "integer" => number(token).is_some(),
        "string" => true,
        _ => false,
    }
}

fn number(token: &str) -> Option<Json> {
    let plain = token.trim_start_matches(['$', '€']);
    let whole = plain.parse::<i64>().ok().map(Json::from);
    whole.or_else(|| plain.parse::<f64>().ok().filter(|n| n.is_finite()).map(Json::from))
}

fn as_kind(value: &str, schema: &Json) -> Json {
    let text = || Json::String(value.to_owned());
    match kind(schema) {
        "number" | "integer" => number(value).unwrap_or_else(text),
        "boolean" => {
            Json::Bool(matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "1"))
        }
        "array" => Json::Array(vec![as_kind(value, &schema["items"])]),
        _ => text(),
    }
}

/// The arguments with what the order left out: known from the conversation, else made up.
fn filled(order: Order<'_>, call: &Call, dice: &mut Dice) -> Map<String, Json> {
    let mut arguments = order.arguments;
    let made_up = guess::arguments(order.tool, dice);
    let required = order.tool.schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Json::as_str) {
        if !arguments.contains_key(name) {
            let known = uses(call).filter_map(|used| used.input.get(name)).last().cloned();
            let value = known.or_else(|| made_up.get(name).cloned()).unwrap_or_default();
            arguments.insert(name.to_owned(), value);
        }
    }
    arguments
}
