//! `[routing]` of `craton.toml`: which class of model a step gets, and which models a class has.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::StepKind;

/// The policy table. Whatever is left out has its default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// The models of each class; the first is asked, the others stand in for it.
    #[serde(deserialize_with = "one_or_many")]
    pub classes: BTreeMap<Class, Vec<String>>,
    /// What each kind of step gets.
    pub steps: BTreeMap<StepKind, Target>,
    /// An index above this is for the large model.
    pub large_above: u32,
    /// One above this, and not above the other, is for the medium model.
    pub medium_above: Option<u32>,
    /// Who waits no longer than this gets the small model, whatever the index.
    pub fast_seconds: f64,
    /// Model ids for which direct calls are routed as those of agents are.
    pub direct: Vec<String>,
    pub split: Vec<Split>,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            classes: BTreeMap::new(),
            steps: BTreeMap::new(),
            large_above: 70,
            medium_above: None,
            fast_seconds: 1.2,
            direct: vec!["craton.auto".to_owned()],
            split: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Large,
    Medium,
    Small,
    Cheapest,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Large, Class::Medium, Class::Small, Class::Cheapest];

    pub fn word(self) -> &'static str {
        match self {
            Class::Large => "large",
            Class::Medium => "medium",
            Class::Small => "small",
            Class::Cheapest => "cheapest",
        }
    }
}

/// What a step is to get: `rci`, `own`, a class, else the id of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Target {
    /// By the index.
    Rci,
    /// The model that was asked for.
    Own,
    Class(Class),
    Model(String),
}

impl From<String> for Target {
    fn from(text: String) -> Target {
        let class = Class::ALL.into_iter().find(|class| class.word() == text);
        match (text.as_str(), class) {
            ("rci", _) => Target::Rci,
            ("own", _) => Target::Own,
            (_, Some(class)) => Target::Class(class),
            (_, None) => Target::Model(text),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Rci => "rci",
            Target::Own => "own",
            Target::Class(class) => class.word(),
            Target::Model(id) => id,
        })
    }
}

/// The calls of one model, shared out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The models it is of, as a pattern of ids.
    #[serde(rename = "match")]
    pub pattern: String,
    /// The share of each model, in any unit.
    pub models: BTreeMap<String, u32>,
    #[serde(default)]
    pub by: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// A session stays with its model.
    #[default]
    Session,
    /// Each call by itself.
    Draw,
}

impl Split {
    /// The model of a number that is spread evenly over all numbers.
    pub fn pick(&self, number: u64) -> Option<&str> {
        let total: u64 = self.models.values().map(|weight| u64::from(*weight)).sum();
        // The high bits: `total` parts of all numbers, each as large as the others.
        let place = u64::try_from((u128::from(number) * u128::from(total)) >> 64).unwrap_or(0);
        let mut end = 0;
        let model = self.models.iter().find(|(_, weight)| {
            end += u64::from(**weight);
            place < end
        });
        model.map(|(model, _)| model.as_str())
    }
}

impl Table {
    pub fn target(&self, kind: StepKind) -> Target {
        let default = || match kind {
            StepKind::Planning | StepKind::Verification => Target::Rci,
            StepKind::ToolArguments | StepKind::Summarisation | StepKind::Judging => {
                Target::Class(Class::Small)
            }
            StepKind::RetrievalText => Target::Class(Class::Cheapest),
        };
        self.steps.get(&kind).cloned().unwrap_or_else(default)
    }

    /// The class of an index.
    pub fn class(&self, rci: u32) -> Class {
        match self.medium_above {
            _ if rci > self.large_above => Class::Large,
            Some(medium) if rci > medium => Class::Medium,
            Some(_) | None => Class::Small,
        }
    }

    /// The models of a class; a class without one is as the nearest that has any.
    pub fn models(&self, class: Class) -> Option<(Class, &[String])> {
        let nearest: &[Class] = match class {
            Class::Large => &[Class::Large],
            Class::Medium => &[Class::Medium],
            Class::Small => &[Class::Small, Class::Cheapest],
            Class::Cheapest => &[Class::Cheapest, Class::Small],
        };
        let found = |class: &Class| {
            let models = self.classes.get(class).filter(|models| !models.is_empty())?;
            Some((*class, models.as_slice()))
        };
        nearest.iter().find_map(found)
    }

    /// All models that the table names, with where.
    pub fn names(&self) -> impl Iterator<Item = (String, &str)> {
        let classes = self.classes.iter().flat_map(|(class, models)| {
            let at = format!("routing.classes.{}", class.word());
            models.iter().map(move |model| (at.clone(), model.as_str()))
        });
        let steps = self.steps.values().filter_map(|target| match target {
            Target::Model(id) => Some(("routing.steps".to_owned(), id.as_str())),
            Target::Rci | Target::Own | Target::Class(_) => None,
        });
        let split = self.split.iter().flat_map(|split| split.models.keys());
        let split = split.map(|model| ("routing.split.models".to_owned(), model.as_str()));
        classes.chain(steps).chain(split)
    }

    /// What nothing could be routed by, said with the key that is to blame.
    pub fn check(&self) -> Result<(), String> {
        if self.large_above > 100 {
            let above = self.large_above;
            return Err(format!("routing.large_above is {above}; the index goes from 0 to 100"));
        }
        if let Some(medium) = self.medium_above.filter(|medium| *medium >= self.large_above) {
            let large = self.large_above;
            return Err(format!(
                "routing.medium_above is {medium}; set less than large_above, which is {large}"
            ));
        }
        if !self.fast_seconds.is_finite() || self.fast_seconds < 0.0 {
            let seconds = self.fast_seconds;
            return Err(format!("routing.fast_seconds is {seconds}; set 0 or more"));
        }
        match self.split.iter().find(|split| split.models.values().all(|weight| *weight == 0)) {
            Some(Split { pattern, .. }) => Err(format!(
                "routing.split of {pattern:?} has no model with a share above 0; give one"
            )),
            None => Ok(()),
        }
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<Class, Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Models {
        One(String),
        Many(Vec<String>),
    }
    let read = BTreeMap::<Class, Models>::deserialize(from)?;
    let list = |models| match models {
        Models::One(model) => vec![model],
        Models::Many(models) => models,
    };
    Ok(read.into_iter().map(|(class, models)| (class, list(models))).collect())
}
