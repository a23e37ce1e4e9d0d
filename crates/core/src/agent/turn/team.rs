//! What a supervisor's collaborators do next, and what becomes of their reports.
//!
//! A nested turn decides as any turn does, with its own agent's facts; its events come out wrapped.
//! A collaborator that fails is an error that the supervisor's model reads. It ends the turn only
//! where the client has read a part of its answer: no other answer can follow that.

use super::{Agent, Facts, decide};
use crate::agent::config::{Collaboration, Collaborator, Stage};
use crate::agent::event::{
    Accepted, Ask, Attributes, Delegated, Event, Intent, Lineage, Outcome, Parent, Purpose,
    Started, Task, ToolReturned,
};
use crate::agent::prompt;
use crate::agent::recall::Recall;
use crate::agent::state::{End, Member, ROUTE, Routing, Turn, within};
use crate::agent::team;
use crate::agent::tool::short_error;

/// Asks who takes the whole turn, or hands it over. Nothing for whoever routes no turns, and once
/// that is settled.
pub(super) fn route(turn: &Turn, facts: &Facts<'_>) -> Option<Event> {
    let config = &facts.agent.config;
    let routes = config.collaboration == Collaboration::SupervisorRouter
        && facts.agent.messenger.is_some()
        && facts.agent.runs(Stage::RoutingClassifier)
        && !turn.stages.concluded;
    if !routes {
        return None;
    }
    match &turn.team.routing {
        Routing::Open => {
            let step = turn.steps + 1;
            Some(Event::Asked(Intent::AskModel(Ask::new(Purpose::Route, step))))
        }
        Routing::Said(reply) => {
            let chosen = team::routed(reply, turn.team.routed.as_deref(), &config.collaborators)?;
            let text = turn.accepted.as_ref()?.input_text.clone();
            let stream = facts.agent.streams(turn);
            let begun = Begun { tool_use_id: ROUTE, place: 0, stream, text };
            delegate(turn, facts, chosen, &begun).ok()
        }
        Routing::Over => None,
    }
}

/// The next events of the nested turns; the report of one that has ended goes before all else.
pub(super) fn members(turn: &Turn, facts: &Facts<'_>) -> Vec<Event> {
    let over = turn.team.members.iter().find(|(_, member)| member.turn.end.is_some());
    if let Some((id, member)) = over {
        return vec![broken_off(id, member).unwrap_or_else(|| report(turn, id, member, facts))];
    }
    let mut events = Vec::new();
    for (id, member) in &turn.team.members {
        match facts.agent.members.get(&member.collaborator) {
            Some(agent) => {
                let inside = decide(&member.turn, &Facts { agent, ..*facts });
                let path = std::slice::from_ref(id);
                events.extend(inside.into_iter().map(|event| within(path, event)));
            }
            None => {
                let (code, message) = ("ResourceNotFoundException", "it is no longer in the team");
                let (code, message) = (code.to_owned(), message.to_owned());
                events.push(within(std::slice::from_ref(id), Event::Failed { code, message }));
            }
        }
    }
    events
}

/// Half an answer that the client has heard cannot be taken back: no other may follow it.
fn broken_off(id: &str, member: &Member) -> Option<Event> {
    match &member.turn.end {
        Some(End::Failed { code, message }) if id == ROUTE && member.turn.broke_off => {
            Some(Event::Failed { code: code.clone(), message: message.clone() })
        }
        _ => None,
    }
}

fn report(turn: &Turn, id: &str, member: &Member, facts: &Facts<'_>) -> Event {
    let outcome = match (&member.turn.end, member.shortfall()) {
        (Some(End::Answered(text)), _) => Outcome::Answered {
            body: text.clone(),
            session_attributes: given_back(turn, member),
            prompt_session_attributes: None,
            ignored: Vec::new(),
        },
        (_, shortfall) => {
            let what = format!("{}: {}", member.collaborator, shortfall.unwrap_or_default());
            let advice = "do what you can without it, or tell the user";
            Outcome::Error { message: short_error("collaborator_failed", &what, advice) }
        }
    };
    let millis = u64::try_from(facts.now - member.began_at).unwrap_or(0);
    Event::ToolReturned(ToolReturned::new(id, outcome, millis))
}

/// The supervisor's session attributes with what the collaborator changed; others that work beside
/// it may have changed some meanwhile. `None` if it changed nothing.
fn given_back(turn: &Turn, member: &Member) -> Option<Attributes> {
    let got = member.turn.accepted.as_ref()?.session_attributes.as_ref()?;
    let left = &member.turn.session_attributes;
    if got == left {
        return None;
    }
    let mut merged = turn.session_attributes.clone();
    merged.retain(|name, _| left.contains_key(name) || !got.contains_key(name));
    let changed = left.iter().filter(|(name, value)| got.get(*name) != Some(*value));
    merged.extend(changed.map(|(name, value)| (name.clone(), value.clone())));
    Some(merged)
}

/// The collaborators that are at work now, so that each does one thing at a time.
pub(super) fn busy<'a>(turn: &'a Turn, name: &'a str) -> bool {
    turn.team.members.values().any(|member| member.collaborator == name)
}

/// What a nested turn begins with.
pub(super) struct Begun<'a> {
    pub(super) tool_use_id: &'a str,
    /// Of the tool use in its reply, from 1; 0 for a turn that is handed over whole.
    pub(super) place: usize,
    pub(super) stream: bool,
    pub(super) text: String,
}

/// A collaborator begins to work, or a reason why it cannot.
pub(super) fn delegate(
    turn: &Turn,
    facts: &Facts<'_>,
    chosen: &Collaborator,
    begun: &Begun<'_>,
) -> Result<Event, String> {
    let Some(agent) = facts.agent.members.get(&chosen.name) else {
        return Err(format!(
            "collaborator_unavailable: {} cannot be reached; do what you can without it, or tell \
             the user",
            chosen.name
        ));
    };
    let accepted = accepted(turn, facts, chosen, agent, begun);
    if accepted.lineage.depth > facts.limits.team_levels {
        return Err(format!(
            "too_many_levels: {} would work at level {} below the first agent, of at most {}; do \
             it yourself",
            chosen.name, accepted.lineage.depth, facts.limits.team_levels
        ));
    }
    let started = Started {
        system: prompt::system(&agent.config, &turn.prompt_attributes, &[]),
        unknown: turn.unknown.clone(),
        ..Started::default()
    };
    Ok(Event::Delegated(Box::new(Delegated {
        tool_use_id: begun.tool_use_id.to_owned(),
        collaborator: chosen.name.clone(),
        relay: chosen.relay,
        at: facts.now,
        accepted,
        started,
    })))
}

/// INVARIANT: a nested turn has a run id of its own, so that no idempotency key of one turn of the
/// tree is another's.
fn accepted(
    turn: &Turn,
    facts: &Facts<'_>,
    chosen: &Collaborator,
    agent: &Agent,
    begun: &Begun<'_>,
) -> Accepted {
    let above = turn.accepted.clone();
    let (tenant, run, lineage, session_id) = above
        .map(|above| (above.tenant, above.run, above.lineage, above.session_id))
        .unwrap_or_default();
    Accepted {
        tenant,
        lineage: Lineage {
            root: lineage.root,
            parent: Some(Parent { run: run.clone(), step: turn.steps }),
            depth: lineage.depth + 1,
        },
        run: format!("{run}-{}-{}", turn.steps, begun.place),
        session_id,
        alias_id: chosen.alias_id.clone(),
        config: chosen.config.clone(),
        provider: (facts.provider)(&agent.config.model),
        input_text: begun.text.clone(),
        session_attributes: Some(turn.session_attributes.clone()),
        prompt_session_attributes: turn.prompt_attributes.clone(),
        conversation: Vec::new(),
        files: Vec::new(),
        memory_id: None,
        task: Task::Answer,
        recall: Recall::default(),
        stream: begun.stream && agent.may_stream(),
        trace: turn.trace,
        provisioned: None,
        // It counts in its supervisor's run.
        max_cost: None,
    }
}
