//! A prompt template, parsed: literal parts, and slots for what is filled in at each call.
//!
//! Templates come as AWS has them: JSON in the form of the Messages API, or plain text with turns
//! of `Human:` and `Assistant:`. They are parsed when an agent is prepared. A value never passes
//! through here, so nothing that fills a slot is read as template.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wire::converse::Role;

use super::fill::tags;
use super::placeholder::{Part, Slot, parts};
use crate::agent::config::Stage;

/// Why a template cannot be used, as a message for whoever wrote it; the stage stands outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub(super) String);

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    pub(super) system: Vec<Part>,
    pub(super) turns: Vec<Turn>,
    /// The names of the tags in the literal parts, which no value may use.
    pub(super) tags: BTreeSet<String>,
}

/// A message of a template; its text blocks each in parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) texts: Vec<Vec<Part>>,
}

impl Turn {
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.texts.iter().any(|text| text.contains(&Part::Slot(slot)))
    }
}

/// Members of the JSON form that say which form it is.
const FORMS: [&str; 2] = ["anthropic_version", "schemaVersion"];

impl Template {
    pub fn parse(stage: Stage, text: &str) -> Result<Template, Problem> {
        let mut template = match has_messages_form(text) {
            true => messages_form(stage, text)?,
            false => plain_form(stage, text)?,
        };
        let turns = template.turns.iter().flat_map(|turn| &turn.texts);
        template.tags = tags(std::iter::once(&template.system).chain(turns));
        Ok(template)
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.system.contains(&Part::Slot(slot)) || self.turns.iter().any(|turn| turn.has(slot))
    }
}

/// Refuses plain text where the model's own form is JSON.
///
/// AWS: for Claude 3 and later the pre-processing, orchestration and post-processing templates must
/// match the Messages API (user guide, "Advanced prompt templates").
pub fn check_form(stage: Stage, model: &str, text: &str) -> Result<(), Problem> {
    let json = match stage {
        Stage::PreProcessing | Stage::Orchestration | Stage::PostProcessing => true,
        Stage::KnowledgeBaseResponseGeneration
        | Stage::MemorySummarization
        | Stage::RoutingClassifier => false,
    };
    let older = ["claude-instant", "claude-v1", "claude-v2"].iter().any(|old| model.contains(old));
    if !json || !model.contains("claude") || older || has_messages_form(text) {
        return Ok(());
    }
    Err(Problem(format!(
        "Invalid JSON in the prompt: {model} takes an object with 'system' and 'messages', not \
         plain text"
    )))
}

fn has_messages_form(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn messages_form(stage: Stage, text: &str) -> Result<Template, Problem> {
    let json: Json = serde_json::from_str(&escaped(text)).map_err(|cause| {
        Problem(format!("Invalid JSON in the prompt: {cause}; check quotes, commas and braces"))
    })?;
    let members = json.as_object().ok_or_else(|| Problem("it is no JSON object".to_owned()))?;
    let foreign = members.keys().find(|name| {
        !["system", "messages"].contains(&name.as_str()) && !FORMS.contains(&name.as_str())
    });
    if let Some(name) = foreign {
        return Err(Problem(format!(
            "a template holds 'system' and 'messages', and cannot set '{name}'; use \
             inferenceConfiguration or additionalModelRequestFields"
        )));
    }
    let system = match members.get("system") {
        None | Some(Json::Null) => Vec::new(),
        Some(system) => parts(stage, &texts("system", system)?.join("\n"))?,
    };
    let messages = members.get("messages").and_then(Json::as_array);
    let messages = messages
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| Problem("'messages' must be a list with at least one message".to_owned()))?;
    let turns: Result<Vec<Turn>, Problem> =
        messages.iter().enumerate().map(|(at, message)| turn(stage, at, message)).collect();
    begins_with_user(Template { system, turns: turns?, ..Template::default() })
}

fn begins_with_user(template: Template) -> Result<Template, Problem> {
    match template.turns.first() {
        Some(first) if first.role == Role::Assistant => {
            Err(Problem("the first of 'messages' must have the role user".to_owned()))
        }
        Some(_) | None => Ok(template),
    }
}

fn turn(stage: Stage, at: usize, message: &Json) -> Result<Turn, Problem> {
    let role = match message["role"].as_str() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            let role = &message["role"];
            return Err(Problem(format!("messages[{at}].role is {role}, not user or assistant")));
        }
    };
    let texts = texts(&format!("messages[{at}].content"), &message["content"])?;
    let texts: Result<_, _> = texts.iter().map(|text| parts(stage, text)).collect();
    Ok(Turn { role, texts: texts? })
}

/// A text, or a list of texts and text blocks.
fn texts(at: &str, content: &Json) -> Result<Vec<String>, Problem> {
    let wrong = |at: &str| Problem(format!("{at} must be text, or a list of text blocks"));
    match content {
        Json::String(text) => Ok(vec![text.clone()]),
        Json::Array(blocks) => {
            let text = |block: &Json| block.as_str().or(block["text"].as_str()).map(str::to_owned);
            let texts: Option<Vec<String>> = blocks.iter().map(text).collect();
            texts.ok_or_else(|| wrong(at))
        }
        _ => Err(wrong(at)),
    }
}

/// AWS: its own templates break lines inside of JSON strings (user guide, "Advanced prompt
/// templates"), which JSON does not allow.
fn escaped(text: &str) -> String {
    let (mut out, mut inside, mut escape) = (String::with_capacity(text.len()), false, false);
    for char in text.chars() {
        if inside && char < ' ' {
            out.push_str(&format!("\\u{:04x}", u32::from(char)));
        } else {
            out.push(char);
        }
        match char {
            '"' if !escape => inside = !inside,
            _ => {}
        }
        escape = inside && char == '\\' && !escape;
    }
    out
}

const MARKERS: [(&str, Role); 2] = [("Human:", Role::User), ("Assistant:", Role::Assistant)];

/// Turns of `Human:` and `Assistant:`, each at the beginning of a line; what stands before the
/// first is for the system. A text without any is one message of the user, unless it leaves no
/// place for what the user said.
fn plain_form(stage: Stage, text: &str) -> Result<Template, Problem> {
    if text.trim().is_empty() {
        return Err(Problem("it is empty".to_owned()));
    }
    let (mut before, mut turns): (Vec<&str>, Vec<(Role, Vec<&str>)>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let marked = MARKERS.iter().find_map(|(marker, role)| {
            line.trim_start().strip_prefix(marker).map(|rest| (*role, rest.trim_start()))
        });
        match (marked, turns.last_mut()) {
            (Some((role, rest)), _) => turns.push((role, vec![rest])),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => before.push(line),
        }
    }
    let cut = |lines: &[&str]| parts(stage, lines.join("\n").trim());
    let system = cut(&before)?;
    let turns: Result<Vec<Turn>, Problem> = turns
        .iter()
        .map(|(role, lines)| Ok(Turn { role: *role, texts: vec![cut(lines)?] }))
        .collect();
    begins_with_user(with_user(Template { system, turns: turns?, ..Template::default() }))
}

fn with_user(mut template: Template) -> Template {
    if template.turns.is_empty() {
        let spoken = [Slot::Question, Slot::Conversation, Slot::History];
        let spoken = spoken.iter().any(|slot| template.has(*slot));
        let text = match spoken {
            true => std::mem::take(&mut template.system),
            false => vec![Part::Slot(Slot::Question)],
        };
        template.turns.push(Turn { role: Role::User, texts: vec![text] });
    }
    template
}
