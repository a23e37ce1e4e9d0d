//! `craton dry-run`: what a turn would do, with nothing changed.

use std::time::Duration;

use clap::Parser;
use engine::env::{Ids as _, System};
use serde_json::{Value as Json, json};

use super::Done;
use super::chat::partner;
use crate::endpoint::Endpoint;
use crate::telemetry::say;

/// A little more than the server takes for one at most.
const PATIENCE: Duration = Duration::from_secs(310);
/// Characters of a call's arguments that a line has.
const ARGUMENTS: usize = 80;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The agent, by name or id.
    agent: String,
    /// What to ask it.
    input: String,
    /// One of its aliases, by name or id. Default: its prepared draft.
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,
    /// A session whose conversation it is to know; nothing is added to it, and its budget pays.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// All of it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Models are asked and cost what they cost. Tools that only read are called; every other call is
answered from what the tool said earlier, or from its schema, and not made.

Examples:
  craton dry-run support \"refund order A-17\"
  craton dry-run support \"and the other one?\" --session s-1";

pub(crate) fn run(args: &Args) -> Done {
    let dry = super::wait_for(async {
        let build = args.endpoint.client("bedrock-agent")?;
        let partner = partner::find(&build, &args.agent, args.alias.as_deref()).await?;
        let client = args.endpoint.client("bedrock-agent-runtime")?.patient(PATIENCE);
        // Of its own, so that its budget is too.
        let fresh = || format!("dry-run-{}", System::default().fresh());
        let session = args.session.clone().unwrap_or_else(fresh);
        let body = json!({
            "agentId": partner.agent_id,
            "agentAliasId": partner.alias_id,
            "sessionId": session,
            "inputText": args.input,
        });
        client.post_json("craton", "/_craton/v1/dry-runs", &body).await
    })?;
    match args.json {
        true => say(&super::trace::json(&dry)),
        false => lines(&dry).iter().for_each(|line| say(line)),
    }
    Ok(())
}

fn lines(dry: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or_default().replace(['\n', '\r'], " ");
    let mut lines = vec!["dry run: nothing was changed".to_owned()];
    for effect in dry["effects"].as_array().into_iter().flatten() {
        let arguments: String = effect["arguments"].to_string().chars().take(ARGUMENTS).collect();
        let how = match effect["source"].as_str() {
            Some("real") => "called",
            Some("record") => "not called, answered from an earlier call",
            Some("schema") => "not called, answered from its schema",
            _ => "not called, nothing is known of its answers",
        };
        let (class, tool) = (text(&effect["class"]), text(&effect["tool"]));
        lines.push(format!("  {class:<11} {tool} {arguments}  ({how})"));
    }
    let usage = &dry["usage"];
    let cost = dry["cost"].as_i64().map(|pico| format!(", ${:.6}", pico as f64 / 1e12));
    lines.push(format!(
        "{} model calls, {} input and {} output tokens{}",
        dry["modelCalls"],
        usage["inputTokens"],
        usage["outputTokens"],
        cost.unwrap_or_default()
    ));
    let answer = &dry["answer"];
    let said = answer["text"].as_str().map(str::to_owned);
    lines.push(said.unwrap_or_else(|| super::trace::json(answer)));
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn calls_that_were_not_made_are_told_as_such() {
        let effect = |tool: &str, class: &str, source: &str| json!({"tool": tool, "class": class, "source": source, "arguments": {"x": 1}});
        let dry = json!({
            "effects": [effect("look", "read", "real"), effect("pay", "once", "schema")],
            "modelCalls": 2, "usage": {"inputTokens": 10, "outputTokens": 5}, "cost": 1_500_000,
            "answer": {"text": "paid"},
        });
        expect![[r#"
            dry run: nothing was changed
              read        look {"x":1}  (called)
              once        pay {"x":1}  (not called, answered from its schema)
            2 model calls, 10 input and 5 output tokens, $0.000002
            paid"#]]
        .assert_eq(&lines(&dry).join("\n"));
    }
}
