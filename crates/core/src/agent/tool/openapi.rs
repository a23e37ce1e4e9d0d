//! OpenAPI 3 documents become tools: one per operation.
//!
//! The model sees one flat object of arguments. Parameters and body properties keep their names
//! unless two meet or a name is one that models refuse; `Field` remembers both spellings.

use serde_json::{Map, Value as Json, json};

use super::super::config::ActionGroup;
use super::schema::{Expander, kind};
use super::{Action, ApiOperation, Body, Effect, Field, Problem, Target, problem, yaml};
use crate::limits;

const VERBS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

pub(super) fn actions(group: &ActionGroup, text: &str) -> Result<Vec<Action>, Problem> {
    let document = parse(text)?;
    check_version(&document)?;
    let Some(paths) =
        document.get("paths").and_then(Json::as_object).filter(|paths| !paths.is_empty())
    else {
        return Err(problem(
            "the document has no paths",
            "describe at least one operation under paths",
        ));
    };
    let mut actions = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        if !path.starts_with('/') {
            return Err(problem(
                format!("the path {path:?} does not begin with /"),
                "begin every path with /",
            ));
        }
        let item = Expander::new(&document).follow(item).map_err(|p| placed(path, p))?;
        for (verb, operation) in operations(item) {
            let site = Site { document: &document, path, verb, item, operation };
            actions.push(site.action(group).map_err(|p| placed(&site.at(), p))?);
        }
    }
    if actions.is_empty() {
        return Err(problem(
            "no path has an operation",
            "describe at least one operation under paths",
        ));
    }
    Ok(actions)
}

fn placed(at: &str, inner: Problem) -> Problem {
    problem(format!("{at}: {}", inner.what), inner.advice)
}

/// JSON if it opens like JSON, else YAML (of which JSON is a part, with less telling errors).
fn parse(text: &str) -> Result<Json, Problem> {
    if text.len() > limits::SCHEMA_BYTES {
        let what =
            format!("the document has {} bytes of at most {}", text.len(), limits::SCHEMA_BYTES);
        return Err(problem(
            what,
            "describe fewer operations or split the document over several action groups",
        ));
    }
    let document = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|cause| cause.to_string())
    } else {
        yaml::read(text).map_err(|cause| cause.to_string())
    };
    match document {
        Ok(document @ Json::Object(_)) => Ok(document),
        Ok(_) => Err(problem(
            "the document is not an object",
            "send an OpenAPI 3 document as JSON or YAML",
        )),
        Err(cause) => Err(problem(
            format!("the document cannot be read: {cause}"),
            "send an OpenAPI 3 document as JSON or YAML",
        )),
    }
}

fn check_version(document: &Json) -> Result<(), Problem> {
    let advice = "write OpenAPI 3.0 or 3.1, with \"openapi\": \"3.0.0\"";
    match document.get("openapi") {
        Some(Json::String(version)) if version.starts_with("3.0") || version.starts_with("3.1") => {
            Ok(())
        }
        Some(other) => Err(problem(format!("openapi {other} is not served"), advice)),
        None if document.get("swagger").is_some() => {
            Err(problem("it is a Swagger 2 document", advice))
        }
        None => Err(problem("the document does not say its version (openapi)", advice)),
    }
}

/// The operations of a path item, in a fixed order of verbs.
fn operations(item: &Json) -> impl Iterator<Item = (&'static str, &Json)> {
    VERBS.iter().filter_map(|&verb| Some((verb, item.get(verb)?)))
}

/// One operation where it stands.
struct Site<'a> {
    document: &'a Json,
    path: &'a str,
    verb: &'static str,
    item: &'a Json,
    operation: &'a Json,
}

impl<'a> Site<'a> {
    fn at(&self) -> String {
        format!("{} {}", self.verb, self.path)
    }

    fn action(&self, group: &ActionGroup) -> Result<Action, Problem> {
        let operation_id = self.text("operationId", "name the operation, for example getOrder")?;
        let description = self.described()?;
        self.check_responses()?;
        let confirm = self.confirm()?;
        let mut arguments = Arguments::default();
        let mut expander = Expander::new(self.document);
        let parameters = self.parameters(&mut expander, &mut arguments)?;
        let body = self.body(&mut expander, &mut arguments)?;
        let open = body.as_ref().is_some_and(|body| body.open);
        let operation = ApiOperation {
            verb: self.verb.to_owned(),
            path: self.path.to_owned(),
            operation_id: operation_id.to_owned(),
            parameters,
            body,
        };
        Ok(Action {
            at: self.at(),
            // AWS: httpVerb__actionGroup__operationId.
            name: format!("{}__{}__{operation_id}", self.verb, group.name),
            description: description.to_owned(),
            target: Target::Api(operation),
            input: arguments.into_schema(open),
            effect: effect(self.verb),
            confirm,
        })
    }

    fn text(&self, member: &str, advice: &str) -> Result<&str, Problem> {
        match self.operation.get(member) {
            Some(Json::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Json::String(_)) | Some(Json::Null) | None => {
                Err(problem(format!("{member} is missing"), advice))
            }
            Some(other) => Err(problem(format!("{member} must be text, got {other}"), advice)),
        }
    }

    // AWS: each operation needs a description (user guide, "Define OpenAPI schemas"). Generated
    // documents often carry only a summary; refusing those would help nobody.
    fn described(&self) -> Result<&str, Problem> {
        let advice = "say in a description what the operation does and when to call it";
        self.text("description", advice)
            .or_else(|missing| self.text("summary", advice).map_err(|_| missing))
    }

    fn check_responses(&self) -> Result<(), Problem> {
        // AWS: "attribute paths.'/x'(post).responses is missing".
        if self.operation.get("responses").is_none_or(Json::is_null) {
            return Err(problem("responses is missing", "describe at least the 200 response"));
        }
        Ok(())
    }

    // AWS: `x-requireConfirmation` of an operation, ENABLED or DISABLED (user guide, "Define OpenAPI
    // schemas for your agent's action groups").
    fn confirm(&self) -> Result<bool, Problem> {
        match self.operation.get("x-requireConfirmation") {
            None => Ok(false),
            Some(Json::String(flag)) if flag == "DISABLED" => Ok(false),
            Some(Json::String(flag)) if flag == "ENABLED" => Ok(true),
            Some(other) => Err(problem(
                format!("x-requireConfirmation is {other}"),
                "set it to ENABLED or DISABLED, or remove it",
            )),
        }
    }

    /// The path's parameters under the operation's own, which replace those of equal name and place.
    fn parameters(
        &self,
        expander: &mut Expander<'a>,
        arguments: &mut Arguments,
    ) -> Result<Vec<Field>, Problem> {
        let mut found: Vec<(&str, &str, &'a Json)> = Vec::new();
        for list in
            [self.item.get("parameters"), self.operation.get("parameters")].into_iter().flatten()
        {
            for parameter in list.as_array().into_iter().flatten() {
                let parameter = expander.follow(parameter)?;
                let name = member(parameter, "name", "a parameter")?;
                let place = member(parameter, "in", &format!("parameter {name}"))?;
                match found.iter_mut().find(|(n, p, _)| (*n, *p) == (name, place)) {
                    Some(known) => known.2 = parameter,
                    None => found.push((name, place, parameter)),
                }
            }
        }
        let mut fields = Vec::new();
        for (name, place, parameter) in found {
            let schema = parameter_schema(expander, parameter)
                .map_err(|p| placed(&format!("parameter {name}"), p))?;
            let required = place == "path" || parameter.get("required") == Some(&Json::Bool(true));
            fields.push(arguments.add(name, place, schema, required));
        }
        Ok(fields)
    }

    fn body(
        &self,
        expander: &mut Expander<'a>,
        arguments: &mut Arguments,
    ) -> Result<Option<Body>, Problem> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(None) };
        let body = expander.follow(body)?;
        let content =
            body.get("content").and_then(Json::as_object).filter(|content| !content.is_empty());
        let Some(content) = content else {
            return Err(problem(
                "requestBody has no content",
                "give the schema of an application/json body",
            ));
        };
        let (media, described) = chosen(content);
        let Some(schema) = described.get("schema") else {
            return Err(problem(
                format!("requestBody {media} has no schema"),
                "describe the body by a schema",
            ));
        };
        let schema = expander.schema(schema, 0).map_err(|p| placed("requestBody", p))?;
        // OpenAPI's default is an optional body, yet writers who mean that say so: only an explicit
        // `required: false` frees the properties that the schema itself requires.
        let needed = body.get("required") != Some(&Json::Bool(false));
        Ok(Some(body_fields(media, &schema, needed, arguments)))
    }
}

/// The parameter's schema, described by the parameter.
fn parameter_schema<'a>(expander: &mut Expander<'a>, parameter: &'a Json) -> Result<Json, Problem> {
    let content = || parameter.get("content")?.as_object()?.values().next()?.get("schema");
    let mut schema = match parameter.get("schema").or_else(content) {
        Some(schema) => expander.schema(schema, 0)?,
        None => json!({"type": "string"}),
    };
    if let (Some(description), Some(schema)) =
        (parameter.get("description"), schema.as_object_mut())
    {
        schema.insert("description".to_owned(), description.clone());
    }
    Ok(schema)
}

fn member<'a>(of: &'a Json, name: &str, at: &str) -> Result<&'a str, Problem> {
    // AWS: "attribute paths.'/x'(post).parameters.[name].in is missing".
    of.get(name).and_then(Json::as_str).ok_or_else(|| {
        problem(
            format!("{at} does not say {name:?}"),
            "give every parameter a name, a place (in) and a schema",
        )
    })
}

/// JSON before forms before whatever comes first.
fn chosen(content: &Map<String, Json>) -> (&str, &Json) {
    let known = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
    let preferred = known.iter().find_map(|&media| content.get_key_value(media));
    let json_like = || {
        content
            .iter()
            .find(|(media, _)| media.ends_with("+json") || media.starts_with("application/json"))
    };
    let (media, described) = preferred
        .or_else(json_like)
        .or_else(|| content.iter().next())
        .expect("the caller checked that content is not empty");
    (media, described)
}

/// The body's properties as arguments; a body that is no plain object is one argument, `body`.
fn body_fields(media: &str, schema: &Json, needed: bool, arguments: &mut Arguments) -> Body {
    let media = media.to_owned();
    let plain = kind(schema) == "object"
        && ["oneOf", "anyOf", "allOf"].iter().all(|key| schema.get(key).is_none());
    if !plain {
        let field = arguments.add("body", "body", schema.clone(), needed);
        return Body { media, fields: vec![field], open: false };
    }
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties
        .map(|(name, property)| {
            arguments.add(name, "body", property.clone(), needed && required(name))
        })
        .collect();
    let open = match schema.get("additionalProperties") {
        Some(Json::Bool(open)) => *open,
        Some(_) => true,
        None => schema.get("properties").is_none(),
    };
    Body { media, fields, open }
}

/// The tool's arguments as they gather.
#[derive(Default)]
struct Arguments {
    properties: Map<String, Json>,
    required: Vec<String>,
}

impl Arguments {
    fn add(&mut self, name: &str, place: &str, schema: Json, required: bool) -> Field {
        let argument = self.free_name(name, place);
        let kind = kind(&schema).to_owned();
        self.properties.insert(argument.clone(), schema);
        if required {
            self.required.push(argument.clone());
        }
        Field { name: name.to_owned(), argument, kind }
    }

    /// Providers take property names of `[a-zA-Z0-9_.-]{1,64}` only.
    fn free_name(&self, name: &str, place: &str) -> String {
        let fitting = |name: &str| -> String {
            let fit = |char: char| {
                if char.is_ascii_alphanumeric() || "_.-".contains(char) { char } else { '_' }
            };
            name.chars().map(fit).take(56).collect()
        };
        let plain = fitting(name);
        let prefixed = fitting(&format!("{place}_{name}"));
        let numbered = (2..).map(|number| format!("{prefixed}_{number}"));
        [plain, prefixed.clone()]
            .into_iter()
            .chain(numbered)
            .find(|candidate| !self.properties.contains_key(candidate))
            .expect("numbers do not run out")
    }

    fn into_schema(self, open: bool) -> Json {
        let mut schema = json!({"type": "object", "properties": self.properties});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if !open {
            // An argument that nobody declared would be lost on its way to the tool.
            schema["additionalProperties"] = json!(false);
        }
        schema
    }
}

/// HTTP says which verbs may be repeated; a POST or PATCH says nothing.
fn effect(verb: &str) -> Option<Effect> {
    match verb {
        "get" | "head" | "options" | "trace" => Some(Effect::Read),
        "put" | "delete" => Some(Effect::Keyed),
        _ => None,
    }
}
