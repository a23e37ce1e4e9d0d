//! The last piece: what a request says of the one argument that nothing else has filled.
//!
//! Comes after `fill` has given every piece its best place. Only one piece in a place that only values
//! have is taken; where two could be meant, the user is asked. Nothing is made up.

use super::fill::{Filled, missing, value};
use super::fit;
use super::rank::Known;
use super::schema::{Param, Role, Type};
use super::spans::{Read, Shape, Span};

/// The one required text that is still missing, where the request has just one piece left in a place
/// that only values have: after a colon, before the tool's own noun, after a place's preposition.
pub(super) fn last(tool: &Known<'_>, read: &Read, spans: &[Span], out: &mut Filled) {
    let numeric = |p: &usize| matches!(tool.params[*p].kind, Type::Integer | Type::Number);
    let numbers: Vec<usize> = out.missing.iter().copied().filter(numeric).collect();
    if let &[p] = numbers.as_slice() {
        last_number(tool, read, spans, p, out);
    }
    let &[p] = out.missing.as_slice() else { return };
    let param = &tool.params[p];
    let free = param.enums.is_empty() && param.pattern.is_none();
    let (text, noun) = match param.role {
        Role::Other | Role::Prose if is_heading(param) => (after_colon(read), false),
        Role::Other | Role::Place => (None, true),
        _ => return,
    };
    if param.kind != Type::Text || !free {
        return;
    }
    if let Some(text) = text {
        out.input.insert(param.name.clone(), text.into());
        return missing(tool, out);
    }
    let taken = |s: &Span| out.used.iter().any(|(_, u)| u.overlaps(s));
    let told = |s: &&Span| {
        s.shape == Shape::Phrase && s.to - s.from <= 3 && !taken(s) && stands_for(tool, read, s)
    };
    let mut left = spans.iter().filter(told);
    if let (true, Some(span), None) = (noun, left.next(), left.next()) {
        out.input.insert(param.name.clone(), span.text.as_str().into());
        out.used.push((p, span.clone()));
        missing(tool, out);
    }
}

/// The only number that is left, if it counts things: "2 adults", "60 of them".
fn last_number(tool: &Known<'_>, read: &Read, spans: &[Span], p: usize, out: &mut Filled) {
    let taken = |s: &Span| out.used.iter().any(|(_, u)| u.overlaps(s));
    let mut left = spans.iter().filter(|s| s.is_number() && !taken(s));
    let (Some(span), None) = (left.next(), left.next()) else { return };
    let Shape::Number(n) = &span.shape else { return };
    let bare = n.unit.is_empty() && n.seconds.is_none() && !(n.money || n.percent || n.ordinal);
    let after = read.tokens.get(span.to);
    let counted = after.is_some_and(|t| t.is(&["of"]) || t.is_content() && !fit::is_unit(&t.stem));
    let Some(value) = value(&tool.params[p], span).filter(|_| bare && counted) else { return };
    out.input.insert(tool.params[p].name.clone(), value);
    out.used.push((p, span.clone()));
    missing(tool, out);
}

fn is_heading(param: &Param) -> bool {
    const HEADINGS: &[&str] = &["titl", "subject", "summary", "headlin", "descript", "text"];
    param.words.iter().any(|w| HEADINGS.contains(&w.as_str())) || param.role == Role::Prose
}

/// "Note this down: the lift is stuck."
fn after_colon(read: &Read) -> Option<&str> {
    let colon = read.tokens.iter().position(|t| t.is_mark(":"))?;
    let rest = &read.tokens[colon + 1..];
    let len = rest.iter().position(|t| t.is_mark(".!?;")).unwrap_or(rest.len());
    let (first, end) = (rest.first()?, rest[..len].last()?);
    (len >= 2).then(|| &read.text[first.start..end.end])
}

/// "the hallway light" and "in the hallway".
fn stands_for(tool: &Known<'_>, read: &Read, span: &Span) -> bool {
    let own = read.tokens.get(span.to).is_some_and(|t| tool.name.contains(&t.stem));
    let article = (0..span.from).rev().find(|i| !read.tokens[*i].is(&["the", "my", "our"]));
    let place = article.is_some_and(|i| read.tokens[i].is(&["in", "at", "inside"]));
    own || place
}
