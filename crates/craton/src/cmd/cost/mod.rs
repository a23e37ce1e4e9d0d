//! `craton cost`: what was spent, what would make it less, and what comes next.
//!
//! The server has the sums; `estimate` alone asks nobody, because it multiplies a price file with a
//! plan. Nothing here starts a turn or asks a model.

mod estimate;
mod preflight;

use clap::{Args as Flags, Parser, Subcommand, ValueEnum};
use craton_core::cost::Money;
use serde_json::Value as Json;

use super::{Done, trace};
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, say};

/// Pages that are read at most: a terminal shows no more than that.
const PAGES: usize = 50;

#[derive(Parser)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    order: Option<Order>,
    #[command(flatten)]
    report: Report,
}

#[derive(Subcommand)]
enum Order {
    /// Names what would make the same turns cheaper, the largest saving first.
    Explain(Explain),
    /// Says what turns of an agent will cost, before any begins.
    Preflight(preflight::Args),
    /// Multiplies a plan with the price file; needs no server.
    Estimate(estimate::Args),
}

#[derive(Flags)]
struct Report {
    /// What a line is.
    #[arg(long, value_enum, default_value = "day")]
    by: By,
    /// The first day, such as 2026-11-20, or 7d for so many days before today. Default: 30d.
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// The sums as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Run,
    Session,
    Agent,
    Tenant,
    User,
    Model,
    Day,
}

#[derive(Flags)]
struct Explain {
    /// Whose turns. Default: the account's latest.
    #[arg(value_name = "AGENT | SESSION_ID | RUN")]
    of: Option<String>,
    /// The levers as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Examples:
  craton cost                                    the last thirty days
  craton cost --by agent --since 7d              who spent it
  craton cost explain AGENT_ID                   what would make its turns cheaper
  craton cost preflight AGENT_ID --interactions 1000 --max-cost 20
  craton cost estimate --interactions 10000 --input-tokens 500 --output-tokens 200 \\
      --tools 3 --memory-stores 1 --memory-searches 1";

pub(crate) fn run(args: &Args) -> Done {
    match &args.order {
        None => report(&args.report),
        Some(Order::Explain(explain)) => self::explain(explain),
        Some(Order::Preflight(args)) => preflight::run(args),
        Some(Order::Estimate(args)) => estimate::run(args),
    }
}

fn report(report: &Report) -> Done {
    let by = report.by.to_possible_value().map(|value| value.get_name().to_owned());
    let since = report.since.as_deref().map(super::escaped);
    let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
    let path = format!("/_craton/v1/cost?by={}{since}", by.unwrap_or_default());
    let (answer, more) = super::wait_for(async {
        let client = report.endpoint.client("bedrock-agent-runtime")?;
        let mut answer = client.get("craton", &path).await?;
        for _ in 1..PAGES {
            let Some(next) = answer["next"].as_str() else { return Ok((answer, false)) };
            let mut page = client.get("craton", &format!("{path}&after={next}")).await?;
            let rows = page["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
            answer["rows"].as_array_mut().into_iter().for_each(|all| all.extend(rows.clone()));
            answer["next"] = page["next"].take();
        }
        let more = !answer["next"].is_null();
        Ok((answer, more))
    })?;
    if report.json {
        say(&trace::json(&answer));
        return Ok(());
    }
    lines(&answer).iter().for_each(|line| say(line));
    if more || answer["partial"] == true {
        aside("and more than one report looks at; begin later with --since");
    }
    if let Some(unpriced) = answer["total"]["unpriced"].as_u64().filter(|many| *many > 0) {
        aside(&format!(
            "{unpriced} replies came from models that the price file does not have: their tokens are \
             counted, and no money; add them by `prices` in craton.toml"
        ));
    }
    Ok(())
}

const LINES: [&str; 6] = ["model", "tools", "knowledge", "memory", "guardrails", "transitions"];

/// A table of the lines, and their sum below.
fn lines(answer: &Json) -> Vec<String> {
    let by = answer["by"].as_str().unwrap_or_default().to_uppercase();
    let mut heads = vec![by];
    heads.extend(LINES.iter().map(|line| line.to_uppercase()));
    heads.extend(["TOTAL", "SAVED", "CACHED", "TOKENS", "RUNS"].map(str::to_owned));
    let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut cells: Vec<Vec<String>> = vec![heads];
    cells.extend(rows.iter().map(|row| row_of(row["of"].as_str().unwrap_or("-"), row)));
    cells.push(row_of("all", &answer["total"]));
    aligned(&cells)
}

fn row_of(name: &str, row: &Json) -> Vec<String> {
    let mut cells = vec![name.replace(['\n', '\r'], " ")];
    cells.extend(LINES.iter().map(|line| dollars(&row["cost"][line])));
    cells.extend([dollars(&row["cost"]["total"]), dollars(&row["saved"])]);
    // Of what was read, not of what was said.
    let rate = row["cacheHitRate"].as_f64();
    cells.push(rate.map_or("-".to_owned(), |rate| format!("{:.0} %", rate * 100.0)));
    let tokens = ["input", "cacheRead", "cacheWrite", "output"];
    let tokens: u64 = tokens.iter().filter_map(|kind| row["tokens"][kind].as_u64()).sum();
    cells.extend([tokens.to_string(), row["runs"].to_string()]);
    cells
}

/// Columns side by side: the first to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cell = |(at, cell): (usize, &String)| match at {
            0 => format!("{cell:<width$}", width = widths[at]),
            _ => format!("{cell:>width$}", width = widths[at]),
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Dollars as the server counts them, in as many places as it takes.
fn dollars(value: &Json) -> String {
    exact(value).map_or("-".to_owned(), |money| money.to_string())
}

/// A number of the door's as the sum that it was made from.
fn exact(value: &Json) -> Option<Money> {
    let dollars = value.as_f64()?;
    Some(Money((dollars * Money::DOLLAR.0 as f64).round() as i64))
}

/// `$1,449.00`: rounded to the cent.
fn cents(money: Money) -> String {
    let cent = Money::DOLLAR.0 / 100;
    let cents =
        money.0.unsigned_abs().saturating_add(cent.unsigned_abs() / 2) / cent.unsigned_abs();
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if money.0 < 0 && cents > 0 { "-" } else { "" };
    format!("{sign}${grouped}.{:02}", cents % 100)
}

fn explain(explain: &Explain) -> Done {
    let of = explain.of.as_deref().map(|of| format!("?of={}", super::escaped(of)));
    let path = format!("/_craton/v1/cost/explain{}", of.unwrap_or_default());
    let answer = super::wait_for(async {
        explain.endpoint.client("bedrock-agent-runtime")?.get("craton", &path).await
    })?;
    if explain.json {
        say(&trace::json(&answer));
        return Ok(());
    }
    told(&answer).iter().for_each(|line| say(line));
    Ok(())
}

/// The levers as lines, the largest named first.
fn told(answer: &Json) -> Vec<String> {
    let spent = dollars(&answer["spent"]);
    let mut told = vec![format!("{} turns cost {spent}", answer["turns"])];
    told.push(match answer["largest"].as_str() {
        Some(largest) => format!("the largest lever is: {largest}"),
        None => "no lever would have saved anything".to_owned(),
    });
    let levers = answer["levers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = levers
        .iter()
        .map(|lever| {
            let share = lever["share"].as_f64().unwrap_or_default() * 100.0;
            let name = lever["lever"].as_str().unwrap_or_default().to_owned();
            vec![name, dollars(&lever["saving"]), format!("{share:.0} %")]
        })
        .collect();
    let hows = levers.iter().map(|lever| lever["how"].as_str().unwrap_or_default());
    told.extend(aligned(&rows).iter().zip(hows).map(|(line, how)| format!("  {line}  {how}")));
    told
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn money_is_rounded_to_the_cent_and_grouped() {
        let said =
            [1_449_000_000_000_000, 4_999_999_999, 5_000_000_000, -1_234_567_891_000_000_000]
                .map(|pico| cents(Money(pico)));
        assert_eq!(said, ["$1,449.00", "$0.00", "$0.01", "-$1,234,567.89"]);
    }

    #[test]
    fn a_report_has_a_line_for_each_and_their_sum() {
        let row = |of: &str, model: f64| {
            json!({"of": of, "cost": {"model": model, "tools": 0.0001, "knowledge": 0.0, "memory": 0.0,
                "guardrails": 0.0, "transitions": 0.0, "total": model + 0.0001}, "saved": 0.00027,
                "cacheHitRate": 0.375,
                "tokens": {"input": 400, "output": 200, "cacheRead": 300, "cacheWrite": 100},
                "modelCalls": 1, "unpriced": 0, "toolCalls": 1, "runs": 1})
        };
        let answer = json!({"by": "agent", "rows": [row("A1", 0.0045)], "total": row("", 0.0045)});
        expect![[r#"
            AGENT    MODEL    TOOLS  KNOWLEDGE  MEMORY  GUARDRAILS  TRANSITIONS    TOTAL     SAVED  CACHED  TOKENS  RUNS
            A1     $0.0045  $0.0001      $0.00   $0.00       $0.00        $0.00  $0.0046  $0.00027    38 %    1000     1
            all    $0.0045  $0.0001      $0.00   $0.00       $0.00        $0.00  $0.0046  $0.00027    38 %    1000     1"#]].assert_eq(&lines(&answer).join("\n"));
    }

    #[test]
    fn levers_are_told_with_what_they_save() {
        let answer = json!({"turns": 2, "spent": 0.5, "largest": "caching", "levers": [
            {"lever": "caching", "saving": 0.25, "share": 0.5, "how": "read again"},
            {"lever": "tool cache", "saving": 0.0, "share": 0.0, "how": "0 calls"}]});
        expect![[r#"
            2 turns cost $0.50
            the largest lever is: caching
              caching     $0.25  50 %  read again
              tool cache  $0.00   0 %  0 calls"#]]
        .assert_eq(&told(&answer).join("\n"));
    }
}
