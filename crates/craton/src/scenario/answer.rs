//! What an answer should be.
//!
//! Pure, but for judges, whom the player asks. Texts are compared without regard to case and to how
//! they are broken into lines; patterns and JSON as they are.

use std::collections::BTreeSet;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value as Json;

use super::matcher::{Matcher, pattern};
use super::members;
use super::observed::short;

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    checks: Vec<Check>,
    /// What a model is to judge.
    pub(crate) judge: Option<String>,
}

#[derive(Debug, Clone)]
enum Check {
    Equals(String),
    Contains(String),
    ContainsAny(Vec<String>),
    ContainsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
    /// A value inside an answer that is JSON.
    Path(Vec<Part>, String, Matcher),
    Similar(String, f64),
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Name(String),
    Place(usize),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    All(Vec<String>),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    equals: Option<String>,
    contains: Option<Texts>,
    contains_any: Option<Vec<String>>,
    contains_not: Option<Texts>,
    matches: Option<Texts>,
    matches_not: Option<Texts>,
    json: std::collections::BTreeMap<String, Json>,
    similar: Option<Similar>,
    judge: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `to` and `at_least`")]
struct Similar {
    to: String,
    at_least: f64,
}

impl Texts {
    fn all(texts: Option<Texts>) -> Vec<String> {
        match texts {
            None => Vec::new(),
            Some(Texts::One(one)) => vec![one],
            Some(Texts::All(all)) => all,
        }
    }
}

impl Answer {
    /// A text that must be in it, a list of such texts, or all kinds of tests by their names.
    pub(crate) fn read(given: &Json) -> Result<Answer, String> {
        if given.is_string() || given.is_array() {
            let texts = Texts::deserialize(given);
            let texts = texts.map_err(|_| format!("{given} is no list of texts"))?;
            let checks: Vec<Check> =
                Texts::all(Some(texts)).into_iter().map(Check::Contains).collect();
            return match checks.is_empty() {
                true => Err("it asks for nothing".to_owned()),
                false => Ok(Answer { checks, judge: None }),
            };
        }
        let written = members::<Written>(given)?;
        let judge = written.judge.clone();
        let checks = checks(written)?;
        match checks.is_empty() && judge.is_none() {
            true => Err("it asks for nothing".to_owned()),
            false => Ok(Answer { checks, judge }),
        }
    }

    pub(crate) fn against(&self, answer: &str) -> Vec<String> {
        self.checks.iter().filter_map(|check| check.against(answer).err()).collect()
    }
}

fn checks(written: Written) -> Result<Vec<Check>, String> {
    let mut checks: Vec<Check> = written.equals.map(Check::Equals).into_iter().collect();
    checks.extend(Texts::all(written.contains).into_iter().map(Check::Contains));
    checks.extend(written.contains_any.map(Check::ContainsAny));
    checks.extend(Texts::all(written.contains_not).into_iter().map(Check::ContainsNot));
    for text in Texts::all(written.matches) {
        checks.push(Check::Matches(pattern(&text, false)?));
    }
    for text in Texts::all(written.matches_not) {
        checks.push(Check::MatchesNot(pattern(&text, false)?));
    }
    for (path, wanted) in written.json {
        let matcher = Matcher::read(&wanted).map_err(|why| format!("json: {path}: {why}"))?;
        checks.push(Check::Path(parts(&path)?, path, matcher));
    }
    if let Some(Similar { to, at_least }) = written.similar {
        if !(0.0..=1.0).contains(&at_least) {
            return Err(format!("similar: {at_least} is not between 0 and 1"));
        }
        checks.push(Check::Similar(to, at_least));
    }
    Ok(checks)
}

impl Check {
    fn against(&self, answer: &str) -> Result<(), String> {
        let has = |text: &String| plain(answer).contains(&plain(text));
        let said = || format!("the answer {:?}", short(answer));
        let (fits, wanted) = match self {
            Check::Equals(text) => (plain(answer) == plain(text), format!("is not {text:?}")),
            Check::Contains(text) => (has(text), format!("does not contain {text:?}")),
            Check::ContainsAny(all) => (all.iter().any(has), format!("contains none of {all:?}")),
            Check::ContainsNot(text) => (!has(text), format!("must not contain {text:?}")),
            Check::Matches(pattern) => {
                (pattern.is_match(answer), format!("does not match {pattern}"))
            }
            Check::MatchesNot(pattern) => {
                (!pattern.is_match(answer), format!("must not match {pattern}"))
            }
            Check::Path(parts, path, matcher) => {
                let json = json(answer).ok_or_else(|| format!("{} is no JSON", said()))?;
                let value = parts.iter().try_fold(&json, |value, part| match part {
                    Part::Name(name) => value.get(name),
                    Part::Place(place) => value.get(place),
                });
                return matcher.against(value).map_err(|why| format!("the answer's {path}: {why}"));
            }
            Check::Similar(text, least) => {
                let likeness = likeness(text, answer);
                let wanted = format!("is like {text:?} by {likeness:.2}, not by {least}");
                (likeness >= *least, wanted)
            }
        };
        if fits { Ok(()) } else { Err(format!("{} {wanted}", said())) }
    }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ").to_lowercase()
}

/// JSON by itself, or in the one fence that models like to put around it.
fn json(answer: &str) -> Option<Json> {
    let text = answer.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.map(|inner| inner.strip_prefix("json").unwrap_or(inner));
    serde_json::from_str(inner.unwrap_or(text)).ok()
}

/// `$.orders[0].id`.
fn parts(path: &str) -> Result<Vec<Part>, String> {
    let wrong = || format!("json: {path:?} is no path such as $.orders[0].id");
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (place, after) = after.split_once(']').ok_or_else(wrong)?;
            let quoted = place.strip_prefix(['\'', '"']).and_then(|p| p.strip_suffix(['\'', '"']));
            parts.push(match quoted {
                Some(name) => Part::Name(name.to_owned()),
                None => Part::Place(place.parse().map_err(|_| wrong())?),
            });
            rest = after;
        } else {
            let after = rest.strip_prefix('.').ok_or_else(wrong)?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                return Err(wrong());
            }
            parts.push(Part::Name(after[..end].to_owned()));
            rest = &after[end..];
        }
    }
    Ok(parts)
}

/// Between 0 and 1: twice the words that both have over the words of each (Dice), by the words as
/// they are written. It reads no meaning; a judge does.
fn likeness(a: &str, b: &str) -> f64 {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let (a, b) = (words(a), words(b));
    let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
    match a.len() + b.len() {
        0 => 1.0,
        all => 2.0 * count(a.intersection(&b).count()) / count(all),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(yaml: &str, answer: &str, wanted: Expect) {
        let given: Json = serde_yaml_ng::from_str(yaml).unwrap();
        let told = match Answer::read(&given) {
            Err(why) => why,
            Ok(read) => read.against(answer).join("; "),
        };
        wanted.assert_eq(&told);
    }

    #[test]
    fn texts_are_found_whatever_their_case_and_lines() {
        check("order a-1001", "Your Order\n A-1001 is on its way.", expect![""]);
        check(
            "{contains: [on, off], contains_not: way}",
            "on its way",
            expect![[
                r#"the answer "on its way" does not contain "off"; the answer "on its way" must not contain "way""#
            ]],
        );
        check("{contains_any: [x, its]}", "on its way", expect![""]);
        check("[its, on]", "on its way", expect![""]);
        check(
            "[its, off]",
            "on its way",
            expect![[r#"the answer "on its way" does not contain "off""#]],
        );
        check("[{contains: x}]", "", expect![[r#"[{"contains":"x"}] is no list of texts"#]]);
        check("7", "", expect!["7 is no mapping"]);
        check("{equals: Done.}", "done.", expect![""]);
        check(
            "{matches: '\\d{4}', matches_not: 'A-'}",
            "A-1001",
            expect![[r#"the answer "A-1001" must not match A-"#]],
        );
    }

    #[test]
    fn json_is_looked_into_by_path() {
        let answer = "```json\n{\"orders\": [{\"id\": \"A-1\", \"total\": 40}]}\n```";
        check(
            "{json: {'$.orders[0].id': A-1, '$.orders[0].total': {max: 10}}}",
            answer,
            expect!["the answer's $.orders[0].total: 40 is not a number of at most 10"],
        );
        check("{json: {'$.a': 1}}", "no", expect![[r#"the answer "no" is no JSON"#]]);
        check(
            "{json: {'orders': 1}}",
            "",
            expect![[r#"json: "orders" is no path such as $.orders[0].id"#]],
        );
        check("{json: {\"$['a b']\": 1}}", "{\"a b\": 1.0}", expect![""]);
    }

    #[test]
    fn likeness_is_of_words() {
        check(
            "{similar: {to: the order has shipped, at_least: 0.7}}",
            "The order shipped.",
            expect![""],
        );
        check(
            "{similar: {to: the order has shipped, at_least: 0.9}}",
            "No.",
            expect![[r#"the answer "No." is like "the order has shipped" by 0.00, not by 0.9"#]],
        );
        check("{similar: {to: x, at_least: 2}}", "", expect!["similar: 2 is not between 0 and 1"]);
        check("{}", "", expect!["it asks for nothing"]);
    }
}
