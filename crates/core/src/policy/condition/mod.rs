//! Conditions under which a person decides about a call: `amount > 500 and currency != "EUR"`.
//!
//! A small language that always ends: comparisons, `and`, `or`, `not`, `in`, lists, and names of
//! arguments, with dots into objects. Parsed where the configuration is read, so that a mistake is
//! found at the start. What cannot be told (an argument that is not there, an amount that is no
//! number) makes a comparison unknown, and [`Condition::asks`] takes unknown for yes.

mod parse;

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fields;
use crate::agent::tool::Tool;
use parse::{Expr, Operator};

/// One condition, parsed. Clones share it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    text: Arc<str>,
    expr: Arc<Expr>,
    /// It was written for the tool itself, so an argument that the tool does not have is a mistake.
    strict: bool,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.text == other.text && self.strict == other.strict
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Condition, String> {
        Condition::parse(&text)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.text.to_string()
    }
}

/// What a comparison says. The order is that of doubt: `or` takes the greatest, `and` the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    fn of(yes: bool) -> Truth {
        if yes { Truth::Yes } else { Truth::No }
    }

    fn not(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
            Truth::Yes => Truth::No,
        }
    }
}

impl Condition {
    pub fn parse(text: &str) -> Result<Condition, String> {
        let expr = parse::parse(text).map_err(|e| format!("the condition {text:?} {e}"))?;
        Ok(Condition { text: text.into(), expr: Arc::new(expr), strict: false })
    }

    /// The same, of one tool by name.
    pub fn of_tool(&self) -> Condition {
        Condition { strict: true, ..self.clone() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a person decides about a call with these arguments: it holds, or nobody can tell.
    pub fn asks(&self, tool: &Tool, input: &Json) -> bool {
        let call = Call { tool, input, strict: self.strict };
        call.truth(&self.expr) != Truth::No
    }
}

struct Call<'a> {
    tool: &'a Tool,
    input: &'a Json,
    strict: bool,
}

/// What an operand stands for in a call.
enum Found {
    /// Of a name that leads through lists: each.
    Values(Vec<Json>),
    /// The call lacks it.
    Missing,
    /// The tool has no such argument, so the condition is not about this tool.
    Foreign,
}

impl Call<'_> {
    fn truth(&self, expr: &Expr) -> Truth {
        match expr {
            Expr::And(parts) => {
                parts.iter().map(|part| self.truth(part)).min().unwrap_or(Truth::Yes)
            }
            Expr::Or(parts) => parts.iter().map(|part| self.truth(part)).max().unwrap_or(Truth::No),
            Expr::Not(part) => {
                if self.is_foreign(part) {
                    Truth::No
                } else {
                    self.truth(part).not()
                }
            }
            Expr::Compare(left, operator, right) => self.compare(left, *operator, right),
            Expr::Value(_) | Expr::List(_) | Expr::Name(_) => match self.find(expr) {
                Found::Foreign => Truth::No,
                Found::Missing => Truth::Unknown,
                Found::Values(values) => {
                    values.iter().map(truth_of).max().unwrap_or(Truth::Unknown)
                }
            },
        }
    }

    /// Any pair of values will do: `items.price > 100` asks for one such item.
    fn compare(&self, left: &Expr, operator: Operator, right: &Expr) -> Truth {
        let is_null = |expr: &Expr| matches!(expr, Expr::Value(Json::Null));
        // What is not there is null to whoever asks for null.
        let find = |expr: &Expr, other: &Expr| match self.find(expr) {
            Found::Missing if is_null(other) => Found::Values(vec![Json::Null]),
            found => found,
        };
        let (left, right) = match (find(left, right), find(right, left)) {
            (Found::Foreign, _) | (_, Found::Foreign) => return Truth::No,
            (Found::Missing, _) | (_, Found::Missing) => return Truth::Unknown,
            (Found::Values(left), Found::Values(right)) => (left, right),
        };
        let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| compared(a, operator, b)).max().unwrap_or(Truth::Unknown)
    }

    fn is_foreign(&self, expr: &Expr) -> bool {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| self.is_foreign(part)),
            Expr::Not(part) => self.is_foreign(part),
            Expr::Compare(left, _, right) => self.is_foreign(left) || self.is_foreign(right),
            Expr::Name(_) => matches!(self.find(expr), Found::Foreign),
            Expr::Value(_) | Expr::List(_) => false,
        }
    }

    fn find(&self, expr: &Expr) -> Found {
        match expr {
            Expr::Value(value) => Found::Values(vec![value.clone()]),
            Expr::List(values) => Found::Values(vec![Json::Array(values.clone())]),
            Expr::Name(path) => self.named(path),
            // The parser compares operands only.
            Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::Compare(..) => Found::Missing,
        }
    }

    fn named(&self, path: &[String]) -> Found {
        let [first, below @ ..] = path else { return Found::Missing };
        let goes_by = |(name, _): &(&String, &Json)| {
            *name == first || fields::wire_name(self.tool, name) == Some(first)
        };
        let mut given = self.input.as_object().into_iter().flatten().filter(goes_by).peekable();
        if given.peek().is_none() {
            return if self.strict || self.declares(first) {
                Found::Missing
            } else {
                Found::Foreign
            };
        }
        let mut values = Vec::new();
        given.for_each(|(_, value)| reach(value, below, &mut values));
        if values.is_empty() { Found::Missing } else { Found::Values(values) }
    }

    fn declares(&self, name: &str) -> bool {
        let Some(arguments) = self.tool.input["properties"].as_object() else { return false };
        let is_it = |argument: &String| {
            argument == name || fields::wire_name(self.tool, argument) == Some(name)
        };
        arguments.keys().any(is_it)
    }
}

/// What a path leads to inside a value, lists and texts that hold JSON looked through.
fn reach(value: &Json, path: &[String], found: &mut Vec<Json>) {
    let Some((next, below)) = path.split_first() else {
        found.push(value.clone());
        return;
    };
    match value {
        Json::Object(members) => {
            if let Some(member) = members.get(next) {
                reach(member, below, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| reach(item, path, found)),
        Json::String(text) => {
            if let Some(held) = fields::held(text) {
                // A text in a text is none that a function takes apart.
                if !held.is_string() {
                    reach(&held, path, found);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn truth_of(value: &Json) -> Truth {
    match value {
        Json::Bool(yes) => Truth::of(*yes),
        Json::String(text) if text == "true" => Truth::Yes,
        Json::String(text) if text == "false" => Truth::No,
        _ => Truth::Unknown,
    }
}

fn compared(a: &Json, operator: Operator, b: &Json) -> Truth {
    match operator {
        Operator::Equal => equal(a, b),
        Operator::Unequal => equal(a, b).not(),
        Operator::Less => ordered(a, b, Ordering::is_lt),
        Operator::LessOrEqual => ordered(a, b, Ordering::is_le),
        Operator::Greater => ordered(a, b, Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(a, b, Ordering::is_ge),
        Operator::In => within(a, b),
        Operator::NotIn => within(a, b).not(),
    }
}

fn equal(a: &Json, b: &Json) -> Truth {
    match (a, b) {
        (Json::String(a), Json::String(b)) => Truth::of(a == b),
        (Json::Null, _) | (_, Json::Null) => Truth::of(a == b),
        (Json::Bool(yes), text @ Json::String(_)) | (text @ Json::String(_), Json::Bool(yes)) => {
            match truth_of(text) {
                Truth::Unknown => Truth::Unknown,
                truth => Truth::of((truth == Truth::Yes) == *yes),
            }
        }
        (Json::Number(_), _) | (_, Json::Number(_)) => ordered(a, b, Ordering::is_eq),
        _ => Truth::of(a == b),
    }
}

/// Numbers by size, also where they are written as text; texts by their letters.
fn ordered(a: &Json, b: &Json, holds: fn(Ordering) -> bool) -> Truth {
    let order = match (a, b) {
        (Json::String(a), Json::String(b)) => match (decimal(a), decimal(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => Some(a.cmp(b)),
        },
        _ => number(a).zip(number(b)).and_then(|(a, b)| a.partial_cmp(&b)),
    };
    order.map_or(Truth::Unknown, |order| Truth::of(holds(order)))
}

/// The last `in` asks of a list, or of a text that it is part of.
fn within(a: &Json, b: &Json) -> Truth {
    match b {
        Json::Array(items) => items.iter().map(|item| equal(a, item)).max().unwrap_or(Truth::No),
        Json::String(text) => match (a, fields::held(text)) {
            (a, Some(Json::Array(items))) => within(a, &Json::Array(items)),
            (Json::String(part), _) => Truth::of(text.contains(part.as_str())),
            _ => Truth::Unknown,
        },
        _ => Truth::Unknown,
    }
}

fn number(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => decimal(text),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A number as text, and nothing that could be read in two ways: `1,000` is none, nor is `$600`.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let number: f64 = text.bytes().all(fits).then(|| text.parse().ok()).flatten()?;
    number.is_finite().then_some(number)
}
