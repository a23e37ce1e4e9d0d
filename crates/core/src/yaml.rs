//! Opens YAML for reading. Whatever comes from somebody else is opened here.
//!
//! The YAML crate refuses 128 levels, but only after its scanner has looked at all open brackets with
//! every token: behind one key, 80 KB of them take it seconds, a megabyte hours. So the brackets are
//! counted first, by the scanner's own rules (`brackets`): texts cost nothing, and cassettes hold any.
//! Nothing is judged here but depth; what is no YAML is the crate's to say.

mod brackets;

use serde::de::{DeserializeOwned, Error as _};
use serde_yaml_ng::{Deserializer, Error};

use crate::limits::YAML_BRACKETS;
use brackets::Brackets;

/// The documents of a text.
pub fn open(text: &str) -> Result<Deserializer<'_>, Error> {
    let mut brackets = Brackets::of(text);
    while let Some(depth) = brackets.next_depth() {
        if depth > YAML_BRACKETS {
            return Err(Error::custom("its brackets are nested too deeply"));
        }
    }
    Ok(Deserializer::from_str(text))
}

/// The one document of a text.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    T::deserialize(open(text)?)
}

#[cfg(test)]
mod tests;
