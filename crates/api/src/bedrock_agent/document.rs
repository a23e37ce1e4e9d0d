//! What bedrock-agent keeps: agents, their numbered versions, aliases, and the names they hold.
//!
//! An agent's document holds its working draft with the action groups, so that a snapshot is a
//! copy and every edit is one read-modify-write under the document's version. Versions are written
//! once and never changed. What a turn runs with is not here but in the engine's pinned
//! configurations, named by digest.

use std::collections::BTreeMap;

use craton_core::agent::config::{Collaboration, Executor, McpListing, MemoryConfig, Schema};
use serde::{Deserialize, Serialize};
pub(crate) use store::Versioned;
use store::{Record, StoreError};
use wire::fault::Fault;

use super::agent_alias;
use super::prompt_override::Prompts;
use crate::cx::Cx;
pub(crate) use crate::cx::tenant;

/// The working draft's version, and the built-in alias that runs it.
pub(crate) const DRAFT: &str = "DRAFT";
pub(crate) const TEST_ALIAS: &str = "TSTALIASID";
pub(crate) const TEST_ALIAS_NAME: &str = "AgentTestAlias";

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Agent {
    pub(crate) agent_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_token: Option<String>,
    pub(crate) settings: Settings,
    /// Oldest first.
    pub(crate) groups: Vec<ActionGroup>,
    /// Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collaborators: Vec<AgentCollaborator>,
    pub(crate) status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failure_reasons: Vec<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prepared_at: Option<i64>,
    /// The number of the newest version ever cut; numbers are not used twice.
    pub(crate) last_version: u32,
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// Lasting statuses; the passing ones stand only in the answers of the calls that cause them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    NotPrepared,
    Prepared,
    Failed,
}

/// What a client sets of an agent besides its action groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instruction: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) foundation_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role_arn: Option<String>,
    pub(crate) idle_session_ttl_seconds: u32,
    #[serde(default)]
    pub(crate) collaboration: Collaboration,
    /// `memoryConfiguration`; off without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<MemoryConfig>,
    /// Prompts of the agent's own, as they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) own_prompts: Option<Prompts>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActionGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) enabled: bool,
    /// `parentActionGroupSignature` of a built-in group, which has neither executor nor schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<Executor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Schema>,
    /// Bucket and key that the schema was read from, to be shown as they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_from: Option<(String, String)>,
    /// What the MCP server behind its function listed when the agent was last prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listing: Option<McpListing>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Another agent's alias that a supervisor may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentCollaborator {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_token: Option<String>,
    pub(crate) instruction: String,
    pub(crate) relay: bool,
    pub(crate) alias_arn: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// An immutable copy of the draft as it was prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentVersion {
    pub(crate) agent_id: String,
    pub(crate) number: u32,
    pub(crate) settings: Settings,
    pub(crate) groups: Vec<ActionGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collaborators: Vec<AgentCollaborator>,
    pub(crate) created_at: i64,
    /// Digest of the configuration that it runs with.
    pub(crate) config: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentAlias {
    pub(crate) agent_id: String,
    pub(crate) alias_id: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// `DRAFT` for the built-in alias only, else a number.
    pub(crate) version: String,
    /// Digest of the configuration that the version runs with, so that an invocation reads one small
    /// document. None while the draft was never prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<String>,
    /// `routingConfiguration.provisionedThroughput`: whose places its calls of models take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provisioned: Option<String>,
    /// A paused alias refuses invocations.
    #[serde(default)]
    pub(crate) paused: bool,
    /// Oldest first; the last one lasts.
    pub(crate) history: Vec<Episode>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// A stretch of time in which an alias led to one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Episode {
    pub(crate) version: String,
    pub(crate) began_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<i64>,
}

/// Holds an agent's name; its id is the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentName {
    pub(crate) agent_id: String,
}

/// Holds an alias's name; its id is the agent's id, a slash and the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AliasName {
    pub(crate) alias_id: String,
}

macro_rules! records {
    ($($type:ty => $kind:literal,)*) => {
        $(impl Record for $type {
            const KIND: &'static str = $kind;
            const VERSION: u32 = 1;
        })*
    };
}

records! {
    Agent => "agent",
    AgentVersion => "agent-version",
    AgentAlias => "agent-alias",
    AgentName => "agent-name",
    AliasName => "agent-alias-name",
}

impl Agent {
    pub(crate) fn group(&self, id: &str) -> Option<&ActionGroup> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// Marks an edit: what is live stays live until the next prepare.
    pub(crate) fn touch(&mut self, now: i64) {
        self.updated_at = now;
        self.status = Status::NotPrepared;
        self.failure_reasons.clear();
    }
}

impl AgentVersion {
    /// Padded, so that ids sort by number.
    pub(crate) fn key(agent_id: &str, number: u32) -> String {
        format!("{agent_id}/{number:05}")
    }
}

impl AgentAlias {
    pub(crate) fn key(agent_id: &str, alias_id: &str) -> String {
        format!("{agent_id}/{alias_id}")
    }
}

impl AliasName {
    pub(crate) fn key(agent_id: &str, name: &str) -> String {
        format!("{agent_id}/{name}")
    }
}

pub(crate) async fn agent(cx: &Cx, id: &str) -> Result<Versioned<Agent>, Fault> {
    found(cx.engine.store().get(&tenant(cx), id).await, "agent", id)
}

/// `number` may have leading zeros, as the model allows.
pub(crate) async fn version(cx: &Cx, agent_id: &str, number: &str) -> Result<AgentVersion, Fault> {
    let parsed = number.parse().unwrap_or(0);
    let key = AgentVersion::key(agent_id, parsed);
    let read: Result<Option<Versioned<AgentVersion>>, _> =
        cx.engine.store().get(&tenant(cx), &key).await;
    Ok(found(read, "agent version", &format!("{agent_id}/{number}"))?.value)
}

/// Refuses an agent, or a version of it, that does not exist.
pub(crate) async fn expect(cx: &Cx, agent_id: &str, agent_version: &str) -> Result<(), Fault> {
    match agent_version {
        DRAFT => agent(cx, agent_id).await.map(drop),
        number => version(cx, agent_id, number).await.map(drop),
    }
}

pub(crate) async fn alias(
    cx: &Cx,
    agent_id: &str,
    alias_id: &str,
) -> Result<Versioned<AgentAlias>, Fault> {
    let key = AgentAlias::key(agent_id, alias_id);
    let read = cx.engine.store().get(&tenant(cx), &key).await.map_err(Fault::internal)?;
    match read {
        Some(alias) => Ok(alias),
        None => Err(no_alias(cx, agent_id, alias_id).await),
    }
}

/// Names the alias that was meant, where somebody gave its name, or the draft's version.
async fn no_alias(cx: &Cx, agent_id: &str, given: &str) -> Fault {
    let mut message = absence("agent alias", &AgentAlias::key(agent_id, given));
    let is_meant = |alias: &AgentAlias| {
        alias.name == given || (given == DRAFT && alias.alias_id == TEST_ALIAS)
    };
    let aliases = agent_alias::all(cx, agent_id).await.unwrap_or_default();
    if let Some(meant) = aliases.iter().find(|alias| is_meant(&alias.value)) {
        message.push_str(&format!(" The id of alias {given} is {}.", meant.value.alias_id));
    }
    not_found(message)
}

fn found<T>(
    read: Result<Option<Versioned<T>>, StoreError>,
    kind: &str,
    id: &str,
) -> Result<Versioned<T>, Fault> {
    read.map_err(Fault::internal)?.ok_or_else(|| missing(kind, id))
}

pub(crate) fn missing(kind: &str, id: &str) -> Fault {
    not_found(absence(kind, id))
}

fn not_found(message: String) -> Fault {
    Fault::new("ResourceNotFoundException", 404, message)
}

fn absence(kind: &str, id: &str) -> String {
    // AWS: the advice of the second sentence (github.com/acwwat/amazon-bedrock-agent-test-ui issue 1).
    format!(
        "Failed to retrieve {kind} {id} because it doesn't exist. Retry the request with a \
         different resource identifier."
    )
}
