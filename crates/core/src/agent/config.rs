//! The configuration that a turn pins: everything about an agent that can change its behaviour.
//!
//! `PrepareAgent` and the cutting of a version make one of these; a run names it by content hash,
//! so later edits never reach a turn in flight.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wire::converse::Inference;

use crate::budget::caps::Most;
use crate::policy::ToolPolicy;
use crate::route::Wishes;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    pub agent_id: String,
    pub agent_name: String,
    /// `DRAFT` or a version number.
    pub agent_version: String,
    /// The model id as the client gave it; the model map resolves it at each call.
    pub model: String,
    pub instruction: String,
    /// Enabled action groups only, in order of creation.
    pub groups: Vec<ActionGroup>,
    /// 60 to 5400 seconds.
    pub idle_session_ttl_seconds: u32,
    /// Whether an action group `AMAZON.UserInput` lets the agent ask the user for what is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub user_input: bool,
    /// What differs from the defaults of a stage; at most one of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    /// The function that reads the replies of stages whose `parser` is set (`overrideLambda`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
    #[serde(default, skip_serializing_if = "Collaboration::is_disabled")]
    pub collaboration: Collaboration,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collaborators: Vec<Collaborator>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryConfig>,
    #[serde(default, skip_serializing_if = "Retention::is_default")]
    pub retention: Retention,
    /// What its tags say of the models that are asked.
    #[serde(default, skip_serializing_if = "Wishes::is_none")]
    pub wishes: Wishes,
    /// What a fork sets for its tools, by their names, in place of what is set for them elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, ToolPolicy>,
    /// What its tags cap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Most>,
}

impl AgentConfig {
    /// The ids of models that it names: its own, and those of its stages.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let stages = self.stages.iter().filter_map(|stage| stage.model.as_deref());
        std::iter::once(self.model.as_str()).chain(stages)
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A part of a turn that has a prompt of its own (`PromptType` of the build-time API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    PreProcessing,
    Orchestration,
    KnowledgeBaseResponseGeneration,
    PostProcessing,
    MemorySummarization,
    /// Of inline agents only: the build-time API has no such prompt.
    RoutingClassifier,
}

impl Stage {
    pub const ALL: [Stage; 6] = [
        Stage::PreProcessing,
        Stage::Orchestration,
        Stage::KnowledgeBaseResponseGeneration,
        Stage::PostProcessing,
        Stage::MemorySummarization,
        Stage::RoutingClassifier,
    ];

    /// Whether the stage runs where the agent does not say.
    ///
    /// AWS: pre- and post-processing are disabled by default (user guide, "Advanced prompt
    /// templates").
    pub fn runs_by_default(self) -> bool {
        match self {
            Stage::PreProcessing | Stage::PostProcessing => false,
            Stage::Orchestration
            | Stage::KnowledgeBaseResponseGeneration
            | Stage::MemorySummarization
            | Stage::RoutingClassifier => true,
        }
    }

    /// AWS's word for it (`PromptType`).
    pub fn name(self) -> &'static str {
        match self {
            Stage::PreProcessing => "PRE_PROCESSING",
            Stage::Orchestration => "ORCHESTRATION",
            Stage::KnowledgeBaseResponseGeneration => "KNOWLEDGE_BASE_RESPONSE_GENERATION",
            Stage::PostProcessing => "POST_PROCESSING",
            Stage::MemorySummarization => "MEMORY_SUMMARIZATION",
            Stage::RoutingClassifier => "ROUTING_CLASSIFIER",
        }
    }
}

/// What an agent sets for one stage; what is `None` stands at Craton's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageConfig {
    pub stage: Stage,
    /// A disabled stage makes no model call.
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference: Option<Inference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `additionalModelRequestFields`.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub additional: Json,
    /// Whether [`AgentConfig::parser`] reads the replies of this stage.
    #[serde(default)]
    pub parser: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Collaboration {
    #[default]
    Disabled,
    Supervisor,
    SupervisorRouter,
}

impl Collaboration {
    fn is_disabled(&self) -> bool {
        *self == Collaboration::Disabled
    }
}

/// An agent that a supervisor may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collaborator {
    /// `collaboratorName`, unique in the team.
    pub name: String,
    /// `collaborationInstruction`: when the supervisor asks it.
    pub instruction: String,
    /// Whether it reads the supervisor's conversation (`TO_COLLABORATOR`).
    #[serde(default)]
    pub relay: bool,
    pub agent_id: String,
    pub alias_id: String,
    /// `agentDescriptor.aliasArn`.
    pub alias_arn: String,
    /// Digest of its pinned configuration. Empty in what is prepared: an alias leads to its version
    /// when a turn begins, and what the turn pins has it filled in, down to the last level.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config: String,
}

/// Memory across sessions (`memoryConfiguration`, `SESSION_SUMMARY`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryConfig {
    /// 0 to 365.
    pub storage_days: u32,
    /// How many summaries a new session reads.
    pub max_recent_sessions: u32,
}

/// What of a conversation a session keeps; each cap holds by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

impl Retention {
    /// Each cap by its name.
    pub fn caps(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("exchanges", self.exchanges),
            ("tokens", self.tokens),
            ("hours", self.hours),
            ("days", self.days),
        ]
    }

    /// What no session could keep to, as a sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        match self.caps().into_iter().find(|(_, cap)| *cap == Some(0)) {
            Some((name, _)) => Err(format!("{name} is 0; set 1 or more, or leave it out")),
            None => Ok(()),
        }
    }

    /// These caps, and another's where there is none.
    pub fn or(&self, other: &Retention) -> Retention {
        Retention {
            exchanges: self.exchanges.or(other.exchanges),
            tokens: self.tokens.or(other.tokens),
            hours: self.hours.or(other.hours),
            days: self.days.or(other.days),
        }
    }

    fn is_default(&self) -> bool {
        *self == Retention::default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionGroup {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub executor: Executor,
    pub schema: Schema,
}

/// Who performs the tools of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Executor {
    /// A function ARN: a stored function, or one mapped to a URL.
    Lambda(String),
    /// The client performs them and sends the results back.
    ReturnControl,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Schema {
    Functions(Vec<Function>),
    /// An OpenAPI 3 document, JSON or YAML, as the client sent it.
    OpenApi(String),
    /// What an MCP server listed when the agent was prepared.
    Mcp(McpListing),
}

/// Tools of an MCP server as they were pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpListing {
    /// Its name under `[mcp]`.
    pub server: String,
    pub tools: Vec<McpTool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpTool {
    /// As the server has it.
    pub name: String,
    /// As models read it: cleaned, and labelled where it is the server's.
    pub description: String,
    /// JSON Schema of the arguments.
    pub input: Json,
    /// Of name, description and schema as the server gave them.
    pub digest: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirm: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// The user confirms each call before it is made (`requireConfirmation`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub confirm: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    pub kind: ParameterKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
}
