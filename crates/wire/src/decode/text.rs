//! Scalars as plain text: in labels, query strings, headers and forms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::decode::Malformed;
use crate::model::{Kind, Shape, TimeFormat};
use crate::time;
use crate::value::Value;

/// Reads one scalar. `format` is the timestamp's, already settled.
pub(crate) fn scalar(shape: &Shape, format: TimeFormat, text: &str) -> Result<Value, Malformed> {
    let read = match &shape.kind {
        Kind::String { .. } => Some(Value::String(text.to_owned())),
        Kind::Boolean => boolean(text),
        Kind::Integer { .. } => text.parse::<i32>().ok().map(|i| Value::Integer(i.into())),
        Kind::Long { .. } => text.parse().ok().map(Value::Integer),
        Kind::Float { .. } | Kind::Double { .. } => double(text).map(Value::Double),
        Kind::Timestamp(_) => time::parse(text, format).map(Value::Time),
        Kind::Blob { .. } => STANDARD.decode(text).ok().map(|b| Value::Blob(Bytes::from(b))),
        Kind::Document => serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from),
        Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. } => None,
    };
    read.ok_or_else(|| refuse(shape))
}

pub(crate) fn refuse(shape: &Shape) -> Malformed {
    Malformed::new(format!("STRING_VALUE can not be converted to {}", wanted(&shape.kind)))
}

/// The type's name in messages, with its article as AWS writes it.
pub(crate) fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::String { .. } => "a String",
        Kind::Boolean => "a Boolean",
        Kind::Integer { .. } => "an Integer",
        Kind::Long { .. } => "a Long",
        Kind::Float { .. } => "a Float",
        Kind::Double { .. } => "a Double",
        Kind::Timestamp(_) => "a Timestamp",
        Kind::Blob { .. } => "a Blob",
        Kind::Document => "a Document",
        Kind::Structure(_) => "a Structure",
        Kind::List { .. } => "a List",
        Kind::Map { .. } => "a Map",
    }
}

fn boolean(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// AWS: the three values that JSON has no number for are the words NaN, Infinity and -Infinity
/// (Smithy restJson1); Rust's own `inf` and `nan` are not numbers.
pub(crate) fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|d: &f64| d.is_finite()),
    }
}
