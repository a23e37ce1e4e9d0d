//! Reads a YAML document as JSON, node by node within a bound.
//!
//! Aliases let a small document stand for a huge one, and the YAML crate's own guard grows with the
//! document; so the nodes are counted as they are made, before they cost memory.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

use crate::{limits, yaml};

pub(super) fn read(text: &str) -> Result<Json, serde_yaml_ng::Error> {
    let left = Cell::new(limits::SCHEMA_DOCUMENT_NODES);
    Node { left: &left }.deserialize(yaml::open(text)?)
}

#[derive(Clone, Copy)]
struct Node<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            let limit = limits::SCHEMA_DOCUMENT_NODES;
            D::Error::custom(format!("it has more than {limit} nodes, aliases counted"))
        })?;
        self.left.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without custom tags")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            read.push(item);
        }
        Ok(Json::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut read = Map::new();
        while let Some(key) = members.next_key_seed(self)? {
            // YAML has keys that are not text, as in `responses: {200: …}`; JSON's are their spelling.
            let key = match key {
                Json::String(key) => key,
                Json::Number(_) | Json::Bool(_) => key.to_string(),
                other => return Err(A::Error::custom(format!("{other} is not a key"))),
            };
            let value = members.next_value_seed(self)?;
            if read.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} stands there twice")));
            }
            read.insert(key, value);
        }
        Ok(Json::Object(merged(read)))
    }
}

/// `<<: *base` lends the members of one or several mappings; a mapping's own members win.
fn merged(mut members: Map<String, Json>) -> Map<String, Json> {
    let bases = match members.remove("<<") {
        None => return members,
        Some(Json::Array(bases)) => bases,
        Some(base) => vec![base],
    };
    for base in bases {
        let Json::Object(base) = base else { continue };
        for (key, value) in base {
            members.entry(key).or_insert(value);
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::read;

    /// At a cost that grows with the square of the depth this would take minutes.
    #[test]
    fn nesting_without_end_is_refused_before_it_is_read() {
        let deep = format!("paths: {}{}", "{a: ".repeat(60_000), "}".repeat(60_000));
        let error = read(&deep).unwrap_err().to_string();
        assert_eq!(error, "its brackets are nested too deeply");
        assert!(read(&format!("{}1{}", "[".repeat(50), "]".repeat(50))).is_ok());
    }
}
