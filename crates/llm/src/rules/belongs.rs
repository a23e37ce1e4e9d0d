//! Belonging: whether what a finished call says is said of the thing that the present call is about.
//!
//! `recall` asks before it takes a value. A finished call and its result are one thing, except that the
//! members of a list are each their own. INVARIANT: a value beside another id, or with nothing beside
//! it that names the thing where it counts something, is never taken.

use serde_json::{Map, Value as Json};

use super::convo::{Done, Leaf, leaves};
use super::fill::key_match;
use super::rank::Known;
use super::schema::{Param, Role, Type, letters};
use super::verbs::{self, Class};

/// From this match on a key of a result names the argument itself.
const KEY: f64 = 0.9;

/// The present call, as far as its arguments are known.
pub(super) struct Thing<'a> {
    pub(super) known: &'a Known<'a>,
    pub(super) given: &'a Map<String, Json>,
    /// Whether the user points back ("it"): then a name that differs is one that is to be changed.
    pub(super) leans: bool,
}

/// A finished call with the arguments of the present one that it has too.
pub(super) struct Told<'a> {
    pub(super) leaves: Vec<Leaf<'a>>,
    shared: Vec<Shared<'a>>,
}

/// An argument of the present call, and the leaves of the finished one that bear its key.
struct Shared<'a> {
    param: &'a Param,
    value: &'a Json,
    at: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Belongs {
    /// It is another thing's.
    No,
    /// Nothing says that it is another thing's.
    Perhaps,
    /// An id or a name beside it says so.
    Yes,
}

/// How the values under one key compare with the argument of the present call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Same,
    Mixed,
    Other,
}

impl<'a> Thing<'a> {
    pub(super) fn told(&self, leaves: Vec<Leaf<'a>>, done: &Done) -> Told<'a> {
        let (_, own) = verbs::own_name(&done.tool);
        let counts = |p: &&Param| p.role != Role::Prose;
        let shared = self.known.params.iter().filter(counts).filter_map(|param| {
            let value = self.given.get(&param.name)?;
            let fits: Vec<f64> = leaves.iter().map(|l| key_match(param, &l.path, own)).collect();
            let best = fits.iter().copied().fold(KEY, f64::max);
            let at = (0..fits.len()).filter(|i| fits[*i] >= best).collect();
            Some(Shared { param, value, at })
        });
        let shared = shared.collect();
        Told { leaves, shared }
    }

    /// Whether the leaf, as a value of the parameter, is the present thing's.
    pub(super) fn has(&self, param: &Param, told: &Told<'_>, leaf: usize) -> Belongs {
        let others = told.shared.iter().filter(|s| s.param.name != param.name);
        let compared: Vec<(&Param, Compared)> =
            others.filter_map(|s| Some((s.param, compare(told, s, leaf)?))).collect();
        let any = |of: fn(&Param) -> bool, how: Compared| {
            compared.iter().any(|(p, c)| of(p) && *c == how)
        };
        if any(is_id, Compared::Other) {
            return Belongs::No;
        }
        let names = names(param);
        if any(is_id, Compared::Mixed) {
            return if names { Belongs::Perhaps } else { Belongs::No };
        }
        if any(is_id, Compared::Same) {
            return Belongs::Yes;
        }
        let differs = match names {
            true => !self.leans && any(self::names, Compared::Other),
            false => any(|_| true, Compared::Other),
        };
        match (differs || self.unnamed(param, told, leaf), any(self::names, Compared::Same)) {
            (true, _) => Belongs::No,
            (false, true) => Belongs::Yes,
            (false, false) => Belongs::Perhaps,
        }
    }

    /// Whether nothing beside the value says the present thing's id, under whatever key, where it must: a
    /// number is for a change, or what stands there is the id of another thing of its kind.
    fn unnamed(&self, param: &Param, told: &Told<'_>, leaf: usize) -> bool {
        let leaf = &told.leaves[leaf];
        let ids: Vec<&Shared<'_>> = told.shared.iter().filter(|s| is_id(s.param)).collect();
        let beside = || told.leaves.iter().filter(|l| !std::ptr::eq(*l, leaf) && l.is_beside(leaf));
        let any = |like: fn(&Shared<'_>, &Json) -> bool| {
            beside().any(|l| ids.iter().any(|id| like(id, l.value)))
        };
        let number = matches!(param.kind, Type::Integer | Type::Number) && !is_id(param);
        let counts = number && self.known.class == Class::Write;
        let alike = |id: &Shared<'_>, other: &Json| {
            let form = |v: &Json| v.as_str().and_then(letters);
            form(other).is_some() && form(other) == form(id.value)
        };
        let said = any(|id, other| same(id.param, id.value, other));
        !ids.is_empty() && !said && (counts || any(alike))
    }
}

/// The nearest values under the key around the leaf decide; else all of the same thing.
fn compare(told: &Told<'_>, shared: &Shared<'_>, leaf: usize) -> Option<Compared> {
    let leaf = &told.leaves[leaf];
    let keys = || shared.at.iter().map(|i| &told.leaves[*i]);
    let near = keys().filter_map(|l| l.around(leaf)).max();
    let equal = |l: &Leaf<'_>| same(shared.param, shared.value, l.value);
    // The arguments and the result are told apart: neither may speak of another thing.
    let groups = [
        keys().filter(|l| near.is_some() && l.around(leaf) == near).map(equal).collect::<Vec<_>>(),
        keys()
            .filter(|l| near.is_none() && !l.is_apart(leaf) && l.source == leaf.source)
            .map(equal)
            .collect(),
        keys().filter(|l| l.source != leaf.source).map(equal).collect(),
    ];
    let one = |g: &Vec<bool>| match (g.contains(&true), g.contains(&false)) {
        (true, false) => Compared::Same,
        (true, true) => Compared::Mixed,
        (false, _) => Compared::Other,
    };
    let told: Vec<Compared> = groups.iter().filter(|g| !g.is_empty()).map(one).collect();
    [Compared::Other, Compared::Mixed, Compared::Same].into_iter().find(|c| told.contains(c))
}

fn is_id(param: &Param) -> bool {
    param.role == Role::Id
}

/// Whether a parameter says which thing is meant, rather than something about it.
pub(super) fn names(param: &Param) -> bool {
    let free = param.kind == Type::Text && param.enums.is_empty();
    let named = !matches!(param.role, Role::Prose | Role::Date | Role::Time | Role::Unit);
    is_id(param) || free && named
}

/// Ids are the same letter by letter, numbers by value, and a name may be said in part.
pub(super) fn same(param: &Param, a: &Json, b: &Json) -> bool {
    let plain = |v: &Json| match v {
        Json::String(s) => s.trim().trim_start_matches('#').to_lowercase(),
        other => other.to_string(),
    };
    let (x, y) = (plain(a), plain(b));
    let numbers = || Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?));
    let partly = !is_id(param) && names(param) && !x.is_empty() && !y.is_empty();
    x == y
        || !is_id(param) && numbers().is_some_and(|(x, y)| (x - y).abs() < f64::EPSILON)
        || partly && (x.contains(&y) || y.contains(&x))
}

/// The leaves of the arguments and of the result.
pub(super) fn of(done: &Done) -> Vec<Leaf<'_>> {
    let mut all = leaves(&done.input);
    for mut leaf in leaves(&done.result) {
        leaf.source = 1;
        all.push(leaf);
    }
    all
}
