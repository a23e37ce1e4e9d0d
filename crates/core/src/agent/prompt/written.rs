//! Tool calls that a model writes as text, because its template asks for that.
//!
//! AWS: templates for models that call no tools by themselves have the model write `<invoke>` with
//! `<tool_name>` and `<parameters>` (user guide, "Advanced prompt templates"). Tools are offered in
//! any case; a model that keeps to such a template all the same is understood.

use serde_json::{Map, Value as Json};
use wire::converse::ToolUse;

use super::answer::tagged;
use super::parser::meant;
use super::template::Template;
use crate::agent::tool::Tool;

impl Template {
    /// Whether the template has the model write its calls.
    pub(crate) fn has_calls_written(&self) -> bool {
        self.tags.contains("invoke")
    }
}

/// The calls of a reply, in order; a stop sequence may have taken the last closing tags.
pub(crate) fn calls(text: &str, tools: &[Tool]) -> Vec<ToolUse> {
    let invoked = text.split("<invoke>").skip(1);
    invoked.filter_map(|invoked| call(invoked, tools)).collect()
}

fn call(invoked: &str, tools: &[Tool]) -> Option<ToolUse> {
    let name = tagged(invoked, "tool_name")?.replace("::", "__");
    let tool = tools.iter().find(|tool| tool.name.eq_ignore_ascii_case(&name));
    let input = tagged(invoked, "parameters").map(|given| arguments(given, tool));
    Some(ToolUse {
        tool_use_id: "written".to_owned(),
        name: tool.map_or(name, |tool| tool.name.clone()),
        input: Json::Object(input.unwrap_or_default()),
    })
}

/// Each parameter in a tag of its name.
fn arguments(given: &str, tool: Option<&Tool>) -> Map<String, Json> {
    let (mut arguments, mut rest) = (Map::new(), given);
    while let Some((name, after)) = opening(rest) {
        let close = format!("</{name}>");
        let (value, left) = after.split_once(close.as_str()).unwrap_or((after, ""));
        let kind = tool.and_then(|tool| tool.input["properties"][name]["type"].as_str());
        arguments.insert(name.to_owned(), meant(&Json::from(value.trim()), kind));
        rest = left;
    }
    arguments
}

fn opening(text: &str) -> Option<(&str, &str)> {
    let (_, inside) = text.split_once('<')?;
    inside.split_once('>').filter(|(name, _)| !name.starts_with('/'))
}
