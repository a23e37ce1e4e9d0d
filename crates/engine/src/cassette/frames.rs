//! What a client heard of a run, made from its events alone, and the digests of both.
//!
//! Beside what the trace makes of events stand the pieces of a streamed answer, cut where the model
//! cut them.

use std::collections::BTreeMap;

use craton_core::agent::event::{Event, ModelSaid};
use craton_core::agent::prompt::Screen;
use craton_core::agent::state::{self, Turn};
use craton_core::agent::turn::Agent;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use wire::converse::Block;

use crate::journal::Stamped;
use crate::live::Out;
use crate::record::RunRecord;
use crate::run::innermost;
use crate::trace;

/// SHA-256 in hex of the events of all runs, and of what their clients heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Digests {
    pub events: String,
    pub frames: String,
}

/// What a client heard between one of its requests and the end of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) request: String,
    /// Where in the run's events the request stands.
    pub(crate) event: usize,
    pub(crate) outs: Vec<Out>,
    /// It was heard to its end.
    pub(crate) whole: bool,
}

/// All stretches of a run; `traces` overrules what its client asked for.
pub(crate) fn stretches(
    events: &[Stamped],
    agent: &Agent,
    record: &RunRecord,
    traces: Option<bool>,
) -> Vec<Stretch> {
    let (mut turn, mut stretches) = (Turn::default(), Vec::<Stretch>::new());
    for (at, Stamped { at: moment, event }) in events.iter().enumerate() {
        let begins = match event {
            Event::Accepted(accepted) => Some(&accepted.run),
            // Of a team's hand-off each turn resumes by an event of its own.
            Event::Resumed(_) | Event::Within(_) => resumed(event),
            _ => None,
        };
        let known = stretches.last().is_some_and(|last| begins == Some(&last.request));
        if let Some(request) = begins.filter(|_| !known) {
            let request = request.clone();
            stretches.push(Stretch { request, event: at, outs: Vec::new(), whole: false });
        }
        let Some(stretch) = stretches.last_mut() else { continue };
        stretch.outs.extend(spoken(innermost(event).1));
        stretch.outs.extend(trace::heard(&turn, agent, record, (*moment, event), traces));
        state::apply(&mut turn, event);
        stretch.whole |= turn.parked.is_some() || turn.end.is_some();
    }
    stretches
}

fn resumed(event: &Event) -> Option<&String> {
    match innermost(event).1 {
        Event::Resumed(resumed) => Some(&resumed.request),
        _ => None,
    }
}

/// The answer's text as it went out while a model made it.
fn spoken(event: &Event) -> Vec<Out> {
    let pieces = match event {
        Event::ModelSaid(said) => aloud(said),
        Event::ModelFailed(failed) => failed.said.clone(),
        _ => Vec::new(),
    };
    pieces.into_iter().filter(|piece| !piece.is_empty()).map(Out::Chunk).collect()
}

fn aloud(said: &ModelSaid) -> Vec<String> {
    let texts: Vec<&str> = said.reply.content.iter().filter_map(text).collect();
    let cuts = &said.cuts.0;
    // A provider numbers its blocks as it likes; those without text are not in the reply.
    let mut places: BTreeMap<u32, Option<&str>> = BTreeMap::new();
    places.extend(cuts.iter().filter(|(_, bytes)| *bytes > 0).map(|(block, _)| (*block, None)));
    places.values_mut().zip(texts).for_each(|(rest, text)| *rest = Some(text));
    let mut screen = Screen::default();
    let mut pieces = Vec::new();
    for (block, bytes) in cuts {
        let Some(Some(rest)) = places.get_mut(block) else { continue };
        let (piece, after) = rest.split_at(rest.floor_char_boundary(*bytes as usize));
        *rest = after;
        pieces.push(screen.push(*block as usize, piece));
    }
    if !cuts.is_empty() && !said.reply.asks_for_tools() {
        pieces.push(screen.finish());
    }
    pieces
}

fn text(block: &Block) -> Option<&str> {
    match block {
        Block::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// One frame as JSON, in the shape of the wire.
pub(crate) fn shown(out: &Out) -> Json {
    match out {
        Out::Chunk(text) => json!({ "chunk": text }),
        Out::Trace(part) => json!({ "trace": Json::from((**part).clone()) }),
        Out::ReturnControl(payload) => json!({ "returnControl": Json::from((**payload).clone()) }),
        Out::Fault { code, message } => json!({ "error": { "code": code, "message": message } }),
    }
}

/// Sums runs up, one after the other.
#[derive(Default)]
pub(crate) struct Sum {
    events: Sha256,
    frames: Sha256,
}

impl Sum {
    pub(crate) fn add(&mut self, events: &[Stamped], stretches: &[Stretch]) {
        for event in events {
            self.events.update(crate::journal::encode(std::slice::from_ref(event)));
        }
        for stretch in stretches {
            self.frames.update(format!("{}\n", stretch.request));
            stretch.outs.iter().for_each(|out| self.frames.update(format!("{}\n", shown(out))));
        }
    }

    pub(crate) fn done(self) -> Digests {
        let hex = |sum: Sha256| {
            sum.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
        };
        Digests { events: hex(self.events), frames: hex(self.frames) }
    }
}
