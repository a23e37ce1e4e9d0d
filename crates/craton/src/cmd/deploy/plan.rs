//! What has to be done so that the server has what the file says: a list of steps, made without
//! doing any of them.
//!
//! It is a comparison of two states and remembers nothing. So a deploy that broke off is gone on
//! with by the next one, and what somebody changed by hand is seen.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::found::{Content, DRAFT, Found, FoundAgent};
use super::wish::{
    AgentWish, AliasWish, Executor, FunctionWish, GroupWish, Role, Tags, Wish, together, with,
};

pub(super) struct Step {
    pub(super) mark: Mark,
    /// Kind and name, such as `group support/orders`.
    pub(super) what: String,
    /// What differs, or what there is to know.
    pub(super) about: Vec<String>,
    pub(super) act: Option<Act>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mark {
    Create,
    Update,
    Delete,
    /// The draft becomes what answers.
    Prepare,
    Same,
}

/// One call or few that belong together. Numbers are places in the wish.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    Role {
        name: String,
        service: &'static str,
    },
    CreateFunction(usize),
    UpdateFunction {
        function: usize,
        code: bool,
        settings: bool,
    },
    TagFunction {
        function: usize,
        change: Retag,
    },
    AllowFunction(usize),
    CreateAgent(usize),
    UpdateAgent(usize),
    TagAgent {
        agent: usize,
        change: Retag,
    },
    CreateGroup(usize, usize),
    UpdateGroup {
        agent: usize,
        group: usize,
        id: String,
    },
    DeleteGroup {
        agent: usize,
        id: String,
    },
    Prepare(usize),
    /// `id` of an alias that is there. Without a version, the draft becomes one.
    Alias {
        agent: usize,
        alias: usize,
        id: Option<String>,
        version: Option<String>,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Retag {
    pub(super) set: Tags,
    pub(super) drop: Vec<String>,
}

/// ARNs and ids by name, as far as they are known.
#[derive(Default)]
pub(super) struct Known {
    pub(super) roles: BTreeMap<String, String>,
    pub(super) functions: BTreeMap<String, String>,
    pub(super) agents: BTreeMap<String, String>,
    /// The version that is what the file says, by agent.
    pub(super) versions: BTreeMap<String, String>,
}

/// Stands where an ARN is not known before the deploy.
const TO_COME: &str = "(known once it is made)";

impl Known {
    pub(super) fn of(found: &Found) -> Known {
        let mut known = Known { roles: found.roles.clone(), ..Known::default() };
        for (name, function) in &found.functions {
            let arn = function.settings["FunctionArn"].as_str().unwrap_or_default();
            known.functions.insert(name.clone(), arn.to_owned());
        }
        let agents = found.agents.iter();
        known.agents = agents.map(|(name, agent)| (name.clone(), agent.id.clone())).collect();
        known
    }

    fn role(&self, role: &Role) -> Json {
        match role {
            Role::Arn(arn) => json!(arn),
            Role::Own(name, _) => json!(self.roles.get(name).map_or(TO_COME, String::as_str)),
        }
    }

    fn executor(&self, executor: &Executor) -> Json {
        executor.json(|name| self.functions.get(name).map_or(TO_COME, String::as_str))
    }

    pub(super) fn function(&self, wish: &FunctionWish) -> Json {
        with(&wish.body, &[("Role", self.role(&wish.role))])
    }

    pub(super) fn agent(&self, wish: &AgentWish) -> Json {
        with(&wish.body, &[("agentResourceRoleArn", self.role(&wish.role))])
    }

    pub(super) fn group(&self, wish: &GroupWish) -> Json {
        with(&wish.body, &[("actionGroupExecutor", self.executor(&wish.executor))])
    }
}

pub(super) fn plan(wish: &Wish, found: &Found) -> Vec<Step> {
    let known = Known::of(found);
    let mut steps = roles(wish, found);
    for (at, one) in wish.functions.iter().enumerate() {
        function(at, one, found, &known, &mut steps);
    }
    for (at, one) in wish.agents.iter().enumerate() {
        agent(at, one, found.agents.get(&one.name), &known, &mut steps);
    }
    steps
}

fn roles(wish: &Wish, found: &Found) -> Vec<Step> {
    let roles = wish.functions.iter().map(|f| &f.role).chain(wish.agents.iter().map(|a| &a.role));
    let step = |role: &Role| {
        let Role::Own(name, service) = role else { return None };
        let what = format!("role {name}");
        Some(match found.roles.contains_key(name) {
            true => same(what),
            false => Step {
                mark: Mark::Create,
                what,
                about: vec![format!("for {service}")],
                act: Some(Act::Role { name: name.clone(), service }),
            },
        })
    };
    roles.filter_map(step).collect()
}

fn same(what: String) -> Step {
    Step { mark: Mark::Same, what, about: Vec::new(), act: None }
}

fn function(at: usize, wish: &FunctionWish, found: &Found, known: &Known, steps: &mut Vec<Step>) {
    let what = format!("function {}", wish.name);
    let wanted = tags(wish);
    let Some(found) = found.functions.get(&wish.name) else {
        let size = wish.package.zip.len().div_ceil(1024);
        let files = files(wish);
        let about = format!("{}, {files}, {size} KB", text(&wish.body["Runtime"]));
        let create = Some(Act::CreateFunction(at));
        steps.push(Step { mark: Mark::Create, what, about: vec![about], act: create });
        return;
    };
    let differing = differences(&known.function(wish), &found.settings, &["FunctionName"]);
    let code = found.settings["CodeSha256"] != json!(wish.package.sha256);
    let mut about = differing.clone();
    about.extend(code.then(|| format!("code ({})", files(wish))));
    let before = steps.len();
    if !about.is_empty() {
        let act = Act::UpdateFunction { function: at, code, settings: !differing.is_empty() };
        steps.push(Step { mark: Mark::Update, what: what.clone(), about, act: Some(act) });
    }
    let ours = |key: &str| wish.tags.is_some() || key.starts_with("craton:effect");
    if let Some((change, about)) = retag(&wanted, &found.tags, ours) {
        let act = Some(Act::TagFunction { function: at, change });
        steps.push(Step { mark: Mark::Update, what: format!("tags of {what}"), about, act });
    }
    if !found.allowed {
        let about = vec!["Bedrock may call it".to_owned()];
        let what = format!("permission of {what}");
        let act = Some(Act::AllowFunction(at));
        steps.push(Step { mark: Mark::Create, what, about, act });
    }
    if steps.len() == before {
        steps.push(same(what));
    }
}

fn files(wish: &FunctionWish) -> String {
    match wish.package.files {
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    }
}

/// All tags of a function that the file speaks of.
pub(super) fn tags(wish: &FunctionWish) -> Tags {
    together(wish.tags.as_ref(), &wish.effects)
}

/// What has to change about tags, and the lines that say so. Of surplus tags only `ours` go.
fn retag(wanted: &Tags, found: &Tags, ours: impl Fn(&str) -> bool) -> Option<(Retag, Vec<String>)> {
    let set: Tags = wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let surplus = found.keys().filter(|key| ours(key) && !wanted.contains_key(*key));
    let drop: Vec<String> = surplus.cloned().collect();
    let set_to = |(key, value): (&String, &String)| match found.get(key) {
        Some(old) => format!("{key} {old:?} → {value:?}"),
        None => format!("{key} = {value:?}"),
    };
    let mut about: Vec<String> = set.iter().map(set_to).collect();
    about.extend(drop.iter().map(|key| format!("without {key}")));
    (!about.is_empty()).then_some((Retag { set, drop }, about))
}

fn agent(
    at: usize,
    wish: &AgentWish,
    found: Option<&FoundAgent>,
    known: &Known,
    steps: &mut Vec<Step>,
) {
    let what = format!("agent {}", wish.name);
    let before = steps.len();
    match found {
        None => {
            let about = vec![text(&wish.body["foundationModel"])];
            let act = Some(Act::CreateAgent(at));
            steps.push(Step { mark: Mark::Create, what: what.clone(), about, act });
        }
        Some(found) => {
            let about = differences(&known.agent(wish), &found.draft.settings, &["agentName"]);
            steps.push(match about.is_empty() {
                true => same(what.clone()),
                false => {
                    let act = Some(Act::UpdateAgent(at));
                    Step { mark: Mark::Update, what: what.clone(), about, act }
                }
            });
        }
    }
    groups(at, wish, found, known, steps);
    let changed = steps[before..].iter().any(|step| step.act.is_some());
    if changed || found.is_some_and(|found| found.status != "PREPARED") {
        let act = Some(Act::Prepare(at));
        steps.push(Step { mark: Mark::Prepare, what: what.clone(), about: Vec::new(), act });
    }
    if let (Some(wanted), Some(found)) = (&wish.tags, found)
        && let Some((change, about)) = retag(wanted, &found.tags, |_| true)
    {
        let act = Some(Act::TagAgent { agent: at, change });
        steps.push(Step { mark: Mark::Update, what: format!("tags of {what}"), about, act });
    }
    aliases(at, wish, found, known, steps);
}

fn groups(
    at: usize,
    wish: &AgentWish,
    found: Option<&FoundAgent>,
    known: &Known,
    steps: &mut Vec<Step>,
) {
    let there = found.map_or(&[][..], |found| &found.draft.groups);
    let what = |group: &str| format!("group {}/{group}", wish.name);
    // First, so that their tools' names and their place are free again.
    for group in there {
        let name = text(&group["actionGroupName"]);
        if !wish.groups.iter().any(|wish| wish.name == name) {
            let act = Act::DeleteGroup { agent: at, id: text(&group["actionGroupId"]) };
            let about = vec!["it is not in the file".to_owned()];
            steps.push(Step { mark: Mark::Delete, what: what(&name), about, act: Some(act) });
        }
    }
    for (place, group) in wish.groups.iter().enumerate() {
        let what = what(&group.name);
        let Some(found) = there.iter().find(|found| found["actionGroupName"] == *group.name) else {
            let act = Some(Act::CreateGroup(at, place));
            steps.push(Step { mark: Mark::Create, what, about: tools(group), act });
            continue;
        };
        let about = differences(&known.group(group), found, &["actionGroupName"]);
        if about.is_empty() {
            steps.push(same(what));
        } else {
            let id = text(&found["actionGroupId"]);
            let act = Some(Act::UpdateGroup { agent: at, group: place, id });
            steps.push(Step { mark: Mark::Update, what, about, act });
        }
    }
}

fn tools(group: &GroupWish) -> Vec<String> {
    match group.body["functionSchema"]["functions"].as_array() {
        Some(functions) => functions.iter().map(|one| text(&one["name"])).collect(),
        None => vec!["by its OpenAPI document".to_owned()],
    }
}

fn aliases(
    at: usize,
    wish: &AgentWish,
    found: Option<&FoundAgent>,
    known: &Known,
    steps: &mut Vec<Step>,
) {
    let is_wish = |number: &str| {
        let content = found.and_then(|found| found.versions.get(number));
        content.is_some_and(|content| holds(wish, content, known))
    };
    // A version that is what the file says already, if one is known: then none has to be made.
    let numbers = found.into_iter().flat_map(|found| found.versions.keys());
    let ready = numbers.filter(|number| is_wish(number));
    let ready = ready.max_by_key(|number| number.parse::<u64>().unwrap_or_default()).cloned();
    let next = "a new version".to_owned();
    for (place, alias) in wish.aliases.iter().enumerate() {
        let what = format!("alias {}/{}", wish.name, alias.name);
        let target = alias.version.clone().or_else(|| ready.clone());
        let to = target.as_ref().map_or(next.clone(), |number| format!("version {number}"));
        let there = found.and_then(|found| found.aliases.iter().find(|one| one.name == alias.name));
        let Some(there) = there else {
            let act = Act::Alias { agent: at, alias: place, id: None, version: target };
            steps.push(Step { mark: Mark::Create, what, about: vec![to], act: Some(act) });
            continue;
        };
        let stays = match &alias.version {
            Some(number) => *number == there.version,
            None => is_wish(&there.version),
        };
        let version = if stays { Some(there.version.clone()) } else { target };
        let mut about = Vec::new();
        if !stays {
            about.push(format!("version {} → {to}", there.version));
        }
        if alias.description != there.description {
            about.push("description".to_owned());
        }
        if about.is_empty() {
            steps.push(same(format!("{what} at version {}", there.version)));
        } else {
            let id = Some(there.id.clone());
            let act = Some(Act::Alias { agent: at, alias: place, id, version });
            steps.push(Step { mark: Mark::Update, what, about, act });
        }
    }
}

/// Whether a version is what the file says.
fn holds(wish: &AgentWish, content: &Content, known: &Known) -> bool {
    let settings = differences(&known.agent(wish), &content.settings, &[]);
    let group = |group: &GroupWish| {
        let found = content.groups.iter().find(|one| one["actionGroupName"] == *group.name);
        found.is_some_and(|found| differences(&known.group(group), found, &[]).is_empty())
    };
    settings.is_empty()
        && content.groups.len() == wish.groups.len()
        && wish.groups.iter().all(group)
}

/// Members of requests that a file may leave out, and that then must not be there.
const OPTIONAL: [&str; 4] = ["description", "functionSchema", "apiSchema", "Description"];

/// How a request differs from what is there, one line for each member.
fn differences(wanted: &Json, found: &Json, except: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    let members = wanted.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| !except.contains(&name.as_str())) {
        let there = &found[name];
        if !equal(value, there) {
            lines.push(difference(name, there, value));
        }
    }
    for name in OPTIONAL {
        let gone = wanted.get(name).is_none() && found.get(name).is_some_and(|v| !is_nothing(v));
        lines.extend(gone.then(|| format!("without {name}")));
    }
    lines
}

/// AWS leaves out what is empty; a file may say it.
fn equal(wanted: &Json, there: &Json) -> bool {
    wanted == there || (is_nothing(wanted) && is_nothing(there))
}

fn is_nothing(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Object(members) => members.values().all(is_nothing),
        Json::Array(items) => items.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Members whose values say more than they are long, or may be secret.
const NAMED_ONLY: [&str; 5] =
    ["instruction", "apiSchema", "Environment", "description", "Description"];

fn difference(name: &str, there: &Json, wanted: &Json) -> String {
    if name == "functionSchema" {
        return format!("tools: {}", schema_difference(there, wanted));
    }
    if NAMED_ONLY.contains(&name) {
        return name.to_owned();
    }
    format!("{name} {} → {}", short(there), short(wanted))
}

fn schema_difference(there: &Json, wanted: &Json) -> String {
    let functions = |schema: &Json| -> Vec<Json> {
        schema["functions"].as_array().cloned().unwrap_or_default()
    };
    let (there, wanted) = (functions(there), functions(wanted));
    let named = |list: &[Json], name: &Json| list.iter().find(|one| one["name"] == *name).cloned();
    let mut said = Vec::new();
    for tool in &wanted {
        match named(&there, &tool["name"]) {
            None => said.push(format!("+{}", text(&tool["name"]))),
            Some(old) if old != *tool => said.push(format!("~{}", text(&tool["name"]))),
            Some(_) => {}
        }
    }
    let gone = there.iter().filter(|tool| named(&wanted, &tool["name"]).is_none());
    said.extend(gone.map(|tool| format!("-{}", text(&tool["name"]))));
    if said.is_empty() { "their order".to_owned() } else { said.join(" ") }
}

fn short(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Null => "nothing".to_owned(),
        Json::Object(members) if members.len() == 1 => {
            members.values().next().map(short).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// Aliases that lead somewhere and are not in the file: clients may use them, so they stay.
pub(super) fn left_alone(wish: &Wish, found: &Found) -> Vec<String> {
    let mut names = Vec::new();
    for agent in &wish.agents {
        let there = found.agents.get(&agent.name).map_or(&[][..], |agent| &agent.aliases);
        for alias in there.iter().filter(|alias| alias.version != DRAFT) {
            if !agent.aliases.iter().any(|wish: &AliasWish| wish.name == alias.name) {
                names.push(format!("{}/{}", agent.name, alias.name));
            }
        }
    }
    names
}
