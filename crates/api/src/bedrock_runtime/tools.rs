//! The tools of a request, and which of them the model must use.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use wire::bedrock_runtime::types::{self as wire_types, ToolConfiguration, ToolInputSchema};
use wire::converse::{Tool, ToolChoice};
use wire::fault::Fault;

use super::message::remember;
use crate::bedrock_agent::feature::refused;

/// `cache` gets the cache points among the tools.
pub(super) fn tools(
    config: ToolConfiguration,
    cache: &mut BTreeMap<usize, Json>,
) -> Result<(Vec<Tool>, ToolChoice), Fault> {
    let mut tools = Vec::with_capacity(config.tools.len());
    for (at, given) in config.tools.into_iter().enumerate() {
        match given {
            wire_types::Tool::CachePoint(point) => remember(cache, tools.len(), point),
            wire_types::Tool::ToolSpec(spec) => tools.push(tool(at, spec)?),
            wire_types::Tool::SystemTool(tool) => {
                let feature = "tools that the model's host runs";
                return Err(refused("toolConfig.tools.systemTool", &tool.name, feature));
            }
        }
    }
    check_names(&tools)?;
    let choice = choice(config.tool_choice, &tools)?;
    Ok((tools, choice))
}

fn tool(at: usize, spec: wire_types::ToolSpecification) -> Result<Tool, Fault> {
    let ToolInputSchema::Json(schema) = spec.input_schema;
    let place = format_args!("toolConfig.tools.{at}.toolSpec.inputSchema.json");
    // AWS: these words (aws/aws-sdk-net issue 3377, cognitect-labs/aws-api issue 272)
    if !schema.is_object() {
        return Err(Fault::validation(format!(
            "The format of the value at {place} is invalid. Provide a json object for the field and \
             try again."
        )));
    }
    if schema["type"] != "object" {
        return Err(Fault::validation(format!(
            "The value at {place}.type must be one of the following: object."
        )));
    }
    let description = spec.description.unwrap_or_default();
    Ok(Tool { name: spec.name, description, schema, strict: spec.strict.unwrap_or(false) })
}

/// A model that calls a name must mean one tool.
fn check_names(tools: &[Tool]) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    match tools.iter().find(|tool| !names.insert(&tool.name)) {
        Some(twice) => {
            let text = format!("'toolConfig.tools' has two tools named '{}'", twice.name);
            Err(Fault::validation(text))
        }
        None => Ok(()),
    }
}

fn choice(asked: Option<wire_types::ToolChoice>, tools: &[Tool]) -> Result<ToolChoice, Fault> {
    match asked {
        None | Some(wire_types::ToolChoice::Auto(_)) => Ok(ToolChoice::Auto),
        Some(wire_types::ToolChoice::Any(_)) => Ok(ToolChoice::Any),
        Some(wire_types::ToolChoice::Tool(tool)) => {
            match tools.iter().any(|known| known.name == tool.name) {
                true => Ok(ToolChoice::Tool(tool.name)),
                false => Err(Fault::validation(format!(
                    "Value '{}' at 'toolConfig.toolChoice.tool.name' names none of the tools",
                    tool.name
                ))),
            }
        }
    }
}
