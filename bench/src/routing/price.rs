//! What tasks cost under a policy. Pure: steps go in, picodollars come out.
//!
//! Nothing is taken from a cache: providers keep prompts from 1,024 tokens on, and those of the
//! shipped scenarios are shorter. Tools cost the same under every policy and are left out.

use std::collections::BTreeMap;

use craton_core::cost::{Money, Prices};
use craton_core::route::{Inputs, StepKind};
use serde_json::{Value as Json, json};
use wire::converse::Usage;

use super::policy::Policy;
use crate::Error;
use crate::limits::ROUTED_TASKS;

/// One call of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) kind: StepKind,
    /// What the engine's index was made of.
    pub(super) inputs: Inputs,
    /// Estimated.
    pub(super) usage: Usage,
}

pub(super) type Task = Vec<Step>;

#[derive(Debug, Default)]
pub(super) struct Bill {
    pub(super) total: Money,
    /// Steps by class.
    classes: BTreeMap<&'static str, u64>,
}

/// The tasks, one after the other and again from the first, until there are enough.
pub(super) fn bill(tasks: &[Task], policy: &Policy, prices: &Prices) -> Result<Bill, Error> {
    if tasks.is_empty() {
        return Err("no scenario took more than one step".into());
    }
    let mut bill = Bill::default();
    for step in tasks.iter().cycle().take(ROUTED_TASKS).flatten() {
        let model = policy.model(step.kind, step.inputs);
        let price = prices.model(&model).ok_or_else(|| format!("{model} has no price"))?;
        bill.total += price.cost(&step.usage);
        *bill.classes.entry(policy.class(&model)).or_default() += 1;
    }
    Ok(bill)
}

impl Bill {
    pub(super) fn steps(&self) -> u64 {
        self.classes.values().sum()
    }

    pub(super) fn shares(&self) -> Json {
        let all = self.steps() as f64;
        let shares = self.classes.iter().map(|(class, steps)| (*class, *steps as f64 / all));
        json!(shares.collect::<BTreeMap<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy;
    use super::*;

    fn step(kind: StepKind, dependent_steps: u32, input_tokens: u64) -> Step {
        let inputs = Inputs { dependent_steps, required_tools: 1, conditional_blocks: 0 };
        let usage = Usage { input_tokens, output_tokens: input_tokens / 10, ..Usage::default() };
        Step { kind, inputs, usage }
    }

    fn check(tasks: &[Task], expected: &[&str]) {
        let prices = Prices::default();
        let said = policy::all().unwrap().into_iter().map(|policy| {
            let bill = bill(tasks, &policy, &prices).unwrap();
            format!("{} {} {}", policy.name, bill.total, bill.shares())
        });
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_thousand_simple_tasks_cost_under_a_third_of_the_medium_model_alone() {
        // 1,000 tokens in and 100 out, then 2,000 and 200. On the large model 3,000 · 5 + 300 · 25, on
        // the medium one 3,000 · 3 + 300 · 15, on the small one 3,000 · 0.8 + 300 · 3.2, a million each.
        let task = vec![step(StepKind::Planning, 0, 1_000), step(StepKind::Planning, 1, 2_000)];
        check(
            &[task],
            &[
                r#"large $22.50 {"large":1.0}"#,
                r#"medium $13.50 {"medium":1.0}"#,
                r#"routed $3.36 {"small":1.0}"#,
                r#"routed-haiku $4.50 {"small":1.0}"#,
                r#"routed-medium-above-40 $3.36 {"small":1.0}"#,
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
            &[vec![plan(7), plan(4), sum.clone(), sum]],
            &[
                r#"large $30.00 {"large":1.0}"#,
                r#"medium $18.00 {"medium":1.0}"#,
                r#"routed $8.718 {"cheapest":0.5,"large":0.25,"small":0.25}"#,
                r#"routed-haiku $9.098 {"cheapest":0.5,"large":0.25,"small":0.25}"#,
                r#"routed-medium-above-40 $12.098 {"cheapest":0.5,"large":0.25,"medium":0.25}"#,
            ],
        );
    }

    #[test]
    fn without_a_task_of_several_steps_there_is_no_figure() {
        let policies = policy::all().unwrap();
        assert!(bill(&[], &policies[0], &Prices::default()).is_err());
    }
}
