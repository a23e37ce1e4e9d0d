//! What may stand in a call's arguments, besides what the tool's own schema says.
//!
//! Checked when the call is decided, before anything is sent. What the model reads of a refusal
//! names the field and nothing else of the policy.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fields::{self, Field};
use crate::agent::tool::{Checker, Tool, check_input};

/// What may stand in a call's arguments. Each name is an argument's, a dot leads into an object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arguments {
    /// Where it is not empty: these and no others. A name stands for all that is in it.
    pub allow: Vec<String>,
    /// A name without a dot is denied at every depth.
    pub deny: Vec<String>,
    /// A JSON Schema that the arguments satisfy besides the tool's own.
    pub schema: Option<Bounds>,
    /// What becomes of a call whose arguments are otherwise.
    pub otherwise: Option<Otherwise>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// The model reads why.
    #[default]
    Refuse,
    /// A person decides.
    HandOff,
}

/// A JSON Schema, compiled where it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Bounds {
    schema: Json,
    checker: Checker,
}

impl Bounds {
    pub fn schema(&self) -> &Json {
        &self.schema
    }
}

impl PartialEq for Bounds {
    fn eq(&self, other: &Bounds) -> bool {
        self.schema == other.schema
    }
}

impl TryFrom<Json> for Bounds {
    type Error = String;

    fn try_from(schema: Json) -> Result<Bounds, String> {
        if !schema.is_object() {
            return Err(format!("the schema is {schema}; a JSON Schema is a table"));
        }
        let checker = Checker::new(&schema).map_err(|e| format!("the schema is not valid {e}"))?;
        Ok(Bounds { schema, checker })
    }
}

impl From<Bounds> for Json {
    fn from(bounds: Bounds) -> Json {
        bounds.schema
    }
}

impl Arguments {
    /// This one, and what it leaves out as another has it.
    pub(super) fn over(self, below: Arguments) -> Arguments {
        let unless_empty = |own: Vec<String>, below| if own.is_empty() { below } else { own };
        Arguments {
            allow: unless_empty(self.allow, below.allow),
            deny: unless_empty(self.deny, below.deny),
            schema: self.schema.or(below.schema),
            otherwise: self.otherwise.or(below.otherwise),
        }
    }

    /// What the model is told of arguments that may not stand there.
    pub fn refusal(&self, tool: &Tool, input: &Json) -> Option<String> {
        let mut barred: Vec<String> = Vec::new();
        let walked = if self.allow.is_empty() && self.deny.is_empty() {
            Ok(())
        } else {
            fields::walk(tool, input, &mut |field| {
                let bars = self.denies(field) || self.leaves_out(field);
                if let (true, Some(name)) = (bars, field.path.last())
                    && !barred.contains(name)
                {
                    barred.push(name.clone());
                }
                !bars
            })
        };
        if walked.is_err() {
            return Some("You don't have permission to nest arguments so deeply".to_owned());
        }
        if !barred.is_empty() {
            return Some(format!("You don't have permission to modify {}", barred.join(", ")));
        }
        self.out_of_bounds(input)
    }

    fn out_of_bounds(&self, input: &Json) -> Option<String> {
        let bounds = self.schema.as_ref()?;
        let violations = check_input(&bounds.schema, &bounds.checker, input).err()?.join("; ");
        Some(format!(
            "not_permitted: {violations}; the tool was not called, stay within what is allowed or \
             tell the user"
        ))
    }

    fn denies(&self, field: &Field<'_>) -> bool {
        self.deny.iter().any(|entry| match entry.contains('.') {
            true => names(field).any(|path| same_path(entry, &path)),
            false => {
                let own = field.path.last().into_iter().map(String::as_str);
                let wire = field.wire.filter(|_| field.path.len() == 1);
                own.chain(wire).any(|name| plain(name) == plain(entry))
            }
        })
    }

    /// Whether a field is none of those allowed, and no way to one of them either.
    fn leaves_out(&self, field: &Field<'_>) -> bool {
        let is_open = |value: &Json| match value {
            Json::Object(_) | Json::Array(_) => true,
            Json::String(text) => fields::held(text).is_some(),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        };
        let allowed = |entry: &String| {
            let entry: Vec<&str> = entry.split('.').collect();
            names(field).any(|path| {
                let leads = entry.starts_with(&path) && is_open(field.value);
                path.starts_with(&entry) || leads
            })
        };
        !self.allow.is_empty() && !self.allow.iter().any(allowed)
    }
}

/// The paths of a field: by the argument's name, and by the one on the wire.
fn names<'a>(field: &'a Field<'_>) -> impl Iterator<Item = Vec<&'a str>> {
    let below = || field.path.iter().skip(1).map(String::as_str);
    let own = field.path.first().map(String::as_str);
    [own, field.wire]
        .into_iter()
        .flatten()
        .map(move |first| std::iter::once(first).chain(below()).collect())
}

fn same_path(entry: &str, path: &[&str]) -> bool {
    let entry = entry.split('.').map(plain);
    entry.eq(path.iter().map(|name| plain(name)))
}

/// A name as a system behind the tool may read it: `account_status` is `accountStatus` to many.
fn plain(name: &str) -> String {
    let telling = name.chars().filter(|char| !matches!(char, '_' | '-' | ' '));
    telling.flat_map(char::to_lowercase).collect()
}
