//! `craton effects`: what became of calls that may change something, and an operator's word on them.

use clap::{Args as Flags, Parser, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};

use super::Done;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, say};

/// Pages that are read at most: a terminal shows no more than that.
const PAGES: usize = 50;
/// Characters of the arguments that a line has.
const ARGUMENTS: usize = 40;

#[derive(Parser)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    list: List,
}

#[derive(Subcommand)]
enum Order {
    /// Says what became of a call whose reply was lost.
    Resolve(Resolve),
    /// Takes back a call that took effect, by the tool that its policy names.
    Undo(Undo),
}

#[derive(Flags)]
struct List {
    /// Only those of this run, of a request's, or of the latest run of a session.
    #[arg(value_name = "RUN | REQUEST_ID | SESSION_ID")]
    run: Option<String>,
    /// Only those of this session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only calls of this tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only those of which this is known: intended, done, failed, ambiguous, resolved, undone.
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<String>,
    /// The rows as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Flags)]
struct Resolve {
    #[command(flatten)]
    call: Call,
    /// What became of it. Left out: somebody looked, and it may be made again.
    #[arg(value_name = "OUTCOME")]
    outcome: Option<Outcome>,
    /// What the tool would have answered; beside done.
    #[arg(long, value_name = "TEXT")]
    result: Option<String>,
}

#[derive(Flags)]
struct Undo {
    #[command(flatten)]
    call: Call,
}

#[derive(Flags)]
struct Call {
    /// The run, or its session.
    #[arg(value_name = "RUN | SESSION_ID")]
    run: String,
    /// The call's idempotency key.
    key: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Clone, Copy, ValueEnum)]
enum Outcome {
    Done,
    NotDone,
}

const EXAMPLES: &str = "\
Examples:
  craton effects --state ambiguous               calls that may have taken effect or not
  craton effects my-session                      those of its latest run
  craton effects resolve RUN KEY done --result \"refund R-7\"
  craton effects resolve RUN KEY not-done        the call may be made again
  craton effects undo RUN KEY                    takes the call back";

pub(crate) fn run(args: &Args) -> Done {
    match &args.order {
        None => list(&args.list),
        Some(Order::Resolve(resolve)) => self::resolve(resolve),
        Some(Order::Undo(undo)) => self::undo(undo),
    }
}

fn list(list: &List) -> Done {
    let (rows, more) = super::wait_for(async {
        let client = list.endpoint.client("bedrock-agent-runtime")?;
        fetch(&client, &path(list)).await
    })?;
    if list.json {
        say(&super::trace::json(&Json::from(rows)));
        return Ok(());
    }
    if rows.is_empty() {
        aside("no call that may change something fits");
        return Ok(());
    }
    table(&rows).iter().for_each(|line| say(line));
    if more {
        aside(&format!("and more than these {}", rows.len()));
    }
    Ok(())
}

fn path(list: &List) -> String {
    let states = list.state.join(",");
    let given = [
        ("run", list.run.as_deref()),
        ("session", list.session.as_deref()),
        ("tool", list.tool.as_deref()),
        ("state", Some(states.as_str()).filter(|states| !states.is_empty())),
    ];
    let named =
        |(name, value): (&str, Option<&str>)| Some(format!("&{name}={}", super::escaped(value?)));
    let query: String = given.into_iter().filter_map(named).collect();
    format!("/_craton/v1/effects?last=100{query}")
}

/// The rows, and whether there are more.
async fn fetch(client: &Client, path: &str) -> Result<(Vec<Json>, bool), String> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let mut page = client.get("craton", &format!("{path}{after}")).await?;
        rows.extend(page["effects"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", super::escaped(next)),
            None => return Ok((rows, false)),
        }
    }
    Ok((rows, true))
}

const HEADS: [&str; 6] = ["RUN", "KEY", "TOOL", "CLASS", "STATE", "ARGUMENTS"];

fn table(rows: &[Json]) -> Vec<String> {
    let rows = rows.iter().map(row);
    let rows: Vec<[String; 6]> = std::iter::once(HEADS.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(row: &Json) -> [String; 6] {
    let text = |name: &str| row[name].as_str().unwrap_or("-").replace(['\n', '\r'], " ");
    let arguments = text("arguments");
    let cut =
        arguments.char_indices().nth(ARGUMENTS).map(|(at, _)| format!("{}…", &arguments[..at]));
    let state = match row["ruling"]["done"].as_bool() {
        Some(done) => format!("{} ({})", text("state"), if done { "done" } else { "not done" }),
        None => text("state"),
    };
    [text("run"), text("key"), text("tool"), text("effect"), state, cut.unwrap_or(arguments)]
}

fn resolve(resolve: &Resolve) -> Done {
    let mut word = json!({});
    if let Some(outcome) = resolve.outcome {
        word["outcome"] = match outcome {
            Outcome::Done => json!("done"),
            Outcome::NotDone => json!("not_done"),
        };
    }
    if let Some(result) = &resolve.result {
        word["result"] = json!(result);
    }
    let answer = order(&resolve.call, "resolve", &word)?;
    say(&format!("call {} of run {} is resolved", resolve.call.key, told(&answer["run"])));
    Ok(())
}

fn undo(undo: &Undo) -> Done {
    let answer = order(&undo.call, "undo", &json!({}))?;
    let by = told(&answer["effect"]["undo"]["tool"]);
    say(&format!("call {} of run {} is taken back by {by}", undo.call.key, told(&answer["run"])));
    Ok(())
}

fn order(call: &Call, word: &str, body: &Json) -> Result<Json, String> {
    super::wait_for(async {
        let client = call.endpoint.client("bedrock-agent-runtime")?;
        let (run, key) = (super::escaped(&call.run), super::escaped(&call.key));
        let path = format!("/_craton/v1/runs/{run}/effects/{key}/{word}");
        client.post_json("craton", &path, body).await
    })
}

fn told(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_call_is_a_line_of_a_table() {
        let row = |state: &str, ruling: Json, arguments: &str| {
            json!({"run": "0190-a", "key": "4bf5", "tool": "shop__refund", "effect": "once",
                "state": state, "ruling": ruling, "arguments": arguments})
        };
        let rows = [
            row("ambiguous", Json::Null, "{\"id\":\"A-1\"}"),
            row("resolved", json!({"by": "me", "done": false}), &"ä".repeat(50)),
        ];
        expect![[r#"
            RUN     KEY   TOOL          CLASS  STATE                ARGUMENTS
            0190-a  4bf5  shop__refund  once   ambiguous            {"id":"A-1"}
            0190-a  4bf5  shop__refund  once   resolved (not done)  ääääääääääääääääääääääääääääääääääääääää…"#]].assert_eq(&table(&rows).join("\n"));
    }

    #[test]
    fn a_list_asks_for_what_it_is_given() {
        let all = ["effects", "my run", "--tool", "shop__refund", "--state", "ambiguous,failed"];
        let args = Args::parse_from(all);
        expect!["/_craton/v1/effects?last=100&run=my%20run&tool=shop%5F%5Frefund&state=ambiguous%2Cfailed"].assert_eq(&path(&args.list));
    }
}
