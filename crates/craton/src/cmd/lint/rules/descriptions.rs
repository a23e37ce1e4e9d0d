//! Whether a description says what a tool is for, when to use it and when not.

use super::super::subject::{Subject, Tool};
use super::super::words;
use super::{
    EMPTY_DESCRIPTION, Finding, LONG_DESCRIPTION, NO_DESCRIPTION, Severity, WHEN_TO_USE, shown,
};

/// Longer is seldom better. AWS ends a function's at 1,200 characters (API reference, Function).
const LONG: usize = 1_000;
/// Words that say under which circumstances something is done.
const CUES: &[&str] = &[
    "when", "whenever", "if", "use", "used", "before", "after", "once", "only", "unless",
    "instead", "never", "must", "until", "not", "except", "prefer", "call", "first", "needed",
    "requires",
];
const FILLERS: &[&str] = &[
    "a",
    "an",
    "the",
    "of",
    "for",
    "to",
    "this",
    "that",
    "and",
    "or",
    "is",
    "it",
    "by",
    "in",
    "function",
    "tool",
    "api",
    "operation",
    "endpoint",
    "method",
    "given",
    "from",
    "with",
];

pub(super) fn examine(tool: &Tool, subject: &Subject, found: &mut Vec<Finding>) {
    let said = tool.description.trim();
    let line = |text: &str| format!("in {}: \"description\": \"{text}\"", tool.at());
    // The compiler gives a tool without one its name.
    if said.is_empty() || said == tool.own {
        let fix = line("Does … to …. Use it when …; not for ….");
        let what = "it has no description";
        return found.push(tool.finding(&NO_DESCRIPTION, Severity::Error, what, fix));
    }
    let length = said.chars().count();
    if length > LONG {
        let what = format!("its description has {length} characters");
        let fix = format!(
            "in {}: two or three sentences; move reference text to the agent's instruction or to the tool's answers",
            tool.at()
        );
        found.push(tool.finding(&LONG_DESCRIPTION, Severity::Warning, what, fix));
    }
    if repeats(said, &tool.words()) {
        let what = format!("its description is {}", shown(said));
        let fix = line(&format!("{}: what comes back. Use it when …; not for ….", sentence(said)));
        return found.push(tool.finding(&EMPTY_DESCRIPTION, Severity::Warning, what, fix));
    }
    if !says_when(said) && !subject.instruction.contains(&tool.own) {
        let severity = if tool.changes() { Severity::Warning } else { Severity::Advice };
        let not = if tool.changes() { "; never …" } else { "" };
        let fix = format!("in {}, add to the description: \"Use it when …{not}.\"", tool.at());
        let what = "nothing says when to use it, and when not";
        found.push(tool.finding(&WHEN_TO_USE, severity, what, fix));
    }
}

/// Whether a text has no word that the name has not.
pub(super) fn repeats(said: &str, name: &[String]) -> bool {
    let known = |word: &str| {
        let word = words::stem(word);
        FILLERS.contains(&word.as_str()) || name.iter().any(|one| words::stem(one) == word)
    };
    words::of_text(said).iter().all(|word| known(word))
}

fn says_when(said: &str) -> bool {
    words::of_text(said).iter().any(|word| CUES.contains(&word.as_str()))
}

/// The text without its full stop, cut where it would not fit a line.
fn sentence(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    let text: String = first.chars().take(80).collect();
    text.trim_end_matches(['.', ' ']).replace('"', "'")
}
