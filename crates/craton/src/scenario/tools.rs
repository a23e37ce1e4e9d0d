//! Looks for tools that a scenario forbids or bounds and that its agent does not have: such a check
//! cannot fail, and is mostly a name that was misspelt.
//!
//! The names of an agent on a server, and of operations in an OpenAPI document, are not known here;
//! nothing is said of those. What is said is a note: a name may well be forbidden before it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use craton_core::yaml;
use serde::Deserialize as _;
use serde_json::Value as Json;

use super::file::{Agent, Scenario};

/// The names of tools by deploy file and agent, as far as they were read.
#[derive(Default)]
pub(super) struct Tools(BTreeMap<(PathBuf, Option<String>), Option<Names>>);

/// `tool` and `group.tool`.
type Names = BTreeSet<String>;

impl Tools {
    pub(super) fn look(&mut self, folder: &Path, scenarios: &mut [Scenario]) {
        for scenario in scenarios {
            let Some(known) = self.of(folder, &scenario.agent) else { continue };
            let bounded = scenario.turns.iter().flat_map(|turn| {
                let never = turn.never.iter().map(|call| call.tool.as_str());
                never.chain(turn.at_most.keys().map(String::as_str))
            });
            let plain = |name: &str| name.replace("__", ".");
            let unknown: BTreeSet<&str> =
                bounded.filter(|name| !known.contains(&plain(name))).collect();
            let list = known.iter().filter(|name| !name.contains('.')).cloned();
            let list = list.collect::<Vec<_>>().join(", ");
            scenario.notes.extend(unknown.iter().map(|name| {
                format!("{name} is no tool of this agent and cannot be called; it has: {list}")
            }));
        }
    }

    fn of(&mut self, folder: &Path, agent: &Agent) -> Option<Names> {
        if let Some(inline) = &agent.inline {
            return of_inline(inline);
        }
        if agent.instruction.is_some() {
            return Some(both("tools", agent.tools.keys().map(String::as_str)));
        }
        let key = (folder.join(agent.deploy.as_ref()?), agent.name.clone());
        let read =
            self.0.entry(key).or_insert_with_key(|(file, name)| of_file(file, name.as_deref()));
        read.clone()
    }
}

fn both<'a>(group: &str, tools: impl Iterator<Item = &'a str>) -> Names {
    tools.flat_map(|tool| [tool.to_owned(), format!("{group}.{tool}")]).collect()
}

/// `None` where one of its action groups is told by more than functions.
fn of_inline(inline: &Json) -> Option<Names> {
    let list = |of: &Json, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let mut names = both("AgentCommunication", std::iter::once("sendMessage"));
    for agent in std::iter::once(inline.clone()).chain(list(inline, "collaborators")) {
        for group in list(&agent, "actionGroups") {
            let functions = group["functionSchema"]["functions"].as_array()?;
            let functions = functions.iter().filter_map(|function| function["name"].as_str());
            names.extend(both(group["actionGroupName"].as_str().unwrap_or_default(), functions));
        }
        // Knowledge bases and agents of the account are tools of other kinds.
        if agent.get("knowledgeBases").is_some() {
            return None;
        }
    }
    let asked = list(inline, "collaboratorConfigurations");
    (!asked.iter().any(|one| one.get("agentAliasArn").is_some())).then_some(names)
}

/// `None` where the file cannot be read, which whoever deploys it says, or has an OpenAPI document.
fn of_file(file: &Path, name: Option<&str>) -> Option<Names> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut names = Names::new();
    for document in yaml::open(&text).ok()? {
        let document = serde_yaml_ng::Value::deserialize(document).ok()?;
        let agents = document.get("agents").and_then(|agents| agents.as_mapping());
        for (called, agent) in agents.into_iter().flatten() {
            if name.is_some_and(|name| called.as_str() != Some(name)) {
                continue;
            }
            let groups = agent.get("action_groups").and_then(|groups| groups.as_mapping());
            for (group, told) in groups.into_iter().flatten() {
                let tools = told.get("tools")?.as_mapping()?;
                let tools = tools.keys().filter_map(|tool| tool.as_str());
                names.extend(both(group.as_str()?, tools));
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::file::Suite;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(agent: &str, expected: Expect) {
        let home = tempfile::tempdir().unwrap();
        let deploy = "agents:\n  one: {action_groups: {shop: {tools: {get_order: {}}}}}\n  \
                      two: {action_groups: {shop: {openapi: o.yaml}}}\n";
        std::fs::write(home.path().join("agents.yaml"), deploy).unwrap();
        let text = format!(
            "agent: {agent}\nscenarios: [{{name: a, input: hello, never: [get_order, shop.get_order, \
             get_ordr], at_most: {{cancel: 1}}}}]"
        );
        let suite = Suite::parse("f", home.path().to_owned(), &text).unwrap();
        expected.assert_eq(&suite.scenarios[0].notes.join("\n"));
    }

    #[test]
    fn a_name_that_no_tool_has_is_noted_where_all_tools_are_known() {
        let both = || {
            expect![[r#"
                cancel is no tool of this agent and cannot be called; it has: get_order
                get_ordr is no tool of this agent and cannot be called; it has: get_order"#]]
        };
        check("{deploy: agents.yaml, name: one}", both());
        check(
            "{instruction: Help., tools: {get_order: {}}}",
            expect![[r#"
            cancel is no tool of this agent and cannot be called; it has: get_order
            get_ordr is no tool of this agent and cannot be called; it has: get_order
            shop.get_order is no tool of this agent and cannot be called; it has: get_order"#]],
        );
        check(
            "{inline: {actionGroups: [{actionGroupName: shop, functionSchema: {functions: [{name: get_order}]}}]}}",
            expect![[r#"
                cancel is no tool of this agent and cannot be called; it has: get_order, sendMessage
                get_ordr is no tool of this agent and cannot be called; it has: get_order, sendMessage"#]],
        );
    }

    #[test]
    fn nothing_is_said_of_tools_that_only_the_server_knows() {
        for agent in [
            "shop",
            "{deploy: agents.yaml, name: two}",
            "{deploy: gone.yaml}",
            "{inline: {knowledgeBases: []}}",
            "{inline: {actionGroups: [{actionGroupName: a, apiSchema: {}}]}}",
        ] {
            check(agent, expect![""]);
        }
    }
}
