//! What a file asks for, as the requests that AWS's operations take.
//!
//! Names, paths and variables are followed here, and every request is held against AWS's model and
//! every schema against the compiler that turns use, so that a mistake is found before anything
//! has changed. What only the server knows (ids, ARNs of what is yet to be made) stays open.

use std::collections::BTreeMap;
use std::path::Path;

use craton_core::agent::tool;
use serde_json::{Value as Json, json};

use super::file::{self, Agent, Effect, File, Function, Group, Mistake, Names, Tool};
use super::package::{Package, package};
use crate::aws::{self, AGENT};
use crate::groups;

/// A file, and what it may refer to.
pub(crate) struct Source<'a> {
    /// As messages call it.
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// What relative paths start from.
    pub(crate) folder: &'a Path,
    /// The value of `${NAME}`.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
}

pub(super) struct Wish {
    pub(super) functions: Vec<FunctionWish>,
    pub(super) agents: Vec<AgentWish>,
}

pub(super) type Tags = BTreeMap<String, String>;

pub(super) struct FunctionWish {
    pub(super) name: String,
    /// CreateFunction without `Role`, `Code` and `Tags`.
    pub(super) body: Json,
    pub(super) role: Role,
    pub(super) package: Package,
    /// All of its tags, or none said.
    pub(super) tags: Option<Tags>,
    /// `craton:effect` and `craton:effect:TOOL`: always all of them.
    pub(super) effects: Tags,
}

pub(super) struct AgentWish {
    pub(super) name: String,
    /// CreateAgent without `agentResourceRoleArn` and `tags`.
    pub(super) body: Json,
    pub(super) role: Role,
    pub(super) tags: Option<Tags>,
    pub(super) groups: Vec<GroupWish>,
    pub(super) aliases: Vec<AliasWish>,
}

pub(super) struct GroupWish {
    pub(super) name: String,
    /// CreateAgentActionGroup without the agent and `actionGroupExecutor`.
    pub(super) body: Json,
    pub(super) executor: Executor,
}

pub(super) struct AliasWish {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) version: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    Arn(String),
    /// By name, to be made if it is not there, for this service.
    Own(String, &'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Executor {
    ReturnControl,
    Arn(String),
    /// A function of the file.
    Function(String),
}

/// Seconds. AWS: what GetAgent shows of agents whose makers did not say (prints of it in public
/// repositories).
const IDLE_SECONDS: u32 = 600;
/// AWS: Lambda's defaults, seconds and megabytes (CreateFunction).
const TIMEOUT: u32 = 3;
const MEMORY: u32 = 128;
/// AWS: the length of a role's name (IAM, CreateRole).
const ROLE_NAME: usize = 64;
/// These stand for what is not made yet, where a request is only checked.
const SOME_ROLE: &str = "arn:aws:iam::000000000000:role/made-by-deploy";
const SOME_FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:made-by-deploy";
const SOME_AGENT: &str = "A234567890";

/// Everything that is wrong with the file, or what it asks for.
pub(super) fn read(source: &Source<'_>) -> Result<Wish, Vec<Mistake>> {
    let file = file::parse(source.text).map_err(|mistake| vec![mistake])?;
    let mut reader = Reader { source, file: &file, mistakes: Vec::new() };
    let functions: Vec<_> =
        file.functions.iter().filter_map(|(name, one)| reader.function(name, one)).collect();
    let agents: Vec<_> = file.agents.iter().map(|(name, one)| reader.agent(name, one)).collect();
    if !reader.mistakes.is_empty() {
        return Err(reader.mistakes);
    }
    Ok(Wish { functions, agents })
}

/// Collects all mistakes, so that one run shows them all.
struct Reader<'a> {
    source: &'a Source<'a>,
    file: &'a File,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, way: &[&str], what: impl std::fmt::Display) {
        let line = file::line_of(self.source.text, way);
        self.mistakes.push(Mistake { line, what: format!("{}: {what}", way.join(".")) });
    }

    fn function(&mut self, name: &str, given: &Function) -> Option<FunctionWish> {
        let way = ["functions", name];
        let mut variables = BTreeMap::new();
        for (variable, value) in &given.environment {
            let way = ["functions", name, "environment", variable];
            variables.insert(variable.clone(), self.filled(&way, value));
        }
        let body = without_nulls(json!({
            "FunctionName": name,
            "Runtime": given.runtime,
            "Handler": given.handler,
            "Description": given.description.clone().unwrap_or_default(),
            "Timeout": given.timeout.unwrap_or(TIMEOUT),
            "MemorySize": given.memory.unwrap_or(MEMORY),
            "Environment": {"Variables": variables},
        }));
        let role = self.role(&way, given.role.as_deref(), || {
            Role::Own(role_name(name, "function"), "lambda.amazonaws.com")
        });
        let tags = given.tags.as_ref().map(plain);
        let effects = self.effects(name, given);
        let whole = with(&body, &[("Role", role.arn_or(SOME_ROLE)), ("Code", json!({}))]);
        let whole = with(&whole, &[("Tags", json!(together(tags.as_ref(), &effects)))]);
        self.checked(&way, "lambda", "CreateFunction", &whole);
        match package(&self.source.folder.join(&given.code)) {
            Ok(package) => {
                Some(FunctionWish { name: name.to_owned(), body, role, package, tags, effects })
            }
            Err(why) => {
                self.wrong(&["functions", name, "code"], why);
                None
            }
        }
    }

    /// What all groups that call a function say of its tools.
    fn effects(&mut self, name: &str, given: &Function) -> Tags {
        let word = |effect: Effect| effect.word().to_owned();
        let mut effects = Tags::new();
        effects.extend(given.effect.map(|effect| ("craton:effect".to_owned(), word(effect))));
        let file = self.file;
        for (agent, one) in &file.agents {
            for (group, one) in one.action_groups.iter().filter(|(_, g)| g.executor == name) {
                let tools = one.tools.iter().flatten();
                let tools = tools.filter_map(|(tool, one)| Some((tool, "tools", one.effect?)));
                let said = one.effects.iter().map(|(tool, effect)| (tool, "effects", *effect));
                for (tool, section, effect) in tools.chain(said) {
                    let earlier = effects.insert(format!("craton:effect:{tool}"), word(effect));
                    if earlier.is_some_and(|earlier| earlier != effect.word()) {
                        let way = ["agents", agent, "action_groups", group, section, tool];
                        self.wrong(
                            &way,
                            format!(
                                "another group says another effect of {tool} of function {name}; \
                                 say the same, or give each its own function"
                            ),
                        );
                    }
                }
            }
        }
        effects
    }

    fn agent(&mut self, name: &str, given: &Agent) -> AgentWish {
        let way = ["agents", name];
        let body = without_nulls(json!({
            "agentName": name,
            "foundationModel": self.filled(&["agents", name, "model"], &given.model),
            "instruction": given.instruction,
            "description": given.description,
            "idleSessionTTLInSeconds": given.idle_session_seconds.unwrap_or(IDLE_SECONDS),
        }));
        let role = self.role(&way, given.role.as_deref(), || {
            Role::Own(role_name(name, "agent"), "bedrock.amazonaws.com")
        });
        let tags = given.tags.as_ref().map(plain);
        let whole = with(&body, &[("agentResourceRoleArn", role.arn_or(SOME_ROLE))]);
        let whole = with(&whole, &[("tags", json!(tags.clone().unwrap_or_default()))]);
        self.checked(&way, AGENT, "CreateAgent", &whole);
        let groups: Vec<_> = given
            .action_groups
            .iter()
            .map(|(group, one)| self.group(&["agents", name, "action_groups", group], one))
            .collect();
        self.compiled(name, &groups);
        let aliases = given.aliases.iter();
        let aliases = aliases.map(|(alias, one)| self.alias(name, alias, one.as_ref())).collect();
        AgentWish { name: name.to_owned(), body, role, tags, groups, aliases }
    }

    fn group(&mut self, way: &[&str; 4], given: &Group) -> GroupWish {
        let [agents, agent, groups, name] = *way;
        let executor = self.executor(way, &given.executor);
        let functions = given.tools.as_ref().map(|tools| json!({"functions": schema(tools)}));
        let api = given.openapi.as_ref().map(|openapi| self.openapi(way, openapi));
        match (&functions, &api) {
            (Some(_), Some(_)) => self.wrong(way, "it has both `tools` and `openapi`; keep one"),
            (None, None) => self.wrong(way, "it has neither `tools` nor `openapi`; add one"),
            _ => {}
        }
        if !matches!(executor, Some(Executor::Function(_))) {
            let tools = given.tools.iter().flatten().filter(|(_, one)| one.effect.is_some());
            let said: Vec<_> = tools.map(|(tool, _)| ("tools", tool.as_str())).collect();
            for (section, tool) in
                said.into_iter().chain(given.effects.keys().map(|tool| ("effects", tool.as_str())))
            {
                let what = "an effect can be said of tools of a function in this file; of others \
                            it stands under [tools] in craton.toml";
                self.wrong(&[agents, agent, groups, name, section, tool], what);
            }
        }
        let body = without_nulls(json!({
            "actionGroupName": name,
            "description": given.description,
            "actionGroupState": if given.enabled { "ENABLED" } else { "DISABLED" },
            "functionSchema": functions,
            "apiSchema": api,
        }));
        let executor = executor.unwrap_or(Executor::ReturnControl);
        let whole =
            with(&body, &[("agentId", json!(SOME_AGENT)), ("agentVersion", json!("DRAFT"))]);
        let whole = with(&whole, &[("actionGroupExecutor", executor.json(|_| SOME_FUNCTION))]);
        self.checked(way, AGENT, "CreateAgentActionGroup", &whole);
        GroupWish { name: name.to_owned(), body, executor }
    }

    fn executor(&mut self, way: &[&str; 4], given: &str) -> Option<Executor> {
        let way = [way[0], way[1], way[2], way[3], "executor"];
        let given = self.filled(&way, given);
        if given == "return_control" {
            return Some(Executor::ReturnControl);
        }
        if given.starts_with("arn:") {
            return Some(Executor::Arn(given));
        }
        if self.file.functions.contains_key(&given) {
            return Some(Executor::Function(given));
        }
        let what = if given.contains("://") {
            "a URL is no executor; give it a function's name under [functions.map] in craton.toml, \
             and that function's ARN here"
                .to_owned()
        } else {
            let known: Vec<_> = self.file.functions.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!(
                "there is no function {given} in this file (it has: {known}); name one of them, an \
                 ARN, or return_control"
            )
        };
        self.wrong(&way, what);
        None
    }

    fn openapi(&mut self, way: &[&str; 4], given: &Json) -> Json {
        let way = [way[0], way[1], way[2], way[3], "openapi"];
        match given {
            Json::Object(_) => json!({"payload": given.to_string()}),
            Json::String(place) => match place.strip_prefix("s3://").map(|at| at.split_once('/')) {
                Some(Some((bucket, key))) => {
                    json!({"s3": {"s3BucketName": bucket, "s3ObjectKey": key}})
                }
                Some(None) => {
                    self.wrong(&way, format!("{place} has no key; write s3://BUCKET/KEY"));
                    Json::Null
                }
                None => {
                    let path = self.source.folder.join(place);
                    let text = std::fs::read_to_string(&path);
                    let text = text.unwrap_or_else(|e| {
                        self.wrong(&way, format!("{} cannot be read: {e}", path.display()));
                        String::new()
                    });
                    json!({"payload": text})
                }
            },
            _ => {
                self.wrong(&way, "it must be a path, s3://BUCKET/KEY, or the document itself");
                Json::Null
            }
        }
    }

    fn alias(&mut self, agent: &str, name: &str, given: Option<&file::Alias>) -> AliasWish {
        let way = ["agents", agent, "aliases", name];
        let wish = AliasWish {
            name: name.to_owned(),
            description: given.and_then(|given| given.description.clone()),
            version: given.and_then(|given| given.version).map(|number| number.to_string()),
        };
        let whole = with(&wish.body(wish.version.as_deref()), &[("agentId", json!(SOME_AGENT))]);
        self.checked(&way, AGENT, "CreateAgentAlias", &whole);
        // AWS: the alias that every agent has; it always runs the working draft.
        if name == "AgentTestAlias" {
            self.wrong(&way, "that alias is always there and cannot be changed; choose another");
        }
        wish
    }

    /// The compiler that turns use says now what it would say at prepare.
    fn compiled(&mut self, agent: &str, groups: &[GroupWish]) {
        let runnable: Vec<_> =
            groups.iter().filter_map(|group| groups::runnable(&group.body)).collect();
        if let Err(problem) = tool::compile(&runnable) {
            let way = ["agents", agent, "action_groups", &problem.group];
            self.wrong(&way, format!("{}; {}", problem.what, problem.advice));
        }
    }

    fn role(&mut self, way: &[&str; 2], given: Option<&str>, own: impl Fn() -> Role) -> Role {
        let Some(given) = given else { return own() };
        let way = [way[0], way[1], "role"];
        let arn = self.filled(&way, given);
        if !arn.starts_with("arn:") {
            self.wrong(&way, format!("{arn} is no ARN; leave `role` out to have one made"));
        }
        Role::Arn(arn)
    }

    fn checked(&mut self, way: &[&str], service: &str, operation: &str, body: &Json) {
        if let Err(why) = aws::check(service, operation, body) {
            self.wrong(way, why);
        }
    }

    /// `${NAME}` and `${NAME:-what to take without it}`; `$$` is one dollar sign.
    fn filled(&mut self, way: &[&str], text: &str) -> String {
        match fill(text, self.source.variable) {
            Ok(filled) => filled,
            Err(why) => {
                self.wrong(way, why);
                text.to_owned()
            }
        }
    }
}

fn fill(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inside, after) = after
                .split_once('}')
                .ok_or("`${` has no `}`; write $$ for a dollar sign that means itself")?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inside, None),
            };
            let value = variable(name).filter(|value| !value.is_empty()).or(default);
            filled.push_str(&value.ok_or_else(|| {
                format!(
                    "the environment variable {name} is not set; set it, or write ${{{name}:-…}}"
                )
            })?);
            rest = after;
        } else {
            filled.push('$');
            rest = after;
        }
    }
    Ok(filled + rest)
}

impl Role {
    pub(super) fn arn_or(&self, other: &str) -> Json {
        match self {
            Role::Arn(arn) => json!(arn),
            Role::Own(..) => json!(other),
        }
    }
}

impl Executor {
    /// As requests have it. `arn` knows the functions of the file.
    pub(super) fn json<'a>(&'a self, arn: impl FnOnce(&str) -> &'a str) -> Json {
        match self {
            Executor::ReturnControl => json!({"customControl": "RETURN_CONTROL"}),
            Executor::Arn(given) => json!({"lambda": given}),
            Executor::Function(name) => json!({"lambda": arn(name)}),
        }
    }
}

impl AliasWish {
    /// CreateAgentAlias without the agent.
    pub(super) fn body(&self, version: Option<&str>) -> Json {
        let route = version.map(|version| json!([{"agentVersion": version}]));
        without_nulls(json!({
            "agentAliasName": self.name,
            "description": self.description,
            "routingConfiguration": route,
        }))
    }
}

/// The tags of a function: what the file says, and the effects of its tools.
pub(super) fn together(tags: Option<&Tags>, effects: &Tags) -> Tags {
    let mut all = tags.cloned().unwrap_or_default();
    all.extend(effects.clone());
    all
}

/// `NAME-agent`, cut so that IAM takes it and different names stay different.
fn role_name(name: &str, kind: &str) -> String {
    let whole = format!("{name}-{kind}");
    if whole.len() <= ROLE_NAME {
        return whole;
    }
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(name);
    let digest: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let room = ROLE_NAME - digest.len() - kind.len() - 2;
    let head: String = name.chars().take(room).collect();
    format!("{head}-{digest}-{kind}")
}

/// AWS: what GetAgentActionGroup shows of a function schema has all members, said or not.
fn schema(tools: &Names<Tool>) -> Json {
    let function = |(name, tool): (&String, &Tool)| {
        let parameters = tool.parameters.iter().map(|(name, parameter)| {
            let shown = json!({
                "type": parameter.kind,
                "required": parameter.required,
                "description": parameter.description,
            });
            (name.clone(), without_nulls(shown))
        });
        without_nulls(json!({
            "name": name,
            "description": tool.description,
            "parameters": parameters.collect::<serde_json::Map<_, _>>(),
            "requireConfirmation": if tool.confirm { "ENABLED" } else { "DISABLED" },
        }))
    };
    tools.iter().map(function).collect()
}

fn plain(names: &Names<String>) -> Tags {
    names.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// An absent member and one that says null are the same to AWS; only one of them compares well.
fn without_nulls(mut object: Json) -> Json {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

/// The object with more members.
pub(super) fn with(body: &Json, more: &[(&str, Json)]) -> Json {
    let mut whole = body.clone();
    for (name, value) in more {
        whole[*name] = value.clone();
    }
    whole
}
