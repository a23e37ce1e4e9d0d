//! What the server has of an agent: its groups, the functions behind them, what their roles allow.
//!
//! It reads, by AWS's own operations and the runs that the server keeps, and changes nothing. What it may not see, or what is not
//! there, is left open: a tool is judged by what is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use engine::function::{function_name, qualifier};
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

use super::subject::{Answer, Function, Grant, Role, functions_of};
use crate::aws::AGENT;
use crate::client::Client;
use crate::cmd::chat::partner;
use crate::cmd::escaped;
use crate::groups;
use crate::stream::Failure;

/// Runs whose answers are read.
const RUNS: usize = 20;

/// What is looked at: the agent's name and id, the version, and all that was found.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) instruction: String,
    pub(super) groups: Vec<Json>,
    pub(super) functions: BTreeMap<String, Function>,
    /// What tools answered in the latest runs, by the model's names of them.
    pub(super) answers: BTreeMap<String, Vec<Answer>>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

pub(super) async fn look(
    client: &Client,
    agent: &str,
    alias: Option<&str>,
    version: Option<&str>,
) -> Result<Seen, String> {
    let partner = partner::find(client, agent, alias).await?;
    let version = match (alias, version) {
        (_, Some(version)) => version.to_owned(),
        (None, None) => "DRAFT".to_owned(),
        (Some(_), None) => routed(client, &partner).await?,
    };
    let id = partner.agent_id.clone();
    let read = read(client, partner, &version).await;
    read.map_err(|failure| match failure.is_missing() {
        true => format!("the agent {id} has no version {version}; `craton lint {agent}` judges its draft (CR0029)"),
        false => failure.coded(),
    })
}

/// What the tools of the agent's latest runs answered.
async fn answers(client: &Client, agent: &str) -> Result<BTreeMap<String, Vec<Answer>>, String> {
    let listed = client.get("craton", "/_craton/v1/runs").await?;
    let runs = listed["runs"].as_array().into_iter().flatten();
    let own = runs.filter(|run| run["agentId"] == agent).filter_map(|run| run["run"].as_str());
    let mut answers: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
    for run in own.take(RUNS) {
        let view = client.get("craton", &format!("/_craton/v1/runs/{}", escaped(run))).await?;
        let steps = view["steps"].as_array().into_iter().flatten();
        for step in steps.filter(|step| step["kind"] == "tool") {
            let (Some(name), Some(outcome)) = (step["name"].as_str(), step["outcome"].as_str())
            else {
                continue;
            };
            let said = match &step["output"] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (run, outcome) = (run.to_owned(), outcome.to_owned());
            answers.entry(name.to_owned()).or_default().push(Answer { run, outcome, said });
        }
    }
    Ok(answers)
}

/// The version to which an alias leads.
async fn routed(client: &Client, partner: &partner::Partner) -> Result<String, String> {
    let asked = json!({"agentId": partner.agent_id, "agentAliasId": partner.alias_id});
    let got =
        client.call(AGENT, "GetAgentAlias", asked).await.map_err(|failure| failure.coded())?;
    let version = got["agentAlias"]["routingConfiguration"][0]["agentVersion"].as_str();
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{} leads to no version (CR0029)", partner.alias_name))
}

async fn read(client: &Client, partner: partner::Partner, version: &str) -> Result<Seen, Failure> {
    let (name, id) = (partner.name, partner.agent_id);
    let shown = match version {
        "DRAFT" => client.call(AGENT, "GetAgent", json!({"agentId": id})).await?["agent"].take(),
        number => {
            let asked = json!({"agentId": id, "agentVersion": number});
            client.call(AGENT, "GetAgentVersion", asked).await?["agentVersion"].take()
        }
    };
    let groups = groups::of(client, &id, version).await?;
    let (mut functions, mut unread) = (BTreeMap::new(), Vec::new());
    for reference in functions_of(&groups) {
        if let Entry::Vacant(free) = functions.entry(function_name(reference).to_owned()) {
            free.insert(function(client, reference, &mut unread).await?);
        }
    }
    let instruction = shown["instruction"].as_str().unwrap_or_default().to_owned();
    let version = version.to_owned();
    let answers = answers(client, &id).await.unwrap_or_else(|why| {
        unread.push(format!("what tools answered: {why}"));
        BTreeMap::new()
    });
    Ok(Seen { name, id, version, instruction, groups, functions, answers, unread })
}

/// A function that is mapped to a URL need not be there: then nothing is known of it.
async fn function(
    client: &Client,
    reference: &str,
    unread: &mut Vec<String>,
) -> Result<Function, Failure> {
    let mut asked = json!({"FunctionName": function_name(reference)});
    if let Some(version) = qualifier(reference) {
        asked["Qualifier"] = json!(version);
    }
    let got = client.call("lambda", "GetFunctionConfiguration", asked).await;
    let Some(shown) = known(got, &format!("function {reference}"), unread)? else {
        return Ok(Function::default());
    };
    let arn = shown["FunctionArn"].as_str().unwrap_or_default();
    // Tags belong to the function, not to a version of it.
    let arn = match qualifier(arn) {
        Some(version) => arn.trim_end_matches(version).trim_end_matches(':'),
        None => arn,
    };
    let got = client.call("lambda", "ListTags", json!({"Resource": arn})).await;
    let tags = known(got, &format!("tags of {arn}"), unread)?.unwrap_or_default();
    let tags = tags["Tags"].as_object().into_iter().flatten();
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let role = shown["Role"].as_str().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
    Ok(Function {
        tags: tags.map(|(key, value)| (key.clone(), text(value))).collect(),
        role: self::role(client, role, unread).await?,
    })
}

/// What was answered; nothing where it is not there, or not for this caller to see.
fn known(
    answer: Result<Json, Failure>,
    what: &str,
    unread: &mut Vec<String>,
) -> Result<Option<Json>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(Failure::Refused { code, message, .. }) => {
            unread.push(format!("{what}: {message} ({code})"));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

async fn role(
    client: &Client,
    name: &str,
    unread: &mut Vec<String>,
) -> Result<Option<Role>, Failure> {
    match allowed(client, name).await {
        Ok(role) => Ok(Some(role)),
        Err(failure) => known(Err(failure), &format!("role {name}"), unread).map(|_| None),
    }
}

async fn allowed(client: &Client, name: &str) -> Result<Role, Failure> {
    let mut role = Role { name: name.to_owned(), ..Role::default() };
    let of = json!({"RoleName": name});
    for policy in client.texts("ListRolePolicies", of.clone(), "member").await? {
        let asked = json!({"RoleName": name, "PolicyName": policy});
        let got = client.call("iam", "GetRolePolicy", asked).await?;
        role.grants.extend(grants(&policy, &got["PolicyDocument"]));
    }
    for arn in client.texts("ListAttachedRolePolicies", of, "PolicyArn").await? {
        let policy = arn.rsplit('/').next().unwrap_or(&arn).to_owned();
        if arn.contains(":iam::aws:") {
            role.managed.push(policy);
            continue;
        }
        let got = client.call("iam", "GetPolicy", json!({"PolicyArn": arn})).await?;
        let asked = json!({"PolicyArn": arn, "VersionId": got["DefaultVersionId"]});
        let got = client.call("iam", "GetPolicyVersion", asked).await?;
        role.grants.extend(grants(&policy, &got["Document"]));
    }
    Ok(role)
}

/// The statements of a document that allow.
// AWS: documents are percent-encoded in IAM's answers (API reference, GetRolePolicy)
fn grants(policy: &str, document: &Json) -> Vec<Grant> {
    let text = percent_decode_str(document.as_str().unwrap_or_default()).decode_utf8_lossy();
    let document: Json = serde_json::from_str(&text).unwrap_or_default();
    let several = |json: &Json| match json {
        Json::Array(all) => all.clone(),
        Json::Null => vec![],
        one => vec![one.clone()],
    };
    let texts = |json: &Json| -> Vec<String> {
        several(json).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let statements = several(&document["Statement"]).into_iter();
    let allows = statements.filter(|one| one["Effect"] == "Allow");
    allows
        .map(|one| Grant {
            policy: policy.to_owned(),
            actions: texts(&one["Action"]),
            resources: texts(&one["Resource"]),
            inverted: !one["NotAction"].is_null() || !one["NotResource"].is_null(),
        })
        .collect()
}
