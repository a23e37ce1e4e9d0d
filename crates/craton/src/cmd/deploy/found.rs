//! What the server has of the things that a file names: read, never changed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::wish::{AgentWish, FunctionWish, Role, Tags, Wish};
use crate::aws::AGENT;
use crate::client::Client;
use crate::groups;
use crate::stream::Failure;

pub(super) const DRAFT: &str = "DRAFT";
/// The statement by which Bedrock may call a function.
pub(super) const STATEMENT: &str = "craton-deploy";

/// By name; what is missing has no entry.
#[derive(Default)]
pub(super) struct Found {
    pub(super) roles: BTreeMap<String, String>,
    pub(super) functions: BTreeMap<String, FoundFunction>,
    pub(super) agents: BTreeMap<String, FoundAgent>,
}

pub(super) struct FoundFunction {
    /// As GetFunctionConfiguration shows it.
    pub(super) settings: Json,
    pub(super) tags: Tags,
    /// Whether Bedrock may call it.
    pub(super) allowed: bool,
}

pub(super) struct FoundAgent {
    pub(super) id: String,
    /// The working draft.
    pub(super) draft: Content,
    pub(super) status: String,
    pub(super) tags: Tags,
    pub(super) aliases: Vec<FoundAlias>,
    /// The newest version, and those that the file's aliases lead to.
    pub(super) versions: BTreeMap<String, Content>,
}

/// What a version of an agent, or its draft, is made of.
pub(super) struct Content {
    /// As GetAgent or GetAgentVersion shows it.
    pub(super) settings: Json,
    /// As GetAgentActionGroup shows each.
    pub(super) groups: Vec<Json>,
}

pub(super) struct FoundAlias {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) version: String,
}

pub(super) async fn look(client: &Client, wish: &Wish) -> Result<Found, Failure> {
    let mut found = Found::default();
    let roles = wish.functions.iter().map(|f| &f.role).chain(wish.agents.iter().map(|a| &a.role));
    for role in roles {
        if let Role::Own(name, _) = role {
            let got = client.call("iam", "GetRole", json!({"RoleName": name})).await;
            let arn = there(got)?.and_then(|got| got["Arn"].as_str().map(str::to_owned));
            found.roles.extend(arn.map(|arn| (name.clone(), arn)));
        }
    }
    for one in &wish.functions {
        found.functions.extend(function(client, one).await?.map(|f| (one.name.clone(), f)));
    }
    let ids = if wish.agents.is_empty() { BTreeMap::new() } else { agent_ids(client).await? };
    for one in &wish.agents {
        if let Some(id) = ids.get(&one.name) {
            found.agents.insert(one.name.clone(), agent(client, one, id).await?);
        }
    }
    Ok(found)
}

fn there(answer: Result<Json, Failure>) -> Result<Option<Json>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn function(client: &Client, wish: &FunctionWish) -> Result<Option<FoundFunction>, Failure> {
    let name = json!({"FunctionName": wish.name});
    let got = client.call("lambda", "GetFunctionConfiguration", name.clone()).await;
    let Some(settings) = there(got)? else { return Ok(None) };
    let arn = settings["FunctionArn"].clone();
    let tags = client.call("lambda", "ListTags", json!({"Resource": arn})).await?;
    let policy = there(client.call("lambda", "GetPolicy", name).await)?;
    let allowed = policy.is_some_and(|policy| {
        let text = policy["Policy"].as_str().unwrap_or_default();
        let policy: Json = serde_json::from_str(text).unwrap_or_default();
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        statements.iter().any(|one| one["Sid"] == STATEMENT)
    });
    Ok(Some(FoundFunction { settings, tags: as_tags(&tags["Tags"]), allowed }))
}

async fn agent(client: &Client, wish: &AgentWish, id: &str) -> Result<FoundAgent, Failure> {
    let got = client.call(AGENT, "GetAgent", json!({"agentId": id})).await?;
    let settings = got["agent"].clone();
    let arn = text(&settings["agentArn"]);
    let tags = client.call(AGENT, "ListTagsForResource", json!({"resourceArn": arn})).await?;
    let aliases = aliases(client, id).await?;
    let newest = newest(client, id).await?;
    let wanted = |alias: &&FoundAlias| wish.aliases.iter().any(|wish| wish.name == alias.name);
    let led_to = aliases.iter().filter(wanted).map(|alias| alias.version.clone());
    let mut versions = BTreeMap::new();
    for number in led_to.chain(newest).filter(|number| number != DRAFT) {
        if let std::collections::btree_map::Entry::Vacant(free) = versions.entry(number) {
            let asked = json!({"agentId": id, "agentVersion": free.key()});
            let got = there(client.call(AGENT, "GetAgentVersion", asked).await)?;
            let Some(got) = got else { continue };
            let groups = groups::of(client, id, free.key()).await?;
            free.insert(Content { settings: got["agentVersion"].clone(), groups });
        }
    }
    Ok(FoundAgent {
        id: id.to_owned(),
        status: text(&settings["agentStatus"]),
        draft: Content { settings, groups: groups::of(client, id, DRAFT).await? },
        tags: as_tags(&tags["tags"]),
        aliases,
        versions,
    })
}

async fn aliases(client: &Client, agent: &str) -> Result<Vec<FoundAlias>, Failure> {
    let of = json!({"agentId": agent});
    let listed = client.list("ListAgentAliases", of, "agentAliasSummaries").await?;
    let alias = |one: &Json| FoundAlias {
        id: text(&one["agentAliasId"]),
        name: text(&one["agentAliasName"]),
        description: one["description"].as_str().map(str::to_owned),
        version: text(&one["routingConfiguration"][0]["agentVersion"]),
    };
    Ok(listed.iter().map(alias).collect())
}

async fn newest(client: &Client, agent: &str) -> Result<Option<String>, Failure> {
    let of = json!({"agentId": agent});
    let listed = client.list("ListAgentVersions", of, "agentVersionSummaries").await?;
    let number = |one: &Json| one["agentVersion"].as_str()?.parse::<u64>().ok();
    Ok(listed.iter().filter_map(number).max().map(|number| number.to_string()))
}

/// Name to id of all agents.
async fn agent_ids(client: &Client) -> Result<BTreeMap<String, String>, Failure> {
    let listed = client.list("ListAgents", json!({}), "agentSummaries").await?;
    let agent = |one: &Json| (text(&one["agentName"]), text(&one["agentId"]));
    Ok(listed.iter().map(agent).collect())
}

fn as_tags(json: &Json) -> Tags {
    let tags = json.as_object().into_iter().flatten();
    tags.map(|(key, value)| (key.clone(), text(value))).collect()
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
