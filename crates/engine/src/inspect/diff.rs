//! Where two runs part, and why: the first thing that is not the same, in the order in which it
//! happened.
//!
//! What comes first is the cause of what comes after, so nothing beyond it is looked at. Ids that
//! are new in every run (of tool uses, of hand-offs) are no difference, nor are times.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};
use store::{StoreError, Tenant};

use super::RunView;
use crate::Engine;
use crate::record::Pinned;
use crate::steps::{Kind, Step};

/// Characters of a text that a value shows around its first difference.
const AROUND: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The runs, whatever ids they were asked for by.
    pub a: String,
    pub b: String,
    pub same: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Divergence {
    pub cause: Cause,
    /// Where: `step 3, tool shop__refund`; a collaborator's steps have its step before them.
    pub at: String,
    /// What is not the same there, such as `messages[2].content[0].text`.
    pub field: String,
    /// Both values, in short.
    pub a: String,
    pub b: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// What the client asked.
    Input,
    /// The agent's pinned configuration.
    Configuration,
    /// What a model was sent.
    Prompt,
    /// Which provider and model answered.
    Model,
    /// What a model said to the same prompt.
    Reply,
    /// What a model gave a tool, to the same prompt.
    ToolArguments,
    ToolResult,
    /// What the client was handed, and what it brought.
    HandOff,
    ClientResult,
    /// What a collaborator was to do, and what it said.
    Task,
    Answer,
    /// One run did what the other did not.
    Course,
    /// How the run ended.
    End,
}

/// What of a run is compared.
pub(crate) struct Transcript {
    input: Json,
    config: Json,
    steps: Vec<Step>,
    end: Json,
}

impl Engine {
    /// `None` with the id of the run that is not there.
    pub async fn diff(
        &self,
        tenant: &Tenant,
        a: &str,
        b: &str,
    ) -> Result<Result<Diff, String>, StoreError> {
        let Some(first) = self.view(tenant, a).await? else { return Ok(Err(a.to_owned())) };
        let Some(second) = self.view(tenant, b).await? else { return Ok(Err(b.to_owned())) };
        let (a, b) = (first.run.run.clone(), second.run.run.clone());
        let one = self.transcript(tenant, first).await?;
        let other = self.transcript(tenant, second).await?;
        let divergence = diverge(&one, &other);
        Ok(Ok(Diff { a, b, same: divergence.is_none(), divergence }))
    }

    pub(crate) async fn transcript(
        &self,
        tenant: &Tenant,
        view: RunView,
    ) -> Result<Transcript, StoreError> {
        let pinned = self.0.store.get::<Pinned>(tenant, &view.run.config).await?;
        let config = pinned.map(|pinned| serde_json::to_value(pinned.value.config));
        let mut config = config.and_then(Result::ok).unwrap_or_default();
        if let Some(members) = config.as_object_mut() {
            // The same agent has others in another version or account.
            members.retain(|name, _| !name.starts_with("agent"));
        }
        let first = view.events.first().map(|stamped| serde_json::to_value(&stamped.event));
        let first = first.and_then(Result::ok).unwrap_or_default();
        let asked = ["inputText", "sessionAttributes", "promptSessionAttributes", "conversation"];
        let input = asked.map(|name| (name.to_owned(), first[name].clone()));
        let last = view.events.last().map(|stamped| serde_json::to_value(&stamped.event));
        let last = last.and_then(Result::ok).unwrap_or_default();
        let end =
            json!({"status": view.run.status, "text": last["text"], "message": last["message"]});
        Ok(Transcript { input: Json::from_iter(input), config, steps: view.steps, end })
    }
}

/// The first difference, pure.
pub(crate) fn diverge(a: &Transcript, b: &Transcript) -> Option<Divergence> {
    differ(Cause::Input, "the request", "", &a.input, &b.input)
        .or_else(|| differ(Cause::Configuration, "the agent", "", &a.config, &b.config))
        .or_else(|| courses("", &a.steps, &b.steps))
        .or_else(|| differ(Cause::End, "the end", "", &a.end, &b.end))
}

fn courses(before: &str, a: &[Step], b: &[Step]) -> Option<Divergence> {
    let (mut ids_a, mut ids_b) = (Ids::default(), Ids::default());
    for place in 0..a.len().max(b.len()) {
        let (Some(one), Some(other)) = (a.get(place), b.get(place)) else {
            let at = format!("{before}step {}", place + 1);
            return Some(parting(at, a.get(place), b.get(place)));
        };
        let at = format!("{before}step {}, {}", place + 1, title(one));
        if one.kind != other.kind || one.name != other.name && one.kind != Kind::Model {
            return Some(parting(at, Some(one), Some(other)));
        }
        let (plain, plain_other) = (ids_a.plain(one), ids_b.plain(other));
        if let Some(found) = pair(&at, &plain, &plain_other) {
            return Some(found);
        }
    }
    None
}

/// Two steps of one kind, in the order of what each depends on.
fn pair(at: &str, a: &Step, b: &Step) -> Option<Divergence> {
    let both = |get: fn(&Step) -> Json| (get(a), get(b));
    let look = |cause, name: &str, (a, b): (Json, Json)| differ(cause, at, name, &a, &b);
    let prompt = both(|step| step.prompt.clone().unwrap_or_default());
    let who = both(|step| json!({"provider": step.provider, "model": step.model}));
    let input = both(|step| step.input.clone().unwrap_or_default());
    let output = both(|step| json!({"outcome": step.outcome, "output": step.output}));
    match a.kind {
        Kind::Model => look(Cause::Prompt, "", prompt)
            .or_else(|| look(Cause::Model, "", who))
            .or_else(|| look(Cause::Reply, "", output).map(in_arguments)),
        Kind::Tool => look(Cause::ToolArguments, "arguments", input)
            .or_else(|| look(Cause::ToolResult, "", output)),
        Kind::Parser => look(Cause::ToolResult, "", output),
        Kind::Wait => {
            look(Cause::HandOff, "", input).or_else(|| look(Cause::ClientResult, "", output))
        }
        Kind::Collaborator => look(Cause::Task, "task", input)
            .or_else(|| courses(&format!("{at}, "), &a.steps, &b.steps))
            .or_else(|| look(Cause::Answer, "", output)),
    }
}

/// A reply that differs in what it gives a tool is told as such.
fn in_arguments(found: Divergence) -> Divergence {
    match found.field.contains(".toolUse.input") {
        true => Divergence { cause: Cause::ToolArguments, ..found },
        false => found,
    }
}

fn parting(at: String, a: Option<&Step>, b: Option<&Step>) -> Divergence {
    let told = |step: Option<&Step>| step.map_or_else(|| "nothing more".to_owned(), title);
    Divergence {
        cause: Cause::Course,
        at,
        field: "what is done".to_owned(),
        a: told(a),
        b: told(b),
    }
}

fn title(step: &Step) -> String {
    let kind = match step.kind {
        Kind::Model => "model",
        Kind::Tool => "tool",
        Kind::Parser => "parser",
        Kind::Collaborator => "collaborator",
        Kind::Wait => "wait for",
    };
    format!("{kind} {}", step.name)
}

fn differ(cause: Cause, at: &str, root: &str, a: &Json, b: &Json) -> Option<Divergence> {
    let (field, a, b) = first_difference(root, a, b)?;
    let (a, b) = shown(&a, &b);
    Some(Divergence { cause, at: at.to_owned(), field, a, b })
}

/// The path of the first value that differs, and both.
fn first_difference(path: &str, a: &Json, b: &Json) -> Option<(String, Json, Json)> {
    if a == b {
        return None;
    }
    match (a, b) {
        (Json::Object(one), Json::Object(other)) => {
            let names: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            let dot = if path.is_empty() { "" } else { "." };
            names.into_iter().find_map(|name| {
                first_difference(&format!("{path}{dot}{name}"), &a[name], &b[name])
            })
        }
        (Json::Array(one), Json::Array(other)) => (0..one.len().max(other.len()))
            .find_map(|at| first_difference(&format!("{path}[{at}]"), &a[at], &b[at])),
        _ => Some((path.to_owned(), a.clone(), b.clone())),
    }
}

/// Both values as text, cut to what stands around their first difference.
fn shown(a: &Json, b: &Json) -> (String, String) {
    let text = |value: &Json| match value {
        Json::Null => "nothing".to_owned(),
        Json::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    let (a, b) = (text(a), text(b));
    let common = a.chars().zip(b.chars()).take_while(|(one, other)| one == other).count();
    let from = common.saturating_sub(AROUND / 2);
    (cut(&a, from), cut(&b, from))
}

fn cut(text: &str, from: usize) -> String {
    let mut out = String::from(if from > 0 { "…" } else { "" });
    let mut rest = text.chars().skip(from);
    out.extend(rest.by_ref().take(AROUND));
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// Ids that each run draws anew, by the order in which they first appear.
#[derive(Default)]
struct Ids(BTreeMap<String, usize>);

impl Ids {
    fn plain(&mut self, step: &Step) -> Step {
        let mut step = step.clone();
        for value in [&mut step.prompt, &mut step.input, &mut step.output].into_iter().flatten() {
            self.replace(value);
        }
        step
    }

    fn replace(&mut self, value: &mut Json) {
        match value {
            Json::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), &*value) {
                        ("toolUseId" | "invocationId", Json::String(id)) => {
                            *value = json!(self.number(id));
                        }
                        _ => self.replace(value),
                    }
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn number(&mut self, id: &str) -> String {
        let next = self.0.len();
        format!("#{}", self.0.entry(id.to_owned()).or_insert(next))
    }
}
