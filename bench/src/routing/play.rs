//! Plays the scenarios with a server of one policy, and reads back what each run asked of models.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use craton_core::agent::config::Stage;
use craton_core::agent::prompt::default_text;
use craton_core::route::{Inputs, StepKind};
use serde::Deserialize;
use serde_json::Value as Json;
use wire::converse::{Block, Call};

use super::Args;
use super::policy::Policy;
use super::price::{Step, Task};
use super::prompt::{Prompt, reply_tokens};
use crate::http1::{self, Link};
use crate::limits::SUMMARY_TOKENS;
use crate::peer::free_address;
use crate::{Error, craton};

/// A scenario by its file and name.
pub(super) type Name = (String, String);

#[derive(Debug, Default)]
pub(super) struct Played {
    /// The scenarios with nothing wrong.
    pub(super) passed: BTreeSet<Name>,
    /// Of all scenarios, those that failed too.
    pub(super) tasks: BTreeMap<Name, Task>,
}

/// What `craton test --results` writes, as far as it is read here.
#[derive(Deserialize)]
struct Results {
    scenarios: Vec<Scene>,
}

#[derive(Deserialize)]
struct Scene {
    file: String,
    name: String,
    outcome: String,
    runs: Vec<String>,
}

pub(super) async fn play(args: &Args, policy: &Policy) -> Result<Played, Error> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let address = free_address()?;
    let mut server = craton::up(&args.craton, address, dir.path(), &policy.config)?;
    craton::ready(address, &mut server).await?;
    let results = test(args, policy, address, &dir.path().join("results.json"))?;
    let mut link = Link::open(address).await?;
    let mut played = Played::default();
    for scene in results.scenarios {
        let (mut task, mut last) = (Task::new(), Json::Null);
        let mut seen = BTreeSet::new();
        for run in scene.runs.iter().filter(|run| seen.insert(*run)) {
            let path = format!("/_craton/v1/runs/{run}");
            let (status, body) = link.send(http1::json("GET", &path, Bytes::new())?).await?;
            if !status.is_success() {
                return Err(format!("{path}: {status}").into());
            }
            let run: Json = serde_json::from_slice(&body)?;
            last = run["steps"].clone();
            steps(&last, policy, &mut task)?;
        }
        // A conversation is summed up for the agent's memory once it is over.
        if seen.len() > 1 {
            task.extend(summary(&last)?);
        }
        let name = (scene.file, scene.name);
        if scene.outcome == "passed" {
            played.passed.insert(name.clone());
        }
        played.tasks.insert(name, task);
    }
    Ok(played)
}

/// Scenarios that fail are results too; only ones that cannot be played are an error.
fn test(args: &Args, policy: &Policy, at: SocketAddr, results: &Path) -> Result<Results, Error> {
    let mut test = Command::new(&args.craton);
    test.arg("test").args(files(&args.scenarios)?).args(["--model", policy.own]);
    test.arg("--endpoint").arg(format!("http://{at}")).arg("--results").arg(results);
    let done = test.output()?;
    if !matches!(done.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(format!("craton test under {}: {said}", policy.name).into());
    }
    Ok(serde_json::from_slice(&std::fs::read(results)?)?)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The steps of a run that asked a model, those of its collaborators included.
fn steps(of: &Json, policy: &Policy, task: &mut Task) -> Result<(), Error> {
    for step in of.as_array().into_iter().flatten() {
        if step["kind"] == "model" {
            task.push(self::step(step, policy)?);
        }
        steps(&step["steps"], policy, task)?;
    }
    Ok(())
}

fn step(of: &Json, policy: &Policy) -> Result<Step, Error> {
    // Without a `[routing]` there is no route; nobody asks then what it would have been.
    let kind = match of["route"].get("kind") {
        Some(kind) => StepKind::deserialize(kind)?,
        None => StepKind::Planning,
    };
    let inputs = of["route"].get("inputs").map_or(Ok(Inputs::default()), Inputs::deserialize)?;
    // The route's id: the model map may give it another name at its provider.
    let asked = of["route"].get("model").unwrap_or(&of["model"]);
    let here = policy.model(kind, inputs);
    if *asked != here {
        return Err(format!("{} sends a step to {here}, the engine to {asked}", policy.name).into());
    }
    let call = Call::deserialize(&of["prompt"])?;
    let reply = Vec::<Block>::deserialize(&of["output"]["content"])?;
    let output_tokens = reply_tokens(&call, reply)?;
    Ok(Step { kind, inputs, prompt: Prompt::of(&call)?, output_tokens })
}

/// The step that no scenario takes, as its agents have no memory: the prompt for it, with what the
/// last step of the conversation had before it.
fn summary(of: &Json) -> Result<Option<Step>, Error> {
    let last = of.as_array().into_iter().flatten().rfind(|step| step["kind"] == "model");
    let Some(last) = last else { return Ok(None) };
    let mut call = Call::deserialize(&last["prompt"])?;
    call.tools = std::sync::Arc::from([]);
    call.system = vec![default_text(Stage::MemorySummarization).to_owned()];
    let inputs = Inputs::default();
    let (kind, prompt) = (StepKind::Summarisation, Prompt::of(&call)?);
    Ok(Some(Step { kind, inputs, prompt, output_tokens: SUMMARY_TOKENS }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::policy;
    use super::*;

    fn asked(model: &str, dependent_steps: u32, question: &str, reply: &str) -> Json {
        json!({
            "kind": "model", "model": model,
            "route": {"kind": "planning", "inputs": {"dependentSteps": dependent_steps}},
            "prompt": {"model": model, "additional": null, "cache": {}, "toolChoice": "auto",
                       "messages": [{"role": "user", "content": [{"text": question}]}]},
            "output": {"content": [{"text": reply}]},
        })
    }

    fn read(steps_of_run: &Json) -> Result<Vec<(u32, u64)>, String> {
        let routed = policy::all().unwrap().into_iter().find(|one| one.name == policy::ROUTED);
        let mut task = Task::new();
        steps(steps_of_run, &routed.unwrap(), &mut task).map_err(|error| error.to_string())?;
        Ok(task.iter().map(|step| (step.inputs.rci(), step.output_tokens)).collect())
    }

    #[test]
    fn steps_of_collaborators_count_and_replies_count_by_their_words() {
        let small = "amazon.nova-pro-v1:0";
        let inner = json!([asked(small, 1, "Where is it?", "hello world")]);
        let run = json!([
            asked(small, 0, "Where is it?", "hello"),
            {"kind": "collaborator", "steps": inner},
            {"kind": "tool", "input": {}},
        ]);
        assert_eq!(read(&run), Ok(vec![(0, 1), (10, 2)]));
    }

    #[test]
    fn a_summary_reads_the_conversation_without_the_agent_s_tools_and_instruction() {
        let mut asked = asked("m", 9, "Where is order 7?", "In Ghent.");
        asked["prompt"]["system"] = json!(["All that the agent is told. ".repeat(500)]);
        let step = summary(&json!([asked, {"kind": "tool"}])).unwrap().unwrap();
        assert_eq!((step.kind, step.output_tokens), (StepKind::Summarisation, SUMMARY_TOKENS));
        assert!((200..600).contains(&step.prompt.tokens()), "{}", step.prompt.tokens());
        assert!(summary(&json!([{"kind": "tool"}])).unwrap().is_none());
    }

    #[test]
    fn an_engine_that_chose_otherwise_is_an_error() {
        let run = json!([asked("amazon.nova-pro-v1:0", 8, "Where is it?", "hello")]);
        let said = read(&run).unwrap_err();
        assert!(said.contains("claude-opus-4-6-v1, the engine to \"amazon.nova-pro"), "{said}");
    }
}
