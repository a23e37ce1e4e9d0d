//! Choosing: which tools the words of a request mean.
//!
//! `rank` gives each tool a score by words; here stand the thresholds, the request as a whole against
//! its parts, and requests that lean on the turn before. Nothing here fills or calls.

use serde_json::{Map, Value as Json};

use super::asks::{Asked, asks, only_tells};
use super::fill::fill;
use super::plan::{Desk, MEANT, Want};
use super::schema::letters;
use super::spans::{Read, Shape, Span, read};
use super::verbs::{self, Class};
use super::words::{Token, stem};

/// From this score on a tool is meant if the request also gives all its required arguments.
const LIKELY: f64 = 0.28;
/// A part of a request must be this clear to count as a request of its own.
pub(super) const CLEAR: f64 = 0.5;
/// What an explicit request for a change adds to its tool's score.
const ASKED: f64 = 0.45;
/// Below this no value makes up for the words.
const FAINT: f64 = 0.2;
/// The same for a change that is asked for.
const FAINT_ASKED: f64 = 0.12;
/// What it adds that a tool takes all values of the request.
const VALUES: f64 = 0.25;
/// For a value of the very form of a description's example, in shares of the values.
const EXEMPLARY: f64 = 1.0;
/// Places at which one sentence is tried as two requests.
const JOINTS: usize = 6;

impl Desk<'_> {
    /// Whether a tool may be called for these words: a change only if they ask for it.
    pub(super) fn allowed(&self, at: usize, tool: usize, words: &Read) -> bool {
        match self.box_.tools[tool].class {
            Class::Read => true,
            Class::Unsaid => !only_tells(&words.tokens),
            Class::Write => self.asked(at, tool, words),
        }
    }

    fn asked(&self, at: usize, tool: usize, words: &Read) -> bool {
        match asks(&words.tokens, &self.box_.tools[tool], &self.thing(at)) {
            Asked::No => false,
            Asked::Loosely => self.complete(at, tool, words),
            Asked::Plainly => true,
        }
    }

    /// What "it" can be: the words of the turn before and of the tools that it called.
    fn thing(&self, at: usize) -> Vec<String> {
        let Some(before) = at.checked_sub(1) else { return Vec::new() };
        let called = self.turns[before].done.iter().map(|d| d.tool.as_str());
        let said = [self.turns[before].request.as_str()];
        called.chain(said).flat_map(super::schema::content).collect()
    }

    /// The best tool that is meant and allowed; an asked change goes before a look.
    pub(super) fn best(&self, at: usize, words: &Read, least: f64) -> Option<usize> {
        let context = self.context(at, words);
        let mut best: Option<(usize, f64)> = None;
        for (i, score) in self.box_.rank(words, &context) {
            let write = self.box_.tools[i].class == Class::Write;
            let takes = self.takes(i, words);
            let faint = score < if write { FAINT_ASKED } else { FAINT } && takes <= 1.0;
            if faint || !self.allowed(at, i, words) {
                continue;
            }
            let score = score + if write { ASKED } else { 0.0 } + VALUES * takes;
            let likely = score >= LIKELY && least <= MEANT && self.complete(at, i, words);
            let fits = score >= least || likely;
            if fits && best.is_none_or(|(_, b)| score > b + 1e-9) {
                best = Some((i, score));
            }
        }
        best.map(|(i, _)| i)
    }

    /// The share of the values in the words (dates, ids, amounts, …) that the tool has a place for.
    fn takes(&self, tool: usize, words: &Read) -> f64 {
        let hard = words.spans.iter().filter(|s| is_hard(s)).count();
        if hard == 0 {
            return 0.0;
        }
        let known = &self.box_.tools[tool];
        let filled = fill(known, words);
        let taken = filled.used.iter().filter(|(_, s)| is_hard(s)).count();
        let alike = |(p, s): &(usize, Span)| {
            known.params[*p].prefix.is_some() && letters(&s.text) == known.params[*p].prefix
        };
        let exemplary = if filled.used.iter().any(alike) { EXEMPLARY } else { 0.0 };
        exemplary
            + f64::from(u32::try_from(taken).unwrap_or(0))
                / f64::from(u32::try_from(hard).unwrap_or(1))
    }

    /// Whether the words give everything that the tool needs.
    fn complete(&self, at: usize, tool: usize, words: &Read) -> bool {
        let mut filled = fill(&self.box_.tools[tool], words);
        if elliptic(&words.tokens) {
            self.recall(at, &self.box_.tools[tool], &mut filled);
        }
        filled.missing.is_empty() && !filled.input.is_empty()
    }

    /// "And in Rome?": the look of the turn before, with another value.
    pub(super) fn again(&self, at: usize, words: &Read) -> Option<(usize, Map<String, Json>)> {
        if !elliptic(&words.tokens) || words.tokens.len() > 8 {
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
    pub(super) fn context(&self, at: usize, words: &Read) -> Vec<String> {
        let Some(before) = at.checked_sub(1).filter(|_| elliptic(&words.tokens)) else {
            return Vec::new();
        };
        super::schema::content(&self.request(before, 1))
    }

    /// Parts of the request that are requests of their own.
    pub(super) fn parts(&self, at: usize, whole: &Read) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for (from, to) in segments(&whole.tokens) {
            let part = piece(whole, from, to);
            let found = self.halves(at, &part).or_else(|| Some(vec![self.part(at, part)?]));
            for want in found.unwrap_or_default() {
                let known = &self.box_.tools[want.tool];
                let input = fill(known, &want.read).input;
                let twice = |w: &Want| w.tool == want.tool && fill(known, &w.read).input == input;
                if !wants.iter().any(twice) {
                    wants.push(want);
                }
            }
        }
        wants
    }

    fn part(&self, at: usize, part: Read) -> Option<Want> {
        let tool = self.best(at, &part, CLEAR).or_else(|| self.best(at, &part, MEANT))?;
        let own = self.complete(at, tool, &part);
        own.then(|| Want { tool, read: part, varies: Map::new() })
    }

    /// "The weather in Bern and a forecast for Basel": two requests with one verb, where each half gives
    /// all that another tool needs.
    fn halves(&self, at: usize, part: &Read) -> Option<Vec<Want>> {
        let joint =
            |i: &usize| part.tokens[*i].is(&["and", "plus"]) || part.tokens[*i].is_mark(",");
        let joints = (1..part.tokens.len().saturating_sub(1)).filter(joint).take(JOINTS);
        joints.into_iter().find_map(|i| {
            let left = self.part(at, piece(part, 0, i))?;
            let right = self.part(at, piece(part, i + 1, part.tokens.len()))?;
            (left.tool != right.tool).then(|| vec![left, right])
        })
    }
}

/// The text between two tokens as a request of its own.
pub(super) fn piece(whole: &Read, from: usize, to: usize) -> Read {
    read(&whole.text[whole.tokens[from].start..whole.tokens[to - 1].end], whole.today)
}

/// A value that is recognised by its own form.
fn is_hard(span: &Span) -> bool {
    !matches!(span.shape, Shape::Phrase | Shape::Proper | Shape::Place)
}

/// Whether a request leans on what was said before.
pub(super) fn elliptic(words: &[Token]) -> bool {
    const LEANS: &[&str] =
        &["it", "its", "it's", "that", "this", "them", "they", "one", "same", "there", "those"];
    // "Hello there" points at nobody but the listener.
    let greeted = words.first().is_some_and(|t| t.is(&["hello", "hi", "hey"]));
    let starts = words.first().is_some_and(|t| t.is(&["and", "also", "then", "now"]))
        || words
            .windows(2)
            .next()
            .is_some_and(|w| w[0].is(&["what", "how"]) && w[1].is(&["about"]));
    let leans = |t: &Token| t.is(LEANS) && !(greeted && t.is(&["there"]));
    starts || words.iter().any(leans)
}

/// Token ranges between sentence ends and before verbs that follow "and", "then" or a comma.
pub(super) fn segments(tokens: &[Token]) -> Vec<(usize, usize)> {
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
