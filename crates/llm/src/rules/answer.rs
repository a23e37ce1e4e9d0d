//! Answers: sentences made of results, and the few sentences of these rules' own.
//!
//! Says what a result says, in its own keys and values; reports errors as errors. It adds no
//! fact, and where it cannot help it says what it is.

use serde_json::{Map, Value as Json};

use super::convo::Done;
use super::plan::{Desk, label, text_of};
use super::rank::Known;
use super::schema::content;
use super::verbs::{self, Class, is_verb};
use super::words::{kinship, split_name, stem};

/// What a person reads at once.
const FIELDS: usize = 12;
const ITEMS: usize = 5;
const TEXT: usize = 1_500;

pub(super) fn from_results(desk: &Desk<'_>, request: &str, done: &[Done]) -> String {
    let class = |d: &Done| desk.box_.tools.iter().find(|t| t.tool.name == d.tool).map(|t| t.class);
    let changed = done.iter().any(|d| class(d) == Some(Class::Write));
    let told: Vec<String> = done
        .iter()
        .filter(|d| !changed || class(d) != Some(Class::Read) || d.failed)
        .filter(|d| !overcome(d, done))
        .map(|d| one(d, request, class(d)))
        .collect();
    told.join(" ")
}

/// A refusal that named another tool, which then did it: history that nobody has to hear.
fn overcome(refused: &Done, done: &[Done]) -> bool {
    let text = text_of(&refused.result);
    let did = |d: &Done| !d.failed && text.contains(verbs::own_name(&d.tool).1);
    refused.failed && done.iter().any(|d| d.tool != refused.tool && did(d))
}

fn one(done: &Done, request: &str, class: Option<Class>) -> String {
    if unknown_outcome(&done.result) {
        return format!(
            "I cannot tell whether {} took effect, so I will not repeat it: {}",
            label(verbs::own_name(&done.tool).1),
            sentence(&unadvised(&message(&done.result)))
        );
    }
    if done.failed {
        return format!("{}: {}", failure(done), sentence(&unadvised(&message(&done.result))));
    }
    let text = success(done, request);
    let settled = !text_of(&done.result).to_lowercase().contains("pending");
    if class == Some(Class::Write) && settled { format!("Done. {text}") } else { text }
}

/// "I could not process the refund of order 9".
fn failure(done: &Done) -> String {
    let words = split_name(verbs::own_name(&done.tool).1);
    let subject = subject(done);
    match words.first() {
        Some(verb) if words.len() > 1 && is_verb(&stem(verb)) => {
            format!("I could not {verb} {}", small(&subject))
        }
        _ => format!("{} failed for {}", capital(&words.join(" ")), small(&subject)),
    }
}

fn unknown_outcome(result: &Json) -> bool {
    let text = text_of(result).to_lowercase();
    text.starts_with("unknown_outcome: ")
        || text.contains("outcome unknown")
        || text.contains("outcome is unknown")
        || text.contains("do not repeat")
}

/// What an error says, without its wrapping.
fn message(result: &Json) -> String {
    let said = |v: &Json| v.as_str().filter(|s| !s.is_empty()).map(str::to_owned);
    let from = |map: &Map<String, Json>| {
        ["message", "errorMessage", "error_message", "detail", "reason", "error", "errors"]
            .iter()
            .find_map(|k| map.get(*k).and_then(said))
    };
    let object = |v: &Json| {
        v.as_object().and_then(|m| {
            from(m).or_else(|| m.get("error").and_then(Json::as_object).and_then(from))
        })
    };
    object(result).unwrap_or_else(|| cut(&text_of(result)))
}

/// An error without what it tells the model to do: `…; tell the user` and the like. What the model is
/// to tell the user is told.
fn unadvised(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut joint = "";
    while !rest.is_empty() {
        let marks = ["; ", ", ", ": "].iter().filter_map(|m| Some((rest.find(m)?, *m)));
        let (at, mark) = marks.min().unwrap_or((rest.len(), ""));
        let clause = &rest[..at];
        let told = clause.strip_prefix("tell the user that ");
        if told.is_some() || !is_advice(clause) {
            out.push_str(if out.is_empty() { "" } else { joint });
            out.push_str(told.unwrap_or(clause));
        }
        (joint, rest) = (mark, &rest[at + mark.len()..]);
    }
    // An error that is nothing but advice is still all there is to say.
    if out.is_empty() { text.to_owned() } else { out }
}

/// What an error tells the model, and no user: to speak to the user, to call a tool or not to.
fn is_advice(clause: &str) -> bool {
    const LEADS: &[&str] = &[
        "tell the user",
        "ask the user",
        "ask for",
        "do not repeat",
        "do not ask for it",
        "it is not repeated",
    ];
    let clause = clause.trim_start().to_lowercase();
    let names_tool = || clause.split(' ').nth(1).is_some_and(|w| w.contains('_'));
    LEADS.iter().any(|lead| clause.starts_with(lead)) || clause.starts_with("use ") && names_tool()
}

fn success(done: &Done, request: &str) -> String {
    match &done.result {
        Json::String(text) if text.is_empty() => "The call returned nothing.".to_owned(),
        Json::String(text) => sentence(&cut(text)),
        Json::Array(items) => list(&subject(done), items),
        Json::Object(map) => object(done, map, request),
        other => sentence(&prefixed(&subject(done), &other.to_string())),
    }
}

fn object(done: &Done, map: &Map<String, Json>, request: &str) -> String {
    let mut said = Vec::new();
    let spoken = ["message", "summary", "answer", "text"]
        .iter()
        .find(|k| map.get(**k).is_some_and(Json::is_string));
    if let Some(key) = spoken {
        said.push(sentence(&cut(&text_of(&map[*key]))));
    }
    let skip = |key: &str| {
        spoken.is_some_and(|s| *s == key) || in_subject(done, &map[key]) || key == "currency"
    };
    let mut asked = named(map, request, done);
    asked.retain(|key| !skip(key));
    let mut keys: Vec<&String> =
        map.keys().filter(|k| !skip(k) && (asked.is_empty() || asked.contains(k))).collect();
    keys.sort_by_key(|k| usize::from(!is_status(k)));
    let fields: Vec<String> = keys.iter().take(FIELDS).filter_map(|k| field(k, map)).collect();
    if !fields.is_empty() && (spoken.is_none() || !asked.is_empty()) {
        let subject = subject(done);
        let told = fields.join(", ");
        let echo = keys.len() == 1 && subject.to_lowercase().contains(&label(keys[0]));
        let told = if echo { told.replacen(&format!("{} ", label(keys[0])), "", 1) } else { told };
        said.push(sentence(&prefixed(&subject, &told)));
    }
    if said.is_empty() {
        said.push(sentence(&prefixed(&subject(done), "done")));
    }
    said.join(" ")
}

/// Keys that the request names, if it names some but is not about the thing as a whole.
fn named<'a>(map: &'a Map<String, Json>, request: &str, done: &Done) -> Vec<&'a String> {
    let tool: Vec<String> =
        split_name(verbs::own_name(&done.tool).1).iter().map(|w| stem(w)).collect();
    let words: Vec<String> =
        content(request).into_iter().filter(|w| !tool.contains(w) || w == "status").collect();
    let hit = |key: &str| {
        split_name(key)
            .iter()
            .map(|w| stem(w))
            .any(|k| k != "id" && !tool.contains(&k) && words.iter().any(|w| kinship(w, &k) >= 0.7))
    };
    map.keys().filter(|k| hit(k)).collect()
}

fn is_status(key: &str) -> bool {
    ["status", "state", "result", "outcome"].iter().any(|s| key.to_lowercase().ends_with(s))
}

fn field(key: &str, map: &Map<String, Json>) -> Option<String> {
    let shown = match &map[key] {
        Json::Null => return None,
        Json::Number(n) => money(key, n, map),
        other => shown(other),
    };
    (!shown.is_empty()).then(|| format!("{} {shown}", label(key)))
}

fn money(key: &str, n: &serde_json::Number, map: &Map<String, Json>) -> String {
    let about = ["amount", "total", "price", "cost", "fee", "balance", "refund"];
    let is_money = split_name(key).iter().any(|w| about.contains(&w.as_str()));
    let currency = map.get("currency").and_then(Json::as_str);
    match (is_money, currency) {
        (true, Some(c)) => format!("{:.2} {c}", n.as_f64().unwrap_or_default()),
        (true, None) if n.is_f64() => format!("{:.2}", n.as_f64().unwrap_or_default()),
        _ => n.to_string(),
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        Json::Number(n) => n.to_string(),
        Json::String(s) => cut(s),
        Json::Array(items) => {
            let all: Vec<String> = items.iter().take(ITEMS).map(shown).collect();
            let more = items.len().saturating_sub(ITEMS);
            if more > 0 { format!("{} and {more} more", all.join("; ")) } else { all.join("; ") }
        }
        Json::Object(map) => {
            map.keys().take(FIELDS).filter_map(|k| field(k, map)).collect::<Vec<_>>().join(", ")
        }
    }
}

fn list(subject: &str, items: &[Json]) -> String {
    if items.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let rows: Vec<String> = items.iter().take(ITEMS).map(shown).collect();
    let more = items.len().saturating_sub(ITEMS);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    sentence(&prefixed(subject, &format!("{}{tail}", rows.join("; "))))
}

/// "order 4471": the words of the tool's object and the first short argument.
fn subject(done: &Done) -> String {
    let words = split_name(verbs::own_name(&done.tool).1);
    let verbs = usize::from(words.len() > 1 && is_verb(&stem(&words[0])));
    let object: Vec<&str> = words[verbs..].iter().map(String::as_str).collect();
    let short = |v: &Json| v.as_str().is_some_and(|s| s.len() <= 40);
    let input = done.input.as_object();
    let id = input.and_then(|m| {
        m.iter().find(|(k, v)| split_name(k).last().is_some_and(|w| w == "id") && !v.is_object())
    });
    let named = input.and_then(|m| {
        m.iter().find(|(k, v)| ["title", "name", "subject"].contains(&k.as_str()) && short(v))
    });
    let first = id.or(named).or_else(|| input.and_then(|m| m.iter().find(|(_, v)| short(v))));
    let Some((key, value)) = first else { return capital(&object.join(" ")) };
    let name: Vec<String> = split_name(key).into_iter().filter(|w| w != "id").collect();
    let value = text_of(value);
    match (id.is_some() && !name.is_empty(), object.is_empty()) {
        (true, true) => capital(&format!("{} {value}", name.join(" "))),
        (true, false) if object.join(" ") == name.join(" ") => {
            capital(&format!("{} {value}", name.join(" ")))
        }
        (true, false) => capital(&format!("{} of {} {value}", object.join(" "), name.join(" "))),
        (false, true) => value,
        (false, false) => capital(&format!("{}, {value}", object.join(" "))),
    }
}

fn in_subject(done: &Done, value: &Json) -> bool {
    let id = |k: &str| split_name(k).last().is_some_and(|w| w == "id");
    done.input
        .as_object()
        .is_some_and(|m| m.iter().any(|(k, v)| id(k) && text_of(v) == text_of(value)))
}

fn prefixed(subject: &str, text: &str) -> String {
    if subject.is_empty() { text.to_owned() } else { format!("{subject}: {text}") }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    let ended = text.ends_with(['.', '!', '?', '…', '>', '}']);
    if ended { text.to_owned() } else { format!("{text}.") }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.trim().to_owned(),
    }
}

/// One short question for what is missing.
pub(super) fn ask(tool: &Known<'_>, missing: &[usize]) -> String {
    let names: Vec<String> = missing.iter().map(|m| described(tool, *m)).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let it = if names.len() == 1 { "it" } else { "them" };
    format!("What {verb} {}? I need {it} to {}.", joined(&names), purpose(tool))
}

fn described(tool: &Known<'_>, at: usize) -> String {
    let param = &tool.params[at];
    let name = format!("the {}", label(&param.name));
    let more = param.about.iter().filter(|w| !param.words.contains(w)).count();
    let about = param.description.trim().trim_end_matches('.');
    if more > 0 && about.len() <= 120 { format!("{name} ({})", small(about)) } else { name }
}

pub(super) fn joined(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// What a tool is for, as the continuation of "to".
pub(super) fn purpose(tool: &Known<'_>) -> String {
    aim(tool).unwrap_or_else(|| format!("use {}", label(verbs::own_name(&tool.tool.name).1)))
}

/// What a tool does, from a description that begins with its verb, else from the verb of its name.
fn aim(tool: &Known<'_>) -> Option<String> {
    let first = tool.tool.description.split(['.', '\n', ';']).next().unwrap_or_default().trim();
    let (verb, rest) = first.split_once(' ').unwrap_or((first, ""));
    let next = rest.split(' ').next().unwrap_or_default();
    let article = ["a", "an", "the", "how", "all", "up"].contains(&next);
    // "A list of …", "Schedule of …": nouns.
    if is_verb(&stem(verb)) && next != "of" || article && verb.ends_with('s') {
        return Some(format!("{} {rest}", base(&verb.to_lowercase())).trim().to_owned());
    }
    let name = split_name(verbs::own_name(&tool.tool.name).1);
    let verb = name.first().filter(|verb| name.len() > 1 && is_verb(&stem(verb)))?;
    let noun =
        ["a", "an", "the"].iter().any(|a| first.to_lowercase().starts_with(&format!("{a} ")));
    Some(if noun { format!("{verb} {}", small(first)) } else { name.join(" ") })
}

/// "looks" → "look", "searches" → "search".
fn base(verb: &str) -> String {
    if let Some(root) = verb.strip_suffix("ies") {
        return format!("{root}y");
    }
    let hissing = ["sses", "shes", "ches", "xes", "zes"].iter().any(|t| verb.ends_with(t));
    match verb.strip_suffix('s') {
        Some(_) if hissing => verb[..verb.len() - 2].to_owned(),
        Some(root) if !root.ends_with('s') => root.to_owned(),
        _ => verb.to_owned(),
    }
}

fn small(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next();
    let shout = chars.clone().next().is_some_and(char::is_uppercase);
    first.map_or_else(String::new, |c| {
        if shout { text.to_owned() } else { c.to_lowercase().chain(chars).collect() }
    })
}

/// What the tools offer, for a user whose request none of them fits.
pub(super) fn nothing(desk: &Desk<'_>, request: &str) -> String {
    if desk.box_.tools.is_empty() {
        return "I am Craton's rule-based stand-in, not a language model; without tools I cannot answer this.".to_owned();
    }
    let offers: Vec<String> = desk.box_.tools.iter().take(ITEMS).map(purpose).collect();
    if content(request).is_empty() && !request.is_empty() {
        return format!("Hello. I can {}.", joined(&offers));
    }
    format!(
        "None of my tools fits this request. I am Craton's rule-based stand-in, not a language model; what I can do: {}.",
        offers.join("; ")
    )
}

pub(super) fn not_asked(tool: &Known<'_>) -> String {
    format!(
        "I can {}, but that changes something, so I only do it when you ask for it plainly.",
        purpose(tool)
    )
}

pub(super) fn already(desk: &Desk<'_>, tool: usize) -> String {
    let known = &desk.box_.tools[tool];
    let last = desk
        .turns
        .iter()
        .rev()
        .flat_map(|t| t.done.iter().rev())
        .find(|d| d.tool == known.tool.name && !d.failed);
    let told = last.map(|d| success(d, "")).unwrap_or_default();
    format!(
        "That has been done already and I have not repeated it. {told} Say \"again\" if you want it once more."
    )
}

/// One sentence before a call: what is called and why.
pub(super) fn rationale(desk: &Desk<'_>, calls: &[(usize, Map<String, Json>)]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (tool, _) in calls {
        let tool = &desk.box_.tools[*tool];
        let own = verbs::own_name(&tool.tool.name).1;
        let name = aim(tool).map_or_else(|| own.to_owned(), |aim| format!("{own} to {aim}"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    format!("I call {}.", joined(&names))
}
