//! Values as JSON text by table, written straight through serde.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::model::{Kind, Member, Service, Shape, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Timestamp, Value};

pub(crate) fn write(service: &'static Service, shape: &'static Shape, value: &Value) -> Vec<u8> {
    finish(serde_json::to_vec(&Json { service, shape, time: None, value }))
}

/// A structure's members that `keep` takes, and the braces around them.
pub(crate) fn write_structure(
    service: &'static Service,
    structure: &'static Structure,
    map: &Map,
    keep: fn(&Member) -> bool,
) -> Vec<u8> {
    finish(serde_json::to_vec(&Members { service, structure, map, keep }))
}

pub(crate) fn write_document(value: &Value) -> Vec<u8> {
    finish(serde_json::to_vec(&Document(value)))
}

fn finish(written: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    written.expect("keys are strings and the writer is memory")
}

struct Json<'a> {
    service: &'static Service,
    shape: &'static Shape,
    time: Option<TimeFormat>,
    value: &'a Value,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let service = self.service;
        match (&self.shape.kind, self.value) {
            (Kind::Structure(structure), Value::Map(map)) => {
                Members { service, structure, map, keep: |_| true }.serialize(out)
            }
            (Kind::List { item, .. }, Value::List(items)) => {
                let shape = service.shape(*item);
                out.collect_seq(items.iter().map(|value| Json {
                    service,
                    shape,
                    time: None,
                    value,
                }))
            }
            (Kind::Map { value: each, .. }, Value::Map(map)) => {
                let shape = service.shape(*each);
                let set = map.iter().filter(|(_, value)| **value != Value::Null);
                out.collect_map(
                    set.map(|(k, value)| (k, Json { service, shape, time: None, value })),
                )
            }
            (Kind::Timestamp(own), Value::Time(t)) => {
                let format = time::or_default(self.time.unwrap_or(*own), TimeFormat::Epoch);
                timestamp(*t, format, out)
            }
            (_, value) => Document(value).serialize(out),
        }
    }
}

struct Members<'a> {
    service: &'static Service,
    structure: &'static Structure,
    map: &'a Map,
    keep: fn(&Member) -> bool,
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut object = out.serialize_map(None)?;
        for member in self.structure.members.iter().filter(|m| (self.keep)(m)) {
            let Some(value) = self.map.get(member.name).filter(|v| **v != Value::Null) else {
                continue;
            };
            if member.json_value {
                let text = String::from_utf8(write_document(value)).map_err(S::Error::custom)?;
                object.serialize_entry(member.wire_name, &text)?;
                continue;
            }
            let shape = self.service.shape(member.shape);
            let json = Json { service: self.service, shape, time: member.time, value };
            object.serialize_entry(member.wire_name, &json)?;
        }
        object.end()
    }
}

/// A value without a table: documents, and scalars of every shape.
struct Document<'a>(&'a Value);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => out.serialize_unit(),
            Value::Bool(b) => out.serialize_bool(*b),
            Value::Integer(i) => out.serialize_i64(*i),
            Value::Double(d) => double(*d, out),
            Value::String(s) => out.serialize_str(s),
            Value::Blob(b) => out.serialize_str(&STANDARD.encode(b)),
            Value::Time(t) => timestamp(*t, TimeFormat::Epoch, out),
            Value::List(items) => {
                let mut list = out.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Document(item))?;
                }
                list.end()
            }
            Value::Map(map) => out.collect_map(map.iter().map(|(k, v)| (k, Document(v)))),
        }
    }
}

/// AWS: what JSON has no number for is a word (Smithy restJson1).
fn double<S: Serializer>(number: f64, out: S) -> Result<S::Ok, S::Error> {
    if number.is_finite() {
        return out.serialize_f64(number);
    }
    out.serialize_str(double_word(number))
}

pub(crate) fn double_word(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn timestamp<S: Serializer>(t: Timestamp, format: TimeFormat, out: S) -> Result<S::Ok, S::Error> {
    match format {
        TimeFormat::Epoch if t.0 % 1000 == 0 => out.serialize_i64(t.0 / 1000),
        TimeFormat::Epoch => out.serialize_f64(t.0 as f64 / 1000.0),
        _ => out.serialize_str(&time::format(t, format)),
    }
}
