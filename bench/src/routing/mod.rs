//! What routing saves: the shipped scenarios are played for real under each policy, and the steps
//! they took are priced for 1,000 tasks.
//!
//! Every model is answered by `craton.rules`, but a small one above the index by `craton.clumsy`:
//! that small models fail there is what routing by the index assumes, and it is assumed here too, so
//! that success says whether a policy keeps to it. Tokens are estimates of the prompts that the runs
//! made. Which model a step gets is not simulated: the engine routes the plays, and the prices are
//! of the same choice made again here, which has to agree.

mod mix;
mod play;
mod policy;
mod price;
mod prompt;

use std::collections::BTreeSet;
use std::path::PathBuf;

use craton_core::cost::Prices;
use craton_core::route::Table;
use serde_json::json;

use crate::Error;
use mix::Bills;
use play::{Name, Played};
use policy::Policy;

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
    /// Prices that lie over the embedded ones, as `prices` of craton.toml does; can be given again
    /// for another bill of the same plays.
    #[arg(long, value_name = "FILE")]
    prices: Vec<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let mut lists = vec![("embedded".to_owned(), Prices::default())];
    for file in &args.prices {
        let over = Prices::default().over(&std::fs::read_to_string(file)?)?;
        lists.push((file.display().to_string(), over));
    }
    let mut all = Vec::new();
    for policy in policy::all()? {
        let played = play::play(&args, &policy).await?;
        all.push((policy, played));
    }
    let hard = hard(&all);
    all.iter().for_each(|(policy, played)| print(policy, played, &hard));
    for (list, prices) in &lists {
        mix::report(&Bills::of(&all, &hard, prices)?, list, prices)?;
    }
    success(&all)
}

/// The scenarios of which a step is for the large model.
fn hard(all: &[(Policy, Played)]) -> BTreeSet<Name> {
    let above = Table::default().large_above;
    let routed = all.iter().filter(|(policy, _)| policy.routes());
    let tasks = routed.flat_map(|(_, played)| &played.tasks);
    let hard = tasks.filter(|(_, task)| task.iter().any(|step| step.inputs.rci() > above));
    hard.map(|(name, _)| name.clone()).collect()
}

fn print(policy: &Policy, played: &Played, hard: &BTreeSet<Name>) {
    let steps = || played.tasks.values().flatten();
    let line = json!({
        "bench": "routing", "policy": policy.name,
        "scenarios": played.tasks.len(), "passed": played.passed.len(),
        "hard": hard.len(), "hard_passed": played.passed.intersection(hard).count(),
        "highest_index": steps().map(|step| step.inputs.rci()).max().filter(|_| policy.routes()),
        "longest_prompt_tokens": steps().map(|step| step.prompt.tokens()).max(),
    });
    println!("{line}");
}

/// All but the overtaxed policy pass the same scenarios, and that one fewer.
fn success(all: &[(Policy, Played)]) -> Result<(), Error> {
    let passed =
        |name: &str| all.iter().find(|(policy, _)| policy.name == name).map(|(_, p)| &p.passed);
    let best = passed(policy::LARGE).ok_or("nothing was played on the large model")?;
    for (policy, played) in all.iter().filter(|(policy, _)| policy.name != policy::SMALL) {
        if played.passed != *best {
            let missed: Vec<_> = best.symmetric_difference(&played.passed).collect();
            return Err(format!("{} does not pass what large does: {missed:?}", policy.name).into());
        }
    }
    match passed(policy::SMALL).is_some_and(|small| small.len() < best.len()) {
        true => Ok(()),
        false => Err("the small model alone passes all, so success says nothing".into()),
    }
}
