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

#[cfg(test)]
mod tests {
    use super::Plan;
    use crate::codegen::source::Model;

    /// Compares a plan with a model that has the operations A and B.
    fn check(plan: &str) -> Result<(), String> {
        let operation = r#"{"http": {"method": "GET", "requestUri": "/"}}"#;
        let metadata = r#"{"apiVersion": "1", "endpointPrefix": "s", "protocol": "query",
            "serviceFullName": "S"}"#;
        let operations = format!(r#"{{"A": {operation}, "B": {operation}}}"#);
        let model =
            format!(r#"{{"metadata": {metadata}, "operations": {operations}, "shapes": {{}}}}"#);
        let model: Model = serde_json::from_str(&model).expect("the test's model is one");
        let plan: Plan = toml::from_str(plan).expect("the test's plan is one");
        plan.compare("s", &model).map_err(|e| e.to_string())
    }

    #[test]
    fn a_plan_names_every_operation_once() {
        let refused = "[[refused]]\nwhy = 'w'\noperations = ['B']";
        let plan = |served, later| format!("model = '1'\nserved = {served}\nlater = {later}\n");
        assert_eq!(check(&plan("['A']", "['B']")), Ok(()));
        assert_eq!(check(&(plan("['A']", "[]") + refused)), Ok(()));
        let problem = |plan: &str| check(plan).expect_err("the plan is wrong");
        assert_eq!(problem(&plan("['A']", "[]")), r#"operations.toml: s lacks {"B"}"#);
        let twice = "operations.toml: s B is unknown to the model or named twice";
        assert_eq!(problem(&(plan("['A']", "['B']") + refused)), twice);
        let unknown = "operations.toml: s C is unknown to the model or named twice";
        assert_eq!(problem(&plan("['A', 'B']", "['C']")), unknown);
    }
}
