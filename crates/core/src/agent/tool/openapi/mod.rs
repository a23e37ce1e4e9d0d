//! OpenAPI 3 documents become tools: one per operation.
//!
//! The model sees one flat object of arguments. Parameters and body properties keep their names
//! unless two meet or a name is one that models refuse; `Field` remembers both spellings.

mod arguments;
mod fields;
mod servers;

use serde_json::Value as Json;

use super::super::config::ActionGroup;
use super::schema::Expander;
use super::{Action, ApiOperation, Effect, Problem, Target, problem, yaml};
use crate::limits;
use arguments::Arguments;
pub(super) use fields::FORM;

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
            server: self.server(),
            security: self.security()?,
            answers: self.answers(),
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
}

/// HTTP says which verbs may be repeated; a POST or PATCH says nothing.
fn effect(verb: &str) -> Option<Effect> {
    match verb {
        "get" | "head" | "options" | "trace" => Some(Effect::Read),
        "put" | "delete" => Some(Effect::Keyed),
        _ => None,
    }
}
