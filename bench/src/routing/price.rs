//! What tasks cost under a policy. Pure: steps go in, picodollars come out.
//!
//! Prompts are billed as providers bill them: what an earlier step of the task left in the model's
//! cache at the price of reading it, what is kept at the price of writing it ([`Kept`]). Tools cost
//! the same under every policy and are left out.

use std::collections::BTreeMap;

use craton_core::cost::{Money, Prices};
use craton_core::route::{Inputs, StepKind};
use serde_json::{Value as Json, json};
use wire::converse::Usage;

use super::policy::Policy;
use super::prompt::{Kept, Prompt};
use crate::Error;
use crate::limits::ROUTED_TASKS;

/// One call of a model.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) kind: StepKind,
    /// What the engine's index was made of.
    pub(super) inputs: Inputs,
    /// Its tokens are estimated.
    pub(super) prompt: Prompt,
    pub(super) output_tokens: u64,
}

pub(super) type Task = Vec<Step>;

#[derive(Debug, Default)]
pub(super) struct Bill {
    pub(super) total: Money,
    /// Steps by class.
    classes: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<&'static str, u64>,
    usage: Usage,
}

/// The tasks, one after the other and again from the first, until there are enough.
pub(super) fn bill(tasks: &[&Task], policy: &Policy, prices: &Prices) -> Result<Bill, Error> {
    if tasks.is_empty() {
        return Err("no scenario took more than one step".into());
    }
    let mut bill = Bill::default();
    for task in tasks.iter().cycle().take(ROUTED_TASKS) {
        bill.add(task, policy, prices)?;
    }
    Ok(bill)
}

impl Bill {
    fn add(&mut self, task: &Task, policy: &Policy, prices: &Prices) -> Result<(), Error> {
        let mut kept = Kept::default();
        for step in task {
            let model = policy.model(step.kind, step.inputs);
            let price = prices.model(&model).ok_or_else(|| format!("{model} has no price"))?;
            let usage = kept.usage(&model, &step.prompt, step.output_tokens);
            self.total += price.cost(&usage);
            self.usage += usage;
            *self.classes.entry(policy.class(&model)).or_default() += 1;
            *self.kinds.entry(step.kind.word()).or_default() += 1;
        }
        Ok(())
    }

    pub(super) fn steps(&self) -> u64 {
        self.classes.values().sum()
    }

    pub(super) fn json(&self) -> Json {
        let all = self.steps() as f64;
        let shares = |counts: &BTreeMap<&'static str, u64>| {
            let shares = counts.iter().map(|(name, steps)| (*name, *steps as f64 / all));
            shares.collect::<BTreeMap<_, _>>()
        };
        json!({
            "dollars_per_1000_tasks": self.total.dollars(),
            "steps": self.steps(), "by_class": shares(&self.classes), "by_kind": shares(&self.kinds),
            "tokens": self.usage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy;
    use super::super::prompt::tests::of_tokens;
    use super::*;

    fn step(kind: StepKind, dependent_steps: u32, input_tokens: u64) -> Step {
        let inputs = Inputs { dependent_steps, required_tools: 1, conditional_blocks: 0 };
        let prompt = of_tokens(&format!("{kind:?} {dependent_steps}"), input_tokens);
        Step { kind, inputs, prompt, output_tokens: input_tokens / 10 }
    }

    fn check(task: &Task, expected: &[&str]) {
        let prices = Prices::default();
        let said = policy::all().unwrap().into_iter().map(|policy| {
            let bill = bill(&[task], &policy, &prices).unwrap();
            format!("{} {} {:?}", policy.name, bill.total, bill.classes)
        });
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_thousand_simple_tasks_cost_under_a_third_of_the_medium_model_alone() {
        // 500 tokens in and 50 out, then 1,000 and 100, too few for a cache. On the large model
        // 1,500 · 5 + 150 · 25, on the medium one 1,500 · 3 + 150 · 15, on the small one
        // 1,500 · 0.8 + 150 · 3.2, a million each.
        check(
            &vec![step(StepKind::Planning, 0, 500), step(StepKind::Planning, 1, 1_000)],
            &[
                r#"large $11.25 {"large": 2000}"#,
                r#"medium $6.75 {"medium": 2000}"#,
                r#"small $1.68 {"small": 2000}"#,
                r#"routed $1.68 {"small": 2000}"#,
                r#"routed-haiku $2.25 {"small": 2000}"#,
                r#"routed-medium-above-40 $1.68 {"small": 2000}"#,
            ],
        );
    }

    #[test]
    fn a_step_is_priced_where_its_kind_and_index_send_it() {
        // Indices of 77 and 47 and two sums, each 1,000 tokens in and 100 out: 0.0075 on the large model,
        // 0.0045 on the medium one, 0.00112 and 0.0015 on the small ones, 0.000049 on the cheapest.
        let plan = |steps| step(StepKind::Planning, steps, 1_000);
        let sum = step(StepKind::Summarisation, 9, 1_000);
        check(
            &vec![plan(7), plan(4), sum.clone(), sum],
            &[
                r#"large $30.00 {"large": 4000}"#,
                r#"medium $18.00 {"medium": 4000}"#,
                r#"small $4.48 {"beyond": 1000, "small": 3000}"#,
                r#"routed $8.718 {"cheapest": 2000, "large": 1000, "small": 1000}"#,
                r#"routed-haiku $9.098 {"cheapest": 2000, "large": 1000, "small": 1000}"#,
                r#"routed-medium-above-40 $12.098 {"cheapest": 2000, "large": 1000, "medium": 1000}"#,
            ],
        );
    }

    #[test]
    fn what_an_earlier_step_left_in_the_cache_costs_a_tenth_and_writing_it_a_quarter_more() {
        // Twice the same 2,000 tokens: Sonnet 4.6 writes them at 3.75 and reads them at 0.30 a million,
        // Opus 4.6 keeps nothing below 4,096 and reads both times at 5.
        let plan = step(StepKind::Planning, 0, 2_000);
        let (prices, plan) = (Prices::default(), Step { output_tokens: 0, ..plan });
        let task = vec![plan.clone(), plan];
        let said = policy::all().unwrap().into_iter().take(2).map(|policy| {
            let bill = bill(&[&task], &policy, &prices).unwrap();
            format!("{} {}", policy.name, bill.total)
        });
        assert_eq!(said.collect::<Vec<_>>(), ["large $20.00", "medium $8.10"]);
    }

    #[test]
    fn without_a_task_of_several_steps_there_is_no_figure() {
        let policies = policy::all().unwrap();
        assert!(bill(&[], &policies[0], &Prices::default()).is_err());
    }
}
