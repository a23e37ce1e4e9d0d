//! Reads a native body member by member, and refuses it in AWS's words where it is not what its
//! family takes.
//!
//! Members are taken out one after the other; what is left in the end is known to nobody and
//! refused, so that a misspelt parameter never passes in silence.

use serde_json::{Map, Value as Json};
use wire::fault::Fault;

/// An object of a body, and where it stands as AWS writes it: `#`, `#/textGenerationConfig`.
pub(super) struct Body {
    at: String,
    members: Map<String, Json>,
}

// AWS: `Malformed input request: #: required key [x] not found, please reformat your input and try
// again.`, with several findings joined by commas (github.com/BerriAI/litellm issue 30314)
pub(super) fn malformed(why: &str) -> Fault {
    let text = format!("Malformed input request: {why}, please reformat your input and try again.");
    Fault::validation(text)
}

impl Body {
    // AWS: what is no JSON at all is malformed without a reason
    // (github.com/aws-samples/amazon-bedrock-client-for-mac issue 12)
    pub(super) fn read(bytes: &[u8]) -> Result<Body, Fault> {
        match serde_json::from_slice(bytes) {
            Ok(Json::Object(members)) => Ok(Body { at: "#".to_owned(), members }),
            Ok(other) => Err(malformed(&mistyped("#", "JSONObject", &other))),
            Err(error) => {
                let message = "Malformed input request, please reformat your input and try again.";
                Err(Fault::validation(message).because(error))
            }
        }
    }

    pub(super) fn at(at: impl Into<String>, json: Json) -> Result<Body, Fault> {
        let at = at.into();
        match json {
            Json::Object(members) => Ok(Body { at, members }),
            other => Err(malformed(&mistyped(&at, "JSONObject", &other))),
        }
    }

    /// `null` is nothing here as well.
    pub(super) fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|value| !value.is_null())
    }

    /// A member's place.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }

    /// `null` is the same as nothing: clients write out their unset options.
    pub(super) fn take(&mut self, key: &str) -> Option<Json> {
        self.members.remove(key).filter(|value| !value.is_null())
    }

    /// A member as it is, which stays.
    pub(super) fn peek(&self, key: &str) -> Json {
        self.members.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn required(&mut self, key: &str) -> Result<Json, Fault> {
        self.take(key).ok_or_else(|| self.absent(key))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "String", &other)),
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> Result<String, Fault> {
        self.text(key)?.ok_or_else(|| self.absent(key))
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "Number", &value)),
            },
        }
    }

    /// A share such as a temperature, between zero and `most`.
    pub(super) fn share(&mut self, key: &str, most: f64) -> Result<Option<f64>, Fault> {
        let number = self.number(key)?;
        let place = self.place(key);
        match number {
            Some(n) if n < 0.0 => {
                Err(malformed(&format!("{place}: {n} is not greater or equal to 0")))
            }
            Some(n) if n > most => {
                Err(malformed(&format!("{place}: {n} is not less or equal to {most}")))
            }
            other => Ok(other),
        }
    }

    /// A number of tokens, or of whatever else there is at least one of.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<u32>, Fault> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let whole = value.as_f64().filter(|n| n.fract() == 0.0);
        let Some(number) = whole else { return Err(self.wrong(key, "Integer", &value)) };
        match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(0) => {
                Err(malformed(&format!("{}: 0 is not greater or equal to 1", self.place(key))))
            }
            Some(count) => Ok(Some(count)),
            None => {
                let why = format!("{}: {number} is out of range", self.place(key));
                Err(malformed(&why))
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, "Boolean", &other)),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Json>, Fault> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(key, "JSONArray", &other)),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, Fault> {
        let place = self.place(key);
        let items = self.list(key)?.into_iter().enumerate();
        let text = |(at, item)| match item {
            Json::String(text) => Ok(text),
            other => Err(malformed(&mistyped(&format!("{place}/{at}"), "String", &other))),
        };
        items.map(text).collect()
    }

    /// The objects of a list, each as a body of its own.
    pub(super) fn bodies(&mut self, key: &str) -> Result<Vec<Body>, Fault> {
        let place = self.place(key);
        let items = self.list(key)?.into_iter().enumerate();
        items.map(|(at, item)| Body::at(format!("{place}/{at}"), item)).collect()
    }

    /// The named members as they are, for the provider's own request.
    pub(super) fn pass(&mut self, keys: &[&str]) -> Json {
        let mut passed = Map::new();
        for key in keys {
            passed.extend(self.take(key).map(|value| ((*key).to_owned(), value)));
        }
        if passed.is_empty() { Json::Null } else { Json::Object(passed) }
    }

    /// Nothing is left that nobody knows.
    pub(super) fn done(self) -> Result<(), Fault> {
        let unknown = |(key, _): (&String, &Json)| {
            format!("{}: extraneous key [{key}] is not permitted", self.at)
        };
        let set = self.members.iter().filter(|(_, value)| !value.is_null());
        let unknown: Vec<String> = set.map(unknown).collect();
        if unknown.is_empty() { Ok(()) } else { Err(malformed(&unknown.join(", "))) }
    }

    pub(super) fn absent(&self, key: &str) -> Fault {
        malformed(&format!("{}: required key [{key}] not found", self.at))
    }

    fn wrong(&self, key: &str, expected: &str, found: &Json) -> Fault {
        malformed(&mistyped(&self.place(key), expected, found))
    }
}

pub(super) fn mistyped(place: &str, expected: &str, found: &Json) -> String {
    let found = match found {
        Json::Null => "Null",
        Json::Bool(_) => "Boolean",
        Json::Number(number) if number.is_f64() => "Double",
        Json::Number(_) => "Integer",
        Json::String(_) => "String",
        Json::Array(_) => "JSONArray",
        Json::Object(_) => "JSONObject",
    };
    format!("{place}: expected type: {expected}, found: {found}")
}
