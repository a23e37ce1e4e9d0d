//! What routing saves: the shipped scenarios are played for real under each policy, and the steps
//! they took are priced for 1,000 tasks.
//!
//! Every model of every policy is answered by `craton.rules`, so the steps are the same and success
//! says that a route breaks nothing, not how well a real model works. Tokens are estimates of the
//! prompts that the runs made. Which model a step gets is not simulated: the engine routes the
//! plays, and the prices are of the same choice made again here, which has to agree.

mod play;
mod policy;
mod price;

use std::path::PathBuf;

use craton_core::cost::Prices;
use serde_json::json;

use crate::Error;
use play::Played;
use policy::Policy;
use price::Bill;

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    craton: PathBuf,
    /// Where data directories are made.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// The folder of scenario files.
    #[arg(long, default_value = "examples/scenarios")]
    scenarios: PathBuf,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let prices = Prices::default();
    let mut bills = Vec::new();
    let mut successes = Vec::new();
    for policy in policy::all()? {
        let played = play::play(&args, &policy).await?;
        successes.push(played.passed.clone());
        let tasks: Vec<_> = played.tasks.iter().filter(|task| task.len() > 1).cloned().collect();
        let bill = price::bill(&tasks, &policy, &prices)?;
        print(&policy, &played, tasks.len(), &bill, &prices);
        bills.push((policy.name, bill));
    }
    summary(&bills)?;
    match successes.iter().all(|passed| *passed == successes[0]) {
        true => Ok(()),
        false => Err("the policies do not pass the same scenarios".into()),
    }
}

fn print(policy: &Policy, played: &Played, tasks: usize, bill: &Bill, prices: &Prices) {
    let steps = || played.tasks.iter().flatten();
    let line = json!({
        "bench": "routing", "policy": policy.name, "prices": prices.as_of,
        "scenarios": played.tasks.len(), "passed": played.passed.len(),
        "tasks_of_many_steps": tasks,
        "dollars_per_1000_tasks": bill.total.dollars(),
        "steps": bill.steps(), "share_of_steps": bill.shares(),
        "highest_index": steps().map(|step| step.inputs.rci()).max().filter(|_| policy.routes()),
        "longest_prompt_tokens": steps().map(|step| step.usage.input_tokens).max(),
    });
    println!("{line}");
}

/// The shape that the goal is written in, with all on the medium model as 120.
fn summary(bills: &[(&str, Bill)]) -> Result<(), Error> {
    let dollars = |name: &str| {
        let found = bills.iter().find(|(policy, _)| *policy == name);
        found.map(|(_, bill)| bill.total.dollars()).ok_or_else(|| format!("no policy {name}"))
    };
    let medium = dollars(policy::MEDIUM)?;
    for (name, bill) in bills.iter().filter(|(name, _)| name.starts_with(policy::ROUTED)) {
        let ratio = bill.total.dollars() / medium;
        let large = dollars(policy::LARGE)? / medium * 120.0;
        println!("SHAPE large : medium : {name} = {large:.0} : 120 : {:.1}", ratio * 120.0);
        println!("RATIO {name}/medium={ratio:.3}");
    }
    Ok(())
}
