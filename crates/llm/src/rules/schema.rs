//! Parameters: a tool's JSON Schema as `fill` and `rank` want to see it.
//!
//! Reads names, descriptions, enums, defaults and examples once per tool. Unknown keywords are
//! passed over: the caller of the tool checks the arguments against the whole schema.

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
    Url,
    Path,
    Id,
    /// Free words of the user: a reason, a comment, a message, a query.
    Prose,
    Unit,
    Other,
}

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
    /// Values the description quotes as possible ones.
    pub(super) hints: Vec<String>,
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
    let words: Vec<String> = split_name(name).iter().map(|w| stem(w)).collect();
    let about = content(&before_default(&description));
    let kind = kind(schema);
    let values = |s: &Json| s["enum"].as_array().cloned().unwrap_or_default();
    let mut enums = values(schema);
    if enums.is_empty() && kind == Type::Array {
        enums = values(&schema["items"]);
    }
    let hints = if enums.is_empty() { hints(&description) } else { Vec::new() };
    Param {
        name: name.to_owned(),
        role: role(schema, &words, &about),
        default: schema.get("default").cloned().or_else(|| spoken_default(&description, kind)),
        words,
        about,
        description,
        kind,
        enums,
        hints,
        required,
        schema: schema.clone(),
    }
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
    let roles: [(Role, &[&str]); 9] = [
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
