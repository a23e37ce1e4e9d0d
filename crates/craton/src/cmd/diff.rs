//! `craton diff`: where two runs part first, and why.
//!
//! It ends as `diff` does: with 0 where nothing differs, 1 where something does, 2 where that
//! cannot be said.

use std::process::ExitCode;

use clap::Parser;
use serde_json::Value as Json;

use crate::endpoint::Endpoint;
use crate::telemetry::{complain, say};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's id, the id of a request, or of a session (its latest run).
    #[arg(value_name = "RUN")]
    a: String,
    #[arg(value_name = "OTHER_RUN")]
    b: String,
    #[command(flatten)]
    endpoint: Endpoint,
    /// The difference as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Ends with 0 if the runs are the same, 1 if they differ, 2 if that cannot be said.

Examples:
  craton diff RUN OTHER_RUN              the first thing that is not the same, and its cause
  craton diff monday tuesday --json      the latest runs of two sessions, for programs";

pub(crate) fn run(args: &Args) -> ExitCode {
    let diff = match super::wait_for(fetch(args)) {
        Ok(diff) => diff,
        Err(message) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    match args.json {
        true => say(&super::trace::json(&diff)),
        false => lines(&diff).iter().for_each(|line| say(line)),
    }
    ExitCode::from(u8::from(diff["same"] != true))
}

async fn fetch(args: &Args) -> Result<Json, String> {
    let client = args.endpoint.client("bedrock-agent-runtime")?;
    let (a, b) = (super::escaped(&args.a), super::escaped(&args.b));
    client.get("craton", &format!("/_craton/v1/runs/{a}/diff/{b}")).await
}

/// A difference as lines.
pub(super) fn lines(diff: &Json) -> Vec<String> {
    // What models and tools said cannot begin a line of its own.
    let text = |value: &Json| value.as_str().unwrap_or_default().replace(['\n', '\r'], " ");
    let found = &diff["divergence"];
    let mut lines = vec![format!("a  {}", text(&diff["a"])), format!("b  {}", text(&diff["b"]))];
    if diff["same"] == true {
        lines.push("nothing differs but ids and times".to_owned());
        return lines;
    }
    let cause = words(&text(&found["cause"]));
    lines.push(format!("first difference: {cause}, at {}", text(&found["at"])));
    lines.push(format!("  in {}", text(&found["field"])));
    lines.push(format!("  a: {}", text(&found["a"])));
    lines.push(format!("  b: {}", text(&found["b"])));
    lines
}

/// `toolResult` as a person says it.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_uppercase() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_told_with_its_cause_and_both_values() {
        let diff = json!({"a": "r1", "b": "r2", "same": false, "divergence": {
            "cause": "toolResult", "at": "step 2, tool shop__look", "field": "output",
            "a": "\"open\"", "b": "\"closed\""}});
        expect![[r#"
            a  r1
            b  r2
            first difference: tool result, at step 2, tool shop__look
              in output
              a: "open"
              b: "closed""#]]
        .assert_eq(&lines(&diff).join("\n"));
        let same = json!({"a": "r1", "b": "r2", "same": true});
        assert_eq!(lines(&same)[2], "nothing differs but ids and times");
    }
}
