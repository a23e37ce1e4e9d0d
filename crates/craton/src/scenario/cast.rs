//! Finds, or makes, the agents that scenarios talk with.
//!
//! What a scenario brings is deployed as `craton deploy` would, under a name of its own where the
//! scenario changes it. Agents made so on somebody's running server are deleted at the end, however far
//! making them came: their names are known before the first request. An agent that was there before
//! under a name of somebody else's is never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use craton_core::yaml;
use serde::Deserialize as _;
use serde_json::{Value as Json, json};
use serde_yaml_ng::{Mapping, Value as Yaml};
use sha2::{Digest as _, Sha256};

use super::file::{Agent, Suite};
use crate::aws::AGENT;
use crate::client::Client;
use crate::cmd::chat::partner;
use crate::cmd::deploy::{self, Source};

/// AWS: the alias that every agent has, which leads to its prepared draft.
const TEST_ALIAS: &str = "TSTALIASID";
/// For an agent that names no model.
const ANY_MODEL: &str = "craton.rules";

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Agent {
        id: String,
        alias: String,
    },
    /// The members of `InvokeInlineAgent` that are the agent.
    Inline(Json),
}

/// Agents by what scenarios say of them.
#[derive(Default)]
pub(crate) struct Cast {
    targets: BTreeMap<String, Target>,
    /// Names of agents that are the scenarios' alone.
    own: BTreeSet<String>,
}

/// What an agent is made from.
struct Made {
    name: String,
    text: String,
    agent: String,
    /// The names of its agents, where those are the scenario's alone.
    own: Vec<String>,
}

impl Cast {
    /// All agents of these files, on `model` if one is named instead of their own. What was made is
    /// in the cast also where this fails, or is dropped before its end.
    pub(crate) async fn gather(
        &mut self,
        client: &Client,
        suites: &[Suite],
        model: Option<&str>,
    ) -> Result<(), String> {
        for suite in suites {
            for scenario in &suite.scenarios {
                let key = key(suite, &scenario.agent);
                if self.targets.contains_key(&key) {
                    continue;
                }
                let told = |why| format!("{}: scenario {:?}: {why}", suite.name, scenario.name);
                let target =
                    self.find(client, suite, &scenario.agent, model).await.map_err(told)?;
                self.targets.insert(key, target);
            }
        }
        Ok(())
    }

    pub(crate) fn target(&self, suite: &Suite, agent: &Agent) -> &Target {
        self.targets.get(&key(suite, agent)).expect("each scenario's agent was gathered")
    }

    /// Deletes what was made for the scenarios alone, and says of each agent that stays why.
    pub(crate) async fn leave(self, client: &Client) -> Vec<String> {
        if self.own.is_empty() {
            return Vec::new();
        }
        let agents = match client.list("ListAgents", json!({}), "agentSummaries").await {
            Ok(agents) => agents,
            Err(failure) => {
                let names: Vec<String> = self.own.into_iter().collect();
                let (names, why) = (names.join(", "), failure.coded());
                return vec![format!(
                    "agents of the test may stay, which are named {names}: {why}"
                )];
            }
        };
        let mut stay = Vec::new();
        for agent in agents {
            let name = agent["agentName"].as_str().unwrap_or_default();
            if !self.own.contains(name) {
                continue;
            }
            let input = json!({"agentId": agent["agentId"], "skipResourceInUseCheck": true});
            if let Err(failure) = client.call(AGENT, "DeleteAgent", input).await {
                stay.push(format!("the agent {name} of the test stays: {}", failure.coded()));
            }
        }
        stay
    }

    async fn find(
        &mut self,
        client: &Client,
        suite: &Suite,
        agent: &Agent,
        model: Option<&str>,
    ) -> Result<Target, String> {
        if let Some(inline) = &agent.inline {
            let mut inline = inline.clone();
            if let Some(model) = model {
                inline["foundationModel"] = json!(model);
                for one in inline
                    .get_mut("collaborators")
                    .and_then(Json::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    one["foundationModel"] = json!(model);
                }
            }
            return Ok(Target::Inline(inline));
        }
        let made = match (&agent.deploy, &agent.instruction, model) {
            (Some(file), ..) => from_file(&suite.folder.join(file), agent, model)?,
            (None, Some(_), _) => own(agent, model),
            (None, None, None) => {
                let name = agent.name.as_deref().expect("an agent has a name or is made");
                let found = partner::find(client, name, agent.alias.as_deref()).await?;
                return Ok(Target::Agent { id: found.agent_id, alias: found.alias_id });
            }
            (None, None, Some(model)) => {
                let name = agent.name.as_deref().unwrap_or_default();
                return Err(format!(
                    "the model of {name}, which is on the server, stays; for {model} give the \
                     agent by `deploy`, `instruction` or `inline`"
                ));
            }
        };
        self.make(client, suite, agent, &made).await
    }

    async fn make(
        &mut self,
        client: &Client,
        suite: &Suite,
        agent: &Agent,
        made: &Made,
    ) -> Result<Target, String> {
        let variable =
            |name: &str| agent.variables.get(name).cloned().or_else(|| std::env::var(name).ok());
        let file = agent.deploy.as_ref().map(|file| suite.folder.join(file));
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(&suite.folder);
        let source = Source { name: &made.name, text: &made.text, folder, variable: &variable };
        // Whatever comes now may fail or be broken off half-way.
        self.own.extend(made.own.iter().cloned());
        let deployed = deploy::apply(client, &source, &|_| {}).await?;
        let found = deployed.iter().find(|one| one.name == made.agent);
        let found = found.ok_or_else(|| format!("{} has no agent {}", made.name, made.agent))?;
        let alias = match &agent.alias {
            None => TEST_ALIAS.to_owned(),
            Some(name) => {
                let known = found.aliases.iter().find(|(alias, id, _)| alias == name || id == name);
                let known = known.map(|(_, id, _)| id.clone());
                known.ok_or_else(|| format!("{} has no alias {name}", made.name))?
            }
        };
        Ok(Target::Agent { id: found.id.clone(), alias })
    }
}

fn key(suite: &Suite, agent: &Agent) -> String {
    format!("{} {agent:?}", suite.folder.display())
}

/// A deploy file, changed where the scenario asks for it.
fn from_file(path: &Path, agent: &Agent, model: Option<&str>) -> Result<Made, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("the deploy file {name} cannot be read: {e}"))?;
    let mut documents = documents(&text).map_err(|e| format!("{name}: {e}"))?;
    let chosen =
        chosen(&documents, agent.name.as_deref()).map_err(|why| format!("{name} {why}"))?;
    let model = model.or(agent.model.as_deref());
    if model.is_none() && !agent.simulate {
        return Ok(Made { name, text, agent: chosen, own: Vec::new() });
    }
    let suffix = digest(&format!("{name} {model:?} {}", agent.simulate));
    for document in &mut documents {
        change(document, model, agent.simulate, &suffix);
    }
    let texts: Vec<String> = documents
        .iter()
        .map(|one| serde_yaml_ng::to_string(one).expect("what was read can be written"))
        .collect();
    let agent = format!("{chosen}-{suffix}");
    let own = names(&documents).into_iter().map(str::to_owned).collect();
    Ok(Made { name, text: texts.join("---\n"), agent, own })
}

fn documents(text: &str) -> Result<Vec<Yaml>, serde_yaml_ng::Error> {
    yaml::open(text)?.map(Yaml::deserialize).collect()
}

fn chosen(documents: &[Yaml], name: Option<&str>) -> Result<String, String> {
    match (name, names(documents).as_slice()) {
        (Some(name), all) if all.contains(&name) => Ok(name.to_owned()),
        (Some(name), all) => Err(format!("has no agent {name}, it has: {}", all.join(", "))),
        (None, [one]) => Ok((*one).to_owned()),
        (None, []) => Err("has no agents".to_owned()),
        (None, all) => Err(format!("has several agents: {}; give `name`", all.join(", "))),
    }
}

fn names(documents: &[Yaml]) -> Vec<&str> {
    let agents = documents.iter().filter_map(|one| one.get("agents")?.as_mapping());
    agents.flat_map(Mapping::keys).filter_map(Yaml::as_str).collect()
}

/// Agents get names of their own; with `simulate` no function is left.
fn change(document: &mut Yaml, model: Option<&str>, simulate: bool, suffix: &str) {
    if simulate && let Some(members) = document.as_mapping_mut() {
        members.remove("functions");
    }
    let Some(agents) = document.get_mut("agents").and_then(Yaml::as_mapping_mut) else { return };
    *agents = std::mem::take(agents)
        .into_iter()
        .map(|(name, mut agent)| {
            if let (Some(model), Some(agent)) = (model, agent.as_mapping_mut()) {
                agent.insert("model".into(), model.into());
            }
            if simulate {
                by_hand(&mut agent);
            }
            let name = name.as_str().map(|name| Yaml::from(format!("{name}-{suffix}")));
            (name.unwrap_or_default(), agent)
        })
        .collect();
}

/// All calls are handed to the client. What a client does is done once, so effects are not said.
fn by_hand(agent: &mut Yaml) {
    let groups = agent.get_mut("action_groups").and_then(Yaml::as_mapping_mut);
    for group in groups.into_iter().flat_map(Mapping::values_mut) {
        let Some(group) = group.as_mapping_mut() else { continue };
        group.insert("executor".into(), "return_control".into());
        group.remove("effects");
        let tools = group.get_mut("tools").and_then(Yaml::as_mapping_mut);
        for tool in tools.into_iter().flat_map(Mapping::values_mut) {
            tool.as_mapping_mut().and_then(|tool| tool.remove("effect"));
        }
    }
}

/// A deploy file of one agent whose tools are all the scenario's.
fn own(agent: &Agent, model: Option<&str>) -> Made {
    let model = model.or(agent.model.as_deref()).unwrap_or(ANY_MODEL);
    let mut wish = json!({ "model": model, "instruction": agent.instruction });
    if !agent.tools.is_empty() {
        wish["action_groups"] =
            json!({"tools": {"executor": "return_control", "tools": agent.tools}});
    }
    let name = format!("{}-{}", agent.name.as_deref().unwrap_or("test"), digest(&wish.to_string()));
    let text = json!({ "agents": { &name: wish } }).to_string();
    Made { name: "the scenario's agent".to_owned(), text, own: vec![name.clone()], agent: name }
}

/// Enough to tell two definitions apart in a name.
fn digest(text: &str) -> String {
    let sum = Sha256::digest(text.as_bytes());
    sum[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_simulated_agent_has_no_functions_and_a_name_of_its_own() {
        let text = "functions: {f: {code: c}}\nagents:\n  a:\n    model: m\n    action_groups:\n      \
                    g: {executor: f, effects: {x: read}, tools: {t: {effect: read, description: d}}}\n";
        let mut documents = documents(text).unwrap();
        change(&mut documents[0], Some("n"), true, "0123");
        expect![[r#"
            agents:
              a-0123:
                model: n
                action_groups:
                  g:
                    executor: return_control
                    tools:
                      t:
                        description: d
        "#]]
        .assert_eq(&serde_yaml_ng::to_string(&documents[0]).unwrap());
    }

    #[test]
    fn the_agent_of_a_file_is_named_or_the_only_one() {
        let two = documents("agents: {a: {}}\n---\nagents: {b: {}}").unwrap();
        assert_eq!(chosen(&two, Some("b")), Ok("b".to_owned()));
        assert_eq!(chosen(&two[..1], None), Ok("a".to_owned()));
        assert_eq!(chosen(&two, None), Err("has several agents: a, b; give `name`".to_owned()));
        assert_eq!(chosen(&two, Some("c")), Err("has no agent c, it has: a, b".to_owned()));
    }
}
