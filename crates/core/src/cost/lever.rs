//! What would make the same work cheaper: each lever with the saving that the recorded calls show.
//!
//! Pure: what was observed goes in, sums come out. A saving is an estimate of what had not been paid
//! for exactly these calls; levers overlap, so that their savings do not add up.

use std::collections::BTreeMap;

use wire::converse::Usage;

use super::{Money, Prices, Stack};

/// Turns as they were.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub turns: Vec<ObservedTurn>,
}

#[derive(Debug, Clone, Default)]
pub struct ObservedTurn {
    pub stack: Stack,
    /// Replies of models in their order, each with what it cost.
    pub replies: Vec<(String, Usage, Money)>,
    /// Calls of tools that change nothing, by what was asked, with what they cost.
    pub reads: Vec<(String, Money)>,
    /// Nobody waits for it, so that it may run with a day's batch.
    pub waits: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lever {
    pub name: &'static str,
    pub saving: Money,
    /// How it was estimated, and what to set.
    pub how: String,
}

/// Part of the prompt that an edit can take out, and of retrieved text that nobody quotes. Ours.
const TIGHTER_PERCENT: i64 = 20;
const SCOPED_PERCENT: i64 = 50;
/// AWS: batch inference costs half (Bedrock pricing page, "Batch").
const BATCH_PERCENT: i64 = 50;

/// All levers, the largest saving first.
pub fn levers(observed: &Observed, prices: &Prices) -> Vec<Lever> {
    let mut levers = vec![
        smaller_model(observed, prices),
        tighter_prompt(observed, prices),
        caching(observed, prices),
        cap_steps(observed),
        scoped_retrieval(observed),
        daily_batch(observed),
        tool_cache(observed),
    ];
    levers.sort_by_key(|lever| std::cmp::Reverse(lever.saving));
    levers
}

fn percent(money: Money, percent: i64) -> Money {
    Money(money.0 / 100 * percent + money.0 % 100 * percent / 100)
}

/// The first reply of a turn plans; those after it go to the model that the price file calls smaller.
fn smaller_model(observed: &Observed, prices: &Prices) -> Lever {
    let mut saving = Money::ZERO;
    let mut swaps: BTreeMap<&str, &str> = BTreeMap::new();
    for (model, usage, cost) in observed.turns.iter().flat_map(|turn| turn.replies.iter().skip(1)) {
        let Some((name, price)) = prices.smaller(model) else { continue };
        let less = *cost - price.cost(usage);
        if less > Money::ZERO {
            saving += less;
            swaps.insert(model, name);
        }
    }
    let swaps: Vec<String> = swaps.iter().map(|(from, to)| format!("{from} to {to}")).collect();
    let how = match swaps.is_empty() {
        true => {
            "no smaller model is named in the price file for the later steps of turns".to_owned()
        }
        false => format!("steps after a turn's first move from {}", swaps.join(", from ")),
    };
    Lever { name: "smaller model", saving, how }
}

fn tighter_prompt(observed: &Observed, prices: &Prices) -> Lever {
    let input = observed.turns.iter().flat_map(|turn| &turn.replies).map(|(model, usage, _)| {
        let plain = Usage { output_tokens: 0, ..*usage };
        prices.model(model).map_or(Money::ZERO, |price| price.cost(&plain))
    });
    let how = format!("{TIGHTER_PERCENT} % fewer tokens of instruction, tools and history");
    Lever { name: "tighter prompt", saving: percent(input.sum(), TIGHTER_PERCENT), how }
}

/// A step of a turn reads again what the step before it read; with a cache it pays a tenth for that.
fn caching(observed: &Observed, prices: &Prices) -> Lever {
    let saving = observed.turns.iter().map(|turn| uncached(turn, prices)).sum();
    let how = "what a step read is read from a cache by the next step of its turn".to_owned();
    Lever { name: "caching", saving, how }
}

fn uncached(turn: &ObservedTurn, prices: &Prices) -> Money {
    let mut saving = Money::ZERO;
    let mut known: BTreeMap<&str, u64> = BTreeMap::new();
    let last = turn.replies.len().saturating_sub(1);
    for (at, (model, usage, cost)) in turn.replies.iter().enumerate() {
        let Some(price) = prices.model(model) else { continue };
        if usage.all_input() > usage.input_tokens {
            continue;
        }
        let read = known.get(model.as_str()).copied().unwrap_or(0).min(usage.input_tokens);
        // Nobody comes after the last step to read what it would write.
        let written = if at < last { usage.input_tokens - read } else { 0 };
        let cached = Usage {
            input_tokens: usage.input_tokens - read - written,
            cache_read_input_tokens: read,
            cache_write_input_tokens: written,
            ..*usage
        };
        saving += *cost - price.cost(&cached);
        known.insert(model, usage.input_tokens);
    }
    saving.max(Money::ZERO)
}

/// Turns that take more steps than three in four turns do, cut there.
fn cap_steps(observed: &Observed) -> Lever {
    let mut steps: Vec<usize> = observed.turns.iter().map(|turn| turn.replies.len()).collect();
    steps.sort_unstable();
    let cap = steps.get(steps.len() * 3 / 4).copied().unwrap_or(0).max(1);
    let beyond = observed.turns.iter().flat_map(|turn| turn.replies.iter().skip(cap));
    let how = format!("no turn takes more than {cap} steps, as three in four do not");
    Lever { name: "cap steps", saving: beyond.map(|(_, _, cost)| *cost).sum(), how }
}

fn scoped_retrieval(observed: &Observed) -> Lever {
    let knowledge = observed.turns.iter().map(|turn| turn.stack.knowledge).sum();
    let how = format!("{SCOPED_PERCENT} % fewer queries of knowledge bases, by filters");
    Lever { name: "scoped retrieval", saving: percent(knowledge, SCOPED_PERCENT), how }
}

fn daily_batch(observed: &Observed) -> Lever {
    let waiting = observed.turns.iter().filter(|turn| turn.waits);
    let model = waiting.map(|turn| turn.stack.model).sum();
    let how = "turns that nobody waits for run in a batch, at half the price".to_owned();
    Lever { name: "daily batch", saving: percent(model, BATCH_PERCENT), how }
}

fn tool_cache(observed: &Observed) -> Lever {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut saving, mut again) = (Money::ZERO, 0);
    for (asked, cost) in observed.turns.iter().flat_map(|turn| &turn.reads) {
        let times = seen.entry(asked).or_default();
        *times += 1;
        if *times > 1 {
            (saving, again) = (saving + *cost, again + 1);
        }
    }
    let how = format!("{again} calls asked a tool what it had answered already: cache_seconds");
    Lever { name: "tool cache", saving, how }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(model: &str, input: u64, output: u64) -> (String, Usage, Money) {
        let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        let prices = Prices::default();
        let cost = prices.model(model).map(|price| price.cost(&usage)).unwrap_or_default();
        (model.to_owned(), usage, cost)
    }

    fn check(turns: Vec<ObservedTurn>, expected: &[(&str, &str)]) {
        let observed = Observed { turns };
        let levers = levers(&observed, &Prices::default());
        let found: Vec<(&str, String)> = levers
            .iter()
            .filter(|lever| lever.saving > Money::ZERO)
            .map(|lever| (lever.name, lever.saving.to_string()))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, sum)| (*name, &**sum)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_lever_saves_what_a_hand_calculation_gives() {
        let sonnet = "claude-sonnet-4-6";
        let turn = || ObservedTurn {
            replies: vec![reply(sonnet, 10_000, 100), reply(sonnet, 12_000, 100)],
            ..ObservedTurn::default()
        };
        // Smaller: the second reply at 1/5 instead of 3/15: 0.0375 − 0.0125. Caching: 10,000 written at
        // 1.25, then read at 0.1: 0.066 − (0.0375 + 0.003 + 0.006). Tighter: a fifth of 0.066.
        check(
            vec![turn()],
            &[("smaller model", "$0.025"), ("caching", "$0.0195"), ("tighter prompt", "$0.0132")],
        );
    }

    #[test]
    fn long_turns_repeated_reads_and_work_that_waits_have_levers_of_their_own() {
        let haiku = "claude-3-haiku-20240307";
        let turn = |steps: usize| ObservedTurn {
            replies: vec![reply(haiku, 0, 1_000_000); steps],
            ..ObservedTurn::default()
        };
        check(vec![turn(1), turn(1), turn(1), turn(1), turn(3)], &[("cap steps", "$2.50")]);
        let reads = |asked: &[&str]| ObservedTurn {
            reads: asked.iter().map(|asked| ((*asked).to_owned(), Money::DOLLAR)).collect(),
            ..ObservedTurn::default()
        };
        check(vec![reads(&["a", "b"]), reads(&["a", "a"])], &[("tool cache", "$2.00")]);
        let stack = Stack { model: Money::DOLLAR, ..Stack::default() };
        let waits = ObservedTurn { stack, waits: true, ..ObservedTurn::default() };
        check(vec![waits], &[("daily batch", "$0.50")]);
    }

    #[test]
    fn nothing_observed_saves_nothing() {
        check(Vec::new(), &[]);
        check(
            vec![ObservedTurn { replies: vec![reply("qwen3:8b", 9, 9)], ..Default::default() }],
            &[],
        );
    }
}
