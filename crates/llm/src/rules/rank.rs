//! Ranking: which tool the user's words mean, if any.
//!
//! A word weighs the more the fewer of the given tools have it. A tool's score is how much of its
//! name the request covers, and how much of the request the tool explains. Both are needed: the
//! first alone takes every tool with a common name, the second every talkative description.

use std::collections::BTreeMap;

use wire::converse::Tool;

use super::schema::{self, Param};
use super::spans::{Read, Shape};
use super::verbs::{self, Class};
use super::words::{Kind, Token, is_stop, kinship, split_name, stem};

#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) tool: &'a Tool,
    pub(super) class: Class,
    pub(super) params: Vec<Param>,
    /// Stems of the name.
    pub(super) name: Vec<String>,
    /// Stems of the description.
    pub(super) about: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Toolbox<'a> {
    pub(super) tools: Vec<Known<'a>>,
    /// In how many tools a stem occurs.
    spread: BTreeMap<String, usize>,
}

/// The weight of a word from the turn before.
const CONTEXT: f64 = 0.35;

/// For a request that says nothing but words of the tool's name.
const SOLE: f64 = 0.1;

/// Stems that say little about what a tool is for.
const GENERIC: &[&str] = &[
    "calculat", "comput", "find", "get", "search", "data", "informat", "info", "detail", "valu",
    "number", "specific", "funct", "tool", "result", "return", "retriev", "fetch", "provid",
    "list", "nam", "typ", "check", "show", "giv", "tell", "determin", "process", "request",
    "generat", "mak", "lookup", "look", "api", "creat", "help", "know", "obtain", "current", "tim",
];

impl<'a> Toolbox<'a> {
    pub(super) fn open(tools: &'a [Tool]) -> Toolbox<'a> {
        let mut tools: Vec<Known<'a>> = tools.iter().map(known).collect();
        share_examples(&mut tools);
        let mut spread = BTreeMap::new();
        for tool in &tools {
            let mut stems: Vec<&String> = tool.name.iter().chain(&tool.about).collect();
            stems.sort();
            stems.dedup();
            for s in stems {
                *spread.entry(s.clone()).or_insert(0) += 1;
            }
        }
        Toolbox { tools, spread }
    }

    /// Inverse frequency over the tools, low for words that say little anywhere.
    #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
    fn weight(&self, stem: &str) -> f64 {
        let all = self.tools.len() as f64;
        let with = self.spread.get(stem).copied().unwrap_or(1) as f64;
        let rarity = ((1.0 + all) / with).ln() / (1.0 + all).ln();
        if GENERIC.contains(&stem) { 0.15 * rarity } else { rarity }
    }

    /// Scores of all tools for some words, best first; ties keep the order of the tools.
    /// `context` are stems of what was said before; they count for less.
    pub(super) fn rank(&self, read: &Read, context: &[String]) -> Vec<(usize, f64)> {
        let mut words = asked(read);
        words.extend(context.iter().map(|w| (w.clone(), CONTEXT)));
        let mut scores: Vec<(usize, f64)> =
            self.tools.iter().enumerate().map(|(i, tool)| (i, self.score(tool, &words))).collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        scores
    }

    fn score(&self, tool: &Known<'_>, words: &[(String, f64)]) -> f64 {
        let has = |stem: &String| {
            words
                .iter()
                .map(|(w, v)| kinship(w, stem) * if *v == CONTEXT { 0.7 } else { 1.0 })
                .fold(0.0, f64::max)
        };
        let covers = |stems: &[String]| {
            let total: f64 = stems.iter().map(|s| self.weight(s)).sum();
            let hit: f64 = stems.iter().map(|s| self.weight(s) * has(s)).sum();
            if total > 0.0 { hit / total } else { 0.0 }
        };
        let total: f64 = words.iter().map(|(w, v)| self.weight(w) * v).sum();
        let explained: f64 =
            words.iter().map(|(w, v)| self.weight(w) * v * explains(tool, w)).sum();
        let query = if total > 0.0 { explained / total } else { 0.0 };
        // "What time is it?" has one common word, and it is the tool's name.
        let nothing_else = !words.is_empty() && words.iter().all(|(w, _)| tool.name.contains(w));
        let sole = if nothing_else { SOLE } else { 0.0 };
        0.45 * covers(&tool.name) + 0.2 * covers(&tool.about) + 0.35 * query + sole
    }
}

/// How much of a word a tool accounts for.
fn explains(tool: &Known<'_>, word: &str) -> f64 {
    let best = |stems: &[String]| stems.iter().map(|s| kinship(word, s)).fold(0.0, f64::max);
    let params = tool
        .params
        .iter()
        .map(|p| (0.8 * best(&p.words)).max(0.6 * best(&p.about)).max(0.6 * best(&p.values)))
        .fold(0.0, f64::max);
    best(&tool.name).max(0.9 * best(&tool.about)).max(params)
}

/// The content words of a request with their weight; values (names, quotes) count little.
fn asked(read: &Read) -> Vec<(String, f64)> {
    let mut out: Vec<(String, f64)> = Vec::new();
    for (i, token) in read.tokens.iter().enumerate() {
        if !token.is_content() {
            continue;
        }
        let value = read.spans.iter().any(|s| s.from <= i && i < s.to && s.shape != Shape::Phrase);
        for part in parts(token) {
            let s = stem(&part);
            if !is_stop(&part) && !out.iter().any(|(w, _)| *w == s) {
                out.push((s, if value { 0.25 } else { 1.0 }));
            }
        }
    }
    out
}

/// An example of an id holds for every tool that takes an id of that name.
fn share_examples(tools: &mut [Known<'_>]) {
    let told = tools.iter().flat_map(|t| &t.params);
    let told: Vec<(String, String)> =
        told.filter_map(|p| Some((p.name.clone(), p.prefix.clone()?))).collect();
    for param in tools.iter_mut().flat_map(|t| &mut t.params).filter(|p| p.prefix.is_none()) {
        param.prefix = told.iter().find(|(name, _)| *name == param.name).map(|(_, p)| p.clone());
    }
}

fn parts(token: &Token) -> Vec<String> {
    if token.kind == Kind::Word { split_name(&token.text) } else { Vec::new() }
}

pub(super) fn known(tool: &Tool) -> Known<'_> {
    let (_, own) = verbs::own_name(&tool.name);
    let params = schema::params(&tool.schema);
    // Names made from a path end with its parameter: `get_orders_orderId`.
    let path = params.iter().filter(|p| p.role == schema::Role::Id);
    let own = path.fold(own, |own, p| own.strip_suffix(&p.name).unwrap_or(own));
    let mut name: Vec<String> = Vec::new();
    for word in split_name(own) {
        let s = stem(&word);
        if !is_stop(&word) && !name.contains(&s) {
            name.push(s);
        }
    }
    Known {
        tool,
        class: verbs::class(tool),
        params,
        name,
        about: schema::content(&tool.description),
    }
}
