//! `craton cost estimate`: a plan times the price file, to the cent.

use std::path::PathBuf;

use clap::Args as Flags;
use craton_core::cost::plan::{self, Interaction};
use craton_core::cost::{Money, Prices, Stack};
use serde_json::{Value as Json, json};
use wire::converse::Usage;

use super::super::trace;
use super::{Done, aligned, cents};
use crate::telemetry::say;

/// Days of a month, as bills are planned.
const MONTH: u64 = 30;

#[derive(Flags)]
pub(super) struct Args {
    /// Interactions of a day.
    #[arg(long, value_name = "N")]
    interactions: u64,
    /// Tokens that an interaction reads, and of those the ones that a cache has.
    #[arg(long, value_name = "N")]
    input_tokens: u64,
    #[arg(long, value_name = "N", default_value_t = 0)]
    cached_tokens: u64,
    /// Tokens that it says.
    #[arg(long, value_name = "N")]
    output_tokens: u64,
    /// Calls of tools, and what functions work for them: milliseconds in all, and megabytes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    tools: u32,
    #[arg(long, value_name = "MS", default_value_t = 0)]
    tool_millis: u64,
    #[arg(long, value_name = "MB", default_value_t = 0)]
    tool_memory: u32,
    /// Records that its memory keeps, and searches in it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    memory_stores: u64,
    #[arg(long, value_name = "N", default_value_t = 0)]
    memory_searches: u64,
    /// Queries of knowledge bases.
    #[arg(long, value_name = "N", default_value_t = 0)]
    queries: u64,
    /// Checks by a guardrail whose size is not known, and text units where it is.
    #[arg(long, value_name = "N", default_value_t = 0)]
    guardrails: u64,
    #[arg(long, value_name = "N", default_value_t = 0)]
    guardrail_units: u64,
    /// Transitions of Standard workflows, and requests of Express ones.
    #[arg(long, value_name = "N", default_value_t = 0)]
    standard_transitions: u64,
    #[arg(long, value_name = "N", default_value_t = 0)]
    express_transitions: u64,
    /// The model, by its name in the price file.
    #[arg(long, value_name = "ID", default_value = "claude-sonnet-4-6")]
    model: String,
    /// A price file over the embedded one, as `prices` in craton.toml names it.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Refuse, by the exit code, a day that costs more dollars than these.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<Money>,
    /// The estimate as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Done {
    let prices = match &args.prices {
        Some(path) => crate::config::prices_of(path)?,
        None => Prices::default(),
    };
    let estimate = Estimate::of(args, &prices)?;
    match args.json {
        true => say(&trace::json(&estimate.json())),
        false => estimate.lines().iter().for_each(|line| say(line)),
    }
    super::preflight::within(args.max_cost, estimate.day().total(), "a day of this")
}

struct Estimate {
    model: String,
    as_of: String,
    interactions: u64,
    each: Stack,
    /// One check of a guardrail for each interaction.
    check: Money,
}

impl Estimate {
    fn of(args: &Args, prices: &Prices) -> Result<Estimate, String> {
        let price = prices.model(&args.model).ok_or_else(|| {
            format!("the price file has no model {}; add it by --prices FILE (CR0041)", args.model)
        })?;
        if args.cached_tokens > args.input_tokens {
            let (cached, input) = (args.cached_tokens, args.input_tokens);
            return Err(format!(
                "{cached} cached tokens are more than the {input} of the input (CR0041)"
            ));
        }
        let usage = Usage {
            input_tokens: args.input_tokens - args.cached_tokens,
            output_tokens: args.output_tokens,
            cache_read_input_tokens: args.cached_tokens,
            ..Usage::default()
        };
        let one = Interaction {
            usage,
            tools: args.tools,
            tool_millis: args.tool_millis,
            tool_memory_mb: args.tool_memory,
            memory_stores: args.memory_stores,
            memory_searches: args.memory_searches,
            guardrails: args.guardrails,
            guardrail_units: args.guardrail_units,
            knowledge_queries: args.queries,
            standard_transitions: args.standard_transitions,
            express_transitions: args.express_transitions,
        };
        Ok(Estimate {
            model: args.model.clone(),
            as_of: prices.as_of.clone(),
            interactions: args.interactions,
            each: plan::interaction(price, &prices.rates, &one),
            check: prices.rates.guardrail_request,
        })
    }

    fn day(&self) -> Stack {
        self.each.times(self.interactions)
    }

    fn lines(&self) -> Vec<String> {
        let (day, month) = (self.day(), self.day().times(MONTH));
        let heads = ["", "EACH", "A DAY", "A MONTH"].map(str::to_owned).to_vec();
        let mut rows = vec![heads];
        for (at, (name, each)) in self.each.lines().into_iter().enumerate() {
            let (day, month) = (day.lines()[at].1, month.lines()[at].1);
            rows.push(vec![name.to_owned(), each.to_string(), cents(day), cents(month)]);
        }
        let (each, day, month) = (self.each.total(), day.total(), month.total());
        rows.push(vec!["total".to_owned(), each.to_string(), cents(day), cents(month)]);
        let (model, as_of, many) = (&self.model, &self.as_of, self.interactions);
        let mut lines =
            vec![format!("{many} interactions a day with {model}, at the prices of {as_of}")];
        lines.extend(aligned(&rows));
        if self.each.guardrails == Money::ZERO {
            let (day, check) = (self.check.times(many), self.check);
            lines.push(format!(
                "with a guardrail's check of each, at {check}: +{} a day, +{} a month",
                cents(day),
                cents(day.times(MONTH))
            ));
        }
        lines
    }

    fn json(&self) -> Json {
        let shown = |stack: &Stack| {
            let lines = stack.lines().map(|(name, sum)| (name.to_owned(), json!(sum.dollars())));
            let mut shown: serde_json::Map<String, Json> = lines.into_iter().collect();
            shown.insert("total".to_owned(), json!(stack.total().dollars()));
            Json::Object(shown)
        };
        json!({
            "model": self.model,
            "pricesAsOf": self.as_of,
            "interactions": self.interactions,
            "each": shown(&self.each),
            "day": shown(&self.day()),
            "month": shown(&self.day().times(MONTH)),
            "guardrailCheckDay": self.check.times(self.interactions).dollars(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use expect_test::expect;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn told(line: &str) -> String {
        let args = Line::parse_from(["estimate"].into_iter().chain(line.split(' '))).args;
        Estimate::of(&args, &Prices::default())
            .map_or_else(|why| why, |said| said.lines().join("\n"))
    }

    #[test]
    fn the_worked_example_is_told_to_the_cent_without_and_with_guardrails() {
        let plan = "--interactions 10000 --input-tokens 500 --output-tokens 200 --tools 3 \
                    --memory-stores 1 --memory-searches 1";
        expect![[r#"
            10000 interactions a day with claude-sonnet-4-6, at the prices of 2026-06-21
                             EACH   A DAY    A MONTH
            model         $0.0045  $45.00  $1,350.00
            tools         $0.0003   $3.00     $90.00
            knowledge       $0.00   $0.00      $0.00
            memory       $0.00003   $0.30      $9.00
            guardrails      $0.00   $0.00      $0.00
            transitions     $0.00   $0.00      $0.00
            total        $0.00483  $48.30  $1,449.00
            with a guardrail's check of each, at $0.01: +$100.00 a day, +$3,000.00 a month"#]]
        .assert_eq(&told(plan));
        expect![[r#"
            10000 interactions a day with claude-sonnet-4-6, at the prices of 2026-06-21
                             EACH    A DAY    A MONTH
            model         $0.0045   $45.00  $1,350.00
            tools         $0.0003    $3.00     $90.00
            knowledge       $0.00    $0.00      $0.00
            memory       $0.00003    $0.30      $9.00
            guardrails      $0.01  $100.00  $3,000.00
            transitions     $0.00    $0.00      $0.00
            total        $0.01483  $148.30  $4,449.00"#]]
        .assert_eq(&told(&format!("{plan} --guardrails 1")));
    }

    #[test]
    fn a_plan_that_cannot_be_priced_is_refused() {
        expect!["the price file has no model qwen3:8b; add it by --prices FILE (CR0041)"]
            .assert_eq(&told(
                "--interactions 1 --input-tokens 1 --output-tokens 1 --model qwen3:8b",
            ));
        expect!["2 cached tokens are more than the 1 of the input (CR0041)"].assert_eq(&told(
            "--interactions 1 --input-tokens 1 --output-tokens 1 --cached-tokens 2",
        ));
    }
}
