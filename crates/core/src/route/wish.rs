//! What an agent's owner or a client wishes of the models that are asked: tags of the agent,
//! attributes of a session, `requestMetadata` of a call. All say it in the same words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{StepKind, Target};

/// What the words of routing begin with.
pub const PREFIX: &str = "craton:";
/// `craton:route`, or `craton:route:planning` for one kind of step.
pub const ROUTE: &str = "craton:route";
/// How long the client waits: `1.2`, `1.2s`, `800ms`.
pub const LATENCY: &str = "craton:latency";
pub const DATA_CLASS: &str = "craton:data-class";
/// The kind of step that a direct call is.
pub const STEP: &str = "craton:step";
/// The data class that stays at local providers.
pub const RESTRICTED: &str = "restricted";

/// The name under which clients' own data classes are known too.
const PLAIN_DATA_CLASS: &str = "data-class";
const CLASSES: [&str; 3] = ["public", "internal", RESTRICTED];

/// What is wished of the models of an agent, a session or a call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wishes {
    /// For every kind of step that has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Target>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<StepKind, Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_millis: Option<u64>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub restricted: bool,
}

impl Wishes {
    pub fn is_none(&self) -> bool {
        *self == Wishes::default()
    }

    pub fn target(&self, kind: StepKind) -> Option<&Target> {
        self.steps.get(&kind).or(self.route.as_ref())
    }

    /// Takes one of the words, or says why it cannot. Any other is no concern of routing.
    pub fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let value = value.trim();
        match name {
            ROUTE => self.route = Some(target(value)?),
            LATENCY => {
                let why = "it must be seconds, such as 1.2 or 800ms";
                self.latency_millis = Some(millis(value).ok_or(why)?);
            }
            DATA_CLASS if !CLASSES.contains(&value) => {
                return Err(format!("it must be one of {}", CLASSES.join(", ")));
            }
            DATA_CLASS => self.restricted |= value == RESTRICTED,
            _ => {
                if let Some(word) = name.strip_prefix("craton:route:") {
                    let kinds = StepKind::ALL.map(StepKind::word).join(", ");
                    let kind = StepKind::of_word(word);
                    let kind = kind.ok_or_else(|| format!("the kinds of steps are {kinds}"))?;
                    self.steps.insert(kind, target(value)?);
                }
            }
        }
        Ok(())
    }

    /// These, and what a client says besides. What it says of no use is passed over: it may be meant
    /// for somebody else. A restriction is never lifted.
    #[must_use]
    pub fn and(&self, said: &BTreeMap<String, String>) -> Wishes {
        let mut wishes = self.clone();
        for (name, value) in said {
            if name == PLAIN_DATA_CLASS || name == DATA_CLASS {
                wishes.restricted |= value.trim().eq_ignore_ascii_case(RESTRICTED);
            } else if name.starts_with(PREFIX) {
                let mut taken = wishes.clone();
                if taken.take(name, value).is_ok() {
                    wishes = taken;
                }
            }
        }
        wishes
    }
}

fn target(value: &str) -> Result<Target, String> {
    match value {
        "" => Err("it must be rci, own, large, medium, small, cheapest or a model id".to_owned()),
        value => Ok(Target::from(value.to_owned())),
    }
}

fn millis(value: &str) -> Option<u64> {
    let (number, unit) = match value.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (value.strip_suffix('s').unwrap_or(value), 1000.0),
    };
    let millis = number.trim().parse::<f64>().ok()? * unit;
    let sound = millis.is_finite() && millis >= 0.0;
    // A whole number far below 2^53 after the bound.
    sound.then(|| millis.min(1e12).round() as u64)
}
