//! The vectors' parameters and results as wire values, and their comparison.

use bytes::Bytes;
use serde_json::Value as Json;
use wire::model::{Kind, Location, Service, ShapeId};
use wire::value::{Map, Timestamp, Value};

/// Blobs stand as text in the vectors, timestamps as epoch seconds, NaN as a word.
pub(crate) fn from_vector(service: &'static Service, shape: ShapeId, json: &Json) -> Value {
    match (&service.shape(shape).kind, json) {
        (Kind::Structure(structure), Json::Object(object)) => {
            let members = structure.members.iter().filter_map(|member| {
                let json = object.get(member.name)?;
                if let (true, Json::String(text)) = (member.json_value, json) {
                    // The vectors say the JSON text; the value is what it means.
                    let json: Json = serde_json::from_str(text).ok()?;
                    return Some((member.name.to_owned(), Value::from(json)));
                }
                Some((member.name.to_owned(), from_vector(service, member.shape, json)))
            });
            Value::Map(members.filter(|(_, value)| *value != Value::Null).collect())
        }
        (Kind::List { item, .. }, Json::Array(items)) => {
            Value::List(items.iter().map(|json| from_vector(service, *item, json)).collect())
        }
        (Kind::Map { value, .. }, Json::Object(object)) => {
            let entries = object.iter().map(|(k, v)| (k.clone(), from_vector(service, *value, v)));
            Value::Map(entries.collect())
        }
        (Kind::Blob { .. }, Json::String(text)) => Value::Blob(Bytes::from(text.clone())),
        (Kind::Timestamp(_), json) => {
            Value::Time(Timestamp((json.as_f64().unwrap_or(f64::NAN) * 1000.0).round() as i64))
        }
        (Kind::Float { .. } | Kind::Double { .. }, Json::String(text)) => {
            Value::Double(text.parse().unwrap_or_default())
        }
        (Kind::Float { .. } | Kind::Double { .. }, json) => {
            Value::Double(json.as_f64().unwrap_or_default())
        }
        (_, json) => Value::from(json.clone()),
    }
}

/// Equality in which NaN is itself.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let keys = a.keys().eq(b.keys());
            keys && a.values().zip(b.values()).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}

/// Leaves out what a request cannot say: empty lists and maps outside of the body, form maps, and
/// whether an empty payload structure was given at all.
pub(crate) fn without_unsayable(service: &'static Service, shape: ShapeId, value: Value) -> Value {
    let (Kind::Structure(structure), Value::Map(mut map)) = (&service.shape(shape).kind, value)
    else {
        return Value::Null;
    };
    let query = service.protocol == wire::model::Protocol::Query;
    for (index, member) in structure.members.iter().enumerate() {
        let payload = structure.payload == Some(index as u16);
        let empty = match map.get(member.name) {
            Some(Value::Map(m)) => {
                m.is_empty() && (query || payload || member.location != Location::Body)
            }
            Some(Value::List(l)) => l.is_empty() && member.location != Location::Body,
            _ => false,
        };
        if empty {
            map.remove(member.name);
        }
    }
    Value::Map(map)
}

/// The tokens that a client makes up when its caller gives none.
pub(crate) fn drop_tokens(service: &'static Service, shape: ShapeId, from: &mut Map, params: &Map) {
    let Kind::Structure(structure) = &service.shape(shape).kind else { return };
    for member in structure.members {
        if member.idempotency_token && !params.contains_key(member.name) {
            from.remove(member.name);
        }
    }
}
