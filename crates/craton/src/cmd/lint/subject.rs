//! An agent as the rules see it: its tools with all that is known of each, from what AWS's
//! operations show.
//!
//! Pure. Names, inputs and effects are those that a turn would have, because the same compiler
//! makes them; what a turn has no use for, such as the responses of an OpenAPI document, is read
//! beside.

use std::collections::BTreeMap;

use craton_core::agent::config::{ActionGroup, Executor, Schema};
use craton_core::agent::tool::{self, Effect, SchemaProblem, Target};
use craton_core::policy::ToolPolicy;
use craton_core::yaml;
use engine::function::{function_name, tagged_policy};
use serde_json::Value as Json;

use super::words::{self, Nature};
use crate::groups;

/// How deep references of a document are followed, and schemas are looked into.
const DEPTH: usize = 8;

pub(super) struct Subject {
    pub(super) instruction: String,
    pub(super) tools: Vec<Tool>,
    /// Groups of which nothing can be said, and why.
    pub(super) unread: Vec<String>,
}

pub(super) struct Tool {
    /// The model's name for it.
    pub(super) name: String,
    /// The function's own name, or the operation's id.
    pub(super) own: String,
    pub(super) group: String,
    pub(super) description: String,
    pub(super) parameters: Vec<Parameter>,
    /// The name of the function that performs it; `None` where the client does.
    pub(super) function: Option<String>,
    pub(super) api: Option<Api>,
    /// What craton.toml and the function's tags set.
    pub(super) policy: ToolPolicy,
    /// What the schema says of repetition.
    pub(super) by_method: Option<Effect>,
    pub(super) confirm: bool,
    pub(super) role: Option<Role>,
    /// What it answered in earlier runs.
    pub(super) answers: Vec<Answer>,
}

/// What a tool answered, and how the call ended.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) run: String,
    /// `answered`, `error` and so on.
    pub(super) outcome: String,
    pub(super) said: String,
}

pub(super) struct Api {
    pub(super) verb: String,
    pub(super) path: String,
    /// Status to response, references followed.
    pub(super) responses: Vec<(String, Json)>,
    /// Arguments that nobody declared are passed on.
    pub(super) open: bool,
}

pub(super) struct Parameter {
    /// `address.street` for a member of an object.
    pub(super) path: String,
    pub(super) schema: Json,
    pub(super) required: bool,
}

/// What is known of a function that performs tools.
#[derive(Clone, Default)]
pub(super) struct Function {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) role: Option<Role>,
}

/// What a role allows.
#[derive(Clone, Default)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) grants: Vec<Grant>,
    /// AWS's own policies, by name: what they say is AWS's to know.
    pub(super) managed: Vec<String>,
}

/// A statement that allows.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) policy: String,
    pub(super) actions: Vec<String>,
    pub(super) resources: Vec<String>,
    /// It allows all but what it names.
    pub(super) inverted: bool,
}

/// What a group is made from: as GetAgentActionGroup shows it.
pub(super) struct Shown<'a> {
    pub(super) groups: &'a [Json],
    /// By name.
    pub(super) functions: &'a BTreeMap<String, Function>,
    /// By the model's name of the tool.
    pub(super) answers: &'a BTreeMap<String, Vec<Answer>>,
    /// `[tools]` of craton.toml, by ARN, name, or either with `:TOOL`.
    pub(super) policies: &'a BTreeMap<String, ToolPolicy>,
}

impl Subject {
    pub(super) fn of(instruction: &str, shown: &Shown<'_>) -> Subject {
        let (mut tools, mut unread) = (Vec::new(), Vec::new());
        for group in shown.groups.iter().filter(|group| group["actionGroupState"] != "DISABLED") {
            let built_in = group["parentActionSignature"].is_string();
            match groups::runnable(group) {
                Some(runnable) => match of_group(&runnable, shown) {
                    Ok(found) => tools.extend(found),
                    Err(problem) => unread.push(problem.to_string()),
                },
                None if built_in => {}
                None => unread.push(unreadable(group)),
            }
        }
        Subject { instruction: instruction.to_owned(), tools, unread }
    }
}

fn unreadable(group: &Json) -> String {
    let name = group["actionGroupName"].as_str().unwrap_or_default();
    match group["apiSchema"]["s3"]["s3BucketName"].as_str() {
        Some(bucket) => format!("{name}: its schema lies in the bucket {bucket}"),
        None => format!("{name}: it has no schema"),
    }
}

/// The functions of which the groups are performed, as their ARNs stand there.
pub(super) fn functions_of(groups: &[Json]) -> impl Iterator<Item = &str> {
    groups.iter().filter_map(|group| group["actionGroupExecutor"]["lambda"].as_str())
}

fn of_group(group: &ActionGroup, shown: &Shown<'_>) -> Result<Vec<Tool>, SchemaProblem> {
    let compiled = tool::compile(std::slice::from_ref(group))?;
    let document = match &group.schema {
        Schema::OpenApi(text) => yaml::read(text).unwrap_or(Json::Null),
        Schema::Functions(_) | Schema::Mcp(_) => Json::Null,
    };
    Ok(compiled.into_iter().map(|tool| of_tool(tool, &document, shown)).collect())
}

fn of_tool(tool: tool::Tool, document: &Json, shown: &Shown<'_>) -> Tool {
    let (own, api) = match &tool.target {
        Target::Function { name, .. } | Target::Mcp { name, .. } => (name.clone(), None),
        Target::Api(operation) => {
            let at = &document["paths"][&operation.path];
            let responses = &follow(document, at)[&operation.verb]["responses"];
            let responses = responses.as_object().into_iter().flatten();
            let api = Api {
                verb: operation.verb.to_ascii_uppercase(),
                path: operation.path.clone(),
                responses: responses
                    .map(|(status, one)| (status.clone(), follow(document, one).clone()))
                    .collect(),
                open: operation.body.as_ref().is_some_and(|body| body.open),
            };
            (operation.operation_id.clone(), Some(api))
        }
    };
    let performer = match &tool.executor {
        Executor::Lambda(arn) => Some(arn.as_str()),
        Executor::ReturnControl => None,
    };
    let name = performer.map(function_name);
    let function = name.and_then(|name| shown.functions.get(name));
    let tags = function.map(|function| tagged_policy(&function.tags, &own)).unwrap_or_default();
    let mut parameters = Vec::new();
    members(&tool.input, "", 0, &mut parameters);
    Tool {
        answers: shown.answers.get(&tool.name).cloned().unwrap_or_default(),
        name: tool.name,
        group: tool.group,
        description: tool.description,
        parameters,
        function: name.map(str::to_owned),
        api,
        policy: performer.map_or(tags.clone(), |arn| set_over(tags, arn, &own, shown.policies)),
        by_method: tool.effect,
        confirm: tool.confirm,
        role: function.and_then(|function| function.role.clone()),
        own,
    }
}

/// craton.toml goes before tags, a tool's own section before its function's.
fn set_over(
    tags: ToolPolicy,
    arn: &str,
    tool: &str,
    policies: &BTreeMap<String, ToolPolicy>,
) -> ToolPolicy {
    let name = function_name(arn);
    let keys = [name.to_owned(), arn.to_owned(), format!("{name}:{tool}"), format!("{arn}:{tool}")];
    let set = keys.iter().filter_map(|key| policies.get(key));
    set.fold(tags, |below, policy| policy.over(below))
}

/// All parameters, and the members of those that are objects.
fn members(schema: &Json, before: &str, depth: usize, found: &mut Vec<Parameter>) {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let required = required(name);
        found.push(Parameter { path: path.clone(), schema: inner.clone(), required });
        if depth < DEPTH {
            members(inner, &path, depth + 1, found);
            members(&inner["items"], &format!("{path}[]"), depth + 1, found);
        }
    }
}

/// What a `$ref` into the same document leads to.
fn follow<'a>(document: &'a Json, mut node: &'a Json) -> &'a Json {
    for _ in 0..DEPTH {
        let Some(pointer) = node["$ref"].as_str().and_then(|text| text.strip_prefix('#')) else {
            break;
        };
        match document.pointer(pointer) {
            Some(next) => node = next,
            None => break,
        }
    }
    node
}

impl Tool {
    /// How often it may take effect, if anybody says so.
    pub(super) fn effect(&self) -> Option<Effect> {
        self.policy.effect.or(self.by_method)
    }

    pub(super) fn words(&self) -> Vec<String> {
        words::of_name(&self.own)
    }

    /// Whether it changes something, by its words: the name, else how the description begins.
    pub(super) fn nature(&self) -> Nature {
        let by_name = words::nature(&self.words());
        if by_name != Nature::Unknown {
            return by_name;
        }
        let first = words::of_text(&self.description).into_iter().next().unwrap_or_default();
        words::nature_of_word(&first)
    }

    /// Whether it counts as one that changes something: what nobody knows of does.
    pub(super) fn changes(&self) -> bool {
        match (self.nature(), self.effect()) {
            (_, Some(Effect::Read)) => words::surely_changes(&self.words()),
            (Nature::Reads, _) => self.policy.effect.is_some(),
            (Nature::Writes | Nature::Unknown, _) => true,
        }
    }

    /// Where its schema is, for whoever edits it.
    pub(super) fn at(&self) -> String {
        match &self.api {
            Some(api) => format!("{} {}", api.verb, api.path),
            None => format!("function {}", self.own),
        }
    }
}

impl Parameter {
    pub(super) fn name(&self) -> &str {
        let last = self.path.rsplit('.').next().unwrap_or(&self.path);
        last.trim_end_matches("[]")
    }

    pub(super) fn is_nested(&self) -> bool {
        self.path.contains('.')
    }

    pub(super) fn description(&self) -> &str {
        self.schema["description"].as_str().unwrap_or_default().trim()
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        match &self.schema["type"] {
            Json::String(one) => one == kind,
            Json::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        }
    }

    /// What the schema lets through of it.
    pub(super) fn choices(&self) -> Option<Vec<String>> {
        let said = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (&self.schema["enum"], &self.schema["const"]) {
            (Json::Array(all), _) => Some(all.iter().map(said).collect()),
            (_, Json::Null) => None,
            (_, one) => Some(vec![said(one)]),
        }
    }
}
