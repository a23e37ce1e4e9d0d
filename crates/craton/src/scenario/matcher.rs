//! Whether a value is what a scenario expects.
//!
//! Pure. An expectation is YAML: a plain value is the value itself, a map whose keys are all words of
//! [`WORDS`] is a test, any other map is an object of which the named members must fit. Numbers
//! compare by value, so 40 is 40.0. What is no valid expectation is refused when the file is read.

use regex::Regex;
use serde_json::Value as Json;

/// The words that make a map a test.
pub(crate) const WORDS: [&str; 15] = [
    "any",
    "equals",
    "matches",
    "contains",
    "type",
    "min",
    "max",
    "above",
    "below",
    "one_of",
    "not",
    "length",
    "items",
    "absent",
    "ignore_case",
];

/// An expectation, read and found valid.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Equals(Json),
    Object(Vec<(String, Matcher)>),
    List(Vec<Matcher>),
    /// All of these.
    Tests(Vec<Test>, bool),
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Any,
    Absent,
    Equals(Json),
    Matches(Regex),
    Contains(Json),
    Type(String),
    Min(f64),
    Max(f64),
    Above(f64),
    Below(f64),
    OneOf(Vec<Json>),
    Not(Box<Matcher>),
    Length(Box<Matcher>),
    Items(Box<Matcher>),
}

impl Matcher {
    pub(crate) fn read(wanted: &Json) -> Result<Matcher, String> {
        match wanted {
            Json::Object(members) => {
                let is_test =
                    !members.is_empty() && members.keys().all(|key| WORDS.contains(&key.as_str()));
                if is_test {
                    return tests(members);
                }
                let read = members.iter().map(|(name, wanted)| {
                    Matcher::read(wanted)
                        .map(|wanted| (name.clone(), wanted))
                        .map_err(|why| format!("{name}: {why}"))
                });
                read.collect::<Result<_, _>>().map(Matcher::Object)
            }
            Json::Array(items) => {
                items.iter().map(Matcher::read).collect::<Result<_, _>>().map(Matcher::List)
            }
            plain => Ok(Matcher::Equals(plain.clone())),
        }
    }

    /// Nothing if the value fits, else why it does not.
    pub(crate) fn against(&self, value: Option<&Json>) -> Result<(), String> {
        match self {
            Matcher::Equals(wanted) => equal(wanted, value, false),
            Matcher::Object(members) if value.is_some_and(|value| !value.is_object()) => {
                let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                Err(format!(
                    "{} is no object with {}; the tests are {}",
                    shown(value),
                    names.join(", "),
                    WORDS.join(", ")
                ))
            }
            Matcher::Object(members) => members.iter().try_for_each(|(name, wanted)| {
                let member = value.and_then(|value| value.get(name));
                wanted.against(member).map_err(|why| format!("{name}: {why}"))
            }),
            Matcher::List(wanted) => list(wanted, value),
            Matcher::Tests(tests, ignore_case) => {
                tests.iter().try_for_each(|test| test.against(value, *ignore_case))
            }
        }
    }
}

fn tests(members: &serde_json::Map<String, Json>) -> Result<Matcher, String> {
    let ignore_case = match members.get("ignore_case") {
        None => false,
        Some(Json::Bool(value)) => *value,
        Some(other) => return Err(format!("ignore_case is true or false, not {other}")),
    };
    let mut tests = Vec::new();
    for (word, given) in members.iter().filter(|(word, _)| *word != "ignore_case") {
        tests.push(Test::read(word, given, ignore_case).map_err(|why| format!("{word}: {why}"))?);
    }
    if tests.is_empty() {
        return Err("ignore_case needs a test beside it, such as equals".to_owned());
    }
    Ok(Matcher::Tests(tests, ignore_case))
}

impl Test {
    fn read(word: &str, given: &Json, ignore_case: bool) -> Result<Test, String> {
        let number = || given.as_f64().ok_or_else(|| format!("{given} is no number"));
        let text = || given.as_str().ok_or_else(|| format!("{given} is no text"));
        let inner = || Matcher::read(given).map(Box::new);
        Ok(match word {
            "any" | "absent" if *given != Json::Bool(true) => {
                return Err(format!("the only value is true, not {given}"));
            }
            "any" => Test::Any,
            "absent" => Test::Absent,
            "equals" => Test::Equals(given.clone()),
            "matches" => Test::Matches(pattern(text()?, ignore_case)?),
            "contains" => Test::Contains(given.clone()),
            "type" => Test::Type(known_type(text()?)?),
            "min" => Test::Min(number()?),
            "max" => Test::Max(number()?),
            "above" => Test::Above(number()?),
            "below" => Test::Below(number()?),
            "one_of" => {
                Test::OneOf(given.as_array().cloned().ok_or_else(|| format!("{given} is no list"))?)
            }
            "not" => Test::Not(inner()?),
            "length" => Test::Length(inner()?),
            "items" => Test::Items(inner()?),
            _ => return Err("is no test".to_owned()),
        })
    }

    fn against(&self, value: Option<&Json>, ignore_case: bool) -> Result<(), String> {
        let shown = || shown(value);
        let fits = match self {
            Test::Any => value.is_some(),
            Test::Absent => value.is_none(),
            Test::Equals(wanted) => return equal(wanted, value, ignore_case),
            Test::Matches(pattern) => {
                value.and_then(Json::as_str).is_some_and(|t| pattern.is_match(t))
            }
            Test::Contains(wanted) => {
                value.is_some_and(|value| contains(value, wanted, ignore_case))
            }
            Test::Type(name) => value.is_some_and(|value| is_of_type(value, name)),
            Test::Min(limit) => number(value).is_some_and(|n| n >= *limit),
            Test::Max(limit) => number(value).is_some_and(|n| n <= *limit),
            Test::Above(limit) => number(value).is_some_and(|n| n > *limit),
            Test::Below(limit) => number(value).is_some_and(|n| n < *limit),
            Test::OneOf(all) => all.iter().any(|one| equal(one, value, ignore_case).is_ok()),
            Test::Not(inner) => {
                let fits = inner.against(value).is_ok();
                return if fits {
                    Err(format!("{} is what it must not be", shown()))
                } else {
                    Ok(())
                };
            }
            Test::Length(inner) => {
                let length = value.and_then(length).map(Json::from);
                return inner.against(length.as_ref()).map_err(|why| format!("length: {why}"));
            }
            Test::Items(inner) => return each(inner, value),
        };
        if fits { Ok(()) } else { Err(format!("{} is not {}", shown(), self.wanted())) }
    }

    fn wanted(&self) -> String {
        match self {
            Test::Any => "there".to_owned(),
            Test::Absent => "absent".to_owned(),
            Test::Equals(wanted) => wanted.to_string(),
            Test::Matches(pattern) => format!("text that matches {pattern}"),
            Test::Contains(wanted) => format!("what contains {wanted}"),
            Test::Type(name) => format!("of type {name}"),
            Test::Min(limit) => format!("a number of at least {limit}"),
            Test::Max(limit) => format!("a number of at most {limit}"),
            Test::Above(limit) => format!("a number above {limit}"),
            Test::Below(limit) => format!("a number below {limit}"),
            Test::OneOf(all) => format!("one of {}", Json::Array(all.clone())),
            Test::Not(_) | Test::Length(_) | Test::Items(_) => "as it should be".to_owned(),
        }
    }
}

pub(crate) fn pattern(text: &str, ignore_case: bool) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(text).case_insensitive(ignore_case).build();
    built.map_err(|e| format!("{text:?} is no regular expression: {e}"))
}

fn known_type(name: &str) -> Result<String, String> {
    let all = ["string", "number", "integer", "boolean", "array", "object", "null"];
    match all.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("{name} is none of {}", all.join(", "))),
    }
}

fn is_of_type(value: &Json, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

fn number(value: Option<&Json>) -> Option<f64> {
    value.and_then(Json::as_f64)
}

fn length(value: &Json) -> Option<usize> {
    match value {
        Json::String(text) => Some(text.chars().count()),
        Json::Array(items) => Some(items.len()),
        Json::Object(members) => Some(members.len()),
        _ => None,
    }
}

fn each(inner: &Matcher, value: Option<&Json>) -> Result<(), String> {
    let Some(items) = value.and_then(Json::as_array) else {
        return Err(format!("{} is no list", shown(value)));
    };
    (0..).zip(items).try_for_each(|(at, item): (usize, _)| {
        inner.against(Some(item)).map_err(|why| format!("[{at}]: {why}"))
    })
}

fn list(wanted: &[Matcher], value: Option<&Json>) -> Result<(), String> {
    let items = value.and_then(Json::as_array).filter(|items| items.len() == wanted.len());
    let Some(items) = items else {
        return Err(format!("{} is no list of {}", shown(value), wanted.len()));
    };
    (0..).zip(wanted.iter().zip(items)).try_for_each(|(at, (wanted, item)): (usize, _)| {
        wanted.against(Some(item)).map_err(|why| format!("[{at}]: {why}"))
    })
}

fn contains(value: &Json, wanted: &Json, ignore_case: bool) -> bool {
    match value {
        Json::String(text) => {
            let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
            match ignore_case {
                true => text.to_lowercase().contains(&wanted.to_lowercase()),
                false => text.contains(&wanted),
            }
        }
        Json::Array(items) => items.iter().any(|one| same(one, wanted, ignore_case)),
        Json::Object(members) => wanted.as_str().is_some_and(|name| members.contains_key(name)),
        _ => false,
    }
}

fn equal(wanted: &Json, value: Option<&Json>, ignore_case: bool) -> Result<(), String> {
    match value {
        Some(value) if same(wanted, value, ignore_case) => Ok(()),
        _ => Err(format!("{} is not {wanted}", shown(value))),
    }
}

fn same(a: &Json, b: &Json, ignore_case: bool) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::String(a), Json::String(b)) if ignore_case => a.to_lowercase() == b.to_lowercase(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, ignore_case))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b, ignore_case)))
        }
        (a, b) => a == b,
    }
}

fn shown(value: Option<&Json>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Json::to_string)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(wanted: &str, values: &[&str], expected: Expect) {
        let wanted: Json = serde_yaml_ng::from_str(wanted).unwrap();
        let told = match Matcher::read(&wanted) {
            Err(why) => vec![why],
            Ok(matcher) => values
                .iter()
                .map(|value| {
                    let value: Option<Json> = serde_json::from_str(value).ok();
                    matcher.against(value.as_ref()).err().unwrap_or_else(|| "fits".to_owned())
                })
                .collect(),
        };
        expected.assert_eq(&told.join("; "));
    }

    #[test]
    fn a_plain_value_is_itself_and_numbers_compare_by_value() {
        check(
            "A-1",
            &["\"A-1\"", "\"a-1\"", "-"],
            expect![[r#"fits; "a-1" is not "A-1"; nothing is not "A-1""#]],
        );
        check("40", &["40.0", "\"40\""], expect![[r#"fits; "40" is not 40"#]]);
        check("[1, {any: true}]", &["[1, 2]", "[1]"], expect!["fits; [1] is no list of 2"]);
        check(
            "{city: {name: Oslo}}",
            &[r#"{"city":{"name":"Oslo","zip":1}}"#, "{}"],
            expect![[r#"fits; city: name: nothing is not "Oslo""#]],
        );
    }

    #[test]
    fn tests_look_at_text_numbers_types_and_lists() {
        check("{equals: oslo, ignore_case: true}", &["\"Oslo\""], expect!["fits"]);
        check(
            "{matches: '^A-\\d+$'}",
            &["\"A-12\"", "12"],
            expect!["fits; 12 is not text that matches ^A-\\d+$"],
        );
        check(
            "{min: 1, below: 3}",
            &["1", "3", "\"2\""],
            expect![[r#"fits; 3 is not a number below 3; "2" is not a number below 3"#]],
        );
        check("{type: integer}", &["2", "2.5"], expect!["fits; 2.5 is not of type integer"]);
        check(
            "{one_of: [a, b]}",
            &["\"b\"", "\"c\""],
            expect![[r#"fits; "c" is not one of ["a","b"]"#]],
        );
        check(
            "{contains: b}",
            &["\"abc\"", "[\"b\"]", "{\"b\":1}", "\"x\""],
            expect![[r#"fits; fits; fits; "x" is not what contains "b""#]],
        );
        check(
            "{items: {type: string}, length: {min: 1}}",
            &["[\"a\"]", "[]", "[1]"],
            expect!["fits; length: 0 is not a number of at least 1; [0]: 1 is not of type string"],
        );
        check("{absent: true}", &["-", "1"], expect!["fits; 1 is not absent"]);
    }

    #[test]
    fn what_is_no_expectation_is_said_when_it_is_read() {
        check(
            "{matches: '('}",
            &[],
            expect![[r#"
            matches: "(" is no regular expression: regex parse error:
                (
                ^
            error: unclosed group"#]],
        );
        check(
            "{type: text}",
            &[],
            expect!["type: text is none of string, number, integer, boolean, array, object, null"],
        );
        check("{min: lots}", &[], expect![[r#"min: "lots" is no number"#]]);
        check(
            "{ignore_case: true}",
            &[],
            expect!["ignore_case needs a test beside it, such as equals"],
        );
    }
}
