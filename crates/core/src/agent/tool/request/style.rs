//! The styles of OpenAPI: how a value of one, of many or of named parts becomes text.
//!
//! A part that is itself a list or an object is JSON text, which the specification leaves open;
//! `deepObject` alone goes into the depth, in brackets, with the numbers of a list's items.

use serde_json::Value as Json;

use super::super::Style;
use super::super::event::spelled;
use super::Encoder;

/// A style, and whether it takes lists and objects apart.
pub(super) type Form = (Style, bool);

/// A value by the shape that styles look at.
enum Shape {
    Text(String),
    List(Vec<String>),
    Named(Vec<(String, String)>),
}

/// `None` where there is nothing to spell: null, a list or an object without parts (RFC 6570,
/// "undefined").
fn shape(value: &Json) -> Option<Shape> {
    let part = |value: &Json| (!value.is_null()).then(|| spelled(value));
    match value {
        Json::Null => None,
        Json::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(part).collect();
            (!items.is_empty()).then_some(Shape::List(items))
        }
        Json::Object(members) => {
            let named = |(name, value): (&String, &Json)| Some((name.clone(), part(value)?));
            let members: Vec<_> = members.iter().filter_map(named).collect();
            (!members.is_empty()).then_some(Shape::Named(members))
        }
        plain => Some(Shape::Text(spelled(plain))),
    }
}

/// `simple`, `label` or `matrix`.
pub(super) fn in_path(name: &str, value: &Json, (style, explode): Form) -> Option<String> {
    let encode = |text: &str| Encoder::Strict.text(text);
    let name = encode(name);
    let shape = shape(value)?.encoded(Encoder::Strict);
    Some(match style {
        Style::Label => format!(".{}", shape.joined(if explode { "." } else { "," }, explode)),
        Style::Matrix => match shape {
            Shape::List(items) if explode => items.iter().map(|item| matrix(&name, item)).collect(),
            Shape::Named(members) if explode => {
                members.iter().map(|(name, value)| matrix(name, value)).collect()
            }
            shape => matrix(&name, &shape.joined(",", false)),
        },
        Style::Simple
        | Style::Form
        | Style::SpaceDelimited
        | Style::PipeDelimited
        | Style::DeepObject => shape.joined(",", explode),
    })
}

fn matrix(name: &str, value: &str) -> String {
    if value.is_empty() { format!(";{name}") } else { format!(";{name}={value}") }
}

/// `simple`. HTTP knows no percent-encoding in headers.
pub(super) fn in_header(value: &Json, explode: bool) -> Option<String> {
    Some(shape(value)?.joined(",", explode))
}

/// `form` and the styles of queries alone.
pub(super) fn pairs(
    name: &str,
    value: &Json,
    (style, explode): Form,
    encoder: Encoder,
) -> Vec<(String, String)> {
    if style == Style::DeepObject && (value.is_object() || value.is_array()) {
        let mut found = Vec::new();
        deep(name, value, encoder, &mut found);
        return found;
    }
    let Some(shape) = shape(value) else { return Vec::new() };
    let name = encoder.text(name);
    let between = match style {
        Style::SpaceDelimited => encoder.text(" "),
        Style::PipeDelimited => encoder.text("|"),
        _ => ",".to_owned(),
    };
    match shape.encoded(encoder) {
        Shape::List(items) if explode => {
            items.into_iter().map(|item| (name.clone(), item)).collect()
        }
        Shape::Named(members) if explode => members,
        shape => vec![(name, shape.joined(&between, false))],
    }
}

/// `color[R]`, `filter[tags][0]`.
fn deep(name: &str, value: &Json, encoder: Encoder, found: &mut Vec<(String, String)>) {
    match value {
        Json::Null => {}
        Json::Object(members) => {
            for (member, value) in members {
                deep(&format!("{name}[{member}]"), value, encoder, found);
            }
        }
        Json::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                deep(&format!("{name}[{place}]"), item, encoder, found);
            }
        }
        plain => found.push((encoder.text(name), encoder.text(&spelled(plain)))),
    }
}

/// A value as a document of a media type: JSON, else text.
pub(super) fn document(value: &Json, media: &str) -> String {
    if is_json(media) { value.to_string() } else { spelled(value) }
}

/// `application/json`, `application/problem+json; charset=utf-8`.
pub(in crate::agent::tool) fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

impl Shape {
    fn encoded(self, encoder: Encoder) -> Shape {
        let encode = |text: String| encoder.text(&text);
        match self {
            Shape::Text(text) => Shape::Text(encode(text)),
            Shape::List(items) => Shape::List(items.into_iter().map(encode).collect()),
            Shape::Named(members) => Shape::Named(
                members.into_iter().map(|(name, value)| (encode(name), encode(value))).collect(),
            ),
        }
    }

    /// With names before their values: `R=100` where exploded, else `R,100`.
    fn joined(&self, between: &str, explode: bool) -> String {
        match self {
            Shape::Text(text) => text.clone(),
            Shape::List(items) => items.join(between),
            Shape::Named(members) => {
                let equals = if explode { "=" } else { between };
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name}{equals}{value}")).collect();
                members.join(between)
            }
        }
    }
}
