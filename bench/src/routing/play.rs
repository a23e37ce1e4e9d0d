//! Plays the scenarios with a server of one policy, and reads back what each run asked of models.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use craton_core::route::{Inputs, StepKind};
use serde::Deserialize;
use serde_json::Value as Json;
use wire::converse::{Block, Call, Message, Role, Usage};

use super::Args;
use super::policy::Policy;
use super::price::{Step, Task};
use crate::http1::{self, Link};
use crate::peer::free_address;
use crate::{Error, craton};

#[derive(Debug)]
pub(super) struct Played {
    /// File and name of the scenarios with nothing wrong.
    pub(super) passed: BTreeSet<(String, String)>,
    /// Of all scenarios, those that failed too.
    pub(super) tasks: Vec<Task>,
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
    let mut tasks = Vec::new();
    for scene in &results.scenarios {
        let mut task = Task::new();
        let mut seen = BTreeSet::new();
        for run in scene.runs.iter().filter(|run| seen.insert(*run)) {
            let path = format!("/_craton/v1/runs/{run}");
            let (status, body) = link.send(http1::json("GET", &path, Bytes::new())?).await?;
            if !status.is_success() {
                return Err(format!("{path}: {status}").into());
            }
            let run: Json = serde_json::from_slice(&body)?;
            steps(&run["steps"], policy, &mut task)?;
        }
        tasks.push(task);
    }
    let passed = results.scenarios.into_iter().filter(|scene| scene.outcome == "passed");
    let passed = passed.map(|scene| (scene.file, scene.name)).collect();
    Ok(Played { passed, tasks })
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
    let usage = usage(of)?;
    // Without a `[routing]` there is no route; nobody asks then what it would have been.
    let kind = match of["route"].get("kind") {
        Some(kind) => StepKind::deserialize(kind)?,
        None => StepKind::Planning,
    };
    let inputs = of["route"].get("inputs").map_or(Ok(Inputs::default()), Inputs::deserialize)?;
    let (here, asked) = (policy.model(kind, inputs), &of["model"]);
    match *asked == here {
        true => Ok(Step { kind, inputs, usage }),
        false => {
            Err(format!("{} sends a step to {here}, the engine to {asked}", policy.name).into())
        }
    }
}

/// Of the whole prompt as the run made it, and of the reply.
fn usage(step: &Json) -> Result<Usage, Error> {
    let call = Call::deserialize(&step["prompt"])?;
    let reply = Vec::<Block>::deserialize(&step["output"]["content"])?;
    let answered = |content| {
        let mut call = call.clone();
        call.messages.push(Message { role: Role::Assistant, content });
        call
    };
    let tokens = |call: &Call| llm::tokens::estimate(call).map_err(|error| error.message);
    let output_tokens = tokens(&answered(reply))? - tokens(&answered(Vec::new()))?;
    Ok(Usage { input_tokens: tokens(&call)?, output_tokens, ..Usage::default() })
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
        Ok(task.iter().map(|step| (step.inputs.rci(), step.usage.output_tokens)).collect())
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
    fn an_engine_that_chose_otherwise_is_an_error() {
        let run = json!([asked("amazon.nova-pro-v1:0", 8, "Where is it?", "hello")]);
        let said = read(&run).unwrap_err();
        assert!(said.contains("claude-opus-4-6-v1, the engine to \"amazon.nova-pro"), "{said}");
    }
}
