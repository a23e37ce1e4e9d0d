//! Where a run is forked: a step as views number them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::steps::Step;

/// `3`, or `3.2` for the second step of the collaborator that works in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct StepPlace(Vec<usize>);

/// A number as JSON has it where one is enough.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(usize),
    Text(String),
}

impl StepPlace {
    pub(super) fn find<'a>(&self, mut steps: &'a [Step]) -> Option<&'a Step> {
        let mut found = None;
        for number in &self.0 {
            let step = steps.get(number.checked_sub(1)?)?;
            (found, steps) = (Some(step), &step.steps);
        }
        found
    }
}

impl From<usize> for StepPlace {
    fn from(number: usize) -> Self {
        StepPlace(vec![number])
    }
}

impl FromStr for StepPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split('.').map(str::parse).collect();
        numbers.map(StepPlace).map_err(|_| format!("{text:?} is no step, such as 3 or 3.2"))
    }
}

impl fmt::Display for StepPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl TryFrom<Written> for StepPlace {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(number.into()),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<StepPlace> for Written {
    fn from(place: StepPlace) -> Written {
        match place.0[..] {
            [number] => Written::Number(number),
            _ => Written::Text(place.to_string()),
        }
    }
}
