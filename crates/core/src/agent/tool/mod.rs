//! A tool as the agent loop sees it: what the model is told, who performs it, how it may be repeated.
//!
//! Action groups become tools once, when an agent is prepared ([`compile`]). In a turn, the
//! model's arguments pass [`check_arguments`], leave as [`lambda_event`] or [`invocation_input`],
//! and what comes back is read by [`read_response`]. Nothing here performs a tool.

mod answer;
mod check;
mod error;
mod event;
mod function;
mod key;
pub mod mcp;
mod openapi;
mod operation;
mod reply;
mod request;
mod schema;
pub mod simulate;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::config::{ActionGroup, Executor, ParameterKind, Schema};
use crate::limits;
pub(crate) use check::{Checker, check_input};

pub use answer::{Answer, Pending, Response, State, read_response};
pub use check::check_arguments;
pub use error::{clean_error, function_error, short_error};
pub use event::{
    EventContext, Parameter, Parameters, invocation_input, lambda_event, split, trace_input,
};
pub(in crate::agent) use key::hex;
pub use key::{canonical, idempotency_key};
pub use operation::{ApiOperation, Body, Field, Place, Spelling, Style};
pub use reply::{HttpReply, read_http};
pub use request::{HttpCall, http_call};

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
    /// As `once`; another tool takes it back.
    Compensable,
}

impl Effect {
    pub fn word(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Keyed => "keyed",
            Effect::Once => "once",
            Effect::Compensable => "compensable",
        }
    }

    /// Whether a call may be sent again when its reply was lost.
    pub fn may_repeat(self) -> bool {
        match self {
            Effect::Read | Effect::Keyed => true,
            Effect::Once | Effect::Compensable => false,
        }
    }
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
    /// The user confirms each call before it is performed.
    pub confirm: bool,
    pub(crate) checker: Checker,
}

/// What the client is asked for in a hand-off (`actionInvocationType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOff {
    Result,
    Confirmation,
    ConfirmationAndResult,
}

impl HandOff {
    pub fn as_str(self) -> &'static str {
        match self {
            HandOff::Result => "RESULT",
            HandOff::Confirmation => "USER_CONFIRMATION",
            HandOff::ConfirmationAndResult => "USER_CONFIRMATION_AND_RESULT",
        }
    }
}

impl Tool {
    /// What a call needs of the client before or instead of being performed here.
    pub fn hand_off(&self) -> Option<HandOff> {
        match (&self.executor, self.confirm) {
            (Executor::ReturnControl, false) => Some(HandOff::Result),
            (Executor::ReturnControl, true) => Some(HandOff::ConfirmationAndResult),
            (Executor::Lambda(_), true) => Some(HandOff::Confirmation),
            (Executor::Lambda(_), false) => None,
        }
    }
}

/// What the tool is at its executor.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Function {
        name: String,
        parameters: Vec<(String, ParameterKind)>,
    },
    Api(ApiOperation),
    /// A tool of an MCP server, by the server's name of it.
    Mcp {
        name: String,
        digest: String,
    },
}

impl Target {
    /// Its name at the executor: the function's, the operation's, the server's.
    pub fn action(&self) -> &str {
        match self {
            Target::Function { name, .. } | Target::Mcp { name, .. } => name,
            Target::Api(operation) => &operation.operation_id,
        }
    }
}

/// Why an action group's schema cannot be used, as a message for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("action group {group}: {what}; {advice}")]
pub struct SchemaProblem {
    pub group: String,
    /// What is wrong, and where.
    pub what: String,
    pub advice: String,
}

impl SchemaProblem {
    /// Of a tool whose name is one of ours.
    pub(crate) fn taken(tool: &Tool) -> Self {
        SchemaProblem {
            group: tool.group.clone(),
            what: format!("{} is the tool of AMAZON.UserInput", tool.name),
            advice: "rename the action group or the function".to_owned(),
        }
    }
}

/// A problem before its group is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    what: String,
    advice: String,
}

fn problem(what: impl Into<String>, advice: impl Into<String>) -> Problem {
    Problem { what: what.into(), advice: advice.into() }
}

/// The tools of an agent, in the order of its groups; those of one document by path, then verb.
/// Compiles validators too: keep the result for as long as the configuration is pinned.
pub fn compile(groups: &[ActionGroup]) -> Result<Vec<Tool>, SchemaProblem> {
    let mut tools = Vec::new();
    let mut names = BTreeSet::new();
    for group in groups {
        let compiled = compile_group(group, &mut names).map_err(|problem| SchemaProblem {
            group: group.name.clone(),
            what: problem.what,
            advice: problem.advice,
        })?;
        tools.extend(compiled);
    }
    Ok(tools)
}

fn compile_group(group: &ActionGroup, names: &mut BTreeSet<String>) -> Result<Vec<Tool>, Problem> {
    let (actions, most) = match &group.schema {
        Schema::Functions(functions) => {
            (function::actions(group, functions)?, limits::ACTIONS_PER_GROUP)
        }
        Schema::OpenApi(document) => {
            (openapi::actions(group, document)?, limits::ACTIONS_PER_GROUP)
        }
        Schema::Mcp(listing) => (mcp::actions(group, listing), limits::MCP_TOOLS),
    };
    if actions.len() > most {
        return Err(problem(
            format!("it has {} actions of at most {most}", actions.len()),
            "spread them over several action groups",
        ));
    }
    actions.into_iter().map(|action| action.into_tool(group, names)).collect()
}

/// What a schema says of one tool.
struct Action {
    /// Where it stands, for messages: `function refund`, `post /refunds`.
    at: String,
    name: String,
    description: String,
    target: Target,
    input: Json,
    effect: Option<Effect>,
    confirm: bool,
}

impl Action {
    fn into_tool(self, group: &ActionGroup, names: &mut BTreeSet<String>) -> Result<Tool, Problem> {
        check_name(&self.at, &self.name)?;
        if !names.insert(self.name.clone()) {
            return Err(problem(
                format!("{}: another tool of this agent is named {} already", self.at, self.name),
                "give each function or operationId of an action group its own name",
            ));
        }
        let checker = Checker::new(&self.input).map_err(|cause| {
            problem(format!("{}: the schema is not valid {cause}", self.at), "correct the schema")
        })?;
        Ok(Tool {
            name: self.name,
            description: self.description,
            group_id: group.id.clone(),
            group: group.name.clone(),
            executor: group.executor.clone(),
            target: self.target,
            input: self.input,
            effect: self.effect,
            confirm: self.confirm,
            checker,
        })
    }
}

// AWS: "HttpVerb__ActionName__OperationId should match tool name regex … ^[a-zA-Z0-9_-]{1,64}$"
// (PrepareAgent's and CreateAgentActionGroup's refusal).
fn check_name(at: &str, name: &str) -> Result<(), Problem> {
    if name.len() > limits::TOOL_NAME {
        return Err(problem(
            format!(
                "{at}: the tool name {name} has {} characters of at most {}",
                name.len(),
                limits::TOOL_NAME
            ),
            "shorten the name of the action group, the function or the operationId",
        ));
    }
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    match name.chars().find(|&char| !fits(char)) {
        None => Ok(()),
        Some(char) => Err(problem(
            format!("{at}: the tool name {name} contains {char:?}"),
            "use only letters, digits, _ and - in the function name or operationId",
        )),
    }
}
