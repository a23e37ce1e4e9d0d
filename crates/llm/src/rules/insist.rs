//! Arguments of a tool that the client demands, where the request gives none.
//!
//! A client that forces a tool takes no question for an answer; often the tool is nothing but the form
//! that it wants the answer in. So what is required and still missing takes what the user said: a
//! number that nothing else took, or the request's own words. An id, a date, an address or one of a list
//! of values is never guessed and stays missing.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::fill::{Filled, missing};
use super::rank::Known;
use super::schema::{Param, Role, Type};

/// A number that is no part of a name, as in `INV-1`.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w.-])(-?\d+(?:\.\d+)?)\b").expect("it is a pattern"));

pub(super) fn complete(known: &Known<'_>, request: &str, filled: &mut Filled) {
    let taken: Vec<String> = filled.input.values().map(Json::to_string).collect();
    let mut numbers =
        NUMBER.captures_iter(request).filter_map(|found| Some(found.get(1)?.as_str()));
    for place in std::mem::take(&mut filled.missing) {
        let param = &known.params[place];
        let value = match param.kind {
            Type::Integer | Type::Number => numbers
                .by_ref()
                .filter_map(|digits| number(param, digits))
                .find(|number| !taken.contains(&number.to_string())),
            Type::Text if is_free(param) => Some(Json::from(request)),
            Type::Text | Type::Boolean | Type::Array | Type::Object => None,
        };
        filled.input.extend(value.map(|value| (param.name.clone(), value)));
    }
    missing(known, filled);
}

fn number(param: &Param, digits: &str) -> Option<Json> {
    match param.kind {
        Type::Integer => digits.parse::<i64>().ok().map(Json::from),
        _ => digits.parse::<f64>().ok().map(Json::from),
    }
}

/// Words of the user's own are a value of it.
fn is_free(param: &Param) -> bool {
    param.enums.is_empty()
        && param.pattern.is_none()
        && matches!(param.role, Role::Prose | Role::Other)
}
