//! Sees a model that goes round in a loop: the same tool, asked for the same again and again, with
//! nothing new in its answers.
//!
//! What counts as the same is a rule that docs/tools.md publishes. Every call of a turn goes by: one that
//! brings something new (a tool or arguments not seen yet, or another result than before) begins
//! all counts again, since the turn has learnt something. Calls of other tools in between that
//! bring nothing new do not.

use std::collections::VecDeque;

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::agent::tool::Effect;
use crate::limits;

/// What the calls of a turn brought, each kind of call once, the latest last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rounds(VecDeque<Row>);

#[derive(Debug, Clone, PartialEq)]
struct Row {
    tool: String,
    input: Json,
    result: [u8; 32],
    /// How often it came since something was new, the first time included.
    count: u32,
}

impl Rounds {
    /// A call has its result.
    pub fn notice(&mut self, tool: &str, input: &Json, effect: Effect, result: &str) {
        let result: [u8; 32] = Sha256::digest(result.as_bytes()).into();
        let known = self.0.iter().position(|row| row.is_of(tool, input, effect));
        let known = known.and_then(|at| self.0.remove(at));
        let count = match known {
            Some(row) if row.result == result => row.count.saturating_add(1),
            Some(_) | None => {
                self.0.iter_mut().for_each(|row| row.count = 0);
                1
            }
        };
        let (tool, input) = (tool.to_owned(), input.clone());
        self.0.push_back(Row { tool, input, result, count });
        if self.0.len() > limits::LOOP_ROWS {
            self.0.pop_front();
        }
    }

    /// How many calls like this one came in a row and brought nothing new.
    pub fn so_far(&self, tool: &str, input: &Json, effect: Effect) -> u32 {
        let row = self.0.iter().find(|row| row.is_of(tool, input, effect));
        row.map_or(0, |row| row.count)
    }
}

impl Row {
    fn is_of(&self, tool: &str, input: &Json, effect: Effect) -> bool {
        self.tool == tool && near(&self.input, input, effect)
    }
}

/// Whether two calls' arguments ask for the same. Names, whole numbers and every word with a digit in
/// it have to agree: `4471` and `4472` are two orders. Case, punctuation, filler words and the order
/// of the words in a phrase do not count. A tool that changes nothing is given more room: a phrase may
/// differ by a fifth of its letters, a fraction by a hundredth of its size.
pub fn near(a: &Json, b: &Json, effect: Effect) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => near_objects(a, b, effect),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b, effect))
        }
        (Json::String(a), Json::String(b)) => near_texts(a, b, effect),
        (Json::Number(a), Json::Number(b)) => {
            let close = a.is_f64() && b.is_f64() && effect == Effect::Read;
            match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) if close => (a - b).abs() <= 0.01 * a.abs().max(b.abs()),
                _ => a == b,
            }
        }
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
}

/// A member that says nothing is as good as none.
fn near_objects(a: &Map<String, Json>, b: &Map<String, Json>, effect: Effect) -> bool {
    let agrees = |(name, value): (&String, &Json), other: &Map<String, Json>| {
        near(value, other.get(name).unwrap_or(&Json::Null), effect)
    };
    a.iter().all(|member| agrees(member, b)) && b.iter().all(|member| agrees(member, a))
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.trim().is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

fn near_texts(a: &str, b: &str, effect: Effect) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (Words::of(a), Words::of(b));
    if a.is_empty() || b.is_empty() || a.numbered != b.numbered {
        return false;
    }
    let phrases = a.plain.len() + a.numbered.len() >= 3 && b.plain.len() + b.numbered.len() >= 3;
    a.plain == b.plain || (phrases && effect == Effect::Read && alike(&a.plain, &b.plain))
}

/// A text's words in lower case.
#[derive(Debug)]
struct Words {
    /// Without a digit. Those of a phrase are sorted.
    plain: Vec<String>,
    /// With one, in their order: ids, dates, amounts.
    numbered: Vec<String>,
}

/// What a phrase may have or lack without asking for anything else.
const FILLERS: [&str; 20] = [
    "a", "an", "and", "at", "by", "can", "for", "from", "in", "is", "me", "of", "on", "please",
    "s", "the", "to", "what", "with", "you",
];

impl Words {
    fn of(text: &str) -> Words {
        let lower = text.to_lowercase();
        let is_phrase = lower.trim().contains(char::is_whitespace);
        let words =
            lower.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
        let (numbered, mut plain): (Vec<String>, Vec<String>) =
            words.map(str::to_owned).partition(|word| word.contains(char::is_numeric));
        if is_phrase {
            let telling = |word: &String| !FILLERS.contains(&word.as_str());
            if plain.iter().any(telling) || !numbered.is_empty() {
                plain.retain(telling);
            }
            plain.sort_unstable();
        }
        // A sign makes another number of it, and a sign alone is all that there is.
        let signed = lower.trim_start().starts_with('-') && !numbered.is_empty();
        let numbered = signed.then(|| "-".to_owned()).into_iter().chain(numbered).collect();
        Words { plain, numbered }
    }

    /// Nothing but signs: `+` is not `-`.
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.numbered.is_empty()
    }
}

/// Whether no more than a fifth of the letters differ.
fn alike(a: &[String], b: &[String]) -> bool {
    let (a, b) = (a.join(" "), b.join(" "));
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let longer = a.len().max(b.len());
    let most = longer / 5;
    a.len().abs_diff(b.len()) <= most && longer <= 2_000 && distance(&a, &b) <= most
}

/// Letters to add, drop or change (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, one) in a.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = corner + usize::from(one != other);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
