//! Planning: what the next step of a conversation is.
//!
//! A pure function of the call: finds the tools that the user's words want, fills their
//! arguments, and decides between calling, asking and answering.
//!
//! INVARIANTS
//! - A state-changing tool is called only when the user's own words of this turn ask for it
//!   (`verbs::asks`), or when it is the tool the client forces.
//! - An identical call is never made twice in a turn; a state-changing one that has succeeded is
//!   not made again in the conversation unless the user says "again".

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use wire::converse::{Call, ToolChoice};

use super::convo::{Done, Turn, leaves, turns};
use super::fill::{self, Filled, fill, key_match};
use super::rank::{Known, Toolbox};
use super::repeat::repeats;
use super::schema::{Role, Type};
use super::spans::{Read, read};
use super::verbs::{self, Class, asks};
use super::words::{Token, is_kin, split_name, stem};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Tools by their place in the call, with arguments.
    Calls(Vec<(usize, Map<String, Json>)>),
    /// Required arguments of one tool are missing.
    Ask { tool: usize, missing: Vec<usize> },
    /// Results of this turn, in order, are the answer.
    Answer,
    /// The same state-changing call succeeded before.
    AlreadyDone(usize),
    /// A tool would fit, but it changes something and was not asked for.
    NotAsked(usize),
    /// No tool fits.
    Nothing,
}

pub(super) struct Desk<'a> {
    pub(super) box_: Toolbox<'a>,
    pub(super) turns: Vec<Turn>,
    facts: BTreeMap<String, String>,
    choice: &'a ToolChoice,
}

struct Want {
    tool: usize,
    read: Read,
    /// Arguments of the call that this one varies.
    varies: Map<String, Json>,
}

/// From this score on a tool is meant.
const MEANT: f64 = 0.47;
/// From this score on a tool is meant if the request also gives all its required arguments.
const LIKELY: f64 = 0.28;
/// A part of a request must be this clear to count as a request of its own.
const CLEAR: f64 = 0.5;
/// What an explicit request for a change adds to its tool's score.
const ASKED: f64 = 0.3;
/// How many pending questions are looked back through.
const QUESTIONS: usize = 3;
/// Tools tried for one missing argument.
const HELPERS: usize = 2;

impl<'a> Desk<'a> {
    pub(super) fn new(call: &'a Call) -> Desk<'a> {
        let box_ = Toolbox::open(&call.tools);
        Desk {
            box_,
            turns: turns(&call.messages),
            facts: facts(&call.system),
            choice: &call.tool_choice,
        }
    }

    pub(super) fn plan(&self) -> Plan {
        match self.turns.len() {
            0 => Plan::Nothing,
            n => self.plan_turn(n - 1, QUESTIONS),
        }
    }

    fn plan_turn(&self, at: usize, depth: usize) -> Plan {
        let request = self.request(at, depth);
        let whole = read(&request);
        let wants = self.wants(at, &whole);
        if wants.is_empty() {
            return self.without(at, &whole);
        }
        let mut calls: Vec<(usize, Map<String, Json>)> = Vec::new();
        let mut asked = None;
        for want in &wants {
            match self.step(at, want) {
                Plan::Calls(more) => calls.extend(more),
                Plan::Answer => {}
                other => asked = asked.or(Some(other)),
            }
        }
        dedup(&mut calls);
        let done = !self.turns[at].done.is_empty();
        match (calls.is_empty(), asked) {
            (false, _) => Plan::Calls(calls),
            (true, Some(Plan::Ask { .. } | Plan::AlreadyDone(_)))
                if done && self.failed_last(at) =>
            {
                Plan::Answer
            }
            (true, Some(other)) => other,
            (true, None) => Plan::Answer,
        }
    }

    fn failed_last(&self, at: usize) -> bool {
        self.turns[at].done.last().is_some_and(|d| d.failed)
    }

    /// The request of a turn, joined with the one before if it answers a question about that.
    pub(super) fn request(&self, at: usize, depth: usize) -> String {
        let own = self.turns[at].request.clone();
        let Some(before) = at.checked_sub(1).filter(|_| depth > 0) else { return own };
        if !self.turns[before].done.is_empty() && !self.turns[before].done.iter().all(|d| !d.failed)
        {
            return own;
        }
        let text = read(&own);
        if verbs::refuses(&text.tokens) {
            return own;
        }
        if self.box_.rank(&text, &[]).first().is_some_and(|(_, s)| *s >= CLEAR) {
            return own;
        }
        let Plan::Ask { tool, missing } = self.plan_turn(before, depth - 1) else { return own };
        let short = text.tokens.len() <= 8;
        let label = missing
            .first()
            .map(|m| label(&self.box_.tools[tool].params[*m].name))
            .unwrap_or_default();
        let earlier = self.request(before, depth - 1);
        let earlier = earlier.trim_end_matches(['.', '!', '?']);
        if short { format!("{earlier}, {label} {own}") } else { format!("{earlier}. {own}") }
    }

    fn wants(&self, at: usize, whole: &Read) -> Vec<Want> {
        if let Some(tool) = self.forced(at, whole) {
            return vec![Want { tool, read: whole.clone(), varies: Map::new() }];
        }
        let parts = self.parts(at, whole);
        if parts.len() > 1 {
            return parts;
        }
        let repeat = self.again(at, whole);
        let best = self.best(at, whole, MEANT).map(|tool| match &repeat {
            Some((last, input)) if *last == tool => (tool, input.clone()),
            _ => (tool, Map::new()),
        });
        let want = best.or(repeat);
        want.map(|(tool, varies)| vec![Want { tool, read: whole.clone(), varies }])
            .unwrap_or_default()
    }

    /// The tool that the client demands, as long as this turn has no result yet.
    fn forced(&self, at: usize, whole: &Read) -> Option<usize> {
        if !self.turns[at].done.is_empty() {
            return None;
        }
        match self.choice {
            ToolChoice::Auto => None,
            ToolChoice::Tool(name) => self.box_.tools.iter().position(|t| t.tool.name == *name),
            ToolChoice::Any => {
                let ranked = self.box_.rank(whole, &self.context(at, whole));
                let safe = ranked.iter().find(|(i, _)| self.allowed(*i, &whole.tokens));
                safe.or(ranked.first()).map(|(i, _)| *i)
            }
        }
    }

    fn allowed(&self, tool: usize, words: &[Token]) -> bool {
        let known = &self.box_.tools[tool];
        known.class != Class::Write || asks(words, known.tool)
    }

    /// The best tool that is meant and allowed; an asked change goes before a look.
    fn best(&self, at: usize, words: &Read, least: f64) -> Option<usize> {
        let context = self.context(at, words);
        let lift = |(i, s): (usize, f64)| {
            let write = self.box_.tools[i].class == Class::Write;
            (i, if write && asks(&words.tokens, self.box_.tools[i].tool) { s + ASKED } else { s })
        };
        let ranked = self.box_.rank(words, &context).into_iter().map(lift);
        let fits = ranked.filter(|(i, s)| {
            let likely = *s >= LIKELY && least <= MEANT && self.complete(*i, words);
            self.allowed(*i, &words.tokens) && (*s >= least || likely)
        });
        let best =
            fits.fold(
                None,
                |best: Option<(usize, f64)>, x| {
                    if best.is_none_or(|b| x.1 > b.1 + 1e-9) { Some(x) } else { best }
                },
            );
        best.map(|(i, _)| i)
    }

    /// Whether the words give everything that the tool needs.
    fn complete(&self, tool: usize, words: &Read) -> bool {
        let filled = fill(&self.box_.tools[tool], words);
        filled.missing.is_empty() && !filled.input.is_empty()
    }

    /// "And in Rome?": the look of the turn before, with another value.
    fn again(&self, at: usize, words: &Read) -> Option<(usize, Map<String, Json>)> {
        if !elliptic(words) || words.tokens.len() > 8 {
            return None;
        }
        let last = self.turns.get(at.checked_sub(1)?)?.done.iter().rev().find(|d| !d.failed)?;
        let tool = self.box_.tools.iter().position(|t| t.tool.name == last.tool)?;
        let filled = fill(&self.box_.tools[tool], words);
        let pronoun = words.tokens.iter().any(|t| t.is(&["it", "its", "that"]));
        let look =
            self.box_.tools[tool].class != Class::Write && (!filled.used.is_empty() || pronoun);
        look.then(|| (tool, last.input.as_object().cloned().unwrap_or_default()))
    }

    /// Words of the turn before, for requests that lean on it.
    fn context(&self, at: usize, words: &Read) -> Vec<String> {
        let Some(before) = at.checked_sub(1).filter(|_| elliptic(words)) else { return Vec::new() };
        super::schema::content(&self.request(before, 1))
    }

    /// Parts of the request that are requests of their own.
    fn parts(&self, at: usize, whole: &Read) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for (from, to) in segments(&whole.tokens) {
            let text = &whole.text[whole.tokens[from].start..whole.tokens[to - 1].end];
            let part = read(text);
            let Some(tool) = self.best(at, &part, CLEAR) else { continue };
            let known = &self.box_.tools[tool];
            let filled = fill(known, &part);
            let own =
                filled.missing.is_empty() && (!filled.used.is_empty() || !filled.input.is_empty());
            if own
                && !wants
                    .iter()
                    .any(|w| w.tool == tool && fill(known, &w.read).input == filled.input)
            {
                wants.push(Want { tool, read: part, varies: Map::new() });
            }
        }
        wants
    }

    fn step(&self, at: usize, want: &Want) -> Plan {
        let known = &self.box_.tools[want.tool];
        let turn = &self.turns[at];
        let mut filled = fill(known, &want.read);
        for (name, value) in &want.varies {
            filled.input.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self.recall(at, known, &mut filled);
        let forced = *self.choice == ToolChoice::Any || matches!(self.choice, ToolChoice::Tool(_));
        let insists = forced && turn.done.is_empty();
        if !filled.missing.is_empty() && !insists {
            let stuck = turn.done.iter().any(|d| d.tool == known.tool.name);
            if stuck {
                return Plan::Answer;
            }
            let helper = self.helper(at, want, &filled);
            return helper.unwrap_or(Plan::Ask { tool: want.tool, missing: filled.missing });
        }
        if let Some(refused) =
            turn.done.iter().rev().find(|d| d.tool == known.tool.name && d.failed)
        {
            return self.opened(at, want, refused);
        }
        let mut calls = fill::siblings(known, &want.read, &filled);
        if calls.len() == 1 && turn.done.is_empty() {
            calls = repeats(known, &want.read, &filled).unwrap_or(calls);
        }
        calls.retain(|input| {
            !turn
                .done
                .iter()
                .any(|d| d.tool == known.tool.name && d.input == Json::Object(input.clone()))
        });
        let before = calls.len();
        calls.retain(|input| !self.repeats(at, known, input, &want.read));
        match (calls.is_empty(), before) {
            (false, _) => Plan::Calls(calls.into_iter().map(|c| (want.tool, c)).collect()),
            (true, 0) => Plan::Answer,
            (true, _) => Plan::AlreadyDone(want.tool),
        }
    }

    /// Whether a change with these arguments has been made before and is not asked for anew.
    fn repeats(
        &self,
        at: usize,
        known: &Known<'_>,
        input: &Map<String, Json>,
        words: &Read,
    ) -> bool {
        let anew = words
            .tokens
            .iter()
            .any(|t| t.is(&["again", "another", "repeat", "anew", "retry", "twice", "once"]));
        let same = |d: &Done| {
            d.tool == known.tool.name && !d.failed && same_target(known, &d.input, input)
        };
        known.class == Class::Write
            && !anew
            && self.turns[..at].iter().flat_map(|t| &t.done).any(same)
    }

    /// Completes arguments from results, attributes and earlier turns, newest first.
    fn recall(&self, at: usize, known: &Known<'_>, filled: &mut Filled) {
        for param in &known.params {
            if filled.input.contains_key(&param.name)
                || !(param.required || param.role == Role::Prose)
            {
                continue;
            }
            let told =
                self.turns[at].done.iter().rev().find_map(|d| found(known, param.name.as_str(), d));
            let value = match param.required {
                true => told
                    .or_else(|| self.fact(known, &param.name))
                    .or_else(|| self.earlier(at, known, &param.name)),
                false => None,
            };
            if let Some(value) = value.or_else(|| param.default.clone().filter(|_| param.required))
            {
                filled.input.insert(param.name.clone(), value);
            }
        }
        fill::missing(known, filled);
    }

    fn fact(&self, known: &Known<'_>, name: &str) -> Option<Json> {
        let param = known.params.iter().find(|p| p.name == name)?;
        // A sentence of the instructions is nobody's reason or message.
        if param.role == Role::Prose {
            return None;
        }
        let by = |key: &str| key_match(param, &[key.to_owned()], "") >= 0.9;
        let (_, text) = self.facts.iter().find(|(key, _)| by(key))?;
        typed(param.kind, &Json::from(text.as_str()))
    }

    fn earlier(&self, at: usize, known: &Known<'_>, name: &str) -> Option<Json> {
        let index = known.params.iter().position(|p| p.name == name)?;
        self.turns[..at].iter().rev().find_map(|turn| {
            let done = turn.done.iter().rev().find_map(|d| found(known, name, d));
            done.or_else(|| {
                let words = read(&turn.request);
                let filled = fill(known, &words);
                let named = filled.used.iter().any(|(p, _)| *p == index);
                filled
                    .input
                    .get(name)
                    .filter(|_| named && known.params[index].role == Role::Id)
                    .cloned()
            })
        })
    }

    /// A look that may bring what is missing, about the same thing.
    fn helper(&self, at: usize, want: &Want, filled: &Filled) -> Option<Plan> {
        let known = &self.box_.tools[want.tool];
        let tried = self.turns[at].done.iter().filter(|d| d.tool != known.tool.name).count();
        let lacks: Vec<_> = filled
            .missing
            .iter()
            .map(|m| &known.params[*m])
            .filter(|p| p.role != Role::Prose)
            .collect();
        if lacks.is_empty() || tried >= HELPERS {
            return None;
        }
        let mut best: Option<(f64, usize, Map<String, Json>)> = None;
        for (i, other) in self.box_.tools.iter().enumerate() {
            if i == want.tool
                || other.class != Class::Read
                || self.turns[at].done.iter().any(|d| d.tool == other.tool.name)
            {
                continue;
            }
            let mut given = fill(other, &want.read);
            carry(other, known, &filled.input, &mut given);
            self.recall(at, other, &mut given);
            let shared = other
                .params
                .iter()
                .filter(|p| known.params.iter().any(|k| k.words == p.words))
                .count();
            if !given.missing.is_empty() || shared == 0 {
                continue;
            }
            let brings = lacks
                .iter()
                .flat_map(|p| &p.words)
                .filter(|w| other.about.iter().any(|a| is_kin(a, w)))
                .count();
            let object = known
                .params
                .iter()
                .flat_map(|p| &p.words)
                .filter(|w| other.name.contains(w))
                .count();
            let apart = other
                .name
                .iter()
                .filter(|n| !known.params.iter().any(|p| p.words.contains(n)))
                .count();
            let score = f64::from(u32::try_from(2 * brings + 2 * object).unwrap_or(0))
                - 0.5 * f64::from(u32::try_from(apart).unwrap_or(0));
            if best.as_ref().is_none_or(|(s, ..)| score > *s) && brings + object > 0 {
                best = Some((score, i, given.input));
            }
        }
        best.map(|(_, i, input)| Plan::Calls(vec![(i, input)]))
    }

    /// A refusal that names another tool, or its words, opens that tool for the same request.
    fn opened(&self, at: usize, want: &Want, refused: &Done) -> Plan {
        let text = text_of(&refused.result);
        let said = super::schema::content(&text);
        let turn = &self.turns[at];
        let mut candidates = self.box_.tools.iter().enumerate().filter(|(i, other)| {
            let fresh = *i != want.tool && !turn.done.iter().any(|d| d.tool == other.tool.name);
            let (_, own) = verbs::own_name(&other.tool.name);
            let named = text.contains(&other.tool.name) || text.contains(own);
            let told = other.name.len() > 1
                && other.name.iter().filter(|n| !verbs::is_verb(n)).all(|n| said.contains(n))
                && other.name.iter().any(|n| {
                    !self.box_.tools[want.tool].name.contains(n)
                        && said.contains(n)
                        && !verbs::is_verb(n)
                });
            fresh && (named || told) && self.allowed(*i, &want.read.tokens)
        });
        let known = &self.box_.tools[want.tool];
        let Some((i, other)) = candidates.next() else { return Plan::Answer };
        let mut given = fill(other, &want.read);
        let input = refused.input.as_object().cloned().unwrap_or_default();
        carry(other, known, &input, &mut given);
        self.recall(at, other, &mut given);
        match given.missing.is_empty() {
            true => Plan::Calls(vec![(i, given.input)]),
            false => Plan::Ask { tool: i, missing: given.missing },
        }
    }

    fn without(&self, at: usize, whole: &Read) -> Plan {
        if !self.turns[at].done.is_empty() {
            return Plan::Answer;
        }
        let ranked = self.box_.rank(whole, &[]);
        let held = ranked.iter().find(|(i, s)| *s >= MEANT && !self.allowed(*i, &whole.tokens));
        held.map_or(Plan::Nothing, |(i, _)| Plan::NotAsked(*i))
    }
}

/// Arguments of one tool that another has under the same name go along, and win.
fn carry(to: &Known<'_>, from: &Known<'_>, input: &Map<String, Json>, given: &mut Filled) {
    for param in &to.params {
        let same =
            from.params.iter().find(|p| p.words == param.words).and_then(|p| input.get(&p.name));
        if let Some(value) = same.and_then(|v| typed(param.kind, v)) {
            given.input.insert(param.name.clone(), value);
        }
    }
    fill::missing(to, given);
}

/// Two changes of one thing: the same required ids, or the same arguments altogether.
fn same_target(known: &Known<'_>, before: &Json, now: &Map<String, Json>) -> bool {
    let ids: Vec<&str> = known
        .params
        .iter()
        .filter(|p| p.required && p.role == Role::Id)
        .map(|p| p.name.as_str())
        .collect();
    if ids.is_empty() {
        *before == Json::Object(now.clone())
    } else {
        ids.iter().all(|id| before.get(id) == now.get(*id))
    }
}

/// A parameter's value in a finished call: its result by key, then its arguments.
fn found(known: &Known<'_>, name: &str, done: &Done) -> Option<Json> {
    let param = known.params.iter().find(|p| p.name == name)?;
    let (_, own) = verbs::own_name(&done.tool);
    let mut best: Option<(f64, Json)> = None;
    let sources = [&done.input, &done.result];
    for (path, value) in sources.iter().flat_map(|s| leaves(s)) {
        let fit = key_match(param, &path, own);
        if let Some(value) = typed(param.kind, value)
            .filter(|_| fit > 0.0 && best.as_ref().is_none_or(|(b, _)| fit > *b))
        {
            best = Some((fit, value));
        }
    }
    best.map(|(_, v)| v)
}

/// A value in the parameter's type, if it can be one.
fn typed(kind: Type, value: &Json) -> Option<Json> {
    let number = || match value {
        Json::Number(_) => Some(value.clone()),
        Json::String(s) => super::number::Number::parse(s).map(|n| n.json()),
        _ => None,
    };
    match kind {
        Type::Integer => number().filter(|n| n.as_i64().is_some()),
        Type::Number => number(),
        Type::Boolean => value.as_bool().map(Json::from),
        Type::Text => match value {
            Json::String(_) => Some(value.clone()),
            Json::Number(n) => Some(n.to_string().into()),
            _ => None,
        },
        Type::Array => value.is_array().then(|| value.clone()),
        Type::Object => value.is_object().then(|| value.clone()),
    }
}

pub(super) fn text_of(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn label(name: &str) -> String {
    split_name(name).join(" ")
}

fn dedup(calls: &mut Vec<(usize, Map<String, Json>)>) {
    let mut seen: Vec<(usize, Map<String, Json>)> = Vec::new();
    for call in calls.drain(..) {
        if !seen.contains(&call) {
            seen.push(call);
        }
    }
    *calls = seen;
}

/// Whether a request leans on what was said before.
fn elliptic(words: &Read) -> bool {
    const LEANS: &[&str] =
        &["it", "its", "it's", "that", "this", "them", "they", "one", "same", "there", "those"];
    // "Hello there" points at nobody but the listener.
    let greeted = words.tokens.first().is_some_and(|t| t.is(&["hello", "hi", "hey"]));
    let starts = words.tokens.first().is_some_and(|t| t.is(&["and", "also", "then", "now"]))
        || words
            .tokens
            .windows(2)
            .next()
            .is_some_and(|w| w[0].is(&["what", "how"]) && w[1].is(&["about"]));
    let leans = |t: &Token| t.is(LEANS) && !(greeted && t.is(&["there"]));
    starts || words.tokens.iter().any(leans)
}

/// Token ranges between sentence ends and before verbs that follow "and", "then" or a comma.
fn segments(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut from = 0;
    for i in 0..=tokens.len() {
        let ends = i == tokens.len() || tokens[i].is_mark(".!?;");
        let next = tokens.get(i + 1);
        let begins = |t: &Token| {
            verbs::is_verb(&stem(&t.text))
                || t.is(&["what", "where", "how", "when", "who", "also", "then", "please"])
        };
        let joins = !ends
            && (tokens[i].is(&["and", "then", "also"]) || tokens[i].is_mark(","))
            && next.is_some_and(begins);
        if ends || joins {
            if i > from {
                out.push((from, i));
            }
            from = i + 1;
        }
    }
    out
}

/// `key: value`, `key = value` and `<key>value</key>` lines of the system text, and its JSON.
fn facts(system: &[String]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for line in system.iter().flat_map(|s| s.lines()) {
        let line = line.trim().trim_start_matches(['-', '*', ' ']);
        if line.len() > 400 {
            continue;
        }
        if let Ok(Json::Object(map)) = serde_json::from_str::<Json>(line) {
            out.extend(
                map.iter()
                    .filter(|(_, v)| !v.is_object() && !v.is_array())
                    .map(|(k, v)| (k.clone(), text_of(v))),
            );
        } else if let Some((key, value)) =
            tagged(line).or_else(|| line.split_once(": ")).or_else(|| line.split_once('='))
        {
            let key = key.trim().trim_matches(['"', '`', '\'']);
            let short = !key.is_empty() && key.len() <= 40 && key.split(' ').count() <= 3;
            if short && !value.trim().is_empty() {
                out.insert(
                    key.to_owned(),
                    value.trim().trim_matches(['"', '`', '\'', ',']).to_owned(),
                );
            }
        }
    }
    out
}

fn tagged(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.strip_prefix('<')?.split_once('>')?;
    Some((key, rest.strip_suffix(&format!("</{key}>"))?))
}
