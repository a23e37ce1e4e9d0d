//! Values by schema that nobody gave: right ones, ones of the wrong type, ones out of range.

use serde_json::{Map, Value as Json, json};
use wire::converse::Tool;

use super::{Dice, pick};

/// How deep a schema is followed.
const DEPTH: usize = 5;
const NUMBERS: [i64; 6] = [1, 3, 42, 100, 500, 9999];
const WORDS: [&str; 6] = ["A-1001", "customer", "2031-02-03", "yes", "Oslo", "someone@example.com"];

/// Every argument that a tool declares.
pub(super) fn arguments(tool: &Tool, dice: &mut Dice) -> Map<String, Json> {
    match valid(&tool.schema, &tool.schema, dice, DEPTH) {
        Json::Object(arguments) => arguments,
        _ => Map::new(),
    }
}

/// A value that fits `schema` as far as type, choice and range say. `root` is what `$ref` begins at.
pub(super) fn valid(schema: &Json, root: &Json, dice: &mut Dice, depth: usize) -> Json {
    if depth == 0 {
        return Json::Null;
    }
    if let Some(part) = part(schema, root) {
        return valid(part, root, dice, depth - 1);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.is_empty()) {
        return pick(choices, dice.next()).clone();
    }
    match kind(schema) {
        "integer" | "number" => number(schema, dice),
        "boolean" => json!(dice.roll(2) == 0),
        "array" => json!([valid(&schema["items"], root, dice, depth - 1)]),
        "object" => {
            let members = schema["properties"].as_object().into_iter().flatten();
            members.map(|(name, one)| (name.clone(), valid(one, root, dice, depth - 1))).collect()
        }
        "null" => Json::Null,
        _ => json!(pick(&WORDS, dice.next())),
    }
}

/// The schema that this one only leads to.
fn part<'a>(schema: &'a Json, root: &'a Json) -> Option<&'a Json> {
    if let Some(path) = schema["$ref"].as_str() {
        return root.pointer(path.strip_prefix('#')?);
    }
    let one_of = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema.get(*name)?.get(0));
    one_of.filter(|_| schema.get("type").is_none())
}

fn kind(schema: &Json) -> &str {
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    kind.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" })
}

fn number(schema: &Json, dice: &mut Dice) -> Json {
    let guess = *pick(&NUMBERS, dice.next());
    let bound = |name: &str| schema[name].as_f64();
    match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if (guess as f64) < least => schema["minimum"].clone(),
        (_, Some(most)) if guess as f64 > most => schema["maximum"].clone(),
        _ => json!(guess),
    }
}

/// A value of a type that `schema` does not name.
pub(super) fn wrong(schema: &Json) -> Json {
    match kind(schema) {
        "integer" | "number" => json!("eighty"),
        "boolean" => json!("yes, please"),
        "array" => json!("one, two"),
        "object" => json!("everything"),
        _ => json!({ "value": [1.5, null] }),
    }
}

/// A value of the right type that the schema excludes, where it excludes any.
pub(super) fn outside(schema: &Json, was: &Json) -> Json {
    let bound = |name: &str| schema[name].as_f64();
    if schema.get("enum").is_some() {
        return json!("none of these");
    }
    match (bound("maximum"), bound("minimum")) {
        (Some(most), _) => json!(most + 1.0),
        (None, Some(least)) => json!(least - 1.0),
        (None, None) if was.is_number() => json!(-1e300),
        (None, None) => was.clone(),
    }
}
