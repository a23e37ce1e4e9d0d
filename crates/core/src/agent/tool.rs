//! A tool as the agent loop sees it: what the model is told, who performs it, how it may be repeated.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::config::{Executor, ParameterKind};

/// How often a tool may take effect when a reply is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing: repeat freely.
    Read,
    /// The tool recognises its idempotency key: repeat with the same key.
    Keyed,
    /// Never dispatched twice; a lost reply is an unknown outcome.
    #[default]
    Once,
}

/// One callable tool, compiled from an action group's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The model's name for it, unique in the agent, `^[a-zA-Z0-9_-]{1,64}$`:
    /// `group__function`, or `verb__group__operationId`.
    pub name: String,
    pub description: String,
    pub group_id: String,
    pub group: String,
    pub executor: Executor,
    pub target: Target,
    /// JSON Schema of the input, an object.
    pub input: Json,
    /// What the schema itself says of repetition; `None` where it says nothing.
    pub effect: Option<Effect>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Function { name: String, parameters: Vec<(String, ParameterKind)> },
    Api(ApiOperation),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApiOperation {
    /// Lower case, such as `get`.
    pub verb: String,
    pub path: String,
    pub operation_id: String,
    /// Path, query, header and cookie parameters: name and JSON Schema type.
    pub parameters: Vec<(String, String)>,
    /// Media type and properties (name and type) of the request body.
    pub body: Option<(String, Vec<(String, String)>)>,
}
