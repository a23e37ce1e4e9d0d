//! How a refused value is repeated in a message: as Java prints it, bounded, and never a secret.

use std::fmt::Write as _;

use crate::limits;
use crate::model::{Kind, Service, Shape, ShapeId, TimeFormat};
use crate::time;
use crate::value::Value;

/// ` 'the value'`, or nothing where the value, or anything inside of it, is sensitive.
pub(super) fn value(service: &'static Service, shape: &'static Shape, value: &Value) -> String {
    let mut text = String::new();
    match write(service, shape, value, &mut text) {
        Some(()) => format!(" '{}'", bounded(&text)),
        None => String::new(),
    }
}

/// At most so many bytes, cut between characters.
pub(super) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(limits::SHOWN_VALUE)]
}

/// `None` when it meets a sensitive shape. Stops writing past the bound, but goes on looking.
fn write(
    service: &'static Service,
    shape: &'static Shape,
    value: &Value,
    out: &mut String,
) -> Option<()> {
    if shape.sensitive {
        return None;
    }
    match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Map(map)) => {
            out.push('{');
            let members = structure.members.iter().filter_map(|m| Some((m, map.get(m.name)?)));
            for (index, (member, value)) in members.enumerate() {
                entry(index, member.name, out);
                write(service, service.shape(member.shape), value, out)?;
            }
            out.push('}');
        }
        (Kind::List { item, .. }, Value::List(items)) => list(service, *item, items, out)?,
        (Kind::Map { key, value: of, .. }, Value::Map(map)) => {
            if service.shape(*key).sensitive {
                return None;
            }
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                entry(index, key, out);
                write(service, service.shape(*of), value, out)?;
            }
            out.push('}');
        }
        _ => scalar(value, out),
    }
    Some(())
}

fn list(service: &'static Service, item: ShapeId, items: &[Value], out: &mut String) -> Option<()> {
    out.push('[');
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            put(out, format_args!(", "));
        }
        write(service, service.shape(item), value, out)?;
    }
    out.push(']');
    Some(())
}

fn entry(index: usize, key: &str, out: &mut String) {
    let separator = if index > 0 { ", " } else { "" };
    put(out, format_args!("{separator}{key}="));
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => put(out, format_args!("{b}")),
        Value::Integer(i) => put(out, format_args!("{i}")),
        Value::Double(d) => put(out, format_args!("{d}")),
        Value::String(s) => put(out, format_args!("{}", bounded(s))),
        Value::Time(t) => out.push_str(&time::format(*t, TimeFormat::Iso8601)),
        // Bytes and documents have no form that would help the reader.
        Value::Blob(_) | Value::List(_) | Value::Map(_) => out.push_str("..."),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    if out.len() <= limits::SHOWN_VALUE {
        out.write_fmt(text).expect("writing to a string cannot fail");
    }
}
