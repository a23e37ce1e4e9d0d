//! The configuration that a turn pins: everything about an agent that can change its behaviour.
//!
//! `PrepareAgent` and the cutting of a version make one of these; a run names it by content hash,
//! so later edits never reach a turn in flight.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
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
