//! Filling: which piece of the conversation is which argument.
//!
//! For each pair of parameter and span a fitness from type, kind of thing and the words beside
//! the span; then the best assignment, one span to one parameter. What the request does not give
//! comes from earlier results and inputs by key (`known`), from attributes in the system text, or
//! from a default; else it is missing and the user is asked. Nothing is made up.

use serde_json::{Map, Value as Json};
use wire::converse::Tool;

use super::last::last;
use super::rank::{Known, known};
use super::schema::{Param, Role, Type};
use super::spans::{Read, Shape, Span};
use super::verbs::Class;
use super::words::{Kind, Token, is_kin, kinship, stem};
use super::{dates, fit, number};

/// What a request gives for one tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filled {
    pub(super) input: Map<String, Json>,
    /// Required parameters without a value, by their place in the tool's list.
    pub(super) missing: Vec<usize>,
    /// Spans used, for each parameter that took one.
    pub(super) used: Vec<(usize, Span)>,
}

struct Pair {
    param: usize,
    span: usize,
    fit: f64,
}

/// Below this a value was not meant for the parameter.
const LEAST: f64 = 0.25;
const LEAST_WRITE: f64 = 0.45;
const LEAST_OPTIONAL: f64 = 0.55;

pub(super) fn fill(tool: &Known<'_>, read: &Read) -> Filled {
    let mut out = Filled::default();
    for param in &tool.params {
        if let Some(value) = spoken(tool, param, read).or_else(|| listed(tool, param, read)) {
            out.input.insert(param.name.clone(), value);
        }
    }
    let spans = candidates(tool, read, &out);
    for (p, s) in assign(tool, read, &spans, &out) {
        let param = &tool.params[p];
        if let Some(value) = value(param, &spans[s]) {
            out.input.insert(param.name.clone(), value);
            out.used.push((p, spans[s].clone()));
        }
    }
    flags(tool, read, &mut out);
    missing(tool, &mut out);
    last(tool, read, &spans, &mut out);
    out
}

pub(super) fn missing(tool: &Known<'_>, out: &mut Filled) {
    let lacks = |p: &Param| p.required && !out.input.contains_key(&p.name);
    out.missing =
        tool.params.iter().enumerate().filter(|(_, p)| lacks(p)).map(|(i, _)| i).collect();
}

/// Values that the text itself names: `name=value`, an enum's word, a hinted word, a reason.
fn spoken(tool: &Known<'_>, param: &Param, read: &Read) -> Option<Json> {
    equation(param, read)
        .or_else(|| (!param.enums.is_empty()).then(|| from_enum(tool, param, read)).flatten())
        .or_else(|| currency(tool, param, read))
        .or_else(|| (param.kind == Type::Text).then(|| hinted(param, read)).flatten())
        .or_else(|| {
            (param.kind == Type::Text && param.role == Role::Prose)
                .then(|| prose(param, read))
                .flatten()
        })
        .or_else(|| {
            (param.role == Role::Unit && param.enums.is_empty() && param.hints.len() < 2)
                .then(|| unit(param, read))
                .flatten()
        })
        .or_else(|| (param.kind == Type::Object).then(|| nested(param, read)).flatten())
}

/// `param=value` and `param: value`, with the parameter's own name.
fn equation(param: &Param, read: &Read) -> Option<Json> {
    let at = read.tokens.iter().position(|t| t.text.eq_ignore_ascii_case(&param.name))?;
    if !read.tokens.get(at + 1)?.is_mark("=:") {
        return None;
    }
    let token = read.tokens.get(at + 2)?;
    let span = read.spans.iter().find(|s| s.from == at + 2);
    if param.kind == Type::Array && token.kind != Kind::List {
        return None;
    }
    match param.kind {
        Type::Boolean => token.text.to_lowercase().parse::<bool>().ok().map(Json::from),
        _ => span.and_then(|s| value(param, s)),
    }
}

/// The code of the one currency in which the request names money.
fn currency(tool: &Known<'_>, param: &Param, read: &Read) -> Option<Json> {
    let named = |p: &Param| p.words.iter().any(|w| w == "currency");
    // Of two currencies only the words beside them say which is which.
    if tool.params.iter().filter(|p| named(p)).count() > 1 {
        return None;
    }
    let counts = |at: Option<usize>| {
        at.and_then(|at| read.tokens.get(at)).is_some_and(|t| t.kind == Kind::Number)
    };
    let money = |(at, t): (usize, &Token)| {
        let beside = t.kind == Kind::Number || counts(at.checked_sub(1)) || counts(Some(at + 1));
        number::currency(&t.text).filter(|_| beside)
    };
    let mut said: Vec<&str> = read.tokens.iter().enumerate().filter_map(money).collect();
    said.dedup();
    let [code] = said.as_slice() else { return None };
    let mut codes = param.enums.iter().filter_map(Json::as_str);
    let listed = codes.find(|c| c.eq_ignore_ascii_case(code)).map(Json::from);
    let free = named(param) && param.enums.is_empty() && param.required;
    listed.or_else(|| free.then(|| (*code).into()))
}

fn from_enum(tool: &Known<'_>, param: &Param, read: &Read) -> Option<Json> {
    // "Close it" sets `closed`, but filters nothing by it.
    let begins = |at: usize| {
        at == 0
            || matches!(read.tokens[at - 1].kind, Kind::Mark)
            || read.tokens[at - 1].is(&["please", "and", "then", "you", "to"])
    };
    let order = |at: usize, e: &Json| {
        let base = !read.tokens[at].text.to_lowercase().ends_with("ed");
        plain(e).ends_with("ed") && base && begins(at)
    };
    let said = param.enums.iter().filter_map(|e| mention(&plain(e), read).map(|at| (at, e)));
    let said: Vec<(usize, &Json)> =
        said.filter(|(at, e)| tool.class == Class::Write || !order(*at, e)).collect();
    if param.kind == Type::Array {
        return (!said.is_empty()).then(|| said.iter().map(|(_, e)| (*e).clone()).collect());
    }
    // "Cancel the open ones" names the value "open", and "cancelled" only by its stem.
    let exact = |at: usize, e: &Json| {
        let first = super::words::split_name(&plain(e)).into_iter().next();
        first.is_some_and(|w| read.tokens[at].text.eq_ignore_ascii_case(&w))
    };
    let rank = |at: usize, e: &Json| (order(at, e), exact(at, e), plain(e).len());
    said.into_iter().max_by_key(|(at, e)| rank(*at, e)).map(|(_, e)| e.clone())
}

fn hinted(param: &Param, read: &Read) -> Option<Json> {
    let said = param.hints.iter().filter(|h| mention(h, read).is_some());
    said.max_by_key(|h| h.len()).map(|h| h.as_str().into())
}

pub(super) fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Where all words of `value` stand beside each other in the text.
pub(super) fn mention(value: &str, read: &Read) -> Option<usize> {
    let words: Vec<String> = super::words::split_name(value).iter().map(|w| stem(w)).collect();
    if words.is_empty() {
        return None;
    }
    let short = value.len() <= 2;
    let near = |t: &Token, w: &String| {
        if short {
            t.text == value
        } else {
            t.stem == *w || t.text.eq_ignore_ascii_case(w) || kinship(&t.stem, w) >= 0.9
        }
    };
    let run = |at: usize| {
        words.iter().enumerate().all(|(k, w)| read.tokens.get(at + k).is_some_and(|t| near(t, w)))
    };
    (0..read.tokens.len()).find(|at| run(*at))
}

/// "in feet"; for a parameter that is just the unit also the one beside a number.
fn unit(param: &Param, read: &Read) -> Option<Json> {
    let units = |t: &Token| fit::is_unit(&t.stem);
    let told = read
        .tokens
        .windows(2)
        .find(|w| w[0].is(&["in", "to", "as"]) && units(&w[1]))
        .map(|w| &w[1]);
    let mut beside =
        read.tokens.windows(2).filter(|w| w[0].kind == Kind::Number && units(&w[1])).map(|w| &w[1]);
    let first =
        beside.next().filter(|u| param.words == ["unit"] && beside.all(|b| b.stem == u.stem));
    let found = told.or(first)?;
    param.words.iter().any(|w| w == "unit").then(|| found.text.as_str().into())
}

/// "because it broke", or the remark after the request: "…, it arrived broken".
fn prose(param: &Param, read: &Read) -> Option<Json> {
    let why =
        param.words.iter().any(|w| ["reason", "caus", "comment", "not"].contains(&w.as_str()));
    if !why {
        return None;
    }
    let after = |words: &[&str]| read.tokens.iter().position(|t| t.is(words)).map(|i| i + 1);
    let due =
        read.tokens.windows(2).position(|w| w[0].is(&["due"]) && w[1].is(&["to"])).map(|i| i + 2);
    let from = after(&["because", "since"])
        .or(due)
        .or_else(|| after(&["reason"]))
        .or_else(|| remark(read))?;
    let from = from
        + usize::from(
            read.tokens.get(from).is_some_and(|t| t.is_mark(":=") || t.is(&["is", "of"])),
        );
    let rest = &read.tokens[from.min(read.tokens.len())..];
    let len = rest.iter().position(|t| t.is_mark(".!?;\n")).unwrap_or(rest.len());
    let (first, last) = (rest.first()?, rest[..len].last()?);
    Some(read.text[first.start..last.end].into())
}

/// The part after a comma or sentence end which tells rather than asks.
fn remark(read: &Read) -> Option<usize> {
    let ends = read.tokens.iter().enumerate().filter(|(_, t)| t.is_mark(",.-–;"));
    ends.map(|(i, _)| i + 1).find(|i| {
        let tells = |t: &Token| t.is(&["it", "they", "the", "i", "we", "my", "this", "he", "she"]);
        let rest = &read.tokens[*i..];
        rest.len() >= 3 && tells(&rest[0]) && !rest[1].is(&["want", "need", "would", "like"])
    })
}

fn nested(param: &Param, read: &Read) -> Option<Json> {
    if !param.schema["properties"].is_object() {
        return None;
    }
    let bare = Tool {
        name: param.name.clone(),
        description: String::new(),
        schema: param.schema.clone(),
        strict: false,
    };
    let filled = fill(&known(&bare), read);
    (!filled.input.is_empty() && filled.missing.is_empty()).then_some(Json::Object(filled.input))
}

/// Lists: the bracketed ones and the ones with commas and "and".
fn listed(tool: &Known<'_>, param: &Param, read: &Read) -> Option<Json> {
    if param.kind != Type::Array {
        return None;
    }
    let items = super::schema::kind(&param.schema["items"]);
    let arrays: Vec<&Param> = tool.params.iter().filter(|p| p.kind == Type::Array).collect();
    let turn = arrays.iter().position(|p| p.name == param.name)?;
    let numeric = matches!(items, Type::Integer | Type::Number);
    let mut lists: Vec<Vec<Json>> = Vec::new();
    let mut last = None;
    for span in &read.spans {
        match (&span.shape, span.group) {
            (Shape::List(values), _) => lists.push(values.clone()),
            (Shape::Number(n), Some(g)) if numeric => push(&mut lists, &mut last, g, n.json()),
            (Shape::Quoted | Shape::Proper | Shape::Id | Shape::Email, Some(g))
                if items == Type::Text =>
            {
                push(&mut lists, &mut last, g, span.text.as_str().into());
            }
            _ => {}
        }
    }
    let fits = |l: &Vec<Json>| l.iter().all(|v| v.is_number() == numeric || v.is_array());
    lists.retain(fits);
    let found = lists.into_iter().nth(turn).map(Json::Array);
    found.or_else(|| {
        (items == Type::Text && param.required && param.enums.is_empty())
            .then(|| phrase_list(tool, read))
            .flatten()
    })
}

fn push(lists: &mut Vec<Vec<Json>>, last: &mut Option<usize>, group: usize, value: Json) {
    match lists.last_mut() {
        Some(list) if *last == Some(group) => list.push(value),
        _ => lists.push(vec![value]),
    }
    *last = Some(group);
}

/// Plain words with commas between them.
fn phrase_list(tool: &Known<'_>, read: &Read) -> Option<Json> {
    let group =
        read.spans.iter().find_map(|s| if s.shape == Shape::Phrase { s.group } else { None });
    let one = |s: &&Span| {
        s.group.is_some() && s.group == group || group.is_none() && s.shape == Shape::Proper
    };
    let items: Vec<Json> = read
        .spans
        .iter()
        .filter(one)
        .filter_map(|s| trimmed(tool, read, s))
        .map(|s| Json::from(s.text))
        .collect();
    (!items.is_empty()).then_some(Json::Array(items))
}

fn candidates(tool: &Known<'_>, read: &Read, out: &Filled) -> Vec<Span> {
    let taken = |s: &Span| {
        out.input.values().any(|v| match v {
            Json::String(t) => t.contains(&s.text) && (t.len() == s.text.len() || t.contains(' ')),
            Json::Array(items) => items
                .iter()
                .any(|i| plain(i) == s.text || s.is_number() && written(s) == Some(i.clone())),
            _ => false,
        })
    };
    let echoes = |s: &Span| {
        let mut words = read.tokens[s.from..s.to].iter().filter(|t| t.is_content()).peekable();
        let own = |t: &Token| {
            tool.name.contains(&t.stem) || tool.params.iter().any(|p| p.words.contains(&t.stem))
        };
        let measured = s.from > 0 && read.tokens[s.from - 1].kind == Kind::Number;
        s.shape == Shape::Proper && words.peek().is_some() && (measured || words.all(own))
    };
    let numeric = |p: &&Param| p.required && matches!(p.kind, Type::Integer | Type::Number);
    let wanted = tool.params.iter().filter(numeric).count();
    let written = read.spans.iter().filter(|s| s.is_number() && !spelled(s)).count();
    let idle = |s: &Span| spelled(s) && written > 0 && written >= wanted;
    let spans = read.spans.iter().filter(|s| !taken(s) && !echoes(s) && !idle(s));
    spans
        .flat_map(|s| match s.shape {
            Shape::Phrase => trimmed(tool, read, s).into_iter().collect::<Vec<_>>(),
            _ => vec![s.clone()],
        })
        .collect()
}

fn spelled(span: &Span) -> bool {
    matches!(&span.shape, Shape::Number(n) if n.spelled)
}

fn written(span: &Span) -> Option<Json> {
    match &span.shape {
        Shape::Number(n) => Some(n.json()),
        _ => None,
    }
}

/// Words that describe when or how much, never what.
const VAGUE: &[&str] = &[
    "last",
    "next",
    "past",
    "previous",
    "upcoming",
    "current",
    "currently",
    "latest",
    "least",
    "recent",
    "right",
    "per",
    "say",
    "called",
    "named",
    "following",
    "entire",
    "near",
    "nearby",
    "different",
    "exactly",
    "approximately",
];

/// A run of plain words without the tool's own words at its ends.
pub(super) fn trimmed(tool: &Known<'_>, read: &Read, span: &Span) -> Option<Span> {
    let own = |i: usize| {
        let t = &read.tokens[i];
        let name =
            tool.name.contains(&t.stem) || tool.params.iter().any(|p| p.words.contains(&t.stem));
        let verb = super::verbs::is_verb(&t.stem) || t.is(VAGUE);
        let unit = i > 0 && i == span.from && read.tokens[i - 1].kind == Kind::Number;
        name || unit || verb || tool.about.contains(&t.stem)
    };
    let (mut from, mut to) = (span.from, span.to);
    while from < to && own(from) {
        from += 1;
    }
    while from < to && own(to - 1) {
        to -= 1;
    }
    // A participle is half a name: "waiting" of "waiting room".
    let half = to - from == 1 && to < span.to && read.tokens[from].text.ends_with("ing");
    to += usize::from(half);
    if from >= to {
        return None;
    }
    let text = read.text[read.tokens[from].start..read.tokens[to - 1].end].to_owned();
    Some(Span { text, from, to, ..span.clone() })
}

/// The best pairs first, then exchanges as long as they improve the whole.
fn assign(tool: &Known<'_>, read: &Read, spans: &[Span], out: &Filled) -> Vec<(usize, usize)> {
    let least = if tool.class == Class::Write { LEAST_WRITE } else { LEAST };
    let mut pairs: Vec<Pair> = Vec::new();
    for (p, param) in tool.params.iter().enumerate() {
        if out.input.contains_key(&param.name) {
            continue;
        }
        for (s, span) in spans.iter().enumerate() {
            let fit = fit::fit(tool, param, span, read);
            let least = if param.required { least } else { LEAST_OPTIONAL };
            if fit >= least
                && (param.required
                    || fit::points(param, span, read, fit::base(tool, param, span).unwrap_or(0.0)))
            {
                pairs.push(Pair {
                    param: p,
                    span: s,
                    fit: fit + if param.required { 0.05 } else { 0.0 },
                });
            }
        }
    }
    pairs.sort_by(|a, b| {
        b.fit.total_cmp(&a.fit).then(a.param.cmp(&b.param)).then(a.span.cmp(&b.span))
    });
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    for pair in &pairs {
        let free =
            chosen.iter().all(|(p, s)| *p != pair.param && !spans[*s].overlaps(&spans[pair.span]));
        if free {
            chosen.push((pair.param, pair.span));
        }
    }
    make_room(tool, &pairs, spans, &mut chosen);
    exchange(&pairs, &mut chosen);
    chosen.sort_unstable();
    chosen
}

/// Gives a required parameter a span that another holds, where that one has another to take.
fn make_room(tool: &Known<'_>, pairs: &[Pair], spans: &[Span], chosen: &mut Vec<(usize, usize)>) {
    for p in 0..tool.params.len() {
        if !tool.params[p].required || chosen.iter().any(|(q, _)| *q == p) {
            continue;
        }
        let moved = pairs.iter().filter(|x| x.param == p).find_map(|x| {
            let holders: Vec<usize> = (0..chosen.len())
                .filter(|i| spans[chosen[*i].1].overlaps(&spans[x.span]))
                .collect();
            let [holder] = holders.as_slice() else { return None };
            let fits = |y: &&Pair| {
                let others = chosen.iter().enumerate().filter(|(i, _)| i != holder);
                let free = others
                    .map(|(_, (_, s))| *s)
                    .chain([x.span])
                    .all(|s| !spans[s].overlaps(&spans[y.span]));
                y.param == chosen[*holder].0 && free
            };
            pairs.iter().find(fits).map(|y| (*holder, y.span, x.span))
        });
        if let Some((holder, other, mine)) = moved {
            chosen[holder].1 = other;
            chosen.push((p, mine));
        }
    }
}

/// Swaps two values where the sum grows, or where it stays and the order becomes the schema's.
fn exchange(pairs: &[Pair], chosen: &mut [(usize, usize)]) {
    let fit =
        |p: usize, s: usize| pairs.iter().find(|x| x.param == p && x.span == s).map(|x| x.fit);
    for _ in 0..4 {
        for i in 0..chosen.len() {
            for k in i + 1..chosen.len() {
                let ((p, s), (q, t)) = (chosen[i], chosen[k]);
                let (Some(a), Some(b)) = (fit(p, t), fit(q, s)) else { continue };
                let now = fit(p, s).unwrap_or(0.0) + fit(q, t).unwrap_or(0.0);
                let ordered = (p < q) == (t < s) && p != q;
                if a + b > now + 1e-9 + if ordered { -0.1 } else { 0.1 } {
                    chosen[i].1 = t;
                    chosen[k].1 = s;
                }
            }
        }
    }
}

/// Optional switches that the text mentions.
fn flags(tool: &Known<'_>, read: &Read, out: &mut Filled) {
    for param in tool.params.iter().filter(|p| p.kind == Type::Boolean) {
        if out.input.contains_key(&param.name) {
            continue;
        }
        let said = switched(tool, param, read);
        let value = said.or_else(|| {
            let quiet = param.required && tool.class != Class::Write;
            quiet.then(|| param.default.as_ref().and_then(Json::as_bool).unwrap_or(false))
        });
        if let Some(value) = value {
            out.input.insert(param.name.clone(), value.into());
        }
    }
}

fn switched(tool: &Known<'_>, param: &Param, read: &Read) -> Option<bool> {
    if let Some(on) = polarity(param, read) {
        return Some(on);
    }
    const SWITCH: &[&str] = &[
        "includ", "is", "want", "show", "has", "with", "enabl", "us", "get", "allow", "return",
        "add", "ne", "consider", "account", "format", "as",
    ];
    let core: Vec<&String> = param.words.iter().filter(|w| !SWITCH.contains(&w.as_str())).collect();
    let proper: Vec<&String> = core.iter().copied().filter(|w| !tool.name.contains(w)).collect();
    let core = if proper.is_empty() { core } else { proper };
    if core.is_empty() {
        return None;
    }
    let found: Vec<usize> = core
        .iter()
        .filter_map(|w| {
            read.tokens.iter().position(|t| t.kind == Kind::Word && kinship(&t.stem, w) >= 0.9)
        })
        .collect();
    if found.len() < core.len() {
        return None;
    }
    let at = found.iter().copied().min()?;
    let no = |t: &Token| t.is(&["without", "no", "not", "don't", "exclude", "excluding", "skip"]);
    let asked_off = param
        .words
        .iter()
        .any(|w| ["avoid", "exclud", "skip", "no", "without"].contains(&w.as_str()));
    Some(asked_off || !read.tokens[at.saturating_sub(4)..at].iter().any(no))
}

/// "turn it off", "disable it": for a switch that is named after its one side.
fn polarity(param: &Param, read: &Read) -> Option<bool> {
    const SIDES: &[(&str, &str)] =
        &[("on", "off"), ("enabl", "disabl"), ("activ", "inactiv"), ("open", "clos")];
    let (yes, no) = SIDES.iter().find(|(yes, _)| param.words == [*yes])?;
    let said = |stem: &str| read.tokens.iter().any(|t| t.kind == Kind::Word && t.stem == stem);
    match (said(yes), said(no)) {
        (_, true) => Some(false),
        (yes, false) => yes.then_some(true),
    }
}

/// A span as a value of the parameter's type.
pub(super) fn value(param: &Param, span: &Span) -> Option<Json> {
    match (param.kind, &span.shape) {
        (Type::Integer, Shape::Number(n)) => {
            let n = n.over(param.seconds);
            n.is_integer().then(|| n.json())
        }
        (Type::Number, Shape::Number(n)) if n.percent && fraction(param) => {
            Some((n.value / 100.0).into())
        }
        (Type::Number, Shape::Number(n)) => Some(n.over(param.seconds).json()),
        (Type::Integer | Type::Number, Shape::Id) => digits(&span.text),
        (Type::Integer, Shape::Date) if param.words.iter().any(|w| w == "year") => year(&span.text),
        (Type::Text, Shape::List(_)) => None,
        (Type::Text, shape) if param.pattern.is_some() => {
            let text = tidy(&span.text).trim_start_matches('#');
            let right = param.pattern.as_ref().is_some_and(|p| p.is_match(text));
            let plain = !matches!(shape, Shape::Number(n) if n.spelled);
            (right && plain).then(|| text.into())
        }
        (Type::Text, Shape::Number(_)) if param.role == Role::Id => {
            Some(span.text.trim_start_matches('#').into())
        }
        (Type::Text, _) if !param.enums.is_empty() => None,
        (Type::Text, Shape::Date) => {
            Some(dates::formed(param, &span.text).unwrap_or_else(|| span.text.clone()).into())
        }
        (Type::Text, Shape::Time) => {
            Some(dates::clock(param, &span.text).unwrap_or_else(|| span.text.clone()).into())
        }
        (Type::Text, _) => Some(tidy(&span.text).into()),
        (Type::Array, Shape::List(values)) => Some(Json::Array(values.clone())),
        (Type::Array, shape) => {
            let items = super::schema::kind(&param.schema["items"]);
            match (items, shape) {
                (Type::Integer | Type::Number, Shape::Number(n)) => {
                    Some(Json::Array(vec![n.json()]))
                }
                (Type::Text, Shape::Quoted | Shape::Proper | Shape::Id | Shape::Email)
                    if param.enums.is_empty() =>
                {
                    Some(Json::Array(vec![span.text.as_str().into()]))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn tidy(text: &str) -> &str {
    text.strip_suffix("'s").or_else(|| text.strip_suffix("’s")).unwrap_or(text)
}

fn fraction(param: &Param) -> bool {
    let told = |w: &[&str]| param.about.iter().any(|a| w.contains(&a.as_str()));
    !told(&["percentag", "percent"]) || told(&["decim", "fraction"])
}

fn digits(text: &str) -> Option<Json> {
    let only: String = text.chars().filter(char::is_ascii_digit).collect();
    let tail = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    (tail == only).then(|| only.parse::<i64>().ok()).flatten().map(Json::from)
}

fn year(text: &str) -> Option<Json> {
    let four = text.split(|c: char| !c.is_ascii_digit()).find(|p| p.len() == 4)?;
    four.parse::<i64>().ok().map(Json::from)
}

/// Whether a key of a result or an earlier input names the parameter, and how well.
pub(super) fn key_match(param: &Param, path: &[String], object: &str) -> f64 {
    let Some(last) = path.last() else { return 0.0 };
    let stems = |name: &str| -> Vec<String> {
        super::words::split_name(name).iter().map(|w| stem(w)).collect()
    };
    let key = stems(last);
    if key == param.words {
        return 1.0;
    }
    let around: Vec<String> =
        path.iter().rev().skip(1).take(1).flat_map(|k| stems(k)).chain(stems(object)).collect();
    let within =
        |a: &[String], b: &[String]| a.iter().all(|w| b.iter().any(|x| kinship(x, w) >= 0.9));
    // An `id` inside an `order`, or from a tool about orders, is an order id.
    let wide: Vec<String> = key.iter().chain(&around).cloned().collect();
    if within(&key, &param.words) && within(&param.words, &wide) {
        return 0.9;
    }
    if param.role != Role::Id && within(&param.words, &key) {
        return 0.75;
    }
    let kin =
        param.words.len() == 1 && key.len() <= 2 && key.iter().any(|k| is_kin(k, &param.words[0]));
    if kin && param.role != Role::Id { 0.6 } else { 0.0 }
}
