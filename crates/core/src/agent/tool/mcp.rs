//! Tools of an MCP server: its listing becomes tools when an agent is prepared, its results text.
//!
//! What a server says of its tools is somebody else's text in the agent's prompt. It is pinned with
//! the configuration and named as what it is; whoever calls compares it with the digest. Hints of a
//! server (`readOnlyHint` and the like) are not looked at: they decide nothing.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::config::{ActionGroup, Function, McpListing, McpTool};
use super::error::shortened;
use super::key::{canonical, hex};
use super::{Action, Answer, State, Target};
use crate::limits;

/// One tool as its server lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub name: String,
    pub description: Option<String>,
    pub schema: Json,
}

/// The tools of a listing as a configuration keeps them: all, or those that `picks` names, in the
/// order of their names. What cannot be used is said by name.
pub fn pin(
    server: &str,
    listing: &[Listed],
    picks: Option<&[Function]>,
) -> Result<McpListing, String> {
    let mut tools: Vec<McpTool> = match picks {
        None => listing.iter().map(|listed| pinned(server, listed)).collect::<Result<_, _>>()?,
        Some(picks) => {
            picks.iter().map(|pick| picked(server, listing, pick)).collect::<Result<_, _>>()?
        }
    };
    if tools.is_empty() {
        return Err(format!("MCP server {server} lists no tool that the agent may call"));
    }
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(McpListing { server: server.to_owned(), tools })
}

fn pinned(server: &str, listed: &Listed) -> Result<McpTool, String> {
    let refused = |why: &str| {
        let name = line(&listed.name, limits::TOOL_NAME);
        Err(format!(
            "tool {name} of MCP server {server} {why}; leave it out of the tools it offers"
        ))
    };
    if listed.name.is_empty() || listed.name.chars().count() > limits::MCP_NAME_CHARS {
        return refused("has a name that is empty or too long");
    }
    if listed.schema.to_string().len() > limits::MCP_SCHEMA_BYTES {
        return refused("has too large a schema");
    }
    let Some(mut input) = input(&listed.schema) else {
        return refused("takes something else than an object");
    };
    if !clean_texts(&mut input, 0) {
        return refused("has a schema that nests too deep");
    }
    let said = text(listed.description.as_deref().unwrap_or(""), limits::MCP_DESCRIPTION_CHARS);
    Ok(McpTool {
        digest: digest(listed),
        name: listed.name.clone(),
        description: match said.is_empty() {
            true => format!("A tool of MCP server {server}, which does not describe it."),
            false => format!("Untrusted description by MCP server {server}: {said}"),
        },
        input,
        confirm: false,
    })
}

/// The developer's own words go before the server's.
fn picked(server: &str, listing: &[Listed], pick: &Function) -> Result<McpTool, String> {
    let named = |listed: &&Listed| listed.name == pick.name || plain(&listed.name) == pick.name;
    let Some(listed) = listing.iter().find(named) else {
        return Err(format!("MCP server {server} lists no tool {}", pick.name));
    };
    let tool = pinned(server, listed)?;
    let description = pick.description.clone().unwrap_or(tool.description);
    Ok(McpTool { description, confirm: pick.confirm, ..tool })
}

/// SHA-256 over name, description and schema as the server gave them.
pub fn digest(listed: &Listed) -> String {
    let Listed { name, description, schema } = listed;
    let text = canonical(&json!([name, description, schema]));
    hex(&Sha256::digest(text.as_bytes()))
}

pub(super) fn actions(group: &ActionGroup, listing: &McpListing) -> Vec<Action> {
    listing.tools.iter().map(|tool| action(group, tool)).collect()
}

fn action(group: &ActionGroup, tool: &McpTool) -> Action {
    Action {
        at: format!("tool {}", tool.name),
        name: model_name(&group.name, &tool.name),
        description: tool.description.clone(),
        target: Target::Mcp { name: tool.name.clone(), digest: tool.digest.clone() },
        input: tool.input.clone(),
        effect: None,
        confirm: tool.confirm,
    }
}

/// A server's names may have other characters than models take, and more of them.
fn model_name(group: &str, tool: &str) -> String {
    let name = format!("{group}__{}", plain(tool));
    if name.len() <= limits::TOOL_NAME {
        return name;
    }
    let mark = &hex(&Sha256::digest(tool.as_bytes()))[..8];
    let room = limits::TOOL_NAME.saturating_sub(mark.len() + 1);
    let kept: String = name.chars().take(room).collect();
    format!("{kept}_{mark}")
}

fn plain(name: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    name.chars().map(|char| if fits(char) { char } else { '_' }).collect()
}

/// The schema of an object, with what models expect of one.
fn input(schema: &Json) -> Option<Json> {
    let mut schema = schema.clone();
    let members = schema.as_object_mut()?;
    if members.entry("type").or_insert_with(|| json!("object")) != "object" {
        return None;
    }
    members.entry("properties").or_insert_with(|| json!({}));
    Some(schema)
}

/// Cleans the schema's own texts. False for one that nests deeper than it may.
fn clean_texts(node: &mut Json, depth: usize) -> bool {
    if depth > limits::SCHEMA_DEPTH {
        return false;
    }
    match node {
        Json::Object(members) => members.iter_mut().all(|(name, member)| {
            if let (true, Json::String(said)) = (name == "description" || name == "title", &*member)
            {
                *member = json!(text(said, limits::MCP_DESCRIPTION_CHARS));
            }
            clean_texts(member, depth + 1)
        }),
        Json::Array(items) => items.iter_mut().all(|item| clean_texts(item, depth + 1)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// Without what a reader cannot see: control characters but for line ends, and the invisible and
/// reordering ones in which instructions have been hidden.
fn text(said: &str, most: usize) -> String {
    let seen = said.chars().filter(|&char| char == '\n' || !(char.is_control() || is_hidden(char)));
    let seen: String = seen.collect();
    shortened(seen.trim(), most)
}

fn line(said: &str, most: usize) -> String {
    text(&said.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// Zero-width, direction, variation and tag characters (Unicode's default ignorable ones).
fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Reads the result of a `tools/call`.
pub(super) fn answer(result: &Json) -> Answer {
    let mut ignored = Vec::new();
    Answer {
        body: body(result, &mut ignored),
        state: State::Success,
        status: None,
        session_attributes: None,
        prompt_session_attributes: None,
        ignored,
    }
}

/// The text of a result that says of itself that it is an error.
pub(super) fn error_text(result: &Json) -> Option<String> {
    (result["isError"] == true).then(|| body(result, &mut Vec::new()))
}

/// What of a result the model reads: its texts, then the structured content where no text is the
/// same once more, as servers repeat it for older clients.
fn body(result: &Json, ignored: &mut Vec<String>) -> String {
    let structured = result.get("structuredContent").filter(|content| !content.is_null());
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let repeats = |block: &&Json| {
        let said = block["text"].as_str().and_then(|said| serde_json::from_str::<Json>(said).ok());
        said.is_none() || said.as_ref() != structured
    };
    let mut parts: Vec<String> =
        blocks.iter().filter(repeats).map(|block| shown(block, ignored)).collect();
    parts.extend(structured.map(Json::to_string));
    parts.join("\n")
}

/// One block; what is no text is named.
fn shown(block: &Json, ignored: &mut Vec<String>) -> String {
    let kind = block["type"].as_str().unwrap_or("content of an unknown kind");
    if let (true, Some(said)) = (kind == "text", block["text"].as_str()) {
        return said.to_owned();
    }
    let resource = &block["resource"];
    let mut note = format!("[{}", line(kind, limits::MCP_NOTE_CHARS));
    for member in [&block["mimeType"], &block["name"], &block["uri"], &resource["uri"]] {
        if let Some(word) = member.as_str() {
            write!(note, " {}", line(word, limits::MCP_NOTE_CHARS)).expect("a string takes it");
        }
    }
    if let Some(said) = resource["text"].as_str() {
        return format!("{note}]\n{said}");
    }
    ignored.push(note.trim_start_matches('[').to_owned());
    format!("{note}, not shown]")
}
