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
    Values(Values),
    /// The call lacks it.
    Missing,
    /// The tool has no such argument, so the condition is not about this tool.
    Foreign,
}

/// Of a name that leads through lists: what stands in each.
#[derive(Default)]
struct Values {
    all: Vec<Json>,
    /// Some of what the name leads through lacks it.
    gaps: bool,
}

impl Values {
    fn one(value: Json) -> Values {
        Values { all: vec![value], gaps: false }
    }

    /// The least that can be said of all of them together.
    fn least(&self) -> Truth {
        if self.gaps || self.all.is_empty() { Truth::Unknown } else { Truth::No }
    }

    /// With the items of lists in the place of the lists.
    fn spread(self) -> Values {
        let mut all = Vec::new();
        self.all.into_iter().for_each(|value| spread(value, &mut all));
        Values { all, ..self }
    }
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
                    let values = values.spread();
                    values.all.iter().map(truth_of).fold(values.least(), Truth::max)
                }
            },
        }
    }

    /// Any pair of values will do: `items.price > 100` asks for one such item, `tags == 'vip'` for
    /// one such tag. A list stays whole where `in` looks into it, or beside a list that is written out.
    fn compare(&self, left: &Expr, operator: Operator, right: &Expr) -> Truth {
        let (a, b) = match (self.beside(left, right), self.beside(right, left)) {
            (Found::Foreign, _) | (_, Found::Foreign) => return Truth::No,
            (Found::Missing, _) | (_, Found::Missing) => return Truth::Unknown,
            (Found::Values(a), Found::Values(b)) => (a, b),
        };
        let is_list = |expr: &Expr| matches!(expr, Expr::List(_));
        let lists = is_list(left) || is_list(right);
        let (a, b) = match operator {
            Operator::In | Operator::NotIn => (a.spread(), b),
            _ if lists => (a, b),
            _ => (a.spread(), b.spread()),
        };
        let least = a.least().max(b.least());
        let pairs = a.all.iter().flat_map(|a| b.all.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| compared(a, operator, b)).fold(least, Truth::max)
    }

    /// An operand beside another: what is not there is null to whoever asks for null.
    fn beside(&self, expr: &Expr, other: &Expr) -> Found {
        let found = self.find(expr);
        if !matches!(other, Expr::Value(Json::Null)) {
            return found;
        }
        match found {
            Found::Missing => Found::Values(Values::one(Json::Null)),
            Found::Values(Values { mut all, gaps: true }) => {
                all.push(Json::Null);
                Found::Values(Values { all, gaps: false })
            }
            Found::Values(_) | Found::Foreign => found,
        }
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
            Expr::Value(value) => Found::Values(Values::one(value.clone())),
            Expr::List(values) => Found::Values(Values::one(Json::Array(values.clone()))),
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
        let mut values = Values::default();
        given.for_each(|(_, value)| reach(value, below, &mut values));
        if values.all.is_empty() { Found::Missing } else { Found::Values(values) }
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
fn reach(value: &Json, path: &[String], found: &mut Values) {
    let Some((next, below)) = path.split_first() else {
        found.all.push(value.clone());
        return;
    };
    match value {
        Json::Object(members) => match members.get(next) {
            Some(member) => reach(member, below, found),
            None => found.gaps = true,
        },
        Json::Array(items) => items.iter().for_each(|item| reach(item, path, found)),
        Json::String(text) => match fields::held(text) {
            Some(held) => reach(&held, path, found),
            None => found.gaps = true,
        },
        Json::Null | Json::Bool(_) | Json::Number(_) => found.gaps = true,
    }
}

/// The items of a list, or of a text that holds one; all else, and a list without items, as it is.
fn spread(value: Json, all: &mut Vec<Json>) {
    match value {
        Json::Array(items) if !items.is_empty() => {
            items.into_iter().for_each(|item| spread(item, all));
        }
        Json::String(text) => match fields::held(&text) {
            Some(held) => spread(held, all),
            None => all.push(Json::String(text)),
        },
        other => all.push(other),
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
        // Whether a list or an object is meant by a text is for a person to say.
        _ if is_plain(a) != is_plain(b) => Truth::Unknown,
        _ => Truth::of(a == b),
    }
}

fn is_plain(value: &Json) -> bool {
    !matches!(value, Json::Array(_) | Json::Object(_))
}

/// Numbers by size, also where they are written as text; texts by their letters, unless one of them
/// is a number.
fn ordered(a: &Json, b: &Json, holds: fn(Ordering) -> bool) -> Truth {
    let order = match (a, b) {
        (Json::String(a), Json::String(b)) => match (decimal(a), decimal(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            (None, None) => Some(a.cmp(b)),
            (Some(_), None) | (None, Some(_)) => None,
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
