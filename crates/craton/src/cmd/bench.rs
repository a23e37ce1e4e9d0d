//! `craton bench models FILES…`: the same scenarios on several models, side by side.
//!
//! One model after the other, so that none waits for another's. The table names the cheapest model
//! that is good enough; a model without a price in the price file is never called cheap.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde_json::{Value as Json, json};

use super::Done;
use crate::client::Client;
use crate::scenario::calls::Score;
use crate::scenario::file::Suite;
use crate::scenario::observed::{Fate, Usage};
use crate::scenario::play::{Outcome, Played};
use crate::scenario::stage::Stage;
use crate::scenario::{Plan, limits, not_asked, perform, stand_in};
use crate::telemetry::{aside, say};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Plays scenarios on several models: how often tools, arguments and answers are right, and what it costs.
    Models(Models),
}

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
struct Models {
    /// Files of scenarios. Their agents are brought by `deploy`, `instruction` or `inline`.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The models, by the ids that agents name.
    #[arg(long, value_name = "ID,ID", required = true, value_delimiter = ',')]
    models: Vec<String>,
    /// The share of scenarios, and of calls by their schemas, that is good enough.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    at_least: f64,
    /// A running server. Default: one of its own, with a data directory that is thrown away.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Configuration of its own server, for providers. Default: none.
    #[arg(long, value_name = "craton.toml", conflicts_with = "endpoint")]
    config: Option<PathBuf>,
    /// The model that judges answers. Default: nobody does.
    #[arg(long, value_name = "ID")]
    judge: Option<String>,
    /// Scenarios under way at once.
    #[arg(long, value_name = "N", default_value_t = limits::AT_ONCE,
          value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Dollars for each model, after which no scenario begins; those left out count as failed.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<f64>,
    /// The table as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  craton bench models support.yaml --models anthropic.claude-haiku,amazon.nova-micro --config craton.toml
  craton bench models scenarios/*.yaml --models craton.rules,craton.clumsy:1 --json

The files: docs/testing.md.";

fn share(given: &str) -> Result<f64, String> {
    let share: Result<f64, _> = given.parse();
    share.ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "give 0 to 1".to_owned())
}

pub(crate) fn run(args: &Args) -> Done {
    let What::Models(args) = &args.what;
    let suites = args.files.iter().map(|file| Suite::read(file)).collect::<Result<Vec<_>, _>>()?;
    let stage = Stage::of(args.endpoint.as_deref(), args.config.clone())?;
    let mut all = stage.hold(async |client| {
        let mut all = Vec::new();
        for model in &args.models {
            all.push(bench(args, client, &suites, model, stage.is_own()).await?);
        }
        Ok(all)
    })?;
    all.sort_by(|a, b| a.rank(args.at_least).total_cmp(&b.rank(args.at_least)));
    match args.json {
        true => say(&super::trace::json(&report(&all, args.at_least))),
        false => table(&all, args.at_least).iter().for_each(|line| say(line)),
    }
    Ok(())
}

async fn bench(
    args: &Models,
    client: &Client,
    suites: &[Suite],
    model: &str,
    is_own: bool,
) -> Result<Row, String> {
    aside(&format!("playing on {model}"));
    let plan = Plan {
        judge: args.judge.as_deref(),
        at_once: args.jobs.into(),
        max_cost: args.max_cost,
        leave: !is_own,
    };
    let played = perform(client, suites, Some(model), &plan, &|_| {}).await?;
    played.map(|played| Row::of(model, &played)).ok_or_else(|| "interrupted".to_owned())
}

/// What one model did.
#[derive(Debug, Clone, Default)]
struct Row {
    model: String,
    scenarios: usize,
    passed: usize,
    score: Score,
    /// Calls that the model asked for, and those of them that were refused.
    asked: usize,
    refused: usize,
    usage: Usage,
    p50: u64,
    p95: u64,
    /// The embedded model that answered in its place: these are no figures of this model.
    stand_in: Option<String>,
}

impl Row {
    fn of(model: &str, all: &[Played]) -> Row {
        let mut row = Row { model: model.to_owned(), scenarios: all.len(), ..Row::default() };
        let mut millis = Vec::new();
        for one in all {
            row.passed += usize::from(one.outcome == Outcome::Passed);
            row.score.add(&one.score);
            row.usage.add(&one.usage);
            let calls = one.turns.iter().flat_map(|turn| &turn.calls);
            for call in calls {
                row.asked += 1;
                row.refused += usize::from(call.fate == Fate::Refused);
            }
            if !matches!(one.outcome, Outcome::Skipped(_)) {
                millis.push(one.usage.ms);
            }
        }
        row.stand_in = stand_in(model, all);
        millis.sort_unstable();
        (row.p50, row.p95) = (percentile(&millis, 50), percentile(&millis, 95));
        row
    }

    fn success(&self) -> f64 {
        part(self.passed, self.scenarios)
    }

    /// Of the calls that should be made and those that should not, the ones under the right name.
    fn tools(&self) -> f64 {
        part(self.score.named, self.score.wanted + self.score.beside)
    }

    fn arguments(&self) -> f64 {
        part(self.score.right, self.score.named)
    }

    fn answers(&self) -> f64 {
        part(self.score.answers_right, self.score.answers)
    }

    fn schemas(&self) -> f64 {
        part(self.asked - self.refused, self.asked)
    }

    fn each(&self) -> f64 {
        self.usage.usd / count(self.scenarios)
    }

    fn is_good(&self, at_least: f64) -> bool {
        self.success() >= at_least && self.schemas() >= at_least && self.stand_in.is_none()
    }

    /// Good ones first, those with a price before those without, the cheapest first.
    fn rank(&self, at_least: f64) -> f64 {
        const BEHIND: f64 = 1e9;
        let bad = if self.is_good(at_least) { 0.0 } else { 2.0 * BEHIND };
        let unpriced = if self.usage.unpriced > 0 { BEHIND } else { 0.0 };
        // Of equal price the one with fewer tokens; a token weighs less than any price.
        bad + unpriced
            + self.each()
            + count(self.usage.tokens().try_into().unwrap_or(usize::MAX)) * 1e-15
    }

    fn dollars(&self, amount: f64) -> String {
        if self.usage.unpriced > 0 { "no price".to_owned() } else { format!("${amount:.6}") }
    }

    fn json(&self, at_least: f64) -> Json {
        let priced = |amount: f64| (self.usage.unpriced == 0).then_some(amount);
        let success = (self.passed > 0).then(|| self.usage.usd / count(self.passed));
        json!({
            "model": self.model,
            "scenarios": self.scenarios,
            "passed": self.passed,
            "goodEnough": self.is_good(at_least),
            "answeredBy": self.stand_in,
            "success": self.success(),
            "toolAccuracy": self.tools(),
            "argumentAccuracy": self.arguments(),
            "answerSuccess": self.answers(),
            "schemaAccuracy": self.schemas(),
            "latencyMs": {"p50": self.p50, "p95": self.p95},
            "inputTokens": self.usage.input_tokens,
            "outputTokens": self.usage.output_tokens,
            "usd": priced(self.usage.usd),
            "usdPerScenario": priced(self.each()),
            "usdPerSuccess": success.and_then(priced),
        })
    }
}

/// Nothing to get wrong is all right.
fn part(some: usize, all: usize) -> f64 {
    if all == 0 { 1.0 } else { count(some) / count(all) }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// The nearest rank of sorted figures.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn report(all: &[Row], at_least: f64) -> Json {
    let best = all.first().filter(|row| row.is_good(at_least)).map(|row| &row.model);
    let rows: Vec<Json> = all.iter().map(|row| row.json(at_least)).collect();
    json!({"atLeast": at_least, "recommended": best, "models": rows})
}

fn table(all: &[Row], at_least: f64) -> Vec<String> {
    let width = all.iter().map(|row| row.model.len()).max().unwrap_or(0).max(5);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut lines = vec![format!(
        "{:<width$}  {:>7} {:>6} {:>6} {:>7} {:>7} {:>7} {:>7} {:>9} {:>11} {:>11}",
        "model",
        "passed",
        "tools",
        "args",
        "answers",
        "schemas",
        "p50 ms",
        "p95 ms",
        "tokens",
        "$/scenario",
        "$/success"
    )];
    for row in all {
        let success = match row.passed {
            0 => "-".to_owned(),
            passed => row.dollars(row.usage.usd / count(passed)),
        };
        lines.push(format!(
            "{:<width$}  {:>7} {:>6} {:>6} {:>7} {:>7} {:>7} {:>7} {:>9} {:>11} {:>11}",
            row.model,
            format!("{}/{}", row.passed, row.scenarios),
            percent(row.tools()),
            percent(row.arguments()),
            percent(row.answers()),
            percent(row.schemas()),
            row.p50,
            row.p95,
            row.usage.tokens(),
            row.dollars(row.each()),
            success
        ));
    }
    let absent = |row: &Row| row.stand_in.as_ref().map(|by| not_asked(&row.model, by));
    lines.extend(all.iter().filter_map(absent));
    let share = percent(at_least);
    lines.push(match all.first().filter(|row| row.is_good(at_least)) {
        Some(row) => format!(
            "{} is the cheapest that passes {share} of the scenarios with {share} of its calls by their schemas",
            row.model
        ),
        None => format!("none passes {share} of the scenarios with {share} of its calls by their schemas"),
    });
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn row(model: &str, passed: usize, usd: f64, unpriced: u64) -> Row {
        let usage =
            Usage { usd, unpriced, input_tokens: 900, output_tokens: 100, ..Usage::default() };
        let score =
            Score { wanted: 10, named: 9, right: 8, beside: 0, answers: 4, answers_right: 3 };
        let model = model.to_owned();
        Row {
            model,
            scenarios: 10,
            passed,
            score,
            asked: 10,
            usage,
            p50: 5,
            p95: 9,
            ..Row::default()
        }
    }

    #[test]
    fn the_cheapest_that_is_good_enough_is_named_and_no_price_is_not_cheap() {
        let mut all = [
            row("dear", 10, 2.0, 0),
            row("free", 9, 0.0, 3),
            row("bad", 5, 0.1, 0),
            row("cheap", 9, 0.5, 0),
        ];
        all.sort_by(|a, b| a.rank(0.9).total_cmp(&b.rank(0.9)));
        expect![[r#"
            model   passed  tools   args answers schemas  p50 ms  p95 ms    tokens  $/scenario   $/success
            cheap     9/10   90 %   89 %    75 %   100 %       5       9      1000   $0.050000   $0.055556
            dear     10/10   90 %   89 %    75 %   100 %       5       9      1000   $0.200000   $0.200000
            free      9/10   90 %   89 %    75 %   100 %       5       9      1000    no price    no price
            bad       5/10   90 %   89 %    75 %   100 %       5       9      1000   $0.010000   $0.020000
            cheap is the cheapest that passes 90 % of the scenarios with 90 % of its calls by their schemas"#]].assert_eq(&table(&all, 0.9).join("\n"));
        assert_eq!(report(&all, 0.9)["recommended"], "cheap");
        assert_eq!(report(&all[3..], 0.9)["recommended"], Json::Null);
    }

    #[test]
    fn a_model_for_which_another_answered_is_never_named() {
        let absent = Row { stand_in: Some("rules".to_owned()), ..row("claude", 10, 0.0, 0) };
        let lines = table(&[absent], 0.9);
        expect![[r#"
            claude was not asked: craton.rules answered for it; map it to a provider in craton.toml
            none passes 90 % of the scenarios with 90 % of its calls by their schemas"#]]
        .assert_eq(&lines[2..].join("\n"));
    }

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!(percentile(&[7], 95), 7);
        let all: Vec<u64> = (1..=20).collect();
        assert_eq!((percentile(&all, 50), percentile(&all, 95)), (10, 19));
    }
}
