//! Reads YAML into JSON within bounds: what stands once in a file is read once.
//!
//! An alias stands for a copy of its anchor, so a file of a few kilobytes can name more than there is
//! memory for. Whatever a file holds without aliases is no larger than the file, and that is what may
//! come of it. A member that stands twice is refused: which of both was meant is anybody's guess.

use std::cell::Cell;
use std::fmt;

use craton_core::yaml;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

pub(super) fn read(text: &str) -> Result<Json, serde_yaml_ng::Error> {
    // An escape of two bytes may stand for a character of three.
    let left = Cell::new(text.len().saturating_mul(2));
    Bounded(&left).deserialize(yaml::open(text)?)
}

/// What may still come: one for each value and each byte of a text.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl Bounded<'_> {
    fn take<E: Error>(self, much: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(much);
        self.0.set(left.ok_or_else(|| E::custom("its aliases hold more than the file itself"))?);
        Ok(())
    }

    fn one<E: Error>(self, value: impl Into<Json>) -> Result<Json, E> {
        self.take(1)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        self.one(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        self.one(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        self.one(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        self.one(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        let number = Number::from_f64(value);
        self.one(number.ok_or_else(|| E::custom(format!("{value} is no number of JSON")))?)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        self.take(value.len())?;
        self.one(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            read.push(item);
        }
        self.one(read)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.take(name.len())?;
            let value = members.next_value_seed(self)?;
            if read.contains_key(&name) {
                return Err(A::Error::custom(format!("{name} stands twice")));
            }
            read.insert(name, value);
        }
        self.one(read)
    }
}
