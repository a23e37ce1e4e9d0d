//! What is left out when a conversation is longer than its model reads.
//!
//! First the oldest exchanges go, always whole ones. When none is left, the largest results of this
//! turn's tools are cut, with a note for the model. Only then is the turn given up. A model of which the
//! map says how much it reads is not even asked too much; of any other, its refusal tells.

use wire::converse::Call;

use super::Facts;
use crate::agent::call;
use crate::agent::event::{Ask, CutResult, Event, Intent, Shrunk};
use crate::agent::history;
use crate::agent::state::{Overflow, Turn};

/// Results of fewer bytes are not cut: there is nothing to win.
const SMALL_RESULT: usize = 2_000;
/// What of a model's window is left for its reply, where the call does not say.
const REPLY_SHARE: usize = 8;

/// After a refusal: asks again with at most half of what came before, or of the largest results.
pub(super) fn ask_again(turn: &Turn, overflow: &Overflow) -> Vec<Event> {
    let earlier = turn.earlier();
    let total: usize = earlier.iter().sum();
    let shrunk = match drop_tokens(&earlier, total.div_ceil(2)) {
        0 => cut_results(turn),
        exchanges => Some(Shrunk { exchanges, results: Vec::new() }),
    };
    match shrunk {
        Some(shrunk) => vec![
            Event::Shrunk(shrunk),
            Event::Asked(Intent::AskModel(Ask::new(overflow.purpose, turn.steps + 1))),
        ],
        None => vec![Event::Failed {
            // AWS: the exception of an input that its model does not take (a model's own
            // `Input is too long for requested model.` comes as this one).
            code: "ValidationException".to_owned(),
            message: format!(
                "the input is longer than the model can read, with nothing left to leave out; \
                 shorten it: {}",
                overflow.message
            ),
        }],
    }
}

/// Before a call: leaves out what the model's window has no room for, as far as that is known.
pub(super) fn fit(turn: &Turn, facts: &Facts<'_>, mut events: Vec<Event>) -> Vec<Event> {
    let asked = events.iter().enumerate().find_map(|(at, event)| match event {
        Event::Asked(Intent::AskModel(ask)) => Some((at, ask)),
        _ => None,
    });
    let Some((at, ask)) = asked else { return events };
    let Some(window) = facts.window else { return events };
    let call = call::model_call(turn, facts.agent, ask.purpose);
    let model = ask.route.as_ref().map_or(&call.model, |route| &route.model);
    let Some(window) = window(model) else { return events };
    let surplus = tokens(&call).saturating_sub(room(&call, window));
    if surplus == 0 {
        return events;
    }
    let earlier = turn.earlier();
    let exchanges = drop_tokens(&earlier, surplus);
    let dropped: usize = earlier.iter().take(exchanges as usize).sum();
    let results = if dropped < surplus { cut_to(turn, surplus - dropped) } else { Vec::new() };
    if exchanges > 0 || !results.is_empty() {
        events.insert(at, Event::Shrunk(Shrunk { exchanges, results }));
    }
    events
}

/// How many of the oldest exchanges have at least so many tokens.
fn drop_tokens(earlier: &[usize], tokens: usize) -> u32 {
    let mut dropped = 0;
    let exchanges = earlier.iter().take_while(|exchange| {
        let more = dropped < tokens;
        dropped += **exchange;
        more
    });
    u32::try_from(exchanges.count()).unwrap_or(u32::MAX)
}

/// The largest results at half of their length.
fn cut_results(turn: &Turn) -> Option<Shrunk> {
    let largest = turn.results().map(|(_, bytes)| bytes).max()?;
    let keep = (largest / 2).max(SMALL_RESULT / 2);
    let results = over(turn, keep);
    let any = largest > SMALL_RESULT;
    any.then_some(Shrunk { exchanges: 0, results })
}

/// The largest results so short that so many tokens are saved, if that can be.
fn cut_to(turn: &Turn, tokens: usize) -> Vec<CutResult> {
    let bytes = tokens * history::BYTES_PER_TOKEN;
    let mut keep = turn.results().map(|(_, bytes)| bytes).max().unwrap_or_default();
    while keep > SMALL_RESULT {
        keep = (keep / 2).max(SMALL_RESULT);
        let saved: usize = turn.results().map(|(_, size)| size.saturating_sub(keep)).sum();
        if saved >= bytes {
            break;
        }
    }
    over(turn, keep)
}

fn over(turn: &Turn, keep: usize) -> Vec<CutResult> {
    let results = turn.results().filter(|(_, bytes)| *bytes > keep);
    results.map(|(id, _)| CutResult { tool_use_id: id.to_owned(), keep }).collect()
}

fn room(call: &Call, window: usize) -> usize {
    let reply = call.inference.max_tokens.map_or(window / REPLY_SHARE, |most| most as usize);
    window.saturating_sub(reply.min(window / 2))
}

fn tokens(call: &Call) -> usize {
    let system: usize = call.system.iter().map(String::len).sum();
    let tool = |tool: &wire::converse::Tool| {
        tool.name.len() + tool.description.len() + tool.schema.to_string().len()
    };
    let tools: usize = call.tools.iter().map(tool).sum();
    let messages: usize = call.messages.iter().map(history::tokens).sum();
    (system + tools) / history::BYTES_PER_TOKEN + messages
}
