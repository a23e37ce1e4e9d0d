//! `models/operations.toml`: what is done with each operation.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Outcome;
use crate::codegen::source::Model;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Version of the API, as botocore's directory is called.
    pub(crate) model: String,
    pub(crate) served: BTreeSet<String>,
    pub(crate) later: BTreeSet<String>,
    #[serde(default)]
    refused: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    why: String,
    operations: BTreeSet<String>,
}

pub(crate) enum State<'a> {
    Served,
    Later,
    Refused(&'a str),
}

pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Plan>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()).into())
}

impl Plan {
    pub(crate) fn state(&self, operation: &str) -> State<'_> {
        if self.served.contains(operation) {
            return State::Served;
        }
        let refused = self.refused.iter().find(|group| group.operations.contains(operation));
        refused.map_or(State::Later, |group| State::Refused(&group.why))
    }

    /// Every operation of the model is named exactly once, and no other.
    pub(crate) fn compare(&self, service: &str, model: &Model) -> Outcome {
        let mut open: BTreeSet<&str> = model.operations.keys().map(String::as_str).collect();
        let refused = self.refused.iter().flat_map(|group| &group.operations);
        for name in self.served.iter().chain(&self.later).chain(refused) {
            if !open.remove(name.as_str()) {
                let problem = "is unknown to the model or named twice";
                return Err(format!("operations.toml: {service} {name} {problem}").into());
            }
        }
        if !open.is_empty() {
            return Err(format!("operations.toml: {service} lacks {open:?}").into());
        }
        Ok(())
    }
}
