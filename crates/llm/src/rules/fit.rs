//! Fitness: how well one span suits one parameter.
//!
//! Type and kind of thing say what can be at all (`base`); the words beside the span, small words
//! before it and the unit after it say which it is (`cue`). Sums of both are compared in `fill`.

use super::fill::value;
use super::rank::Known;
use super::schema::{Param, Role, Type};
use super::spans::{Read, Shape, Span};
use super::words::{Kind, Token, kinship};

pub(super) fn fit(tool: &Known<'_>, param: &Param, span: &Span, read: &Read) -> f64 {
    let Some(base) = base(tool, param, span) else { return 0.0 };
    if param.role == Role::Id && span.is_number() && counts(tool, param, span, read) {
        return 0.0;
    }
    base + cue(tool, param, span, read)
}

/// "5 orders" and "12 Baker Street": a number before a noun is nobody's id, unless the word before says so.
fn counts(tool: &Known<'_>, param: &Param, span: &Span, read: &Read) -> bool {
    let noun = read.tokens.get(span.to).is_some_and(Token::is_content);
    let told = span.from.checked_sub(1).is_some_and(|at| {
        let before = &read.tokens[at];
        before.is_mark("#:") || before.is_content() && named(tool, param, &before.stem) > 0.0
    });
    noun && !told
}

/// What type and kind of thing alone say; `None` where the value cannot be the argument.
pub(super) fn base(tool: &Known<'_>, param: &Param, span: &Span) -> Option<f64> {
    value(param, span)?;
    let places = tool.params.iter().filter(|p| p.role == Role::Place).count();
    let shape = &span.shape;
    Some(match param.kind {
        Type::Integer | Type::Number => numeric(param, shape)?,
        Type::Boolean | Type::Object => return None,
        Type::Array => 0.2,
        Type::Text if param.pattern.is_some() => 0.6,
        Type::Text => match (param.role, shape) {
            (Role::Phone, Shape::Phone) => 0.8,
            (Role::Phone, Shape::Number(n)) if n.unit.is_empty() && !n.spelled => 0.2,
            (Role::Phone, Shape::Id) => 0.2,
            (Role::Phone, _) | (_, Shape::Phone) => return None,
            (Role::Date, Shape::Date) | (Role::Time, Shape::Time) | (Role::Email, Shape::Email) => {
                0.8
            }
            (Role::Time, Shape::Date) | (Role::Date, Shape::Time) => 0.35,
            (Role::Url, Shape::Url) | (Role::Path, Shape::Path) => 0.8,
            (Role::Place, Shape::Place) => {
                if places == 1 {
                    0.65
                } else {
                    0.3
                }
            }
            (Role::Place, Shape::Proper) => 0.5,
            (Role::Place, Shape::Phrase | Shape::Quoted) => 0.2,
            (Role::Id, Shape::Id | Shape::Url) => 0.6,
            (Role::Id, Shape::Number(n))
                if n.money || n.percent || n.ordinal || n.spelled || !n.unit.is_empty() =>
            {
                return None;
            }
            (Role::Id, Shape::Number(_)) => 0.45,
            (Role::Email | Role::Url | Role::Path | Role::Date | Role::Time, _) => return None,
            (
                Role::Id,
                Shape::Proper | Shape::Phrase | Shape::Date | Shape::Time | Shape::Email,
            ) => return None,
            (Role::Unit, _) => 0.05,
            (_, Shape::Number(_))
                if param.words.iter().any(|w| {
                    ["year", "number", "num", "zip", "code", "version", "phon"]
                        .contains(&w.as_str())
                }) =>
            {
                0.4
            }
            (_, Shape::Number(_)) => return None,
            (Role::Prose, Shape::Quoted) => 0.6,
            (_, Shape::Email | Shape::Url | Shape::Path | Shape::Date | Shape::Time) => 0.0,
            (_, Shape::Quoted) => 0.45,
            (_, Shape::Proper) => 0.4,
            (_, Shape::Place) => 0.1,
            (_, Shape::Id) => 0.35,
            (_, Shape::Phrase) => 0.28,
            (_, Shape::List(_)) => return None,
        },
    })
}

fn numeric(param: &Param, shape: &Shape) -> Option<f64> {
    let Shape::Number(n) = shape else {
        return matches!(shape, Shape::Id | Shape::Date).then_some(0.05);
    };
    let has = |list: &[&str]| {
        param.words.iter().chain(param.about.iter().take(6)).any(|w| list.contains(&w.as_str()))
    };
    let mut fit: f64 = 0.3;
    if n.money {
        fit += if has(&[
            "amount", "pric", "cost", "budget", "total", "fee", "salary", "incom", "money",
            "dollar", "usd", "valu", "pay",
        ]) {
            0.4
        } else {
            -0.1
        };
    }
    if n.percent {
        fit += if has(&["percent", "percentag", "rat", "discount", "ratio", "return"]) {
            0.5
        } else {
            -0.15
        };
    }
    let year = has(&["year"]) && param.words.iter().any(|w| w == "year");
    let calendar =
        n.is_integer() && (1000.0..2200.0).contains(&n.value) && n.unit.is_empty() && !n.money;
    if year && param.words.len() <= 2 && !param.words.iter().any(|w| w == "num" || w == "number") {
        fit += if calendar { 0.4 } else { -0.1 };
    }
    if n.ordinal || n.spelled {
        fit -= 0.1;
    }
    let time = n.seconds.is_some() && param.seconds.is_some();
    if time
        || !n.unit.is_empty() && param.about.iter().chain(&param.words).any(|w| unit_is(&n.unit, w))
    {
        fit += 0.45;
    }
    Some(fit)
}

/// Whether a word is the name or the sign of a common unit.
pub(super) fn is_unit(stem: &str) -> bool {
    const MORE: &[&str] = &[
        "mil",
        "inch",
        "yard",
        "km/h",
        "mph",
        "m/s",
        "percentag",
        "unit",
        "fahrenheit",
        "day",
        "week",
        "month",
    ];
    UNITS
        .iter()
        .any(|(u, names)| *u == stem && stem.len() > 1 || names.contains(&stem) && stem.len() > 1)
        || MORE.contains(&stem)
}

/// Whether a glued unit stands for a unit's name: `km` for kilometers.
fn unit_is(unit: &str, stem: &str) -> bool {
    unit == stem || UNITS.iter().any(|(u, names)| *u == unit && names.contains(&stem))
}

/// What the words beside a span say.
fn cue(tool: &Known<'_>, param: &Param, span: &Span, read: &Read) -> f64 {
    let named_here = |i: usize| {
        read.spans
            .iter()
            .any(|s| matches!(s.shape, Shape::Proper | Shape::Quoted) && s.from <= i && i < s.to)
    };
    let free = |range: std::ops::Range<usize>| range.map(|i| (&read.tokens[i], named_here(i)));
    let before = side(free(0..span.from).rev(), false);
    let after = side(free(span.to.min(read.tokens.len())..read.tokens.len()), true);
    let reach = |words: &[(f64, &Token)], near: f64| {
        words
            .iter()
            .map(|(d, t)| (near - 0.13 * d) * named(tool, param, &t.stem))
            .fold(0.0, f64::max)
    };
    let follow = if span.is_number() { 1.0 } else { 0.75 };
    let inside = span_words(read, span).map(|s| named(tool, param, s)).fold(0.0, f64::max);
    let mark = span.from > 0 && read.tokens[span.from - 1].is_mark("#") && param.role == Role::Id;
    let own = if span.is_number() || span.shape == Shape::Phrase { 0.0 } else { 0.45 * inside };
    reach(&before, 0.95).max(reach(&after, follow))
        + preposition(param, span, read)
        + own
        + if mark { 0.4 } else { 0.0 }
}

fn span_words<'a>(read: &'a Read, span: &Span) -> impl Iterator<Item = &'a String> {
    read.tokens[span.from..span.to].iter().filter(|t| t.is_content()).map(|t| &t.stem)
}

/// The content words beside a span with their distance, up to four; a sentence's end stops it,
/// and so does a word that begins another part of the sentence.
fn side<'a>(
    tokens: impl Iterator<Item = (&'a Token, bool)>,
    forward: bool,
) -> Vec<(f64, &'a Token)> {
    const BREAKS: &[&str] = &["and", "or", "with", "if", "from", "but", "using", "given", "where"];
    const BRIDGES: &[&str] = &["of", "the", "per", "a", "an"];
    let mut out = Vec::new();
    let mut distance = 0.0;
    for (t, in_name) in tokens {
        if !forward && out.is_empty() && t.is(BREAKS) {
            distance += 1.5;
        }
        let ends = t.is_mark(".!?;") || t.is(BREAKS) && (forward || !out.is_empty());
        if ends || distance > 4.0 {
            break;
        }
        match t.kind {
            Kind::Word if in_name => distance += 1.0,
            Kind::Word if t.is_content() => {
                out.push((distance, t));
                distance += 1.0;
            }
            Kind::Word if forward && !t.is(BRIDGES) => distance += 2.0,
            Kind::Word => distance += 0.1,
            Kind::Mark if t.is_mark(",") => distance += 2.0,
            Kind::Number | Kind::Quoted | Kind::List => distance += 2.0,
            Kind::Mark => {}
        }
    }
    out
}

/// How much a word names a parameter: fully by its name, less by its description, and less the
/// more of the tool's parameters share it.
fn named(tool: &Known<'_>, param: &Param, stem: &str) -> f64 {
    const DULL: &[&str] =
        &["id", "nam", "number", "valu", "typ", "num", "of", "to", "in", "the", "list"];
    if let Some((head, tail)) = stem.split_once('-') {
        return named(tool, param, head).max(named(tool, param, tail));
    }
    let by = |p: &Param| {
        let name = p
            .words
            .iter()
            .map(|w| kinship(w, stem) * if DULL.contains(&w.as_str()) { 0.7 } else { 1.0 });
        let about = p.about.iter().map(|w| {
            0.55 * if kinship(w, stem) >= 0.9 { 1.0 } else { 0.0 }
                * if DULL.contains(&w.as_str()) { 0.3 } else { 1.0 }
        });
        name.chain(about).fold(0.0, f64::max)
    };
    let mine = by(param);
    let sharing = tool.params.iter().filter(|p| by(p) >= mine && mine > 0.0).count().max(1);
    let words = f64::from(u32::try_from(param.words.len().max(1)).unwrap_or(1));
    mine * (0.85 + 0.15 / words) / f64::from(u32::try_from(sharing).unwrap_or(1)).sqrt()
}

/// Whether something plain points at an optional parameter: its name beside the span, its unit,
/// or a kind of thing that no other value is.
pub(super) fn points(param: &Param, span: &Span, read: &Read, base: f64) -> bool {
    let near = |i: usize| {
        let t = &read.tokens[i];
        t.kind == Kind::Word && param.words.iter().any(|w| kinship(w, &t.stem) >= 0.7)
    };
    let around = (span.from.saturating_sub(3)..(span.to + 2).min(read.tokens.len())).any(near);
    around || base >= 0.65 || preposition(param, span, read) >= 0.3
}

fn pair(read: &Read, at: usize, first: &str, second: &str) -> bool {
    at > 0 && read.tokens[at - 1].is(&[first]) && read.tokens[at].is(&[second])
}

/// Small words before a span that point at a parameter's part in the action.
fn preposition(param: &Param, span: &Span, read: &Read) -> f64 {
    let Some(at) = (0..span.from).rev().find(|i| !read.tokens[*i].is(&["the", "a", "an"])) else {
        return 0.0;
    };
    let token = &read.tokens[at];
    let is = |list: &[&str]| param.words.iter().any(|w| list.contains(&w.as_str()));
    let source = is(&[
        "from", "origin", "start", "sourc", "departur", "begin", "min", "first", "sender", "old",
    ]);
    let target = is(&[
        "to",
        "destin",
        "destinat",
        "end",
        "target",
        "arriv",
        "max",
        "recipient",
        "final",
        "second",
        "new",
        "goal",
    ]);
    let (least, most) = (is(&["min", "minimum", "least"]), is(&["max", "maximum", "most"]));
    let over = token.is(&["over", "above", "exceeding"])
        || pair(read, at, "at", "least")
        || pair(read, at, "more", "than");
    let under = token.is(&["under", "below"])
        || pair(read, at, "at", "most")
        || pair(read, at, "less", "than")
        || pair(read, at, "up", "to");
    if span.is_number() && (over || under) && (least || most) {
        return if over == least { 0.5 } else { -0.4 };
    }
    let second =
        token.is(&["and"]) && read.tokens[..at].iter().rev().take(8).any(|t| t.is(&["between"]));
    if source && token.is(&["from", "between", "starting", "leaving"])
        || target && (token.is(&["to", "until", "till", "into"]) || second)
    {
        return 0.5;
    }
    if source && (token.is(&["to", "until", "into"]) || second)
        || target && token.is(&["from", "between"])
    {
        return -0.4;
    }
    let place = matches!(span.shape, Shape::Proper | Shape::Place | Shape::Phrase)
        && param.role == Role::Place;
    if token.is(&["in", "at", "near", "around", "to", "from"]) && place {
        return 0.3;
    }
    if token.is(&["in", "at", "near"])
        && param.role != Role::Place
        && matches!(span.shape, Shape::Proper | Shape::Place)
    {
        return -0.15;
    }
    if token.is(&["by"]) && is(&["author", "creator", "writer", "by", "user"]) {
        return 0.4;
    }
    let about = token.is(&["of", "for", "called", "named", "on", "about", "is"]);
    if about { 0.06 } else { 0.0 }
}

/// Signs and stems of the names of units.
const UNITS: &[(&str, &[&str])] = &[
    ("m", &["meter", "metr", "met", "m"]),
    ("km", &["kilometer", "kilometr", "km"]),
    ("cm", &["centimeter", "centimetr", "cm"]),
    ("mm", &["millimeter", "mm"]),
    ("kg", &["kilogram", "kg"]),
    ("g", &["gram", "g"]),
    ("s", &["second", "s"]),
    ("h", &["hour"]),
    ("min", &["minut"]),
    ("c", &["celsius"]),
    ("l", &["liter", "litr"]),
    ("gb", &["gigabyt", "gb"]),
    ("mb", &["megabyt", "mb"]),
    ("lb", &["pound"]),
    ("lbs", &["pound"]),
    ("ft", &["feet", "foot"]),
];
