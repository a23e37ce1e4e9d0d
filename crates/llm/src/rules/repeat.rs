//! Repeats: one request that wants the same look several times, with other values.
//!
//! "3 rooms in Bern and 5 rooms in Basel": where a later part of the sentence names a parameter
//! again, another call begins; what it does not name stays as it was. Only for tools that change
//! nothing, since a misread part would be a change nobody asked for.

use serde_json::{Map, Value as Json};

use super::fill::{Filled, fill};
use super::rank::Known;
use super::spans::{Read, Shape, Span, read};
use super::verbs::Class;
use super::words::Token;

/// The calls, if the request repeats itself; else nothing.
pub(super) fn repeats(
    tool: &Known<'_>,
    text: &Read,
    whole: &Filled,
) -> Option<Vec<Map<String, Json>>> {
    if tool.class == Class::Write {
        return None;
    }
    let mut calls: Vec<Map<String, Json>> = Vec::new();
    let mut spare = false;
    let mut named: Vec<Vec<usize>> = Vec::new();
    for part in parts(text) {
        let filled = fill(tool, &part);
        let used: Vec<usize> =
            filled.used.iter().filter(|(_, s)| s.shape != Shape::Phrase).map(|(p, _)| *p).collect();
        if used.is_empty() {
            continue;
        }
        let taken = |s: &Span| whole.used.iter().any(|(_, u)| u.text == s.text);
        spare |= filled.used.iter().any(|(_, s)| s.shape != Shape::Phrase && !taken(s));
        let again = named.last().is_some_and(|last| used.iter().any(|p| last.contains(p)));
        if again || calls.is_empty() {
            calls.push(calls.last().cloned().unwrap_or_default());
            named.push(Vec::new());
        }
        if let Some(call) = calls.last_mut() {
            call.extend(used.iter().filter_map(|p| {
                let name = &tool.params[*p].name;
                filled.input.get(name).map(|v| (name.clone(), v.clone()))
            }));
        }
        if let Some(last) = named.last_mut() {
            last.extend(used);
        }
    }
    // A part that names only some of it is more likely a misread list than another call.
    named.iter_mut().for_each(|n| n.sort_unstable());
    if !spare || calls.len() < 2 || named.windows(2).any(|w| w[0] != w[1]) {
        return None;
    }
    for call in &mut calls {
        for (name, value) in &whole.input {
            call.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Some(calls)
}

/// The text between "and", "then", "also", semicolons and sentence ends.
fn parts(text: &Read) -> Vec<Read> {
    let joins = |t: &Token| t.is_mark(".;?!") || t.is(&["and", "then", "also", "another"]);
    let ranges = text.tokens.split(joins).filter(|p| !p.is_empty());
    ranges.map(|p| read(&text.text[p[0].start..p[p.len() - 1].end], text.today)).collect()
}
