//! Budgets in a turn's decisions: a call is made with what is held back for it, or not at all.
//!
//! A turn whose next call does not fit stays where it is. Once nothing of its tree moves any more the
//! client is told, and the run waits for somebody to raise the budget, or for the session's next turn.

use std::collections::BTreeMap;

use super::{Budget, Facts};
use crate::agent::call;
use crate::agent::event::{Ask, Event, Intent};
use crate::agent::origin::Utterance;
use crate::agent::state::{self, End, Turn, text_of};
use crate::budget::Exhausted;
use crate::budget::rule::Ruling;

/// Bytes of a question that are told again.
const QUESTION: usize = 200;

/// Puts what is held back into the intents to ask a model and to call tools.
pub(super) fn hold(turn: &Turn, facts: &Facts<'_>, mut events: Vec<Event>) -> Vec<Event> {
    let Some(budget) = facts.budget else { return events };
    hold_for_tools(turn, facts, budget, &mut events);
    let asked = |event: &Event| matches!(event, Event::Asked(Intent::AskModel(_)));
    let Some(at) = events.iter().position(asked) else { return events };
    // The call is made from the turn as it stands once it has asked.
    let mut after = turn.clone();
    events.iter().take(at + 1).for_each(|event| state::apply(&mut after, event));
    let Event::Asked(Intent::AskModel(Ask { purpose, route, reserved, .. })) = &mut events[at]
    else {
        return events;
    };
    let others = route.as_ref().map_or(&[][..], |route| &route.fallbacks);
    match (budget.model)(&call::model_call(&after, facts.agent, *purpose), others) {
        Ruling::Free => {}
        Ruling::Held(held) => *reserved = Some(Box::new(held)),
        Ruling::Exhausted(exhausted) => return vec![stop(turn, exhausted)],
    }
    events
}

/// What comes after a call without room is decided once there is some.
fn hold_for_tools(turn: &Turn, facts: &Facts<'_>, budget: Budget<'_>, events: &mut Vec<Event>) {
    for at in 0..events.len() {
        let Event::Asked(Intent::Call(call)) = &mut events[at] else { continue };
        let policy = facts.agent.tool(&call.tool).map(facts.policy);
        let attempts = policy.map_or(1, |policy| {
            policy.retry.unwrap_or_default().attempts + u32::from(policy.fallback.is_some())
        });
        match (budget.tool)(call, attempts) {
            Ruling::Free => {}
            Ruling::Held(held) => call.reserved = Some(Box::new(held)),
            Ruling::Exhausted(exhausted) => {
                events.truncate(at);
                events.push(stop(turn, exhausted));
                return;
            }
        }
    }
}

/// A summary has nobody who could raise its budget: it is given up.
fn stop(turn: &Turn, exhausted: Exhausted) -> Event {
    if turn.sums_up() {
        let code = "ServiceQuotaExceededException".to_owned();
        return Event::Failed { code, message: exhausted.told() };
    }
    Event::Exhausted(Box::new(exhausted))
}

/// What the client hears of a run that a budget has stopped, once nothing else of it moves.
pub fn halt(turn: &Turn) -> Option<Event> {
    let exhausted = turn.exhaustion().filter(|_| turn.budget.halted.is_none())?;
    let mut words = said(turn);
    words.push(format!(
        "I had to stop here, because {}.",
        match exhausted.unpriced {
            true => exhausted.told(),
            false => format!(
                "the budget of this {} ({}) has no room for the next step",
                exhausted.scope.word(),
                exhausted.unit.show(exhausted.cap)
            ),
        }
    ));
    words.extend(done(turn));
    words.push(undone(turn));
    words.push("What was done is kept: it can go on once the budget is raised.".to_owned());
    Some(Event::Halted { text: words.join("\n") })
}

/// What the model has said to the user so far.
fn said(turn: &Turn) -> Vec<String> {
    let own = turn.messages.iter().skip(turn.question.0 + 1).map(Utterance::message);
    let own = own.filter(|message| message.role == wire::converse::Role::Assistant);
    let texts = own.map(|message| text_of(&message.content)).map(|text| shown(&text));
    texts.filter(|text| !text.is_empty()).collect()
}

/// Text without the tags in which models think.
fn shown(text: &str) -> String {
    let mut left = text;
    let mut shown = String::new();
    while let Some((before, rest)) = left.split_once("<thinking>") {
        shown.push_str(before);
        left = rest.split_once("</thinking>").map_or("", |(_, after)| after);
    }
    shown.push_str(left);
    shown.replace("<answer>", "").replace("</answer>", "").trim().to_owned()
}

/// The tools that brought something.
fn done(turn: &Turn) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let blocks = turn.messages.iter().flat_map(|said| &said.message().content);
    for block in blocks {
        if let wire::converse::Block::ToolUse(used) = block {
            *counts.entry(used.name.as_str()).or_default() += 1;
        }
    }
    let told: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} ({count}\u{d7})")).collect();
    (!told.is_empty()).then(|| format!("Done so far: {}.", told.join(", ")))
}

fn undone(turn: &Turn) -> String {
    let question = turn.accepted.as_ref().map_or("", |accepted| accepted.input_text.trim());
    let mut cut = question.len().min(QUESTION);
    while !question.is_char_boundary(cut) {
        cut -= 1;
    }
    let more = if cut < question.len() { "\u{2026}" } else { "" };
    let own = format!("Left undone: the answer to \u{201c}{}{more}\u{201d}", &question[..cut]);
    let working = turn.team.members.values().filter(|member| !ended(&member.turn));
    let names: Vec<&str> = working.map(|member| member.collaborator.as_str()).collect();
    match names.is_empty() {
        true => format!("{own}."),
        false => format!("{own}, and the tasks of {}.", names.join(", ")),
    }
}

fn ended(turn: &Turn) -> bool {
    matches!(turn.end, Some(End::Answered(_)))
}
