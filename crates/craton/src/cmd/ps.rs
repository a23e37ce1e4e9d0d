//! `craton ps`: the runs that are not over, and what each waits for.

use clap::Parser;
use engine::env::{Clock as _, System};
use serde_json::Value as Json;

use super::Done;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, say};

/// Pages that are read at most: a terminal shows no more than that.
const PAGES: usize = 10;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only the runs of this session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
    /// The runs as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  craton ps                              runs that are not over, the latest first
  craton ps --session my-session --json  those of a session, for programs";

/// What is listed, and whether there is more.
pub(super) struct Live {
    pub(super) runs: Vec<Json>,
    pub(super) more: bool,
}

pub(crate) fn run(args: &Args) -> Done {
    let live = super::wait_for(async {
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        fetch(&client, args.session.as_deref()).await
    })?;
    if args.json {
        say(&super::trace::json(&Json::from(live.runs)));
        return Ok(());
    }
    if live.runs.is_empty() {
        aside("no run is under way, waiting or parked");
        return Ok(());
    }
    table(&live.runs, System::default().now()).iter().for_each(|line| say(line));
    if live.more {
        aside(&format!("and more than these {}", live.runs.len()));
    }
    Ok(())
}

pub(super) async fn fetch(client: &Client, session: Option<&str>) -> Result<Live, String> {
    let session = session.map(|id| format!("&session={}", super::escaped(id)));
    let path = format!("/_craton/v1/runs?status=live{}", session.unwrap_or_default());
    let (mut runs, mut before) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let mut page = client.get("craton", &format!("{path}{before}")).await?;
        runs.extend(page["runs"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={}", super::escaped(next)),
            None => return Ok(Live { runs, more: false }),
        }
    }
    Ok(Live { runs, more: true })
}

const HEADS: [&str; 7] = ["RUN", "STATE", "AGENT", "SESSION", "AGE", "STEP", "WAITS FOR"];

pub(super) fn table(runs: &[Json], now: i64) -> Vec<String> {
    let rows = runs.iter().map(|run| row(run, now));
    let rows: Vec<[String; 7]> = std::iter::once(HEADS.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(run: &Json, now: i64) -> [String; 7] {
    // Sessions are named by clients, and a line is a run's.
    let text = |value: &Json| value.as_str().unwrap_or("-").replace(['\n', '\r'], " ");
    let standing = &run["standing"];
    [
        text(&run["run"]),
        text(&standing["state"]),
        format!("{} {}", text(&run["agentId"]), text(&run["agentVersion"])),
        text(&run["sessionId"]),
        age(now - run["begunAt"].as_i64().unwrap_or(now)),
        standing["step"].as_u64().unwrap_or(0).to_string(),
        text(&standing["waitsFor"]),
    ]
}

/// In the largest unit that leaves two digits at most, as far as there is one.
fn age(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_a_line_of_a_table() {
        let run = |id: &str, session: &str, begun: i64, waits: &str| {
            json!({"run": id, "agentId": "AGENT00001", "agentVersion": "3", "sessionId": session,
                "begunAt": begun, "standing": {"state": "running", "step": 2, "waitsFor": waits}})
        };
        let runs = [
            run("0190-a", "one", 999_000, "tool shop__refund"),
            run("0190-b", "two\nthree", -10_000_000, "its session"),
        ];
        expect![[r#"
            RUN     STATE    AGENT         SESSION    AGE  STEP  WAITS FOR
            0190-a  running  AGENT00001 3  one        1s   2     tool shop__refund
            0190-b  running  AGENT00001 3  two three  3h   2     its session"#]]
        .assert_eq(&table(&runs, 1_000_000).join("\n"));
    }

    #[test]
    fn an_age_is_short() {
        let ages = [-5, 99_999, 100_000, 5_999_999, 6_000_000, 172_799_999, 172_800_000];
        let ages: Vec<String> = ages.into_iter().map(age).collect();
        assert_eq!(ages, ["0s", "99s", "1m", "99m", "1h", "47h", "2d"]);
    }
}
