//! Calls that the client performs, or whose user has to agree first: the turn is parked until it
//! brings the results and the answers.

use super::{Agent, Facts, permit};
use crate::agent::event::{Event, Parked, Refusal, Refused};
use crate::agent::state::{Progress, Turn, Use};
use crate::agent::team::SEND_MESSAGE;

/// Whether a tool use that nothing here performs is the client's: it is neither for the user nor
/// for a collaborator that is at work.
fn is_clients(used: &Use, facts: &Facts<'_>) -> bool {
    let name = &used.tool_use.name;
    // The name is a supervisor's; to any other agent it is a tool like all its own.
    let is_letter = name == SEND_MESSAGE && facts.agent.messenger.is_some();
    used.progress == Progress::New && !facts.agent.asks_user(name) && !is_letter
}

/// Parks the turn with the client's calls, its own and its collaborators'. What exceeds AWS's five
/// goes back to the model if it is the turn's own, and waits for the next hand-off if it is a
/// collaborator's. `None` if the client has nothing to do.
pub(super) fn hand_off(turn: &Turn, facts: &Facts<'_>) -> Option<Vec<Event>> {
    let own = turn.uses.iter().filter(|used| is_clients(used, facts));
    let own: Vec<&Use> = own.collect();
    let (handed, surplus) = own.split_at(own.len().min(facts.limits.hand_offs));
    let members = that_fit(turn, facts, handed);
    if handed.is_empty() && members.is_empty() {
        return None;
    }
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
        members,
        escalated: permit::escalated(handed, facts),
    }));
    Some(events)
}

/// Parked nested turns, each whole, whose calls are no more than AWS's five with the turn's own. A
/// client tells the calls of several turns apart by agent and function alone, so two turns with the
/// same take turns. One is taken in any case, even if a limit that was lowered meanwhile leaves no
/// room: a turn must go on.
fn that_fit(turn: &Turn, facts: &Facts<'_>, own: &[&Use]) -> Vec<String> {
    let mut names = Vec::new();
    let mut room = facts.limits.hand_offs - own.len();
    let agent_id = facts.agent.config.agent_id.as_str();
    let mut taken: Vec<_> = own.iter().map(|u| (agent_id, u.tool_use.name.as_str())).collect();
    for (id, member) in &turn.team.members {
        let agent = facts.agent.members.get(&member.collaborator);
        let calls = agent.map(|agent| handed(&member.turn, agent)).unwrap_or_default();
        let fits = calls.len() <= room && !calls.iter().any(|call| taken.contains(call));
        if !calls.is_empty() && (fits || taken.is_empty()) {
            room = room.saturating_sub(calls.len());
            taken.extend(calls);
            names.push(id.clone());
        }
    }
    names
}

/// What the client gets of a nested turn: whose call each is, and of which tool.
fn handed<'a>(turn: &'a Turn, agent: &'a Agent) -> Vec<(&'a str, &'a str)> {
    let own = turn.handed_off().into_iter().map(|used| used.name.as_str());
    let mut calls: Vec<_> = own.map(|name| (agent.config.agent_id.as_str(), name)).collect();
    let nested = turn.parked.iter().flat_map(|parked| &parked.members);
    for member in nested.filter_map(|id| turn.team.members.get(id)) {
        let agent = agent.members.get(&member.collaborator);
        calls.extend(agent.into_iter().flat_map(|agent| handed(&member.turn, agent)));
    }
    calls
}
