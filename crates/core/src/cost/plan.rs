//! What work will cost before anything runs: so many interactions of one shape, at one model's price.
//!
//! Pure arithmetic over prices; whoever asks brings the shape, from a plan or from history.

use super::{ModelPrice, Rates, Stack};
use wire::converse::Usage;

/// One interaction, as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interaction {
    pub usage: Usage,
    pub tools: u32,
    /// What its tools work in all, where they are functions that run here.
    pub tool_millis: u64,
    pub tool_memory_mb: u32,
    pub memory_stores: u64,
    pub memory_searches: u64,
    /// Guarded requests whose text units nobody counted, and text units that somebody did.
    pub guardrails: u64,
    pub guardrail_units: u64,
    pub knowledge_queries: u64,
    pub standard_transitions: u64,
    pub express_transitions: u64,
}

/// The six lines of one interaction.
pub fn interaction(price: &ModelPrice, rates: &Rates, one: &Interaction) -> Stack {
    Stack {
        model: price.cost(&one.usage),
        tools: rates.tool(one.tools, one.tool_millis, one.tool_memory_mb),
        knowledge: rates.knowledge_query.times(one.knowledge_queries),
        memory: rates.memory_store.times(one.memory_stores)
            + rates.memory_search.times(one.memory_searches),
        guardrails: rates.guardrail_request.times(one.guardrails)
            + rates.guardrail_text_unit.times(one.guardrail_units),
        transitions: rates.transition_standard.times(one.standard_transitions)
            + rates.transition_express.times(one.express_transitions),
    }
}

/// The lowest, the middle and the highest of what was seen, without the rarest at both ends: the
/// 5th, 50th and 95th percentile.
pub fn interval<T: Copy + Ord + Default>(mut seen: Vec<T>) -> [T; 3] {
    seen.sort();
    [5, 50, 95].map(|percent| {
        let at = (seen.len().saturating_sub(1) * percent + 50) / 100;
        seen.get(at).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Prices;

    #[test]
    fn the_worked_example_comes_to_the_cent() {
        let prices = Prices::default();
        let price = prices.model("claude-sonnet-4-6").expect("priced");
        let usage = Usage { input_tokens: 500, output_tokens: 200, ..Usage::default() };
        let one = Interaction {
            usage,
            tools: 3,
            memory_stores: 1,
            memory_searches: 1,
            ..Interaction::default()
        };
        let said = |one: &Interaction| {
            let each = interaction(price, &prices.rates, one);
            let day = each.total().times(10_000);
            format!("{} {} {} {}", each.model, each.total(), day, day.times(30))
        };
        assert_eq!(said(&one), "$0.0045 $0.00483 $48.30 $1449.00");
        let guarded = Interaction { guardrails: 1, ..one };
        assert_eq!(said(&guarded), "$0.0045 $0.01483 $148.30 $4449.00");
    }

    #[test]
    fn an_interval_leaves_out_the_rarest() {
        assert_eq!(interval((1..=100).collect::<Vec<u32>>()), [6, 51, 95]);
        assert_eq!(interval(vec![7]), [7, 7, 7]);
        assert_eq!(interval::<u32>(Vec::new()), [0, 0, 0]);
    }
}
