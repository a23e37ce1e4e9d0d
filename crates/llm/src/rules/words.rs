//! Words: how text and names are cut, stemmed and compared.
//!
//! The first step of every decision here. The stemmer is light on purpose: it only has to bring
//! "refunds", "refunded" and "refund" together. The lists are small and general; none of them
//! knows a trade, a product or an example. Nothing in this file knows about tools.

use super::number::Number;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    /// What stood between quotation marks: a value, never an order.
    Quoted,
    /// What stood between square brackets.
    List,
    /// One punctuation character.
    Mark,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) stem: String,
    /// Where it stands, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    pub(super) fn is_mark(&self, marks: &str) -> bool {
        self.kind == Kind::Mark && marks.contains(self.text.as_str())
    }
    pub(super) fn is_content(&self) -> bool {
        self.kind == Kind::Word && !is_stop(&self.text.to_lowercase())
    }
    pub(super) fn is_capital(&self) -> bool {
        self.kind == Kind::Word && self.text.starts_with(char::is_uppercase)
    }
    pub(super) fn is(&self, words: &[&str]) -> bool {
        self.kind == Kind::Word && words.iter().any(|w| self.text.eq_ignore_ascii_case(w))
    }
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let opens = out.last().is_none_or(|t: &Token| t.end < at || t.is_mark("([{=:"));
        let token = quoted(text, at, c, opens)
            .or_else(|| bracketed(text, at, c))
            .unwrap_or_else(|| plain(text, at, c, opens));
        at = token.1;
        out.push(token.0);
    }
    out
}

fn token(kind: Kind, text: &str, start: usize, end: usize) -> Token {
    let text = text[start..end].to_owned();
    let stem = if kind == Kind::Word { stem(&text) } else { text.to_lowercase() };
    Token { kind, text, stem, start, end }
}

fn quoted(text: &str, at: usize, c: char, opens: bool) -> Option<(Token, usize)> {
    let close = match c {
        '"' => '"',
        '“' => '”',
        '‘' => '’',
        '\'' if opens => '\'',
        _ => return None,
    };
    let start = at + c.len_utf8();
    let mut end = None;
    for (i, k) in text[start..].char_indices().filter(|(_, k)| *k == close) {
        let next = text[start + i + k.len_utf8()..].chars().next();
        if close != '\'' || next.is_none_or(|n| !n.is_alphanumeric()) {
            end = Some(start + i);
            break;
        }
    }
    let end = end.filter(|e| *e > start)?;
    Some((token(Kind::Quoted, text, start, end), end + close.len_utf8()))
}

fn bracketed(text: &str, at: usize, c: char) -> Option<(Token, usize)> {
    if c != '[' {
        return None;
    }
    let mut depth = 0_i32;
    for (i, k) in text[at..].char_indices() {
        depth += i32::from(k == '[') - i32::from(k == ']');
        if depth == 0 {
            return Some((token(Kind::List, text, at, at + i + 1), at + i + 1));
        }
    }
    None
}

/// A word, a number or a mark.
fn plain(text: &str, at: usize, c: char, opens: bool) -> (Token, usize) {
    let rest = &text[at..];
    let second = rest[c.len_utf8()..].chars().next();
    let signed = matches!(c, '-' | '+') && opens && second.is_some_and(|s| s.is_ascii_digit());
    let money = "$€£¥₹".contains(c) && second.is_some_and(|s| s.is_ascii_digit());
    if !c.is_alphanumeric() && c != '_' && !signed && !money {
        return (token(Kind::Mark, text, at, at + c.len_utf8()), at + c.len_utf8());
    }
    let mut end = at + c.len_utf8();
    let mut chars = rest.char_indices().skip(1).peekable();
    let mut before = c;
    while let Some((i, k)) = chars.next() {
        let next = chars.peek().map(|(_, n)| *n);
        if !continues(before, k, next, &rest[i..]) {
            break;
        }
        end = at + i + k.len_utf8();
        before = k;
    }
    let kind = if Number::parse(&text[at..end]).is_some() { Kind::Number } else { Kind::Word };
    (token(kind, text, at, end), end)
}

fn continues(before: char, k: char, next: Option<char>, rest: &str) -> bool {
    let joined = next.is_some_and(char::is_alphanumeric);
    match k {
        _ if k.is_alphanumeric() || k == '_' || k == '@' => true,
        '%' | '²' | '³' | '°' | '€' => before.is_numeric(),
        ',' => before.is_ascii_digit() && thousands(rest),
        ':' => {
            joined && before.is_ascii_digit() || rest.starts_with("://") || rest.starts_with(":/")
        }
        '/' | '\\' => joined || rest.starts_with("//") || before == '/',
        '.' | '-' | '\'' | '’' | '+' | '&' | '^' => joined,
        _ => false,
    }
}

/// `,000` that is not followed by a further digit.
fn thousands(rest: &str) -> bool {
    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
    digits == 3
}

/// The words of a name in any of the usual writings: `getOrder`, `get_order`, `orders.get`.
pub(super) fn split_name(name: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![String::new()];
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let lower_next = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        let edge = i > 0
            && (c.is_uppercase()
                && (chars[i - 1].is_lowercase() || (chars[i - 1].is_uppercase() && lower_next))
                || c.is_ascii_digit() && chars[i - 1].is_alphabetic());
        if !c.is_alphanumeric() || edge {
            out.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(last) = out.last_mut()
        {
            last.extend(c.to_lowercase());
        }
    }
    out.retain(|w| !w.is_empty());
    out
}

/// A word without its usual endings.
pub(super) fn stem(word: &str) -> String {
    let mut w = word.to_lowercase().replace('’', "'");
    for tail in ["'s", "s'", "'"] {
        if let Some(s) = w.strip_suffix(tail) {
            w = s.to_owned();
        }
    }
    if !w.is_ascii() || w.len() < 4 {
        return w;
    }
    w = singular(w);
    for (tail, least) in [("ing", 4), ("ed", 3), ("ion", 4), ("al", 5), ("ly", 4)] {
        if let Some(s) = w.strip_suffix(tail)
            && s.len() >= least
        {
            w = undouble(s);
            break;
        }
    }
    match w.strip_suffix('e') {
        Some(s) if s.len() >= 3 => s.to_owned(),
        _ => w,
    }
}

fn singular(w: String) -> String {
    if let Some(s) = w.strip_suffix("ies")
        && s.len() > 1
    {
        return format!("{s}y");
    }
    for tail in ["sses", "shes", "ches", "xes", "zes"] {
        if w.ends_with(tail) {
            return w[..w.len() - 2].to_owned();
        }
    }
    let plural = w.ends_with('s') && !["ss", "us", "is"].iter().any(|t| w.ends_with(t));
    if plural { w[..w.len() - 1].to_owned() } else { w }
}

fn undouble(s: &str) -> String {
    let b = s.as_bytes();
    let n = b.len();
    if n > 3 && b[n - 1] == b[n - 2] && !matches!(b[n - 1], b's' | b'l' | b'e' | b'o') {
        s[..n - 1].to_owned()
    } else {
        s.to_owned()
    }
}

/// How near two stems are: 1 the same, less for forms of one word and for synonyms, else 0.
pub(super) fn kinship(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    if a.is_ascii() && b.is_ascii() {
        let shared = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
        let (x, y) = (a.len() - shared, b.len() - shared);
        if shared >= 5 && x.min(y) <= 1 && x.max(y) <= 3 {
            return 0.9;
        }
    }
    let together = SYNONYMS.iter().any(|g| g.contains(&a) && g.contains(&b));
    if together { 0.7 } else { 0.0 }
}

pub(super) fn is_kin(a: &str, b: &str) -> bool {
    kinship(a, b) > 0.0
}

/// General synonyms, as stems.
const SYNONYMS: &[&[&str]] = &[
    &["buy", "purchas", "acquir"],
    &["amount", "total", "sum"],
    &["pric", "cost", "fee", "charg"],
    &["begin", "start", "initiat"],
    &["end", "finish", "final"],
    &["cancel", "abort", "revok"],
    &["delet", "remov", "eras"],
    &["creat", "mak", "add", "new"],
    &["updat", "chang", "modify", "edit", "adjust"],
    &["book", "reserv", "reservat"],
    &["refund", "reimburs"],
    &["ship", "deliver", "delivery", "dispatch"],
    &["car", "vehicl", "auto"],
    &["film", "movi"],
    &["pictur", "imag", "photo"],
    &["phon", "telephon", "mobil"],
    &["customer", "client"],
    &["trip", "travel", "journey"],
    &["stat", "status", "progress"],
    &["mail", "email", "e-mail"],
    &["big", "larg"],
    &["quick", "fast"],
    &["near", "nearby", "nearest", "closest", "clos"],
    &["kilomet", "km", "kilometer", "kilometr"],
    &["met", "meter", "metr", "m"],
    &["kilogram", "kg"],
    &["employe", "staff", "worker"],
    &["compar", "comparison"],
    &["reason", "messag", "explanat", "caus", "detail"],
];

/// Words without content of their own.
pub(super) fn is_stop(lower: &str) -> bool {
    STOP.contains(&lower)
}

const STOP: &[&str] = &[
    "a", "an", "the", "of", "to", "in", "on", "at", "for", "from", "by", "with", "without",
    "about", "into", "over", "under", "between", "and", "or", "but", "if", "then", "than", "so",
    "as", "that", "this", "these", "those", "it", "its", "it's", "is", "are", "was", "were", "be",
    "been", "being", "am", "do", "does", "did", "done", "has", "have", "had", "having", "can",
    "could", "would", "will", "shall", "should", "may", "might", "must", "i", "i'm", "i'd", "i've",
    "i'll", "me", "my", "mine", "we", "us", "our", "you", "your", "he", "she", "they", "them",
    "their", "his", "her", "what", "what's", "which", "who", "whom", "whose", "where", "where's",
    "when", "why", "how", "there", "here", "please", "also", "just", "now", "not", "no", "any",
    "some", "all", "each", "both", "per", "via", "up", "out", "off", "down", "let", "let's",
    "like", "want", "need", "e.g", "eg", "i.e", "etc", "such", "using", "use", "used", "given",
    "based", "too", "very", "much", "many", "more", "most", "other", "same", "hello", "hi", "hey",
    "thanks", "thank", "ok", "okay", "yes", "don't", "do", "won't", "can't", "isn't", "through",
    "during", "while", "after", "before", "because", "since", "until", "within", "where",
    "whether", "only", "own", "along", "around",
];
