//! `craton fork`: a run begins in the middle of another, with something changed.

use std::time::Duration;

use clap::Parser;
use engine::fork::StepPlace;
use serde_json::{Map, Value as Json, json};

use super::Done;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, say};

/// Between two looks at the fork.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run, or a session (its latest run), and the step, as `craton trace` numbers them.
    #[arg(value_name = "RUN@STEP")]
    at: String,
    /// What is otherwise: model=ID, prompt=TEXT, memory=TEXT, tool-result=TOOL:JSON, policy=TOOL:JSON.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
What is before the step is reused: no model is asked for it and no tool called. The fork has a
session of its own. TOOL:JSON whose second part is no JSON is taken as text.

Examples:
  craton fork RUN@3                                       step 3 and what follows once more
  craton fork RUN@3 --set model=anthropic.claude-haiku    by another model
  craton fork RUN@1 --set prompt=\"Answer in one sentence.\"
  craton fork RUN@3.2                                     step 2 of the collaborator in step 3
  craton fork RUN@2 --set tool-result='lookup:{\"open\": false}'
  craton fork RUN@1 --set policy='refund:{\"hand_off\": [\"amount > 10\"]}'
  craton diff RUN FORK                                    where they part";

pub(crate) fn run(args: &Args) -> Done {
    let (run, step) = at(&args.at)?;
    let body = json!({ "step": step, "set": changes(&args.set)? });
    super::wait_for(async {
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        let path = format!("/_craton/v1/runs/{}/fork", super::escaped(run));
        let forked = client.post_json("craton", &path, &body).await?;
        let (fork, reused) = (forked["run"].as_str().unwrap_or_default(), &forked["reused"]);
        say(&format!("run {fork}"));
        aside(&format!(
            "reused {} events, {} model calls and {} tool calls of {}; session {}",
            reused["events"],
            reused["modelCalls"],
            reused["toolCalls"],
            forked["parent"].as_str().unwrap_or_default(),
            forked["sessionId"].as_str().unwrap_or_default()
        ));
        say(&answer(&client, fork).await?);
        Ok(())
    })
}

fn at(text: &str) -> Result<(&str, StepPlace), String> {
    let parts = text.rsplit_once('@').and_then(|(run, step)| Some((run, step.parse().ok()?)));
    parts.ok_or_else(|| format!("{text} is not RUN@STEP, such as 0190…@3 or 0190…@3.2 (CR0022)"))
}

fn changes(given: &[String]) -> Result<Json, String> {
    let (mut set, mut policies) = (Map::new(), Map::new());
    for change in given {
        let (name, value) = change.split_once('=').unwrap_or((change, ""));
        match name {
            "model" | "prompt" | "memory" => drop(set.insert(name.to_owned(), json!(value))),
            "tool-result" => {
                let (tool, result) = of_tool(change, value)?;
                set.insert("toolResult".to_owned(), json!({ "tool": tool, "result": result }));
            }
            "policy" => {
                let (tool, policy) = of_tool(change, value)?;
                policies.insert(tool.to_owned(), policy);
            }
            _ => {
                let known = "model, prompt, memory, tool-result or policy";
                return Err(format!("--set {change}: {name} is none of {known} (CR0022)"));
            }
        }
    }
    if !policies.is_empty() {
        set.insert("policies".to_owned(), Json::Object(policies));
    }
    Ok(Json::Object(set))
}

fn of_tool<'a>(change: &str, value: &'a str) -> Result<(&'a str, Json), String> {
    let parts = value.split_once(':').filter(|(tool, _)| !tool.is_empty());
    let (tool, value) = parts.ok_or_else(|| format!("--set {change} is not TOOL:JSON (CR0022)"))?;
    Ok((tool, serde_json::from_str(value).unwrap_or_else(|_| json!(value))))
}

/// What the fork said, once it is over or waits for its client.
async fn answer(client: &Client, run: &str) -> Result<String, String> {
    let path = format!("/_craton/v1/runs/{}", super::escaped(run));
    loop {
        let view = client.get("craton", &path).await?;
        let answer = &view["answer"];
        if view["run"]["status"] != "running" && !answer.is_null() {
            let text = answer["text"].as_str().map(str::to_owned);
            return Ok(text.unwrap_or_else(|| super::trace::json(answer)));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(given: &[&str], expected: &Expect) {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        let told = changes(&given).map_or_else(|error| error, |set| set.to_string());
        expected.assert_eq(&told);
    }

    #[test]
    fn changes_are_read_as_they_are_given() {
        check(
            &["model=m:1", "prompt=a=b", "tool-result=shop__look:{\"open\": false}"],
            &expect![[
                r#"{"model":"m:1","prompt":"a=b","toolResult":{"result":{"open":false},"tool":"shop__look"}}"#
            ]],
        );
        check(
            &["tool-result=look:closed", "policy=pay:{\"timeout_seconds\": 1}"],
            &expect![[
                r#"{"policies":{"pay":{"timeout_seconds":1}},"toolResult":{"result":"closed","tool":"look"}}"#
            ]],
        );
        check(
            &["colour=red"],
            &expect![
                "--set colour=red: colour is none of model, prompt, memory, tool-result or policy (CR0022)"
            ],
        );
        check(&["tool-result=look"], &expect!["--set tool-result=look is not TOOL:JSON (CR0022)"]);
    }

    #[test]
    fn a_place_is_a_run_and_a_step() {
        assert_eq!(at("a@b@12"), Ok(("a@b", 12.into())));
        assert!(at("run").is_err());
        assert!(at("run@x").is_err());
    }
}
