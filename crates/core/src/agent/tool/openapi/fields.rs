//! Parameters and body of an operation: what the model is to give, and how each value travels.
//!
//! Nothing here is refused because it could not be sent: a function may perform the operation, and it
//! gets values by name. Whoever sends the request finds what cannot be spelled, and says so.

use serde_json::{Map, Value as Json, json};

use super::super::schema::{Expander, kind};
use super::super::{Body, Field, Place, Problem, Spelling, Style, problem};
use super::arguments::{Arguments, Wire};
use super::{Site, placed};

impl<'a> Site<'a> {
    /// The path's parameters under the operation's own, which replace those of equal name and place.
    pub(super) fn parameters(
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
            let place = Place::read(place);
            let spelling = parameter_spelling(parameter, &place);
            fields.push(arguments.add(Wire { name, place, spelling }, schema, required));
        }
        Ok(fields)
    }

    pub(super) fn body(
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
        let form = Form { media, encoding: described.get("encoding"), needed };
        Ok(Some(form.read(&schema, arguments)))
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

/// As its one media type, else in its style.
fn parameter_spelling(parameter: &Json, place: &Place) -> Spelling {
    let content = parameter.get("content").and_then(Json::as_object);
    match content.and_then(|content| content.keys().next()) {
        Some(media) => Spelling::Content(media.clone()),
        None => styled(parameter, place),
    }
}

/// OpenAPI 3.1, Parameter Object: `style` by place, `explode` true for `form` alone.
fn styled(described: &Json, place: &Place) -> Spelling {
    let style = match described.get("style") {
        None => match place {
            Place::Path | Place::Header => Some(Style::Simple),
            Place::Query | Place::Cookie | Place::Body | Place::Other(_) => Some(Style::Form),
        },
        Some(word) => word.as_str().and_then(Style::read),
    };
    let Some(style) = style.filter(|style| style.fits(place)) else {
        let word = described.get("style").map(Json::to_string);
        return Spelling::Unknown(word.unwrap_or_default());
    };
    let explode = described.get("explode").and_then(Json::as_bool);
    let reserved = described.get("allowReserved").and_then(Json::as_bool);
    Spelling::Styled {
        style,
        explode: explode.unwrap_or(style == Style::Form),
        reserved: reserved.unwrap_or(false) && matches!(place, Place::Query | Place::Body),
    }
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

/// A body's media type and what is said of it.
struct Form<'a> {
    media: &'a str,
    encoding: Option<&'a Json>,
    needed: bool,
}

impl Form<'_> {
    /// The body's properties as arguments; a body that is no plain object is one argument, `body`.
    fn read(&self, schema: &Json, arguments: &mut Arguments) -> Body {
        let plain = kind(schema) == "object"
            && ["oneOf", "anyOf", "allOf"].iter().all(|key| schema.get(key).is_none());
        let media = self.media.to_owned();
        if !plain {
            let wire = Wire { name: "body", place: Place::Body, spelling: Spelling::Member };
            let fields = vec![arguments.add(wire, schema.clone(), self.needed)];
            return Body { media, fields, open: false, whole: true, needed: self.needed };
        }
        let required = |name: &str| {
            schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        let fields = properties
            .map(|(name, property)| {
                let spelling = self.spelling(name, property);
                let wire = Wire { name, place: Place::Body, spelling };
                arguments.add(wire, property.clone(), self.needed && required(name))
            })
            .collect();
        let open = match schema.get("additionalProperties") {
            Some(Json::Bool(open)) => *open,
            Some(_) => true,
            None => schema.get("properties").is_none(),
        };
        Body { media, fields, open, whole: false, needed: self.needed }
    }

    /// OpenAPI 3.1, Encoding Object: a style where one of its three fields is given, else a content
    /// type, by default that of the property's type.
    fn spelling(&self, name: &str, property: &Json) -> Spelling {
        if !self.media.starts_with("multipart/") && self.media != FORM {
            return Spelling::Member;
        }
        let encoding = self.encoding.and_then(|all| all.get(name));
        let says = |member: &str| encoding.is_some_and(|encoding| encoding.get(member).is_some());
        match encoding {
            Some(encoding) if says("style") || says("explode") || says("allowReserved") => {
                styled(encoding, &Place::Body)
            }
            _ => {
                let declared = encoding.and_then(|encoding| encoding["contentType"].as_str());
                Spelling::Content(declared.map_or_else(|| content_type(property), first_media))
            }
        }
    }
}

pub(in crate::agent::tool) const FORM: &str = "application/x-www-form-urlencoded";

/// Of `image/png, image/jpeg` the first; a range says no type.
fn first_media(list: &str) -> String {
    let first = list.split(',').next().unwrap_or_default().trim();
    if first.is_empty() || first.contains('*') { BYTES.to_owned() } else { first.to_owned() }
}

const BYTES: &str = "application/octet-stream";

/// OpenAPI 3.0 and 3.1, Encoding Object: the default `contentType` of a property.
fn content_type(property: &Json) -> String {
    let is_file = |schema: &Json| {
        schema["format"] == "binary"
            || schema.get("contentMediaType").is_some()
            || schema.get("contentEncoding").is_some()
    };
    let media = match kind(property) {
        "array" => return property.get("items").map_or("text/plain".to_owned(), content_type),
        "object" => "application/json",
        "string" if is_file(property) => BYTES,
        _ => "text/plain",
    };
    media.to_owned()
}
