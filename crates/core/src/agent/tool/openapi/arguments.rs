//! The one flat object of arguments that a model sees of an operation, as it gathers.

use serde_json::{Map, Value as Json, json};

use super::super::schema::kind;
use super::super::{Field, Place, Spelling};

/// What the wire calls an argument, and how it goes there.
pub(super) struct Wire<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) spelling: Spelling,
}

/// The tool's arguments as they gather.
#[derive(Default)]
pub(super) struct Arguments {
    properties: Map<String, Json>,
    required: Vec<String>,
}

impl Arguments {
    pub(super) fn add(&mut self, wire: Wire<'_>, schema: Json, required: bool) -> Field {
        let argument = self.free_name(wire.name, wire.place.word());
        let kind = kind(&schema).to_owned();
        self.properties.insert(argument.clone(), schema);
        if required {
            self.required.push(argument.clone());
        }
        let Wire { name, place, spelling } = wire;
        Field { name: name.to_owned(), argument, kind, place, spelling }
    }

    /// Providers take property names of `[a-zA-Z0-9_.-]{1,64}` only.
    fn free_name(&self, name: &str, place: &str) -> String {
        let fitting = |name: &str| -> String {
            let fit = |char: char| {
                if char.is_ascii_alphanumeric() || "_.-".contains(char) { char } else { '_' }
            };
            name.chars().map(fit).take(56).collect()
        };
        let plain = fitting(name);
        let prefixed = fitting(&format!("{place}_{name}"));
        let numbered = (2..).map(|number| format!("{prefixed}_{number}"));
        [plain, prefixed.clone()]
            .into_iter()
            .chain(numbered)
            .find(|candidate| !self.properties.contains_key(candidate))
            .expect("numbers do not run out")
    }

    pub(super) fn into_schema(self, open: bool) -> Json {
        let mut schema = json!({"type": "object", "properties": self.properties});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if !open {
            // An argument that nobody declared would be lost on its way to the tool.
            schema["additionalProperties"] = json!(false);
        }
        schema
    }
}
