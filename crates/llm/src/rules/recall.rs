//! Recalling: arguments that the request leaves out, from what is known already.
//!
//! Results and arguments of earlier calls by key, attributes of the system text, defaults; and a look
//! that may bring what is still missing. A value comes as it stands there: nothing is reckoned.
//! INVARIANT: it comes from what is said of the same thing (`belongs`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::belongs::{self, Belongs, Thing};
use super::choose::elliptic;
use super::convo::Done;
use super::fill::{self, Filled, fill, key_match};
use super::plan::{Desk, Plan, Want, text_of};
use super::rank::Known;
use super::schema::{Param, Role, Type};
use super::spans::read;
use super::verbs::{self, Class};
use super::words::{is_kin, tokens};

/// Tools tried for one missing argument.
const HELPERS: usize = 2;

impl Desk<'_> {
    /// Completes arguments from results, attributes and earlier turns, newest first.
    ///
    /// What says which thing is meant comes before what is said of it, which must be that thing's.
    pub(super) fn recall(&self, at: usize, known: &Known<'_>, filled: &mut Filled) {
        let leans = elliptic(&tokens(&self.turns[at].request));
        let (first, then): (Vec<_>, Vec<_>) = known.params.iter().partition(|p| belongs::names(p));
        for param in first.into_iter().chain(then) {
            if filled.input.contains_key(&param.name) || !param.required {
                continue;
            }
            let thing = Thing { known, given: &filled.input, leans };
            let told = self.turns[at].done.iter().rev().find_map(|d| found(&thing, param, d));
            let value = told
                .or_else(|| self.fact(&thing, param))
                .or_else(|| self.earlier(at, &thing, param))
                .or_else(|| param.default.clone());
            if let Some(value) = value {
                filled.input.insert(param.name.clone(), value);
            }
        }
        fill::missing(known, filled);
    }

    fn fact(&self, thing: &Thing<'_>, param: &Param) -> Option<Json> {
        // A sentence of the instructions is nobody's reason or message.
        if param.role == Role::Prose {
            return None;
        }
        let value = |param: &Param| {
            let by = |key: &str| key_match(param, &[key.to_owned()], "") >= 0.9;
            let (_, text) = self.facts.iter().find(|(key, _)| by(key))?;
            typed(param.kind, &Json::from(text.as_str()))
        };
        let ids = thing.known.params.iter().filter(|p| p.role == Role::Id);
        let mut both = ids.filter_map(|p| Some((p, thing.given.get(&p.name)?, value(p)?)));
        let others = !belongs::names(param) && both.any(|(p, a, b)| !belongs::same(p, a, &b));
        value(param).filter(|_| !others)
    }

    fn earlier(&self, at: usize, thing: &Thing<'_>, param: &Param) -> Option<Json> {
        self.turns[..at].iter().rev().find_map(|turn| {
            let done = turn.done.iter().rev().find_map(|d| found(thing, param, d));
            done.or_else(|| self.named(&turn.request, thing, param))
        })
    }

    /// An id that the words of an earlier turn give.
    fn named(&self, request: &str, thing: &Thing<'_>, param: &Param) -> Option<Json> {
        if param.role != Role::Id {
            return None;
        }
        let filled = fill(thing.known, &read(request, self.today));
        filled.used.iter().find(|(p, _)| thing.known.params[*p].name == param.name)?;
        let said = Done {
            tool: thing.known.tool.name.clone(),
            input: Json::Object(filled.input),
            result: Json::Null,
            failed: false,
        };
        found(thing, param, &said)
    }

    /// A look that may bring what is missing, about the same thing.
    pub(super) fn helper(&self, at: usize, want: &Want, filled: &Filled) -> Option<Plan> {
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
            if i == want.tool || other.class != Class::Read {
                continue;
            }
            let mut given = fill(other, &want.read);
            // What the change sets is no filter of the look.
            let mut shared = filled.input.clone();
            shared.retain(|name, _| other.params.iter().any(|p| p.required && p.name == *name));
            carry(other, known, &shared, &mut given);
            self.recall(at, other, &mut given);
            let shared = other
                .params
                .iter()
                .filter(|p| known.params.iter().any(|k| k.words == p.words))
                .count();
            let looked = |d: &Done| {
                d.tool == other.tool.name && d.input == Json::Object(given.input.clone())
            };
            if !given.missing.is_empty() || shared == 0 || self.turns[at].done.iter().any(looked) {
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
}

/// Arguments of one tool that another has under the same name go along, and win.
pub(super) fn carry(
    to: &Known<'_>,
    from: &Known<'_>,
    input: &Map<String, Json>,
    given: &mut Filled,
) {
    for param in &to.params {
        let same =
            from.params.iter().find(|p| p.words == param.words).and_then(|p| input.get(&p.name));
        if let Some(value) = same.and_then(|v| typed(param.kind, v)) {
            given.input.insert(param.name.clone(), value);
        }
    }
    fill::missing(to, given);
}

/// A parameter's value in a finished call about the same thing: its result by key, then its arguments.
fn found(thing: &Thing<'_>, param: &Param, done: &Done) -> Option<Json> {
    let (_, own) = verbs::own_name(&done.tool);
    let leaves = belongs::of(done);
    let fits = leaves.iter().enumerate().filter_map(|(i, leaf)| {
        let fit = key_match(param, &leaf.path, own);
        Some((i, fit, typed(param.kind, leaf.value).filter(|_| fit > 0.0)?))
    });
    let fits: Vec<(usize, f64, Json)> = fits.collect();
    if fits.is_empty() {
        return None;
    }
    let told = thing.told(leaves, done);
    let mut best: Option<((f64, Belongs), Json)> = None;
    let mut one = true;
    for (i, fit, value) in fits {
        let rank = (fit, thing.has(param, &told, i));
        if rank.1 == Belongs::No {
            continue;
        }
        match &best {
            Some((b, v)) if rank == *b => one &= belongs::same(param, v, &value),
            Some((b, _)) if rank < *b => {}
            _ => (best, one) = (Some((rank, value)), true),
        }
    }
    // A change never picks one of several things by itself.
    let picks = thing.known.class == Class::Write && !one;
    best.filter(|_| !picks).map(|(_, v)| v)
}

/// A value in the parameter's type, if it can be one.
pub(super) fn typed(kind: Type, value: &Json) -> Option<Json> {
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

/// `key: value`, `key = value` and `<key>value</key>` lines of the system text, and its JSON.
pub(super) fn facts(system: &[String]) -> BTreeMap<String, String> {
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
