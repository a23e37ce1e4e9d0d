//! Spans: the pieces of a text that can be the value of an argument.
//!
//! Reads tokens, gives typed candidates with their place, so that `fill` can weigh them by the
//! words beside them. A span says what a piece looks like, never which argument it is.

use jiff::civil::Date;
use serde_json::Value as Json;

use super::dates::{self, MONTHS};
use super::number::{Number, multiplier, seconds};
use super::verbs;
use super::words::{Kind, Token, tokens};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Number(Number),
    List(Vec<Json>),
    Quoted,
    Date,
    Time,
    Email,
    /// Digits in groups, as telephone numbers are written.
    Phone,
    Url,
    Path,
    /// Letters and digits in one word, such as `ORD-1234`.
    Id,
    /// A capitalised name.
    Proper,
    /// Capitalised names with a comma between them: `Lyon, France`.
    Place,
    /// A run of plain words.
    Phrase,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) shape: Shape,
    pub(super) text: String,
    /// Token range.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Spans that are listed together ("1, 2 and 3") share a number.
    pub(super) group: Option<usize>,
}

impl Span {
    pub(super) fn overlaps(&self, other: &Span) -> bool {
        self.from < other.to && other.from < self.to
    }
    pub(super) fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Number(_))
    }
}

/// A text, cut and with its candidates.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) spans: Vec<Span>,
    /// Which day today is, if the conversation says so.
    pub(super) today: Option<Date>,
}

pub(super) fn read(text: &str, today: Option<Date>) -> Read {
    let tokens = tokens(text);
    let mut spans = hard(text, &tokens);
    proper(text, &tokens, &mut spans);
    phrases(text, &tokens, &mut spans);
    spans.sort_by_key(|s| (s.from, s.to));
    group(&tokens, &mut spans);
    places(text, &tokens, &mut spans);
    for span in spans.iter_mut().filter(|s| s.shape == Shape::Date) {
        let day = today.and_then(|today| dates::relative(&span.text, today));
        span.text = day.unwrap_or_else(|| std::mem::take(&mut span.text));
    }
    Read { text: text.to_owned(), tokens, spans, today }
}

fn span(text: &str, tokens: &[Token], range: (usize, usize), shape: Shape) -> Span {
    let (from, to) = range;
    let text = text[tokens[from].start..tokens[to - 1].end].to_owned();
    Span { shape, text, from, to, group: None }
}

/// Everything that is recognised by its own form.
fn hard(text: &str, tokens: &[Token]) -> Vec<Span> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let date = dated(tokens, i).map(|len| (Some(Shape::Date), len));
        let phone = || phoned(text, &tokens[i..]).map(|len| (Some(Shape::Phone), len));
        let (shape, len) = date.or_else(phone).unwrap_or_else(|| form(&tokens[i..]));
        if let Some(shape) = shape {
            out.push(span(text, tokens, (i, i + len), shape));
        }
        i += len.max(1);
    }
    out
}

/// How many tokens make a telephone number: groups of digits, seven or more in all, after a plus or
/// in three groups at least.
fn phoned(text: &str, rest: &[Token]) -> Option<usize> {
    let digits = |t: &Token| t.text.bytes().filter(u8::is_ascii_digit).count();
    let group = |t: &Token| {
        digits(t) > 0 && t.text.bytes().all(|b| b.is_ascii_digit() || b"+-./()".contains(&b))
    };
    let near = |a: &Token, b: &Token| {
        text[a.end..b.start].bytes().all(|c| b" ()-".contains(&c)) && b.start - a.end <= 2
    };
    let parts = |text: &str| text.split(['-', '.']).filter(|part| !part.is_empty()).count();
    let mut len = usize::from(group(rest.first()?));
    while len > 0 && len < rest.len() && group(&rest[len]) && near(&rest[len - 1], &rest[len]) {
        len += 1;
    }
    let count: usize = rest[..len].iter().map(digits).sum();
    let groups: usize = rest[..len].iter().map(|t| parts(&t.text)).sum();
    let form = rest[0].text.starts_with('+') || groups >= 3;
    ((7..=15).contains(&count) && form).then_some(len)
}

fn form(rest: &[Token]) -> (Option<Shape>, usize) {
    let token = &rest[0];
    let next = rest.get(1);
    match token.kind {
        Kind::Quoted => (Some(Shape::Quoted), 1),
        Kind::List => (list(&token.text).map(Shape::List), 1),
        Kind::Number => number(token, next),
        Kind::Word => (word_form(&token.text), 1),
        Kind::Mark => (None, 1),
    }
}

fn number(token: &Token, next: Option<&Token>) -> (Option<Shape>, usize) {
    let Some(mut n) = Number::parse(&token.text) else { return (None, 1) };
    let after = next.map(|t| t.text.to_lowercase()).unwrap_or_default();
    if matches!(after.as_str(), "am" | "pm" | "a.m" | "p.m" | "o'clock") {
        return (Some(Shape::Time), 2);
    }
    if let Some(m) = multiplier(&after) {
        n.value *= m;
        return (Some(Shape::Number(n)), 2);
    }
    n.seconds = n.seconds.or_else(|| seconds(&after));
    n.percent |= matches!(after.as_str(), "%" | "percent" | "percentage");
    n.money |= matches!(
        after.as_str(),
        "dollars" | "dollar" | "usd" | "euro" | "euros" | "eur" | "gbp" | "pounds"
    );
    (Some(Shape::Number(n)), 1)
}

fn word_form(text: &str) -> Option<Shape> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let lower = text.to_lowercase();
    let dots = text.contains('.');
    if text.contains('@') && dots {
        return Some(Shape::Email);
    }
    if lower.starts_with("http://")
        || lower.starts_with("https://")
        || lower.starts_with("www.")
        || [".com", ".org", ".net", ".io"].iter().any(|t| lower.ends_with(t))
    {
        return Some(Shape::Url);
    }
    if text.contains('\\') || text.contains('/') && dots && digits < 4 {
        return Some(Shape::Path);
    }
    let clock = lower.trim_end_matches("am").trim_end_matches("pm");
    if digits > 0
        && clock.bytes().all(|b| b.is_ascii_digit() || b == b':')
        && (clock.contains(':') || clock != lower)
    {
        return Some(Shape::Time);
    }
    (digits > 0).then_some(Shape::Id)
}

/// The values between square brackets, by JSON where it is JSON.
pub(super) fn list(text: &str) -> Option<Vec<Json>> {
    if let Ok(Json::Array(values)) = serde_json::from_str(&text.replace('\'', "\"")) {
        return Some(values);
    }
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let items = inner.split(',').map(str::trim).filter(|s| !s.is_empty());
    let values = items
        .map(|s| Number::parse(s).map_or_else(|| s.trim_matches(['\'', '"']).into(), |n| n.json()));
    Some(values.collect())
}

/// How many tokens from `at` make a date.
fn dated(tokens: &[Token], at: usize) -> Option<usize> {
    let token = &tokens[at];
    if token.kind == Kind::Word && (numeric_date(&token.text) || is_relative(&token.text)) {
        return Some(1);
    }
    if token.is(&["next", "last", "this"])
        && tokens.get(at + 1).is_some_and(|t| t.is(PERIODS) || is_day(&t.text))
    {
        return Some(2);
    }
    if is_day(&token.text) {
        return Some(1);
    }
    let mut end = at;
    let mut month = false;
    let mut digits = 0;
    while let Some(t) = tokens.get(end) {
        let small = Number::parse(&t.text)
            .is_some_and(|n| n.value <= 2200.0 && n.is_integer() && n.unit.is_empty());
        let named = is_month(t) && !month;
        let link = if month { t.is_mark(",") } else { t.is(&["of"]) };
        let joins = digits > 0 && link;
        if !(named || t.kind == Kind::Number && small && digits < 2 || joins) {
            break;
        }
        digits += usize::from(t.kind == Kind::Number);
        month |= named;
        end += 1;
    }
    while end > at && !(tokens[end - 1].kind == Kind::Number || is_month(&tokens[end - 1])) {
        end -= 1;
    }
    (month && digits > 0 && end > at).then_some(end - at)
}

fn numeric_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let numeric = |p: &&str| (1..=4).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
    let stamp = text
        .split_once('T')
        .is_some_and(|(d, t)| numeric_date(d) && t.starts_with(|c: char| c.is_ascii_digit()));
    stamp || parts.len() == 3 && parts.iter().all(numeric) && parts.iter().any(|p| p.len() == 4)
}

const PERIODS: &[&str] = &["week", "month", "year", "weekend", "quarter"];

fn is_relative(text: &str) -> bool {
    ["today", "tomorrow", "yesterday", "tonight"].iter().any(|w| text.eq_ignore_ascii_case(w))
}

fn is_day(text: &str) -> bool {
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        .iter()
        .any(|w| text.eq_ignore_ascii_case(w))
}

fn is_month(token: &Token) -> bool {
    let lower = token.text.to_lowercase();
    token.is_capital()
        && MONTHS.iter().any(|m| *m == lower || lower.len() == 3 && m.starts_with(&lower))
}

/// Runs of capitalised words; the first word of a sentence begins one only when it is no verb.
fn proper(text: &str, tokens: &[Token], spans: &mut Vec<Span>) {
    let taken = |i: usize, spans: &[Span]| spans.iter().any(|s| s.from <= i && i < s.to);
    let mut i = 0;
    while i < tokens.len() {
        let begins = i == 0 || tokens[i - 1].is_mark(".!?:;");
        let opener = begins
            && (!tokens[i].is_content() || verbs::is_verb(&tokens[i].stem) || !runs_on(tokens, i));
        let stop = tokens[i].is(&["i", "i'm", "i'd", "i've", "i'll"])
            || !begins && !tokens[i].is_content();
        if !tokens[i].is_capital() || opener || stop || taken(i, spans) {
            i += 1;
            continue;
        }
        let mut end = i + 1;
        while end < tokens.len() && (version(&tokens[end]) || !taken(end, spans)) {
            let capital = tokens[end].is_capital() || version(&tokens[end]);
            let links =
                tokens[end].is(&["of", "de", "la", "the", "and"]) && !tokens[end].is(&["and"]);
            let onward = links
                && tokens.get(end + 1).is_some_and(|t| t.is_capital() && !taken(end + 1, spans));
            let glued = tokens[end].is_mark(".")
                && tokens.get(end + 1).is_some_and(|t| t.start == tokens[end].end);
            if !(capital || onward || glued) {
                break;
            }
            end += 1;
        }
        spans.retain(|s| !(s.from >= i && s.to <= end && s.is_number()));
        spans.push(span(text, tokens, (i, end), Shape::Proper));
        i = end;
    }
}

fn runs_on(tokens: &[Token], i: usize) -> bool {
    tokens.get(i + 1).is_some_and(Token::is_capital)
}

/// A short number that belongs to the name before it, as in "Windows 10".
fn version(token: &Token) -> bool {
    token.kind == Kind::Number
        && token.text.len() <= 2
        && token.text.bytes().all(|b| b.is_ascii_digit())
}

fn phrases(text: &str, tokens: &[Token], spans: &mut Vec<Span>) {
    let mut i = 0;
    while i < tokens.len() {
        let free = |k: usize| {
            tokens[k].is_content()
                && !spans.iter().any(|s| s.shape != Shape::Phrase && s.from <= k && k < s.to)
        };
        let mut end = i;
        while end < tokens.len() && free(end) {
            end += 1;
        }
        if end > i {
            spans.push(span(text, tokens, (i, end), Shape::Phrase));
        }
        i = end.max(i + 1);
    }
}

/// Numbers spans of one shape that only commas and "and" stand between.
fn group(tokens: &[Token], spans: &mut [Span]) {
    let mut next = 0;
    for i in 1..spans.len() {
        let (a, b) = (&spans[i - 1], &spans[i]);
        let between = &tokens[a.to.min(b.from)..b.from];
        let listed = !between.is_empty()
            && between.iter().all(|t| t.is_mark(",&") || t.is(&["and", "or", "the", "a", "an"]))
            && between.iter().any(|t| t.is_mark(",&") || t.is(&["and", "or"]));
        let alike = std::mem::discriminant(&a.shape) == std::mem::discriminant(&b.shape);
        if !(listed && alike) {
            continue;
        }
        let id = spans[i - 1].group.unwrap_or_else(|| {
            next += 1;
            next
        });
        spans[i - 1].group = Some(id);
        spans[i].group = Some(id);
    }
}

/// "Lyon, France" is also one candidate, beside its two parts.
fn places(text: &str, tokens: &[Token], spans: &mut Vec<Span>) {
    let names: Vec<Span> = spans.iter().filter(|s| s.shape == Shape::Proper).cloned().collect();
    for pair in names.windows(2) {
        let comma = pair[0].to + 1 == pair[1].from && tokens[pair[0].to].is_mark(",");
        if comma {
            spans.push(span(text, tokens, (pair[0].from, pair[1].to), Shape::Place));
        }
    }
}
