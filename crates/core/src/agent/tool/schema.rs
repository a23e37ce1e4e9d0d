//! Schema objects of OpenAPI 3.0 and 3.1 become JSON Schema 2020-12, whole: every `$ref` stands
//! expanded, because models are told one tool at a time.
//!
//! Expansion is bounded in depth and in nodes, and a cycle ends in an object without a form.
//! Descriptions pass byte for byte. What only documents (examples apart) or only concerns XML and
//! responses falls away.

use serde_json::{Map, Value as Json, json};

use super::{Problem, problem};
use crate::limits;

/// A document, and how much of one tool's schema has been written.
pub(super) struct Expander<'a> {
    document: &'a Json,
    nodes: usize,
    /// References being expanded, outermost first.
    trail: Vec<String>,
}

/// Keywords without meaning for the input of a tool.
const DROPPED: [&str; 11] = [
    "nullable",
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "readOnly",
    "writeOnly",
    "deprecated",
    "$schema",
    "$id",
];

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

impl<'a> Expander<'a> {
    pub(super) fn new(document: &'a Json) -> Expander<'a> {
        Expander { document, nodes: 0, trail: Vec::new() }
    }

    /// Follows a `$ref` of any object that is not a schema (parameters, bodies, path items).
    pub(super) fn follow(&self, value: &'a Json) -> Result<&'a Json, Problem> {
        let mut value = value;
        for _ in 0..limits::SCHEMA_DEPTH {
            match value.get("$ref").and_then(Json::as_str) {
                Some(reference) => value = self.target(reference)?,
                None => return Ok(value),
            }
        }
        Err(problem("a $ref leads back to itself", "let the reference end in an object"))
    }

    /// The JSON Schema of an OpenAPI schema object.
    pub(super) fn schema(&mut self, schema: &'a Json, depth: usize) -> Result<Json, Problem> {
        self.nodes += 1;
        if depth > limits::SCHEMA_DEPTH || self.nodes > limits::SCHEMA_NODES {
            return Err(problem(
                format!(
                    "its schema is larger than {} nodes or deeper than {} levels once every $ref is expanded",
                    limits::SCHEMA_NODES,
                    limits::SCHEMA_DEPTH
                ),
                "describe the arguments in a simpler form",
            ));
        }
        match schema {
            Json::Object(members) => match members.get("$ref").and_then(Json::as_str) {
                Some(reference) => self.referred(reference, members, depth),
                None => self.members(members, depth),
            },
            Json::Bool(_) => Ok(schema.clone()),
            _ => Err(problem(
                format!("a schema must be an object, got {schema}"),
                "correct the schema",
            )),
        }
    }

    /// A referred schema under the members that stand beside the reference.
    fn referred(
        &mut self,
        reference: &str,
        beside: &'a Map<String, Json>,
        depth: usize,
    ) -> Result<Json, Problem> {
        if self.trail.iter().any(|open| open == reference) {
            return Ok(json!({"description": format!("as {} above", last_part(reference))}));
        }
        let target = self.target(reference)?;
        self.trail.push(reference.to_owned());
        let expanded = self.schema(target, depth + 1);
        self.trail.pop();
        let mut expanded = expanded?;
        if let (Json::Object(expanded), true) = (&mut expanded, beside.len() > 1) {
            let rest: Map<String, Json> = self.kept(beside, depth)?;
            expanded.extend(rest);
        }
        Ok(expanded)
    }

    fn members(&mut self, members: &'a Map<String, Json>, depth: usize) -> Result<Json, Problem> {
        let mut out = self.kept(members, depth)?;
        exclusive_bounds(members, &mut out);
        if let Some(example) = members.get("example") {
            out.insert("examples".to_owned(), json!([example]));
        }
        if let Some(Json::Array(parts)) = members.get("allOf") {
            let parts = parts
                .iter()
                .map(|part| self.schema(part, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            merge_all(&mut out, parts);
        }
        if members.get("nullable") == Some(&Json::Bool(true)) {
            allow_null(&mut out);
        }
        self.require_known(members, &mut out);
        Ok(Json::Object(out))
    }

    /// Every keyword that carries over by itself, its subschemas expanded.
    fn kept(
        &mut self,
        members: &'a Map<String, Json>,
        depth: usize,
    ) -> Result<Map<String, Json>, Problem> {
        let mut out = Map::new();
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            if keyword == "$ref"
                || keyword == "allOf"
                || DROPPED.contains(&keyword)
                || keyword.starts_with("x-")
            {
                continue;
            }
            let kept = match (keyword, value) {
                ("properties" | "patternProperties", Json::Object(all)) => {
                    self.named(all, depth)?
                }
                (
                    "items" | "additionalProperties" | "not" | "contains" | "propertyNames",
                    Json::Object(_),
                ) => self.schema(value, depth + 1)?,
                ("oneOf" | "anyOf" | "prefixItems", Json::Array(all)) => {
                    all.iter().map(|one| self.schema(one, depth + 1)).collect::<Result<_, _>>()?
                }
                ("type", kind) => known_type(kind)?,
                ("exclusiveMinimum" | "exclusiveMaximum", Json::Bool(_)) => continue,
                _ => value.clone(),
            };
            out.insert(keyword.to_owned(), kept);
        }
        Ok(out)
    }

    /// Properties, without those that only a response has.
    fn named(&mut self, properties: &'a Map<String, Json>, depth: usize) -> Result<Json, Problem> {
        let mut out = Map::new();
        for (name, schema) in properties {
            if self.read_only(schema) {
                continue;
            }
            let expanded = self
                .schema(schema, depth + 1)
                .map_err(|p| problem(format!("{name}: {}", p.what), p.advice))?;
            out.insert(name.clone(), expanded);
        }
        Ok(Json::Object(out))
    }

    /// A property that only responses have cannot be required of a request.
    fn require_known(&self, members: &'a Map<String, Json>, out: &mut Map<String, Json>) {
        let Some(Json::Object(declared)) = members.get("properties") else { return };
        let Some(Json::Array(required)) = out.get_mut("required") else { return };
        required.retain(|name| {
            let schema = name.as_str().and_then(|name| declared.get(name));
            !schema.is_some_and(|schema| self.read_only(schema))
        });
        if required.is_empty() {
            out.remove("required");
        }
    }

    /// Whether only responses have it, by its own word or that of what it refers to.
    fn read_only(&self, schema: &'a Json) -> bool {
        let says = |schema: &Json| schema.get("readOnly") == Some(&Json::Bool(true));
        says(schema) || self.follow(schema).is_ok_and(says)
    }

    fn target(&self, reference: &str) -> Result<&'a Json, Problem> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(problem(
                format!("$ref {reference} points outside the document"),
                "copy what it names into the document and refer to it as #/components/…",
            ));
        };
        self.document.pointer(pointer).ok_or_else(|| {
            problem(
                format!("$ref {reference} names nothing in the document"),
                "define it or correct the reference",
            )
        })
    }
}

fn last_part(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn known_type(kind: &Json) -> Result<Json, Problem> {
    let known = |kind: &Json| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
    let right = match kind {
        Json::Array(kinds) => !kinds.is_empty() && kinds.iter().all(known),
        one => known(one),
    };
    if right {
        Ok(kind.clone())
    } else {
        Err(problem(format!("{kind} is not a type"), format!("use one of {}", TYPES.join(", "))))
    }
}

/// OpenAPI 3.0's `exclusiveMinimum: true` is JSON Schema's `exclusiveMinimum: <the minimum>`.
fn exclusive_bounds(members: &Map<String, Json>, out: &mut Map<String, Json>) {
    for (flag, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if members.get(flag) == Some(&Json::Bool(true))
            && let Some(value) = out.remove(bound)
        {
            out.insert(flag.to_owned(), value);
        }
    }
}

fn allow_null(out: &mut Map<String, Json>) {
    if let Some(Json::String(kind)) = out.get("type") {
        let union = json!([kind, "null"]);
        out.insert("type".to_owned(), union);
    }
    if let Some(Json::Array(allowed)) = out.get_mut("enum")
        && !allowed.contains(&Json::Null)
    {
        allowed.push(Json::Null);
    }
}

/// Parts of an `allOf` that agree become one schema, which models read best; parts that set the
/// same keyword differently stay apart under `allOf`. A merged `additionalProperties: false` looks
/// at the properties of all parts, as its writer meant, where JSON Schema would look at one's own.
fn merge_all(out: &mut Map<String, Json>, parts: Vec<Json>) {
    let mut apart = Vec::new();
    for part in parts {
        match part {
            Json::Object(part) if agrees(out, &part) => merge(out, part),
            other => apart.push(other),
        }
    }
    if !apart.is_empty() {
        out.insert("allOf".to_owned(), Json::Array(apart));
    }
}

fn agrees(out: &Map<String, Json>, part: &Map<String, Json>) -> bool {
    part.iter().all(|(keyword, value)| match (keyword.as_str(), out.get(keyword)) {
        (_, None) | ("description" | "title" | "required" | "examples", _) => true,
        ("properties", Some(mine)) => {
            let theirs = value.as_object().into_iter().flatten();
            theirs.into_iter().all(|(name, schema)| mine.get(name).is_none_or(|own| own == schema))
        }
        (_, Some(own)) => own == value,
    })
}

fn merge(out: &mut Map<String, Json>, part: Map<String, Json>) {
    for (keyword, value) in part {
        match (out.get_mut(&keyword), value) {
            (None, value) => {
                out.insert(keyword, value);
            }
            (Some(Json::Object(mine)), Json::Object(theirs)) if keyword == "properties" => {
                mine.extend(theirs);
            }
            (Some(Json::Array(mine)), Json::Array(theirs)) if keyword == "required" => {
                for name in theirs {
                    if !mine.contains(&name) {
                        mine.push(name);
                    }
                }
            }
            // The outer words win: they were written for this place.
            (Some(_), _) => {}
        }
    }
}

/// The one type that a parameter is announced with.
pub(super) fn kind(schema: &Json) -> &str {
    match &schema["type"] {
        Json::String(kind) => kind,
        Json::Array(kinds) => {
            kinds.iter().filter_map(Json::as_str).find(|&kind| kind != "null").unwrap_or("string")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => {
            let parts = ["allOf", "oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.get(0));
            parts.map_or("string", kind)
        }
    }
}
