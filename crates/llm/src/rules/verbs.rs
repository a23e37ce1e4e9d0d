//! Verbs: whether a tool changes something, and whether the user asked for that change.
//!
//! INVARIANT: only the user's own plain words ask. Quoted text, tool results and documents never
//! reach `asks`, so a sentence planted in one of them cannot start a state-changing tool.

use wire::converse::Tool;

use super::words::{Kind, Token, is_kin, split_name, stem, tokens};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Read,
    Write,
    /// Neither name nor description says.
    Unsaid,
}

/// Stems of verbs that look or reckon.
const READ: &[&str] = &[
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
const WRITE: &[&str] = &[
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
    "initi",
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

/// Write verbs that say nothing of what is done; the object must be named beside them.
const EMPTY: &[&str] = &[
    "process", "request", "mak", "creat", "submit", "issu", "add", "set", "put", "post", "run",
    "execut", "plac", "initi", "trigger", "open", "start", "updat", "chang", "send", "delet",
    "remov", "generat", "apply",
];

/// Nouns that turn an action into a thing to be read, as in "refund status".
const ASPECTS: &[&str] = &[
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

/// The stems that name the tool's action, such as `cancel`; without those that say nothing alone.
fn actions(tool: &Tool) -> (Vec<String>, Vec<String>) {
    let (_, name) = own_name(&tool.name);
    let mut stems: Vec<String> = split_name(name).iter().map(|w| stem(w)).collect();
    stems.extend(tokens(&tool.description).into_iter().find(Token::is_content).map(|t| t.stem));
    let (verbs, objects): (Vec<_>, Vec<_>) =
        stems.into_iter().partition(|w| WRITE.contains(&w.as_str()));
    (verbs, objects)
}

/// Whether these words of the user ask for what the tool does.
pub(super) fn asks(words: &[Token], tool: &Tool) -> bool {
    let (verbs, objects) = actions(tool);
    let strong: Vec<&String> = verbs.iter().filter(|v| !EMPTY.contains(&v.as_str())).collect();
    clauses(words).into_iter().any(|clause| {
        let says =
            |stem: &str| clause.iter().any(|t| t.kind == Kind::Word && is_kin(&t.stem, stem));
        let empty = verbs.iter().any(|v| says(v)) && objects.iter().any(|o| says(o));
        let acts: Vec<&String> = match strong.is_empty() {
            true if verbs.is_empty() => objects.iter().collect(),
            true if empty => verbs.iter().collect(),
            true => Vec::new(),
            false => strong.clone(),
        };
        requests(clause, &acts)
    })
}

/// The parts of sentences in which a request may begin. A sentence with a condition is left out:
/// these rules cannot tell whether it holds. What "and" joins to a refusal is refused with it.
fn clauses(words: &[Token]) -> Vec<&[Token]> {
    let sentences = words.split(|t| t.is_mark(".!?;")).filter(|s| !conditional(s));
    let mut out = Vec::new();
    for sentence in sentences {
        let mut from = 0;
        for (i, t) in sentence.iter().enumerate() {
            let refused = sentence[from..i].iter().any(|t| t.is(REFUSALS));
            if t.is_mark(",:") || t.is(&["but", "then"]) || t.is(&["and"]) && !refused {
                out.push(&sentence[from..i]);
                from = i + 1;
            }
        }
        out.push(&sentence[from..]);
    }
    out
}

/// "If it has not left, …", but not "if possible".
fn conditional(sentence: &[Token]) -> bool {
    let polite = |at: usize| sentence.get(at + 1).is_some_and(|t| t.is(&["possible", "you"]));
    let at = sentence.iter().position(|t| t.is(&["if", "unless", "provided", "when", "once"]));
    at.is_some_and(|at| !polite(at))
}

const POLITE: &[&str] = &[
    "please",
    "kindly",
    "now",
    "then",
    "also",
    "just",
    "hi",
    "hello",
    "hey",
    "ok",
    "okay",
    "yes",
    "so",
    "well",
    "can",
    "could",
    "would",
    "will",
    "you",
    "let's",
    "lets",
    "help",
    "me",
    "go",
    "ahead",
    "to",
    "and",
    "immediately",
];
const WISHES: &[&str] =
    &["want", "need", "like", "i'd", "wish", "demand", "request", "asking", "ask"];
const REFUSALS: &[&str] = &[
    "not", "don't", "dont", "never", "no", "without", "won't", "cannot", "can't", "stop", "avoid",
];
const QUESTIONS: &[&str] = &[
    "what", "what's", "where", "when", "why", "how", "who", "which", "did", "does", "do", "has",
    "have", "had", "was", "were", "is", "are", "should", "if", "whether", "may", "am",
];

/// Whether an answer takes back what was asked before rather than completing it.
pub(super) fn refuses(words: &[Token]) -> bool {
    words.iter().any(|t| {
        t.is(REFUSALS) || t.is(&["nevermind", "forget", "wrong", "instead", "wait", "mind"])
    })
}

/// An imperative or a wish for one of the actions: "cancel it", "could you cancel", "I want a refund".
fn requests(clause: &[Token], acts: &[&String]) -> bool {
    let Some(at) =
        clause.iter().position(|t| t.kind == Kind::Word && acts.iter().any(|a| is_kin(&t.stem, a)))
    else {
        return false;
    };
    let before = &clause[..at];
    let noun = clause.get(at + 1).is_some_and(|t| ASPECTS.contains(&t.stem.as_str()));
    let past = clause[at].text.to_lowercase().ends_with("ed");
    if noun || past || before.iter().any(|t| t.is(REFUSALS)) {
        return false;
    }
    let lead: Vec<&Token> = before.iter().skip_while(|t| t.is(POLITE)).collect();
    let Some(first) = lead.first() else { return !may_i(before) };
    let wished = before.iter().any(|t| t.is(WISHES)) && !lead[0].is(QUESTIONS);
    let verb = WRITE.contains(&first.stem.as_str())
        || first.is(&["give", "get", "do"])
            && before.iter().any(|t| t.is(&["me", "my", "a", "the"]));
    wished || verb && !first.is(QUESTIONS)
}

/// "Can I cancel …?" asks whether, not that.
fn may_i(before: &[Token]) -> bool {
    before.iter().any(|t| t.is(&["i", "we"]))
}
