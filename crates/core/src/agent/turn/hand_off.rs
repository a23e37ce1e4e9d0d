//! Calls that the client performs, or whose user has to agree first: the turn is parked until it
//! brings the results and the answers.

use super::Facts;
use crate::agent::event::{Event, Parked, Refusal, Refused};
use crate::agent::state::Use;

/// Parks the turn with the client's calls; what exceeds AWS's five goes back to the model.
pub(super) fn hand_off(waiting: &[&Use], facts: &Facts<'_>) -> Vec<Event> {
    let (handed, surplus) = waiting.split_at(waiting.len().min(facts.limits.hand_offs));
    let mut events: Vec<Event> = surplus
        .iter()
        .map(|used| {
            Event::Refused(Refused {
                tool_use_id: used.tool_use.tool_use_id.clone(),
                reason: Refusal::TooManyHandOffs,
                message: format!(
                    "too_many_hand_offs: at most {} calls are handed to the client at once; ask \
                     for this one again in the next reply",
                    facts.limits.hand_offs
                ),
            })
        })
        .collect();
    events.push(Event::Parked(Parked {
        invocation_id: (facts.fresh_id)(),
        tool_uses: handed.iter().map(|u| u.tool_use.tool_use_id.clone()).collect(),
        members: Vec::new(),
    }));
    events
}
