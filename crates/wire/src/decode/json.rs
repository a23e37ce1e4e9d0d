//! JSON text straight into a [`Value`] by table, in one pass of `serde_json`'s parser.
//!
//! `null` members are absent, unknown members are skipped, a key that stands twice is refused.
//! Messages never repeat a value.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::decode::{Malformed, text};
use crate::model::{Kind, Location, Member, Service, Shape, ShapeId, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Value};

/// Reads a whole JSON text as `shape`.
pub(crate) fn read(
    service: &'static Service,
    shape: ShapeId,
    body: &[u8],
) -> Result<Value, Malformed> {
    read_seed(Seed { service, shape: service.shape(shape), time: None, top: false }, body)
}

/// Reads a request's body: of the structure's members only those that are bound to it.
pub(crate) fn read_body(
    service: &'static Service,
    shape: ShapeId,
    body: &[u8],
) -> Result<Value, Malformed> {
    read_seed(Seed { service, shape: service.shape(shape), time: None, top: true }, body)
}

/// Reads a JSON document of any kind.
pub(crate) fn read_document(body: &[u8]) -> Result<Value, Malformed> {
    read_seed(AnyDocument, body)
}

fn read_seed<S>(seed: S, body: &[u8]) -> Result<Value, Malformed>
where
    S: for<'de> DeserializeSeed<'de, Value = Value>,
{
    let text = std::str::from_utf8(body).map_err(|e| {
        Malformed::new(format!("the body is not UTF-8 at byte {}", e.valid_up_to()))
    })?;
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut parser).map_err(|e| refuse(&e))?;
    parser.end().map_err(|e| refuse(&e))?;
    Ok(value)
}

fn refuse(error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    if error.is_data() {
        // Ours, from the visitors below; serde_json adds the place.
        let end = text.rfind(" at line ").unwrap_or(text.len());
        return Malformed::new(&text[..end]);
    }
    Malformed::new(format!("the body is not valid JSON: {text}"))
}

#[derive(Clone, Copy)]
struct Seed {
    service: &'static Service,
    shape: &'static Shape,
    time: Option<TimeFormat>,
    /// The operation's input itself, some of whose members travel outside of the body.
    top: bool,
}

impl Seed {
    fn of(self, shape: ShapeId, time: Option<TimeFormat>) -> Self {
        Seed { service: self.service, shape: self.service.shape(shape), time, top: false }
    }

    fn wrong<E: Error>(self, token: &str) -> E {
        let wanted = text::wanted(&self.shape.kind);
        E::custom(format_args!("{token} can not be converted to {wanted}"))
    }

    fn time_format(self) -> TimeFormat {
        let own = match self.shape.kind {
            Kind::Timestamp(format) => format,
            _ => TimeFormat::Default,
        };
        time::or_default(self.time.unwrap_or(own), TimeFormat::Epoch)
    }

    fn number<E: Error>(self, number: f64) -> Result<Value, E> {
        match self.shape.kind {
            Kind::Float { .. } | Kind::Double { .. } | Kind::Document => Ok(Value::Double(number)),
            Kind::Timestamp(_) if self.time_format() == TimeFormat::Epoch => {
                time::from_epoch(number).map(Value::Time).ok_or_else(|| self.wrong("NUMBER_VALUE"))
            }
            _ => Err(self.wrong("NUMBER_VALUE")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        if matches!(self.shape.kind, Kind::Document) {
            return AnyDocument.deserialize(parser);
        }
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text::wanted(&self.shape.kind))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        match self.shape.kind {
            Kind::Boolean => Ok(Value::Bool(value)),
            _ => Err(self.wrong(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        match self.shape.kind {
            Kind::Integer { .. } if i32::try_from(value).is_ok() => Ok(Value::Integer(value)),
            Kind::Long { .. } => Ok(Value::Integer(value)),
            _ => self.number(value as f64),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.number(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.number(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        let read = match self.shape.kind {
            Kind::String { .. } => Some(Value::String(value.to_owned())),
            Kind::Blob { .. } => STANDARD.decode(value).ok().map(|b| Value::Blob(Bytes::from(b))),
            // Text is for what JSON has no number for.
            Kind::Float { .. } | Kind::Double { .. } => {
                text::double(value).filter(|d| !d.is_finite()).map(Value::Double)
            }
            Kind::Timestamp(_) if self.time_format() != TimeFormat::Epoch => {
                time::parse(value, self.time_format()).map(Value::Time)
            }
            _ => None,
        };
        read.ok_or_else(|| self.wrong("STRING_VALUE"))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        match self.shape.kind {
            Kind::String { .. } => Ok(Value::String(value)),
            _ => self.visit_str(&value),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Kind::List { item, .. } = self.shape.kind else {
            // AWS: the sentence is Coral's, which the older services share.
            return Err(A::Error::custom("Start of list found where not expected"));
        };
        let mut list = Vec::new();
        while let Some(value) = items.next_element_seed(self.of(item, None))? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        match &self.shape.kind {
            Kind::Structure(structure) => self.structure(structure, entries),
            Kind::Map { value, .. } => self.map(*value, entries),
            _ => Err(A::Error::custom("Start of structure or map found where not expected")),
        }
    }
}

impl Seed {
    fn structure<'de, A: MapAccess<'de>>(
        self,
        structure: &'static Structure,
        mut entries: A,
    ) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut seen = Seen::default();
        while let Some(found) = entries.next_key_seed(Key { structure, top: self.top })? {
            let Some((index, member)) = found else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            if !seen.first(index) {
                return Err(twice());
            }
            let value = self.member(member, &mut entries)?;
            if value != Value::Null {
                map.insert(member.name.to_owned(), value);
            }
        }
        Ok(Value::Map(map))
    }

    fn member<'de, A: MapAccess<'de>>(
        self,
        member: &'static Member,
        entries: &mut A,
    ) -> Result<Value, A::Error> {
        let value = entries.next_value_seed(self.of(member.shape, member.time))?;
        match value {
            Value::String(text) if member.json_value => {
                read_document(text.as_bytes()).map_err(|e| A::Error::custom(e.0))
            }
            value => Ok(value),
        }
    }

    fn map<'de, A: MapAccess<'de>>(self, of: ShapeId, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.of(of, None))?;
            if map.insert(key, value).is_some() {
                return Err(twice());
            }
        }
        // Only now: a key with null counts when it stands twice.
        map.retain(|_, value| *value != Value::Null);
        Ok(Value::Map(map))
    }
}

/// What the AWS side does is not documented; two readers of one text must not see two requests.
fn twice<E: Error>() -> E {
    E::custom("a key stands twice in one object")
}

/// Which members of a structure have come; a bit each, in one word for nearly all structures.
#[derive(Default)]
struct Seen {
    low: u64,
    more: Vec<usize>,
}

impl Seen {
    fn first(&mut self, index: usize) -> bool {
        if index < 64 {
            let fresh = self.low & (1 << index) == 0;
            self.low |= 1 << index;
            return fresh;
        }
        let fresh = !self.more.contains(&index);
        self.more.push(index);
        fresh
    }
}

/// A structure's key as its member, without making a string of it.
struct Key {
    structure: &'static Structure,
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<(usize, &'static Member)>;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Self::Value, D::Error> {
        parser.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<(usize, &'static Member)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let bound = |m: &Member| !self.top || m.location == Location::Body;
        let members = self.structure.members.iter().enumerate();
        Ok(members.into_iter().find(|(_, m)| m.wire_name == key && bound(m)))
    }
}

/// A JSON document: everything as it stands.
struct AnyDocument;

impl<'de> DeserializeSeed<'de> for AnyDocument {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyDocument {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Double(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = items.next_element_seed(AnyDocument)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(AnyDocument)?;
            if map.insert(key, value).is_some() {
                return Err(twice());
            }
        }
        Ok(Value::Map(map))
    }
}
