//! One dynamic value for everything that crosses the wire.
//!
//! Codecs read and write `Value`s by table; generated structs convert to and from them. Structure
//! members are keyed by the model's member name, never by a location name.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Members of a structure or entries of a map.
pub type Map = BTreeMap<String, Value>;

/// A shape's value, already decoded from whatever protocol carried it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    String(String),
    Blob(Bytes),
    Time(Timestamp),
    List(Vec<Value>),
    Map(Map),
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl From<serde_json::Value> for Value {
    /// JSON documents keep their kinds; a number beyond `i64` becomes a double.
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Value::Integer(i),
                None => Value::Double(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(s) => Value::String(s),
            serde_json::Value::Array(items) => {
                Value::List(items.into_iter().map(Value::from).collect())
            }
            serde_json::Value::Object(members) => {
                Value::Map(members.into_iter().map(|(k, v)| (k, Value::from(v))).collect())
            }
        }
    }
}

impl From<Value> for serde_json::Value {
    /// Blobs become base64 and timestamps epoch seconds, as in AWS's JSON protocols.
    fn from(value: Value) -> Self {
        use base64::Engine as _;
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => b.into(),
            Value::Integer(i) => i.into(),
            Value::Double(d) => d.into(),
            Value::String(s) => s.into(),
            Value::Blob(b) => base64::engine::general_purpose::STANDARD.encode(b).into(),
            Value::Time(t) => (t.0 as f64 / 1000.0).into(),
            Value::List(items) => items.into_iter().map(serde_json::Value::from).collect(),
            Value::Map(members) => {
                members.into_iter().map(|(k, v)| (k, serde_json::Value::from(v))).collect()
            }
        }
    }
}
