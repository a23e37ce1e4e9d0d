//! Asking: whether the user's words ask for the change that a tool makes.
//!
//! INVARIANT: only the user's own plain words ask. Quoted text, tool results and documents never
//! reach `asks`, so a sentence planted in one of them cannot start a state-changing tool.

use super::rank::Known;
use super::schema::{Param, Role};
use super::verbs::{ASPECTS, Class, WRITE, is_verb, own_name};
use super::words::{Kind, Token, is_kin, split_name, stem, tokens};

/// Write verbs that say nothing of what is done; the object must be named beside them.
const EMPTY: &[&str] = &[
    "process", "request", "mak", "creat", "submit", "issu", "add", "set", "put", "post", "patch",
    "run", "execut", "plac", "initiat", "trigger", "open", "start", "updat", "chang", "send",
    "delet", "remov", "generat", "apply",
];

/// Verbs of one kind stand for each other where the object is named too: who schedules an event
/// creates it.
const KINDS: [&[&str]; 3] = [
    &[
        "creat", "mak", "add", "new", "post", "open", "submit", "register", "insert", "issu",
        "generat", "schedul", "plac", "put", "set", "request", "writ",
    ],
    &["updat", "chang", "modify", "edit", "adjust", "set", "put", "patch", "replac"],
    &["delet", "remov", "eras", "cancel", "drop"],
];

/// How far the user's words ask for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    No,
    /// An order, but the thing is not called what the tool calls it: it counts only if the words also
    /// give everything that the tool needs.
    Loosely,
    Plainly,
}

/// What a tool does, in stems.
struct Acts {
    /// Verbs that say it alone, such as `cancel`.
    strong: Vec<String>,
    /// No verb says it alone: the thing must be named too.
    vague: bool,
    /// The first word of a name without a known verb.
    own: Vec<String>,
    /// All its verbs and those of their kind.
    verbs: Vec<String>,
    /// What the name says it is done to.
    objects: Vec<String>,
    /// Other nouns of the description's first sentence.
    around: Vec<String>,
    /// For a tool that sets attributes: the verbs that do it.
    attributes: Vec<String>,
    /// The words of its parameters and of their values.
    settings: Vec<String>,
}

fn acts(known: &Known<'_>) -> Acts {
    let (_, name) = own_name(&known.tool.name);
    let words = split_name(name);
    let told = tokens(known.tool.description.split(". ").next().unwrap_or_default());
    let described = told.iter().find(|t| t.is_content()).map(|t| t.stem.clone());
    // A "shipping address" is a thing; "ship_order" is not.
    let acts = |(i, w): (usize, &String)| {
        let s = stem(w);
        let verb = WRITE.contains(&s.as_str()) && (i == 0 || !w.ends_with("ing"));
        (s, verb)
    };
    let (verbs, objects): (Vec<_>, Vec<_>) =
        words.iter().enumerate().map(acts).partition(|(_, verb)| *verb);
    let mut verbs: Vec<String> = verbs.into_iter().map(|(s, _)| s).collect();
    let mut objects: Vec<String> = objects.into_iter().map(|(s, _)| s).collect();
    // `toggle_lamp` acts by a verb of its own; `lamps_create` does not begin with one.
    let unknown = verbs.is_empty() && objects.len() > 1 && known.class == Class::Write;
    let own: Vec<String> = unknown.then(|| objects.remove(0)).into_iter().collect();
    match described {
        Some(d) if WRITE.contains(&d.as_str()) => verbs.push(d),
        Some(d) => objects.push(d),
        None => {}
    }
    let strong: Vec<String> =
        verbs.iter().filter(|v| !EMPTY.contains(&v.as_str())).cloned().collect();
    let updates = verbs.iter().any(|v| KINDS[1].contains(&v.as_str()));
    let kinds = KINDS.iter().filter(|k| verbs.iter().any(|v| k.contains(&v.as_str())));
    let kinds: Vec<String> = kinds.flat_map(|k| k.iter().map(|v| (*v).to_owned())).collect();
    verbs.extend(kinds);
    let around =
        told.iter().filter(|t| t.is_content() && !is_verb(&t.stem) && !t.text.ends_with("'s"));
    Acts {
        vague: strong.is_empty(),
        strong,
        own,
        around: around.map(|t| t.stem.clone()).filter(|s| !verbs.contains(s)).collect(),
        settings: known
            .params
            .iter()
            .flat_map(|p| p.words.iter().chain(&p.values))
            .cloned()
            .collect(),
        attributes: if updates { attributes(known) } else { Vec::new() },
        verbs,
        objects,
    }
}

/// What can be done to a thing by setting an attribute: who closes it sets `closed`, who assigns it sets
/// the assignee.
fn attributes(known: &Known<'_>) -> Vec<String> {
    let participle = |value: &str| value.ends_with("ed").then(|| stem(value));
    let person = |word: &String| word.strip_suffix("ee").or(word.strip_suffix('e')).map(stem);
    let set = known.params.iter().filter(|p| p.role != Role::Id);
    let words = |p: &Param| {
        let values = p.enums.iter().filter_map(|e| participle(e.as_str()?));
        let persons = p.words.iter().filter(|_| p.name.ends_with("ee")).filter_map(person);
        values.chain(persons).collect::<Vec<_>>()
    };
    set.flat_map(words).collect()
}

/// Whether these words of the user ask for what the tool does. `context` are the stems of what "it"
/// can be.
pub(super) fn asks(words: &[Token], known: &Known<'_>, context: &[String]) -> Asked {
    let acts = acts(known);
    let clauses = clauses(words);
    if clauses.iter().any(|clause| refuses_in(clause, &acts)) {
        return Asked::No;
    }
    clauses.into_iter().map(|clause| asks_in(clause, &acts, context)).max().unwrap_or(Asked::No)
}

/// "Don't cancel it yet", or a bare "but don't do it" after what was to be done.
fn refuses_in(clause: &[Token], acts: &Acts) -> bool {
    let Some(at) = clause.iter().position(is_refusal) else { return false };
    let mut verbs = clause[at..].iter().filter(|t| is_verb(&t.stem)).peekable();
    let own = |t: &Token| acts.verbs.iter().chain(&acts.own).any(|v| is_kin(&t.stem, v));
    let bare = |t: &Token| t.is(&["it", "that", "so", "anything", "do"]);
    match verbs.peek() {
        Some(_) => verbs.any(own),
        None => clause[at..].len() == 1 || clause[at + 1..].iter().any(bare),
    }
}

fn is_refusal(token: &Token) -> bool {
    token.is(REFUSALS) || token.kind == Kind::Word && token.text.ends_with("n't")
}

fn asks_in(clause: &[Token], acts: &Acts, context: &[String]) -> Asked {
    let says = |stem: &String| clause.iter().any(|t| t.kind == Kind::Word && is_kin(&t.stem, stem));
    if acts.verbs.is_empty() {
        return plainly(requests(clause, &acts.objects));
    }
    if requests(clause, &acts.strong) {
        return Asked::Plainly;
    }
    let named = acts.objects.iter().any(says) || meant(clause, acts, context);
    let ordered = requests(clause, &acts.verbs);
    let sets = requests(clause, &acts.attributes);
    if named && (sets || acts.vague && ordered || requests(clause, &acts.own)) {
        return Asked::Plainly;
    }
    let valued = clause.iter().any(|t| t.kind == Kind::Word && has_digit(&t.text))
        && clause.iter().all(|t| acts.accounts_for(t));
    let loosely = acts.vague && ordered && (acts.around.iter().any(says) || valued)
        || valued && sets
        || acts.vague && wishes(clause, acts);
    if loosely { Asked::Loosely } else { Asked::No }
}

impl Acts {
    /// Whether a word is one of the tool's, a value, or no noun at all: no other thing is named.
    fn accounts_for(&self, token: &Token) -> bool {
        let own = self.objects.iter().chain(&self.around).chain(&self.settings);
        let known =
            is_verb(&token.stem) || own.chain(&self.attributes).any(|w| is_kin(w, &token.stem));
        !token.is_content() || has_digit(&token.text) || token.is_capital() || known
    }
}

fn plainly(asked: bool) -> Asked {
    if asked { Asked::Plainly } else { Asked::No }
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

/// "Delete it": the pronoun stands for what the turn before was about.
fn meant(clause: &[Token], acts: &Acts, context: &[String]) -> bool {
    const PRONOUNS: &[&str] = &["it", "that", "this", "them", "those", "these", "one", "both"];
    let pronoun = clause.iter().any(|t| t.is(PRONOUNS));
    pronoun && acts.objects.iter().any(|o| context.iter().any(|c| is_kin(c, o)))
}

/// "I would like to take a day of leave": a wish for the thing that the tool makes, by no other verb.
fn wishes(clause: &[Token], acts: &Acts) -> bool {
    let makes = acts.verbs.iter().any(|v| v == KINDS[0][0]);
    let at = clause.iter().position(|t| t.is(WISHES));
    let other = |t: &Token| is_verb(&t.stem) && !acts.objects.contains(&t.stem);
    makes && at.is_some_and(|at| !clause[at..].iter().any(other)) && requests(clause, &acts.objects)
}

/// The parts of sentences in which a request may begin. A sentence with a condition is left out:
/// these rules cannot tell whether it holds. What "and" joins to a refusal is refused with it.
fn clauses(words: &[Token]) -> Vec<&[Token]> {
    let sentences = words.split_inclusive(|t| t.is_mark(".!?;"));
    let sentences = sentences.filter(|s| !conditional(s) && !wonders(s));
    let mut out = Vec::new();
    for sentence in sentences {
        let mut from = 0;
        for (i, t) in sentence.iter().enumerate() {
            let refused = sentence[from..i].iter().any(is_refusal);
            if t.is_mark(",:") || t.is(&["but", "then"]) || t.is(&["and"]) && !refused {
                out.push(&sentence[from..i]);
                from = i + 1;
            }
        }
        out.push(&sentence[from..]);
    }
    out
}

/// "Cancel it?" wonders; "could you cancel it?" asks.
fn wonders(sentence: &[Token]) -> bool {
    let question = sentence.last().is_some_and(|t| t.is_mark("?"));
    question && !sentence.iter().any(|t| t.is(&["you", "please", "we", "i'd"]))
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
const AUXILIARIES: &[&str] =
    &["did", "does", "do", "has", "have", "had", "was", "were", "is", "are", "may", "am"];
const QUESTIONS: &[&str] = &[
    "what", "what's", "where", "when", "why", "how", "who", "which", "did", "does", "do", "has",
    "have", "had", "was", "were", "is", "are", "should", "if", "whether", "may", "am",
];

/// "We moved it last week": something is told, and nothing asked.
pub(super) fn only_tells(words: &[Token]) -> bool {
    const SUBJECTS: &[&str] = &["i", "we", "he", "she", "they", "it", "my", "our", "you"];
    let asks = |t: &Token| {
        t.is_mark("?:")
            || t.is(WISHES)
            || t.is(QUESTIONS) && !t.is(AUXILIARIES)
            || t.is(&["please", "i'd", "let"])
            || is_verb(&t.stem) && !t.text.ends_with("ed")
    };
    words.first().is_some_and(|t| t.is(SUBJECTS)) && !words.iter().any(asks)
}

/// Whether an answer takes back what was asked before rather than completing it.
pub(super) fn refuses(words: &[Token]) -> bool {
    words.iter().any(|t| {
        t.is(REFUSALS) || t.is(&["nevermind", "forget", "wrong", "instead", "wait", "mind"])
    })
}

/// An imperative or a wish for one of the actions: "cancel it", "could you cancel", "I want a refund".
fn requests(clause: &[Token], acts: &[String]) -> bool {
    let Some(at) =
        clause.iter().position(|t| t.kind == Kind::Word && acts.iter().any(|a| is_kin(&t.stem, a)))
    else {
        return false;
    };
    let before = &clause[..at];
    let noun = clause.get(at + 1).is_some_and(|t| ASPECTS.contains(&t.stem.as_str()));
    let past = clause[at].text.to_lowercase().ends_with("ed");
    if noun || past || before.iter().any(is_refusal) {
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
