//! Whether what describes a tool speaks to the model about something else.

use super::super::subject::Tool;
use super::{Finding, HIDDEN_INSTRUCTIONS, Severity, shown};

/// As they stand in attacks on tools that were published, each in lower case and single spaces.
const PHRASES: &[&str] = &[
    "ignore all previous",
    "ignore previous",
    "ignore any previous",
    "ignore the previous",
    "ignore prior",
    "ignore all prior",
    "ignore your instructions",
    "ignore the above",
    "ignore all instructions",
    "disregard all",
    "disregard previous",
    "disregard the above",
    "disregard your",
    "disregard any",
    "forget everything",
    "forget all previous",
    "forget your instructions",
    "override your instructions",
    "override the system",
    "system prompt",
    "developer mode",
    "you are now",
    "jailbreak",
    "do not tell the user",
    "don't tell the user",
    "do not inform the user",
    "do not mention this",
    "without telling the user",
    "without informing the user",
    "hide this from",
    "keep this secret",
    "never reveal this",
    "<system",
    "</system",
    "<important",
    "[system]",
    "[inst]",
    "<|im_start|>",
    "<|system|>",
    "### instruction",
    "begin instructions",
    "exfiltrate",
    "~/.ssh",
    "id_rsa",
    "/etc/passwd",
    "entire conversation",
    "full conversation",
    "conversation history to",
    "send all credentials",
];
const PUSHES: &[&str] = &[
    "before any other tool",
    "before using any other tool",
    "before calling any other tool",
    "instead of any other tool",
    "instead of all other tools",
    "always use this tool",
    "always call this tool",
    "must always call",
    "highest priority",
    "do not use any other tool",
    "never use any other tool",
];

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    let own = std::iter::once((tool.at(), tool.description.as_str()));
    let parameters = tool.parameters.iter().flat_map(|one| {
        let place = format!("{} of {}", one.path, tool.at());
        let texts = [&one.schema["description"], &one.schema["default"], &one.schema["title"]];
        texts.into_iter().filter_map(move |text| Some((place.clone(), text.as_str()?)))
    });
    for (place, text) in own.chain(parameters) {
        let Some((severity, what)) = suspicious(text) else { continue };
        let fix = format!("in {place}: remove it; say what the tool does and when to use it");
        found.push(tool.finding(
            &HIDDEN_INSTRUCTIONS,
            severity,
            format!("the text of {place} {what}"),
            fix,
        ));
    }
}

fn suspicious(text: &str) -> Option<(Severity, String)> {
    if let Some(hidden) = text.chars().find(|&char| is_hidden(char)) {
        return Some((
            Severity::Error,
            format!("has characters that nobody sees, such as U+{:04X}", u32::from(hidden)),
        ));
    }
    let plain = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |phrases: &[&str]| {
        phrases.iter().find(|phrase| plain.contains(**phrase)).map(|phrase| shown(phrase))
    };
    match (has(PHRASES), has(PUSHES)) {
        (Some(phrase), _) => Some((Severity::Error, format!("speaks to the model: {phrase}"))),
        (None, Some(phrase)) => {
            Some((Severity::Warning, format!("pushes other tools aside: {phrase}")))
        }
        (None, None) => None,
    }
}

/// Zero width, direction marks and tags: they carry text past a reader's eyes. The joiners that
/// emoji and some scripts need are not among them.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
