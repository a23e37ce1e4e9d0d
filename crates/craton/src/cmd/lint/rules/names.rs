//! Whether a tool's name says what it does, and to what.

use super::super::subject::Tool;
use super::super::words;
use super::{Finding, NO_OBJECT, NO_VERB, Severity, VAGUE_NAME};

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    let name = tool.words();
    let rename = |why: &str| {
        format!("rename {} {:?} to a verb and what it acts on, such as {why}", tool.at(), tool.own)
    };
    let example = format!("\"get_{}\"", object(tool));
    if is_placeholder(&name) || is_vague(&name) {
        let what = format!("{:?} could be any tool", tool.own);
        return found.push(tool.finding(&VAGUE_NAME, Severity::Error, what, rename(&example)));
    }
    let Some(at) = words::verb_at(&name) else {
        // `get__orders__list` has a verb already: AWS puts the method before an operation's name.
        let severity = match (name.len(), &tool.api) {
            (1, None) => Severity::Warning,
            _ => Severity::Advice,
        };
        let what = format!("{:?} does not begin with a verb", tool.own);
        let example = format!("\"get_{}\"", name.join("_"));
        return found.push(tool.finding(&NO_VERB, severity, what, rename(&example)));
    };
    let vague_object = name.len() == at + 2 && words::is_vague_object(&name[at + 1]);
    if vague_object {
        let what = format!("{:?} acts on anything: {:?} names nothing", tool.own, name[at + 1]);
        return found.push(tool.finding(&VAGUE_NAME, Severity::Warning, what, rename(&example)));
    }
    if name.len() == 1 {
        let what = format!("{:?} has no object", tool.own);
        let example = format!("\"{}_{}\"", tool.own, object(tool));
        found.push(tool.finding(&NO_OBJECT, Severity::Advice, what, rename(&example)));
    }
}

/// `tool1`, `my_function`, `test`: the name of an example.
fn is_placeholder(name: &[String]) -> bool {
    name.iter().all(|word| words::is_placeholder(word))
}

/// `process`, `handle_data`, `doStuff`.
fn is_vague(name: &[String]) -> bool {
    let nothing = |word: &String| {
        words::is_vague_verb(word) || words::is_vague_object(word) || words::is_placeholder(word)
    };
    name.iter().all(nothing)
}

/// What the tool seems to be about: its group, in the singular.
fn object(tool: &Tool) -> String {
    let group = words::of_name(&tool.group);
    let told = group.iter().rev().find(|word| {
        !words::is_vague_object(word) && !words::is_placeholder(word) && !words::is_vague_verb(word)
    });
    told.map_or_else(|| "order".to_owned(), |word| words::stem(word))
}
