//! Repeats: one request that wants the same several times, with other values.
//!
//! `siblings`: several values are listed where an argument takes one. `repeats`: the request says it all again.
//! "3 rooms in Bern and 5 rooms in Basel": where a later part of the sentence names a parameter
//! again, another call begins; what it does not name stays as it was. Only for tools that change
//! nothing, since a misread part would be a change nobody asked for.

use serde_json::{Map, Value as Json};

use super::fill::{Filled, fill, mention, plain, trimmed, value};
use super::rank::Known;
use super::schema::{Param, Type};
use super::spans::{Read, Shape, Span, read};
use super::verbs::Class;
use super::words::Token;

/// One call for each of several listed values where the parameter takes only one.
///
/// Lists of the same length go together: "A and B for 20 and 15 minutes" are two calls.
pub(super) fn siblings(tool: &Known<'_>, read: &Read, filled: &Filled) -> Vec<Map<String, Json>> {
    let mut lists: Vec<(&Param, Vec<Json>)> = Vec::new();
    for (p, span) in &filled.used {
        let alone = filled.used.iter().filter(|(_, s)| s.group == span.group).count() == 1;
        let param = &tool.params[*p];
        if span.group.is_some() && alone && param.kind != Type::Array {
            lists.push((param, members(tool, param, read, span.group)));
        }
    }
    for param in tool.params.iter().filter(|p| p.kind == Type::Text && p.enums.len() > 1) {
        let values = choices(param, read);
        if values.len() > 1 && filled.input.contains_key(&param.name) {
            lists.push((param, values));
        }
    }
    let Some(count) = lists.first().map(|(_, values)| values.len()).filter(|n| *n > 1) else {
        return vec![filled.input.clone()];
    };
    lists.retain(|(_, values)| values.len() == count);
    let call = |i: usize| {
        let mut input = filled.input.clone();
        for (param, values) in &lists {
            input.insert(param.name.clone(), values[i].clone());
        }
        input
    };
    (0..count).map(call).collect()
}

/// Values of an enum with nothing but commas and "and" between them.
fn choices(param: &Param, read: &Read) -> Vec<Json> {
    let mut said: Vec<(usize, usize, &Json)> = param
        .enums
        .iter()
        .filter_map(|e| {
            let words = super::words::split_name(&plain(e)).len();
            mention(&plain(e), read).map(|at| (at, at + words, e))
        })
        .collect();
    said.sort_by_key(|(from, ..)| *from);
    let joined = |a: usize, b: usize| {
        let between = read.tokens.get(a..b).unwrap_or_default();
        between.iter().any(|t| t.is_mark(",&") || t.is(&["and"]))
            && between.iter().all(|t| t.is_mark(",&") || !t.is_content() && !t.is(&["or", "not"]))
    };
    match said.windows(2).all(|w| joined(w[0].1, w[1].0)) {
        true => said.into_iter().map(|(.., e)| e.clone()).collect(),
        false => Vec::new(),
    }
}

fn members(tool: &Known<'_>, param: &Param, read: &Read, group: Option<usize>) -> Vec<Json> {
    let spans = read.spans.iter().filter(|s| s.group == group);
    spans
        .filter_map(|s| match s.shape {
            Shape::Phrase => trimmed(tool, read, s).and_then(|s| value(param, &s)),
            _ => value(param, s),
        })
        .collect()
}

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
