//! Every constraint of the model, checked on a decoded value; all violations in one exception.
//!
//! The sentences are AWS's. A value of a sensitive shape stands in no message: AWS writes
//! `Value at 'path'` there (observed of Cognito and Bedrock), and so does this.

mod show;

use std::fmt::Write as _;

use crate::fault::Fault;
use crate::limits;
use crate::model::{Kind, Protocol, Service, Shape, ShapeId, Structure};
use crate::pattern;
use crate::value::{Map, Value};

/// Checks an operation's input.
pub fn check(service: &'static Service, input: ShapeId, value: &Value) -> Result<(), Fault> {
    let mut violations = Violations::default();
    let mut walk = Walk { service, path: Path::default(), hidden: false, found: &mut violations };
    walk.value(service.shape(input), value);
    match violations.message() {
        None => Ok(()),
        // AWS: iam and sts answer ValidationError, REST-JSON services ValidationException, also
        // Lambda, whose model has no such exception (observed; moto and localstack record it).
        Some(message) if service.protocol == Protocol::Query => {
            Err(Fault::new("ValidationError", 400, message))
        }
        Some(message) => Err(Fault::validation(message)),
    }
}

/// Violations in the order of the model's members; beyond the limit only their number.
#[derive(Default)]
struct Violations {
    count: usize,
    text: String,
}

impl Violations {
    fn push(&mut self, value: &str, path: &Path, constraint: &str) {
        self.count += 1;
        if self.count > limits::SHOWN_VIOLATIONS {
            return;
        }
        let separator = if self.count > 1 { "; " } else { "" };
        let Path(path) = path;
        write!(
            self.text,
            "{separator}Value{value} at '{path}' failed to satisfy constraint: {constraint}"
        )
        .expect("writing to a string cannot fail");
    }

    fn message(self) -> Option<String> {
        let errors = match self.count {
            0 => return None,
            1 => "error",
            _ => "errors",
        };
        Some(format!("{} validation {errors} detected: {}", self.count, self.text))
    }
}

/// AWS: `tags.1.member.key`: member names begin in lower case whatever the model's spelling, list
/// indices count from 1 and are followed by `member`, map entries by key and `member`.
#[derive(Default)]
struct Path(String);

impl Path {
    /// Appends one step; the answer is the length to come back to.
    fn enter(&mut self, step: &str) -> usize {
        let before = self.0.len();
        if before > 0 {
            self.0.push('.');
        }
        self.0.push_str(step);
        before
    }

    fn enter_member(&mut self, name: &str) -> usize {
        let before = self.enter(name);
        let start = self.0.len() - name.len();
        if let Some(first) = self.0.get_mut(start..start + 1) {
            first.make_ascii_lowercase();
        }
        before
    }

    fn leave(&mut self, before: usize) {
        self.0.truncate(before);
    }
}

struct Walk<'a> {
    service: &'static Service,
    path: Path,
    /// Inside of a sensitive structure, list or map: nothing of it is shown.
    hidden: bool,
    found: &'a mut Violations,
}

impl Walk<'_> {
    fn value(&mut self, shape: &'static Shape, value: &Value) {
        let outside = self.hidden;
        self.hidden |= shape.sensitive;
        self.own(shape, value);
        self.inside(shape, value);
        self.hidden = outside;
    }

    fn inside(&mut self, shape: &'static Shape, value: &Value) {
        match (&shape.kind, value) {
            (Kind::Structure(structure), Value::Map(map)) => self.structure(structure, map),
            (Kind::List { item, .. }, Value::List(items)) => self.items(shape, *item, items, value),
            (Kind::Map { key, value: of, .. }, Value::Map(map)) => {
                self.entries(shape, (*key, *of), map, value);
            }
            _ => {}
        }
    }

    /// The constraints of one value, without what it holds.
    fn own(&mut self, shape: &'static Shape, value: &Value) {
        violated(shape, value, &mut |constraint| {
            let shown = self.shown(shape, value);
            self.found.push(&shown, &self.path, &constraint);
        });
    }

    fn shown(&self, shape: &'static Shape, value: &Value) -> String {
        if self.hidden { String::new() } else { show::value(self.service, shape, value) }
    }

    fn structure(&mut self, structure: &'static Structure, map: &Map) {
        for member in structure.members {
            let value = map.get(member.name).filter(|v| **v != Value::Null);
            if value.is_none() && !member.required {
                continue;
            }
            let shape = self.service.shape(member.shape);
            let before = self.path.enter_member(member.name);
            match value {
                None => self.found.push(" null", &self.path, NOT_NULL),
                // An event stream comes frame by frame, after the request.
                Some(_) if matches!(&shape.kind, Kind::Structure(s) if s.event_stream) => {}
                Some(value) => self.value(shape, value),
            }
            self.path.leave(before);
        }
        if structure.union {
            self.union(structure, map);
        }
    }

    fn union(&mut self, structure: &'static Structure, map: &Map) {
        let set = |name: &str| map.get(name).is_some_and(|v| *v != Value::Null);
        if structure.members.iter().filter(|m| set(m.name)).count() == 1 {
            return;
        }
        // The sentence is ours: AWS's for unions is not known.
        let names: Vec<&str> = structure.members.iter().map(|m| m.name).collect();
        let constraint = format!("Member must have exactly one of: [{}]", names.join(", "));
        self.found.push("", &self.path, &constraint);
    }

    /// AWS: constraints of a list's simple items are reported once, at the list, all of them
    /// together; structures and nested lists are reported at their own path.
    fn items(&mut self, list: &'static Shape, item: ShapeId, items: &[Value], whole: &Value) {
        let item = self.service.shape(item);
        if is_simple(item) {
            if items.iter().any(|v| breaks(item, v)) {
                self.together("Member", list, item, whole);
            }
            return;
        }
        for (index, value) in items.iter().enumerate() {
            let before = self.path.enter(&format!("{}.member", index + 1));
            if *value == Value::Null && !matches!(item.kind, Kind::Document) {
                self.found.push(" null", &self.path, NOT_NULL);
            }
            self.value(item, value);
            self.path.leave(before);
        }
    }

    fn entries(
        &mut self,
        shape: &'static Shape,
        (key, of): (ShapeId, ShapeId),
        map: &Map,
        whole: &Value,
    ) {
        let (key, of) = (self.service.shape(key), self.service.shape(of));
        if map.keys().any(|k| breaks_text(key, k)) {
            self.together("Map keys", shape, key, whole);
        }
        if is_simple(of) {
            if map.values().any(|v| breaks(of, v)) {
                self.together("Map value", shape, of, whole);
            }
            return;
        }
        for (name, value) in map {
            let name = if key.sensitive || self.hidden { "***" } else { show::bounded(name) };
            let before = self.path.enter(&format!("{name}.member"));
            self.value(of, value);
            self.path.leave(before);
        }
    }

    fn together(&mut self, who: &str, holder: &'static Shape, part: &'static Shape, whole: &Value) {
        let mut all = constraints(part);
        all.push(NOT_NULL.to_owned());
        let constraint = format!("{who} must satisfy constraint: [{}]", all.join(", "));
        let shown = self.shown(holder, whole);
        self.found.push(&shown, &self.path, &constraint);
    }
}

const NOT_NULL: &str = "Member must not be null";

fn is_simple(shape: &Shape) -> bool {
    !matches!(
        shape.kind,
        Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. } | Kind::Document
    )
}

fn breaks(shape: &'static Shape, value: &Value) -> bool {
    let mut broken = *value == Value::Null;
    violated(shape, value, &mut |_| broken = true);
    broken
}

fn breaks_text(shape: &'static Shape, text: &str) -> bool {
    let Kind::String { min, max, pattern, values } = shape.kind else { return false };
    let length = text.chars().count() as u64;
    above(length, max) || below(length, min) || !allowed(pattern, values, text)
}

fn allowed(pattern: &'static str, values: &[&str], text: &str) -> bool {
    (values.is_empty() || values.contains(&text))
        && (pattern.is_empty() || pattern::matches(pattern, text))
}

/// Calls `report` with each constraint of the shape's own that the value breaks.
fn violated(shape: &'static Shape, value: &Value, report: &mut dyn FnMut(String)) {
    match (&shape.kind, value) {
        (Kind::String { min, max, pattern, values }, Value::String(text)) => {
            if !values.is_empty() && !values.contains(&text.as_str()) {
                report(enumeration(values));
            }
            if !pattern.is_empty() && !pattern::matches(pattern, text) {
                report(expression(pattern));
            }
            // AWS: a string's length counts Unicode scalar values (Smithy, length trait).
            length(text.chars().count() as u64, *min, *max, report);
        }
        (Kind::Blob { min, max }, Value::Blob(b)) => length(b.len() as u64, *min, *max, report),
        (Kind::List { min, max, .. }, Value::List(l)) => {
            length(l.len() as u64, *min, *max, report);
        }
        (Kind::Map { min, max, .. }, Value::Map(m)) => length(m.len() as u64, *min, *max, report),
        (Kind::Integer { min, max } | Kind::Long { min, max }, Value::Integer(i)) => {
            range(*i, *min, *max, report);
        }
        (Kind::Float { min, max } | Kind::Double { min, max }, Value::Double(d)) => {
            range(*d, *min, *max, report);
        }
        _ => {}
    }
}

fn length(length: u64, min: Option<u64>, max: Option<u64>, report: &mut dyn FnMut(String)) {
    if let Some(max) = max.filter(|_| above(length, max)) {
        report(longest(max));
    }
    if let Some(min) = min.filter(|_| below(length, min)) {
        report(shortest(min));
    }
}

fn range<T>(value: T, min: Option<T>, max: Option<T>, report: &mut dyn FnMut(String))
where
    T: PartialOrd + Copy + std::fmt::Display,
{
    // NaN is in no range.
    if let Some(max) = max.filter(|max| above(value, Some(*max))) {
        report(greatest(max));
    }
    if let Some(min) = min.filter(|min| below(value, Some(*min))) {
        report(least(min));
    }
}

fn above<T: PartialOrd + Copy>(value: T, max: Option<T>) -> bool {
    max.is_some_and(|max| !matches!(value.partial_cmp(&max), Some(o) if o.is_le()))
}

fn below<T: PartialOrd + Copy>(value: T, min: Option<T>) -> bool {
    min.is_some_and(|min| !matches!(value.partial_cmp(&min), Some(o) if o.is_ge()))
}

/// All constraints of a simple shape, in the order in which AWS lists them.
fn constraints(shape: &Shape) -> Vec<String> {
    let mut all = Vec::new();
    match &shape.kind {
        Kind::String { min, max, pattern, values } => {
            all.extend(max.map(longest));
            all.extend(min.map(shortest));
            all.extend((!values.is_empty()).then(|| enumeration(values)));
            all.extend((!pattern.is_empty()).then(|| expression(pattern)));
        }
        Kind::Blob { min, max } => {
            all.extend(max.map(longest));
            all.extend(min.map(shortest));
        }
        Kind::Integer { min, max } | Kind::Long { min, max } => {
            all.extend(max.map(greatest));
            all.extend(min.map(least));
        }
        Kind::Float { min, max } | Kind::Double { min, max } => {
            all.extend(max.map(greatest));
            all.extend(min.map(least));
        }
        Kind::Boolean | Kind::Timestamp(_) | Kind::Document => {}
        Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. } => {}
    }
    all
}

fn enumeration(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

fn expression(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn longest(max: u64) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn shortest(min: u64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn greatest(max: impl std::fmt::Display) -> String {
    format!("Member must have value less than or equal to {max}")
}

fn least(min: impl std::fmt::Display) -> String {
    format!("Member must have value greater than or equal to {min}")
}

#[cfg(test)]
mod tests;
