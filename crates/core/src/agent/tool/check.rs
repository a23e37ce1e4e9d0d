//! Checks a model's arguments against the schema of the tool they are for.
//!
//! Strict: `"80"` is not 80. A tool would receive either as the text `80`, but a model that is told
//! of its mistake repairs it, while a silent repair would also make a number of `"080"` or of a
//! text that only looks like one, and give two idempotency keys to what is one call. Two things are
//! taken as meant because nothing can be lost: a whole float for an integer, and null for
//! an optional argument that is absent.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value as Json;

use super::Tool;
use super::error::shortened;
use super::event::kind_of;
use super::key::normal;
use crate::limits;

/// A schema compiled once; clones share it.
#[derive(Clone)]
pub(crate) struct Checker(Arc<Validator>);

impl Checker {
    pub(crate) fn new(schema: &Json) -> Result<Checker, String> {
        match jsonschema::draft202012::new(schema) {
            Ok(validator) => Ok(Checker(Arc::new(validator))),
            Err(cause) => Err(format!("at {}: {cause}", cause.instance_path())),
        }
    }
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checker")
    }
}

/// A checker says nothing that the schema beside it does not say.
impl PartialEq for Checker {
    fn eq(&self, _: &Checker) -> bool {
        true
    }
}

/// The arguments to run the tool with, or what is wrong with them, each in a few words such as
/// `amount: expected number, got string "eighty"`.
pub fn check_arguments(tool: &Tool, input: &Json) -> Result<Json, Vec<String>> {
    check_input(&tool.input, &tool.checker, input)
}

/// The same for a tool that no action group defines.
pub(crate) fn check_input(
    schema: &Json,
    checker: &Checker,
    input: &Json,
) -> Result<Json, Vec<String>> {
    if !input.is_object() {
        return Err(vec![format!("arguments: expected a JSON object, got {}", shown(input))]);
    }
    let meant = as_meant(schema, input);
    let violations: Vec<String> = checker
        .0
        .iter_errors(&meant)
        .take(limits::VIOLATIONS)
        .map(|error| violation(&error))
        .collect();
    if violations.is_empty() { Ok(meant) } else { Err(violations) }
}

fn as_meant(schema: &Json, input: &Json) -> Json {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    let members = input.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| {
            let property = &schema["properties"][name.as_str()];
            !value.is_null() || required(name) || takes_null(property)
        })
        .map(|(name, value)| (name.clone(), whole(value)))
        .collect()
}

fn takes_null(schema: &Json) -> bool {
    match &schema["type"] {
        Json::String(kind) => kind == "null",
        Json::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
        // Without a type anything may be meant, and an unknown property is a violation to tell.
        _ => true,
    }
}

/// Whole floats as integers, at every depth, so that a call is spelled one way.
fn whole(value: &Json) -> Json {
    match value {
        Json::Number(number) => Json::Number(normal(number)),
        Json::Array(items) => items.iter().map(whole).collect(),
        Json::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), whole(member))).collect()
        }
        Json::Null | Json::Bool(_) | Json::String(_) => value.clone(),
    }
}

fn violation(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let at = path.trim_start_matches('/').replace('/', ".");
    let beneath = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let got = || shown(error.instance());
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            format!("{at}: expected {}, got {}", kinds(kind), got())
        }
        ValidationErrorKind::Required { property } => {
            format!("{}: required, missing", beneath(property.as_str().unwrap_or_default()))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| beneath(name)).collect();
            format!("{}: not an argument of this tool", names.join(", "))
        }
        ValidationErrorKind::Enum { options } => {
            format!("{at}: expected one of {}, got {}", shortened(&options.to_string(), 200), got())
        }
        _ => format!("{at}: {}", shortened(&error.to_string(), 200)),
    }
}

fn kinds(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn shown(value: &Json) -> String {
    format!("{} {}", kind_of(value), shortened(&value.to_string(), 60))
}
