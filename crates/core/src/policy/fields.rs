//! The fields of a call's arguments, by the names that a policy may use for them.
//!
//! A field of an API goes by its name on the wire as well as by the argument's, which differ where
//! a name was taken. Lists are looked through, and so is a text that holds a JSON object or list, since
//! that is how functions take what has no simple type.

use serde_json::Value as Json;

use crate::agent::tool::{ApiOperation, Target, Tool};
use crate::limits;

/// One member of the arguments, however deep.
pub(super) struct Field<'a> {
    /// The names that lead to it; the first may go by two.
    pub(super) path: &'a [String],
    /// The first name on the wire, where it is another.
    pub(super) wire: Option<&'a str>,
    pub(super) value: &'a Json,
}

/// Too deep to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooDeep;

/// Shows each member to `see`, outer ones first. `see` says whether to look inside.
pub(super) fn walk(
    tool: &Tool,
    input: &Json,
    see: &mut dyn FnMut(&Field<'_>) -> bool,
) -> Result<(), TooDeep> {
    let Json::Object(members) = input else { return Ok(()) };
    for (name, value) in members {
        let mut walk = Walk { path: vec![name.clone()], wire: wire_name(tool, name), see };
        walk.member(value)?;
    }
    Ok(())
}

struct Walk<'a> {
    path: Vec<String>,
    wire: Option<&'a str>,
    see: &'a mut dyn FnMut(&Field<'_>) -> bool,
}

impl Walk<'_> {
    fn member(&mut self, value: &Json) -> Result<(), TooDeep> {
        let field = Field { path: &self.path, wire: self.wire, value };
        match (self.see)(&field) {
            true => self.inside(value, 0),
            false => Ok(()),
        }
    }

    fn inside(&mut self, value: &Json, lists: usize) -> Result<(), TooDeep> {
        if self.path.len() + lists > limits::ARGUMENT_DEPTH {
            return Err(TooDeep);
        }
        match value {
            Json::Object(members) => {
                for (name, member) in members {
                    self.path.push(name.clone());
                    self.member(member)?;
                    self.path.pop();
                }
                Ok(())
            }
            Json::Array(items) => items.iter().try_for_each(|item| self.inside(item, lists + 1)),
            Json::String(text) => match held(text) {
                Some(value) => self.inside(&value, lists + 1),
                None => Ok(()),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }
}

/// The object or list that a text holds.
pub(super) fn held(text: &str) -> Option<Json> {
    let looks = text.trim_start().starts_with(['{', '[']);
    looks.then(|| serde_json::from_str(text).ok()).flatten()
}

/// What an argument is called on the wire, where that is another name.
pub(super) fn wire_name<'a>(tool: &'a Tool, argument: &str) -> Option<&'a str> {
    let Target::Api(ApiOperation { parameters, body, .. }) = &tool.target else { return None };
    let mut fields = parameters.iter().chain(body.iter().flat_map(|body| &body.fields));
    let field = fields.find(|field| field.argument == argument)?;
    (field.name != argument).then_some(field.name.as_str())
}
