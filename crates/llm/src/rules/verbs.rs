//! Verbs: which words act, and whether a tool changes something.
//!
//! Reads a tool's name and description once. Whether the user asked for the change says `asks`.

use wire::converse::Tool;

use super::words::{Token, split_name, stem, tokens};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Read,
    Write,
    /// Neither name nor description says.
    Unsaid,
}

/// Stems of verbs that look or reckon.
pub(super) const READ: &[&str] = &[
    "get",
    "list",
    "find",
    "check",
    "look",
    "lookup",
    "search",
    "show",
    "read",
    "fetch",
    "retriev",
    "view",
    "describ",
    "query",
    "count",
    "calculat",
    "comput",
    "estimat",
    "predict",
    "convert",
    "compar",
    "analyz",
    "analys",
    "validat",
    "verify",
    "track",
    "locat",
    "determin",
    "identify",
    "evaluat",
    "measur",
    "solv",
    "summariz",
    "translat",
    "recommend",
    "suggest",
    "detect",
    "classify",
    "provid",
    "obtain",
    "display",
    "explain",
    "tell",
    "know",
    "see",
    "return",
    "simulat",
    "forecast",
    "discover",
    "inspect",
    "brows",
    "review",
    "monitor",
    "assess",
    "giv",
];

/// Stems of verbs that change something.
pub(super) const WRITE: &[&str] = &[
    "creat",
    "process",
    "refund",
    "reimburs",
    "cancel",
    "delet",
    "updat",
    "send",
    "book",
    "reserv",
    "buy",
    "purchas",
    "pay",
    "transfer",
    "submit",
    "add",
    "remov",
    "set",
    "chang",
    "modify",
    "edit",
    "approv",
    "reject",
    "request",
    "issu",
    "open",
    "clos",
    "post",
    "put",
    "patch",
    "upload",
    "register",
    "schedul",
    "reschedul",
    "assign",
    "start",
    "stop",
    "enabl",
    "disabl",
    "block",
    "charg",
    "ship",
    "deploy",
    "restart",
    "reset",
    "grant",
    "revok",
    "publish",
    "writ",
    "sav",
    "stor",
    "invit",
    "notify",
    "email",
    "messag",
    "plac",
    "activat",
    "deactivat",
    "unlock",
    "lock",
    "subscrib",
    "unsubscrib",
    "mak",
    "generat",
    "play",
    "turn",
    "insert",
    "replac",
    "renam",
    "mov",
    "drop",
    "merg",
    "execut",
    "run",
    "draw",
    "adjust",
    "apply",
    "sell",
    "trad",
    "withdraw",
    "deposit",
    "escalat",
    "confirm",
    "initiat",
    "trigger",
    "hir",
    "fir",
    "wip",
    "eras",
    "format",
    "reboot",
    "kill",
    "terminat",
];

/// Nouns that turn an action into a thing to be read, as in "refund status".
pub(super) const ASPECTS: &[&str] = &[
    "status", "stat", "policy", "history", "detail", "info", "informat", "progress", "rul", "term",
    "fee", "cost", "pric", "dat", "condit", "option", "amount", "limit", "deadlin", "number",
    "list", "process",
];

const HTTP: &[(&str, Class)] = &[
    ("get", Class::Read),
    ("head", Class::Read),
    ("options", Class::Read),
    ("post", Class::Write),
    ("put", Class::Write),
    ("patch", Class::Write),
    ("delete", Class::Write),
];

pub(super) fn is_verb(stem: &str) -> bool {
    READ.contains(&stem) || WRITE.contains(&stem)
}

/// `verb__group__operation` and `group__function`: the method, if there is one, and the last part.
pub(super) fn own_name(name: &str) -> (Option<Class>, &str) {
    let mut parts = name.splitn(3, "__");
    let first = parts.next().unwrap_or_default();
    let method =
        HTTP.iter().find(|(verb, _)| verb.eq_ignore_ascii_case(first) && name.contains("__"));
    let last = name.rsplit("__").next().unwrap_or(name);
    (method.map(|(_, class)| *class), last)
}

pub(super) fn class(tool: &Tool) -> Class {
    let (method, name) = own_name(&tool.name);
    let words: Vec<String> = split_name(name).iter().map(|w| stem(w)).collect();
    let described = tokens(&tool.description).into_iter().find(Token::is_content).map(|t| t.stem);
    let is_read = |w: &String| READ.contains(&w.as_str());
    let is_write = |w: &String| WRITE.contains(&w.as_str());
    let named = words.iter().find(|w| is_read(w) || is_write(w));
    match method {
        Some(Class::Write) if words.first().is_some_and(is_read) => return Class::Read,
        Some(class) => return class,
        None => {}
    }
    let aspect = words.last().is_some_and(|w| ASPECTS.contains(&w.as_str()));
    match (named, described) {
        (Some(w), _) if Some(w) == words.first() => {
            if is_read(w) {
                Class::Read
            } else {
                Class::Write
            }
        }
        (_, Some(d)) if is_read(&d) => Class::Read,
        (_, Some(d)) if is_write(&d) => Class::Write,
        (Some(w), _) if is_read(w) || aspect => Class::Read,
        (Some(_), _) => Class::Write,
        (None, _) if aspect => Class::Read,
        (None, _) => Class::Unsaid,
    }
}
