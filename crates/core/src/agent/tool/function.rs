//! Function schemas become tools.

use serde_json::{Map, Value as Json, json};

use super::super::config::{ActionGroup, Function, Parameter, ParameterKind};
use super::{Action, Problem, Target, problem};

pub(super) fn actions(group: &ActionGroup, functions: &[Function]) -> Result<Vec<Action>, Problem> {
    if functions.is_empty() {
        return Err(problem("it defines no function", "define at least one function"));
    }
    Ok(functions.iter().map(|function| action(group, function)).collect())
}

fn action(group: &ActionGroup, function: &Function) -> Action {
    let kinds = function.parameters.iter().map(|(name, parameter)| (name.clone(), parameter.kind));
    Action {
        at: format!("function {}", function.name),
        name: format!("{}__{}", group.name, function.name),
        description: described(group, function),
        target: Target::Function { name: function.name.clone(), parameters: kinds.collect() },
        input: input(function),
        effect: None,
        confirm: function.confirm,
    }
}

/// AWS leaves a function's description optional, models need one: the group's stands in.
fn described(group: &ActionGroup, function: &Function) -> String {
    let own = function.description.as_ref().or(group.description.as_ref());
    own.unwrap_or(&function.name).clone()
}

fn input(function: &Function) -> Json {
    let properties: Map<String, Json> = function
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), property(parameter)))
        .collect();
    let required: Vec<&String> = function
        .parameters
        .iter()
        .filter(|(_, parameter)| parameter.required)
        .map(|(name, _)| name)
        .collect();
    let mut input =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        input["required"] = json!(required);
    }
    input
}

fn property(parameter: &Parameter) -> Json {
    let mut property = json!({"type": parameter.kind.as_str()});
    if parameter.kind == ParameterKind::Array {
        // AWS's function schema does not say what an array holds; some providers refuse an array
        // without `items`, and an empty schema allows all.
        property["items"] = json!({});
    }
    if let Some(description) = &parameter.description {
        property["description"] = json!(description);
    }
    property
}

impl ParameterKind {
    /// The type's name in AWS's schema and in JSON Schema alike.
    pub fn as_str(self) -> &'static str {
        match self {
            ParameterKind::String => "string",
            ParameterKind::Number => "number",
            ParameterKind::Integer => "integer",
            ParameterKind::Boolean => "boolean",
            ParameterKind::Array => "array",
        }
    }
}
