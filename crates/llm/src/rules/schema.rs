//! Parameters: a tool's JSON Schema as `fill` and `rank` want to see it.
//!
//! Reads names, descriptions, enums, defaults and examples once per tool. Unknown keywords are
//! passed over: the caller of the tool checks the arguments against the whole schema.

use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

use super::words::{Kind, is_stop, split_name, stem, tokens};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

/// What kind of thing a text parameter names, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Place,
    Date,
    Time,
    Email,
    Phone,
    Url,
    Path,
    Id,
    /// Free words of the user: a reason, a comment, a message, a query.
    Prose,
    Unit,
    Other,
}

/// How much memory a compiled `pattern` may take.
const PATTERN_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Param {
    pub(super) name: String,
    /// Stems of the name.
    pub(super) words: Vec<String>,
    /// Content stems of the description.
    pub(super) about: Vec<String>,
    pub(super) description: String,
    pub(super) kind: Type,
    pub(super) role: Role,
    pub(super) enums: Vec<Json>,
    /// Stems of the enum's words.
    pub(super) values: Vec<String>,
    /// The letters that an example in the description begins with, as `inv` of INV-1.
    pub(super) prefix: Option<String>,
    /// Values the description quotes as possible ones.
    pub(super) hints: Vec<String>,
    /// For an amount of time: the seconds of the unit in the name.
    pub(super) seconds: Option<f64>,
    /// What a value must look like, if the schema says so.
    pub(super) pattern: Option<Regex>,
    pub(super) default: Option<Json>,
    pub(super) required: bool,
    pub(super) schema: Json,
}

pub(super) fn params(schema: &Json) -> Vec<Param> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|r| r.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let mut all: Vec<Param> = properties
        .iter()
        .map(|(name, schema)| param(name, schema, required.contains(&name.as_str())))
        .collect();
    // The map is sorted by name; where the author listed what is required, that order says more.
    all.sort_by_key(|p| required.iter().position(|r| *r == p.name).unwrap_or(usize::MAX));
    all
}

fn param(name: &str, schema: &Json, required: bool) -> Param {
    let description = schema["description"].as_str().unwrap_or_default().to_owned();
    let words: Vec<String> = split_name(name).iter().flat_map(|w| compound(w)).map(stem).collect();
    let about = content(&before_default(&description));
    let kind = kind(schema);
    let values = |s: &Json| s["enum"].as_array().cloned().unwrap_or_default();
    let mut enums = values(schema);
    if enums.is_empty() && kind == Type::Array {
        enums = values(&schema["items"]);
    }
    let listed = enums.iter().filter_map(Json::as_str).flat_map(content).collect();
    let hints = if enums.is_empty() { hints(&description) } else { Vec::new() };
    Param {
        name: name.to_owned(),
        role: formed(&description).unwrap_or_else(|| role(schema, &words, &about)),
        default: schema.get("default").cloned().or_else(|| spoken_default(&description, kind)),
        seconds: seconds(name),
        pattern: schema["pattern"].as_str().and_then(pattern),
        prefix: example(&description),
        words,
        about,
        description,
        kind,
        values: listed,
        enums,
        hints,
        required,
        schema: schema.clone(),
    }
}

/// What of a `pattern` this engine can read; the checker of the arguments reads the rest.
fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().ok()
}

pub(super) fn kind(schema: &Json) -> Type {
    let named = schema["type"].as_str().or_else(|| {
        schema["type"]
            .as_array()
            .and_then(|all| all.iter().filter_map(Json::as_str).find(|t| *t != "null"))
    });
    match named {
        Some("integer") => Type::Integer,
        Some("number" | "float") => Type::Number,
        Some("boolean") => Type::Boolean,
        Some("array" | "tuple") => Type::Array,
        Some("object" | "dict") => Type::Object,
        _ if schema["properties"].is_object() => Type::Object,
        _ => Type::Text,
    }
}

/// `duration_minutes` counts minutes; `min_price` and `second_name` count nothing.
fn seconds(name: &str) -> Option<f64> {
    let units = ["seconds", "secs", "minutes", "mins", "hours", "hrs", "days", "weeks"];
    let unit = split_name(name).into_iter().find(|w| units.contains(&w.as_str()))?;
    super::number::seconds(&unit)
}

/// `username` is written as one word but read as two.
fn compound(word: &str) -> Vec<&str> {
    const HEADS: &[&str] = &["name", "number", "code", "date", "time"];
    let cut = HEADS.iter().find_map(|head| Some((word.strip_suffix(head)?, *head)));
    match cut.filter(|(rest, _)| rest.len() >= 3) {
        Some((rest, head)) => vec![rest, head],
        None => vec![word],
    }
}

/// Content stems of a text, in order, each once.
pub(super) fn content(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for t in tokens(text) {
        for part in split_name(&t.text) {
            let s = stem(&part);
            if matches!(t.kind, Kind::Word | Kind::Quoted) && !is_stop(&part) && !out.contains(&s) {
                out.push(s);
            }
        }
    }
    out
}

/// A description without what it says of its default, which names no value that is meant.
fn before_default(description: &str) -> String {
    let lower = description.to_ascii_lowercase();
    description[..lower.find("default").unwrap_or(description.len())].to_owned()
}

/// The letters before the digits of the one example id that a description gives.
fn example(description: &str) -> Option<String> {
    let all = tokens(description);
    let ids = all.iter().filter(|t| t.kind == Kind::Word).filter_map(|t| letters(&t.text));
    let mut ids = ids.filter(|l| l.len() >= 2);
    ids.next().filter(|first| ids.all(|l| l == *first))
}

/// The letters of an id before its digits, in lower case; nothing for a word without both.
pub(super) fn letters(id: &str) -> Option<String> {
    let (head, tail) = id.split_at(id.find(|c: char| !c.is_alphabetic())?);
    let number = tail.trim_start_matches(['-', '_', '#', ':']);
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (digits && !head.is_empty()).then(|| head.to_lowercase())
}

/// Values that a description quotes: `can be 'draft' or 'final'`.
fn hints(description: &str) -> Vec<String> {
    let quoted = tokens(description).into_iter().filter(|t| {
        t.kind == Kind::Quoted && t.text.len() <= 40 && !is_stop(&t.text.to_lowercase())
    });
    quoted.map(|t| t.text).collect()
}

/// "Defaults to 10", "default is 'metric'".
fn spoken_default(description: &str, kind: Type) -> Option<Json> {
    let all = tokens(description);
    let at = all.iter().position(|t| t.stem.starts_with("default"))?;
    let value = all[at + 1..]
        .iter()
        .find(|t| !t.is(&["is", "to", "value", "be", "set"]) && !t.is_mark(":="))?;
    let number = super::number::Number::parse(&value.text);
    match kind {
        Type::Boolean => value.text.to_lowercase().parse::<bool>().ok().map(Json::from),
        Type::Integer => number.filter(super::number::Number::is_integer).map(|n| n.json()),
        Type::Number => number.map(|n| n.json()),
        Type::Text if value.kind == Kind::Quoted => Some(value.text.as_str().into()),
        Type::Text | Type::Array | Type::Object => None,
    }
}

/// A description that names the form of a date or a time.
fn formed(description: &str) -> Option<Role> {
    let told = description.to_uppercase();
    let (date, time) = (told.contains("YYYY"), told.contains("HH:MM"));
    (date != time).then_some(if date { Role::Date } else { Role::Time })
}

fn role(schema: &Json, words: &[String], about: &[String]) -> Role {
    match schema["format"].as_str() {
        Some("date") => return Role::Date,
        Some("date-time" | "time") => return Role::Time,
        Some("email") => return Role::Email,
        Some("uri" | "url") => return Role::Url,
        Some("uuid") => return Role::Id,
        _ => {}
    }
    let named = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
    let told = |list: &[&str]| about.iter().take(8).any(|w| list.contains(&w.as_str()));
    let roles: [(Role, &[&str]); 10] = [
        (Role::Phone, &["phon", "telephon", "mobil", "fax"]),
        (Role::Email, &["email", "mail"]),
        (Role::Url, &["url", "link", "uri", "websit"]),
        (Role::Path, &["path", "fil", "directory", "folder"]),
        (Role::Unit, &["unit", "format", "languag"]),
        (Role::Id, &["id", "identifier", "uuid", "sku", "ticket", "serial"]),
        (Role::Date, &["dat", "day", "deadlin", "when", "birthday"]),
        (Role::Place, PLACES),
        (
            Role::Prose,
            &[
                "reason", "comment", "not", "messag", "text", "body", "content", "query", "quest",
                "caus", "feedback",
            ],
        ),
        (Role::Time, &["tim", "hour"]),
    ];
    let found = roles.iter().find(|(_, list)| named(list)).map(|(role, _)| *role);
    found.unwrap_or_else(|| if told(PLACES) { Role::Place } else { Role::Other })
}

const PLACES: &[&str] = &[
    "city", "locat", "plac", "country", "stat", "address", "destinat", "origin", "region", "town",
    "area", "airport", "departur", "county", "street", "venu",
];
