//! Typed access to [`Value`]s: the trait, its primitives, and the macros that generated types use.
//!
//! Conversion only moves: a `Value` that came from the wire was validated before, and one that
//! goes out is encoded by table. A mismatch here is therefore a bug of ours, never a client's.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::fault::Fault;
use crate::value::{Map, Timestamp, Value};

/// A type that has the form of one of the model's shapes.
pub trait Shape: Sized {
    fn from_value(value: Value) -> Result<Self, ShapeError>;
    fn into_value(self) -> Value;
}

/// A value that does not have the expected form, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError {
    /// Member names from the outermost, joined by dots; empty for the value itself.
    path: String,
    problem: String,
}

impl ShapeError {
    fn expected(what: &str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a whole number",
            Value::Double(_) => "a number",
            Value::String(_) => "a string",
            Value::Blob(_) => "a blob",
            Value::Time(_) => "a timestamp",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        ShapeError { path: String::new(), problem: format!("expected {what}, found {found}") }
    }

    /// A word of an enum, or a member of a union, that the model does not have.
    #[doc(hidden)]
    pub fn unknown(kind: &str, word: &str) -> Self {
        ShapeError { path: String::new(), problem: format!("{kind} has no {word:?}") }
    }

    /// The same error seen from one level further out.
    #[doc(hidden)]
    #[must_use]
    pub fn at(mut self, member: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{member}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the value" } else { &self.path };
        write!(f, "{place}: {}", self.problem)
    }
}

impl std::error::Error for ShapeError {}

impl From<ShapeError> for Fault {
    fn from(error: ShapeError) -> Self {
        Fault::internal(error)
    }
}

macro_rules! primitive {
    ($rust:ty, $variant:ident, $what:literal) => {
        impl Shape for $rust {
            fn from_value(value: Value) -> Result<Self, ShapeError> {
                match value {
                    Value::$variant(inner) => Ok(inner),
                    other => Err(ShapeError::expected($what, &other)),
                }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    };
}

primitive!(bool, Bool, "a boolean");
primitive!(i64, Integer, "a whole number");
primitive!(String, String, "a string");
primitive!(Bytes, Blob, "a blob");
primitive!(Timestamp, Time, "a timestamp");

impl Shape for f64 {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        match value {
            Value::Double(inner) => Ok(inner),
            Value::Integer(inner) => Ok(inner as f64),
            other => Err(ShapeError::expected("a number", &other)),
        }
    }

    fn into_value(self) -> Value {
        Value::Double(self)
    }
}

/// Documents: JSON of any kind.
impl Shape for serde_json::Value {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        Ok(value.into())
    }

    fn into_value(self) -> Value {
        self.into()
    }
}

/// An operation without input or output.
impl Shape for () {
    fn from_value(_: Value) -> Result<Self, ShapeError> {
        Ok(())
    }

    fn into_value(self) -> Value {
        Value::Map(Map::new())
    }
}

impl<T: Shape> Shape for Option<T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        if matches!(value, Value::Null) { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

impl<T: Shape> Shape for Box<T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        T::from_value(value).map(Box::new)
    }

    fn into_value(self) -> Value {
        (*self).into_value()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let Value::List(items) = value else { return Err(ShapeError::expected("a list", &value)) };
        let items = items.into_iter().enumerate();
        items.map(|(i, item)| T::from_value(item).map_err(|e| e.at(&i.to_string()))).collect()
    }

    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        let Value::Map(entries) = value else { return Err(ShapeError::expected("a map", &value)) };
        let entries = entries.into_iter();
        entries
            .map(|(key, entry)| Ok((key.clone(), T::from_value(entry).map_err(|e| e.at(&key))?)))
            .collect()
    }

    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(key, entry)| (key, entry.into_value())).collect())
    }
}

/// The members of a structure while it is taken apart or put together.
pub(crate) struct Members(Map);

impl Members {
    pub(crate) fn empty() -> Self {
        Members(Map::new())
    }

    pub(crate) fn open(value: Value) -> Result<Self, ShapeError> {
        match value {
            Value::Map(members) => Ok(Members(members)),
            other => Err(ShapeError::expected("a structure", &other)),
        }
    }

    pub(crate) fn take<T: Shape>(&mut self, name: &str) -> Result<T, ShapeError> {
        let value = self.0.remove(name).unwrap_or_default();
        T::from_value(value).map_err(|e| e.at(name))
    }

    /// A member without a value is left out.
    pub(crate) fn put(&mut self, name: &str, member: impl Shape) {
        let value = member.into_value();
        if !matches!(value, Value::Null) {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn close(self) -> Value {
        Value::Map(self.0)
    }
}

/// The one member of a union that is set.
pub(crate) fn choice(value: Value) -> Result<(String, Value), ShapeError> {
    let Value::Map(members) = value else { return Err(ShapeError::expected("a union", &value)) };
    let mut set = members.into_iter().filter(|(_, value)| !matches!(value, Value::Null));
    match (set.next(), set.next()) {
        (Some(member), None) => Ok(member),
        _ => Err(ShapeError { path: String::new(), problem: "expected exactly one member".into() }),
    }
}

/// A union with one member set.
pub(crate) fn chosen(name: &str, member: impl Shape) -> Value {
    Value::Map(Map::from([(name.to_owned(), member.into_value())]))
}

/// What `Debug` shows of a member that the model marks sensitive.
pub(crate) struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What `Debug` shows of a member.
macro_rules! shown {
    ($member:expr) => {
        $member
    };
    ($member:expr, secret) => {{
        let _ = $member;
        &$crate::shape::Hidden
    }};
}

macro_rules! structure {
    ($(#[derive($derive:ident)])? pub struct $name:ident {
        $($(#[$secret:ident])? $field:ident: $type:ty = $wire:literal,)*
    }) => {
        #[derive(Clone, PartialEq $(, $derive)?)]
        pub struct $name { $(pub $field: $type,)* }

        impl $crate::shape::Shape for $name {
            #[allow(unused_mut, unused_variables)]
            fn from_value(
                value: $crate::value::Value,
            ) -> ::std::result::Result<Self, $crate::shape::ShapeError> {
                let mut members = $crate::shape::Members::open(value)?;
                ::std::result::Result::Ok(Self { $($field: members.take($wire)?,)* })
            }

            #[allow(unused_mut)]
            fn into_value(self) -> $crate::value::Value {
                let mut members = $crate::shape::Members::empty();
                $(members.put($wire, self.$field);)*
                members.close()
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field($wire, $crate::shape::shown!(&self.$field $(, $secret)?)))*
                    .finish()
            }
        }
    };
}

macro_rules! union {
    (pub enum $name:ident { $($(#[$secret:ident])? $variant:ident($type:ty) = $wire:literal,)* }) => {
        #[derive(Clone, PartialEq)]
        #[allow(clippy::large_enum_variant)]
        pub enum $name { $($variant($type),)* }

        impl $crate::shape::Shape for $name {
            fn from_value(
                value: $crate::value::Value,
            ) -> ::std::result::Result<Self, $crate::shape::ShapeError> {
                let (name, value) = $crate::shape::choice(value)?;
                match name.as_str() {
                    $($wire => <$type>::from_value(value).map(Self::$variant).map_err(|e| e.at($wire)),)*
                    _ => ::std::result::Result::Err(
                        $crate::shape::ShapeError::unknown(stringify!($name), &name),
                    ),
                }
            }

            fn into_value(self) -> $crate::value::Value {
                match self { $(Self::$variant(member) => $crate::shape::chosen($wire, member),)* }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$variant(member) => f
                        .debug_tuple(stringify!($variant))
                        .field($crate::shape::shown!(member $(, $secret)?))
                        .finish(),)*
                }
            }
        }
    };
}

macro_rules! enumeration {
    (pub enum $name:ident { $($variant:ident = $wire:literal,)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant,)* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            pub fn parse(word: &str) -> ::std::option::Option<Self> {
                match word { $($wire => Some(Self::$variant),)* _ => None }
            }
        }

        impl $crate::shape::Shape for $name {
            fn from_value(
                value: $crate::value::Value,
            ) -> ::std::result::Result<Self, $crate::shape::ShapeError> {
                let word = ::std::string::String::from_value(value)?;
                Self::parse(&word)
                    .ok_or_else(|| $crate::shape::ShapeError::unknown(stringify!($name), &word))
            }

            fn into_value(self) -> $crate::value::Value {
                $crate::value::Value::String(self.as_str().to_owned())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use {enumeration, shown, structure, union};

#[cfg(test)]
mod tests;
