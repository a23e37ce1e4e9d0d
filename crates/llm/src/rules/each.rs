//! Each: one change for every member of a list ("cancel all my open orders").
//!
//! The list is the result of a look in this turn, or, for "both of them", in the turn before. Where
//! there is none yet, the look that lists such things comes first. INVARIANT: every word by which the
//! user narrows the list must be one that the look takes; else nothing is done to any member.

use std::ops::RangeInclusive;

use serde_json::{Map, Value as Json};

use super::convo::{Done, leaves};
use super::fill::{Filled, fill, key_match};
use super::plan::{Desk, Plan, Want};
use super::rank::Known;
use super::recall::typed;
use super::schema::{Param, Role, content};
use super::spans::Read;
use super::verbs::{self, Class};
use super::words::{Kind, Token, is_kin};

/// Calls from one list. Who means more of them means a batch job.
const MEMBERS: usize = 20;

const QUANTIFIERS: &[&str] = &["all", "each", "every", "both"];

impl Desk<'_> {
    /// What to do where the one thing that a request lacks is named as "all", "each" or "both".
    pub(super) fn each(&self, at: usize, want: &Want, filled: &Filled) -> Option<Plan> {
        let known = &self.box_.tools[want.tool];
        let [missing] = filled.missing.as_slice() else { return None };
        let param = &known.params[*missing];
        let said = want.read.tokens.iter().position(|t| t.is(QUANTIFIERS))?;
        if param.role != Role::Id {
            return None;
        }
        let narrowing = narrowing(&want.read, known, filled);
        // Who names the things anew means the list as it is now, not as it was told before.
        let anew = want.read.tokens[said..].iter().any(|t| param.words.contains(&t.stem));
        let from = if anew { at } else { at.saturating_sub(1) };
        let ask = || Some(Plan::Ask { tool: want.tool, missing: filled.missing.clone() });
        let Some((values, look)) = self.members(from..=at, param) else {
            return self.list(at, want, param, &narrowing).or_else(ask);
        };
        let two = !want.read.tokens[said].is(&["both"]) || values.len() == 2;
        if values.len() > MEMBERS || !two || !told(&narrowing, look) {
            return ask();
        }
        let call = |value: Json| {
            let mut input = filled.input.clone();
            input.insert(param.name.clone(), value);
            (want.tool, input)
        };
        let mut calls: Vec<(usize, Map<String, Json>)> = values.into_iter().map(call).collect();
        let made = |d: &Done, input: &Map<String, Json>| {
            d.tool == known.tool.name && d.input == Json::Object(input.clone())
        };
        let all = || self.turns[..=at].iter().flat_map(|t| &t.done);
        calls.retain(|(_, input)| !all().any(|d| made(d, input)));
        Some(if calls.is_empty() { Plan::Answer } else { Plan::Calls(calls) })
    }

    /// The newest list with such values, and the look that brought it.
    fn members(&self, turns: RangeInclusive<usize>, param: &Param) -> Option<(Vec<Json>, &Done)> {
        let looks = self.turns[turns].iter().rev().flat_map(|t| t.done.iter().rev());
        looks.filter(|d| !d.failed && d.result != Json::Null).find_map(|done| {
            let (_, own) = verbs::own_name(&done.tool);
            let mut values: Vec<Json> = Vec::new();
            for leaf in leaves(&done.result) {
                let value = typed(param.kind, leaf.value).filter(|v| !values.contains(v));
                values.extend(value.filter(|_| key_match(param, &leaf.path, own) >= 0.9));
            }
            let looked =
                self.box_.tools.iter().any(|t| t.tool.name == done.tool && t.class == Class::Read);
            (looked && !values.is_empty()).then_some((values, done))
        })
    }

    /// The look that lists what is meant.
    fn list(&self, at: usize, want: &Want, param: &Param, narrowing: &[String]) -> Option<Plan> {
        let ranked = self.box_.rank(&want.read, &[]);
        ranked.into_iter().find_map(|(i, _)| {
            let other = &self.box_.tools[i];
            let about = other.name.iter().any(|n| param.words.iter().any(|w| w == n));
            let given = fill(other, &want.read);
            let look = Done {
                tool: other.tool.name.clone(),
                input: Json::Object(given.input.clone()),
                result: Json::Null,
                failed: false,
            };
            let fresh = !self.turns[at].done.iter().any(|d| d.tool == look.tool);
            // What the change itself says ("cancel") is no filter ("cancelled").
            let filters = given.input.values().filter_map(Json::as_str).flat_map(content);
            let meant = filters.into_iter().all(|f| narrowing.iter().any(|n| is_kin(n, &f)));
            let fits =
                meant && other.class == Class::Read && about && fresh && given.missing.is_empty();
            (fits && told(narrowing, &look)).then(|| Plan::Calls(vec![(i, given.input)]))
        })
    }
}

/// The words of the request that the change itself does not account for: "open" in "cancel all my open
/// orders".
fn narrowing(words: &Read, known: &Known<'_>, filled: &Filled) -> Vec<String> {
    let given = filled.input.values().filter_map(Json::as_str).flat_map(content);
    let given: Vec<String> = given.collect();
    let own = known.params.iter().flat_map(|p| &p.words).chain(&known.name).chain(&given);
    let own: Vec<&String> = own.collect();
    let says = |t: &&Token| {
        t.is_content() && !t.is(QUANTIFIERS) || matches!(t.kind, Kind::Number | Kind::Quoted)
    };
    let left = words.tokens.iter().filter(says).filter(|t| !own.iter().any(|w| is_kin(w, &t.stem)));
    left.filter(|t| !verbs::READ.contains(&t.stem.as_str())).map(|t| t.stem.clone()).collect()
}

/// Whether the look was given each narrowing word.
fn told(narrowing: &[String], look: &Done) -> bool {
    let input = look.input.as_object();
    let values = input.into_iter().flat_map(Map::values).filter_map(Json::as_str);
    let given: Vec<String> = values.flat_map(content).collect();
    let name = content(&look.tool);
    narrowing.iter().all(|word| given.iter().chain(&name).any(|g| is_kin(g, word)))
}
