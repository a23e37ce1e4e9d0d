//! Recalling: arguments that the request leaves out, from what is known already.
//!
//! Results and arguments of earlier calls by key, attributes of the system text, defaults; and a look
//! that may bring what is still missing. A value comes as it stands there: nothing is reckoned.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::convo::{Done, leaves};
use super::fill::{self, Filled, fill, key_match};
use super::plan::{Desk, Plan, Want, text_of};
use super::rank::Known;
use super::schema::{Role, Type};
use super::spans::read;
use super::verbs::{self, Class};
use super::words::is_kin;

/// Tools tried for one missing argument.
const HELPERS: usize = 2;

impl Desk<'_> {
    /// Completes arguments from results, attributes and earlier turns, newest first.
    pub(super) fn recall(&self, at: usize, known: &Known<'_>, filled: &mut Filled) {
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
                let words = read(&turn.request, self.today);
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
            if i == want.tool
                || other.class != Class::Read
                || self.turns[at].done.iter().any(|d| d.tool == other.tool.name)
            {
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

/// A parameter's value in a finished call: its result by key, then its arguments.
pub(super) fn found(known: &Known<'_>, name: &str, done: &Done) -> Option<Json> {
    let param = known.params.iter().find(|p| p.name == name)?;
    let (_, own) = verbs::own_name(&done.tool);
    let mut best: Option<(f64, Json)> = None;
    let mut one = true;
    let sources = [&done.input, &done.result];
    for (path, value) in sources.iter().flat_map(|s| leaves(s)) {
        let fit = key_match(param, &path, own);
        let Some(value) = typed(param.kind, value).filter(|_| fit > 0.0) else { continue };
        match &best {
            Some((b, v)) if fit == *b => one &= *v == value,
            Some((b, _)) if fit < *b => {}
            _ => (best, one) = (Some((fit, value)), true),
        }
    }
    // A change never picks one of several things by itself.
    let picks = known.class == Class::Write && param.role == Role::Id && !one;
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
