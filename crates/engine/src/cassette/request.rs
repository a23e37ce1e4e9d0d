//! What goes out for an effect, as text: the same for the cassette that is made and the one that is
//! played, so that two can be compared byte by byte.

use std::collections::BTreeMap;

use craton_core::agent::event::Intent;
use craton_core::agent::{call, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wire::converse::Call;

use crate::parse::ParserCall;
use crate::record;
use crate::run::{Path, Run};

/// A request in a cassette. One that begins as the request before it in the same turn has only what
/// is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Of the whole text.
    pub sha256: String,
    pub bytes: usize,
    /// How many bytes of the request before it come first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub same: usize,
    pub text: String,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A request as it is made.
pub(crate) struct Made {
    pub(crate) text: String,
    /// What the journal has of a call to a model.
    pub(crate) digest: Option<String>,
}

/// What the turn at a path sends for an intent, once the intent is recorded.
pub(crate) fn made(run: &Run, path: &[String], intent: &Intent) -> Option<Made> {
    let place = run.place(path)?;
    let plain = |payload: &[u8]| Made { text: pretty(payload), digest: None };
    Some(match intent {
        Intent::AskModel(ask) => {
            let call = call::model_call(place.turn, place.agent, ask.purpose);
            Made { text: of_model(&call), digest: Some(digest::of_call(&call)) }
        }
        Intent::Parse(parse) => plain(ParserCall::new(run, place, parse.clone()).payload()),
        Intent::Call(call) => plain(&run.sender(place).request(call, None).payload),
    })
}

/// The conversation stands last: a later request is an earlier one and more. The system's text has
/// lines of its own.
fn of_model(call: &Call) -> String {
    let mut shown = digest::shown(call);
    let mut take = |name: &str| {
        let part = shown.as_object_mut().and_then(|members| members.remove(name));
        part.as_ref().and_then(Json::as_array).cloned().unwrap_or_default()
    };
    let (system, messages) = (take("system"), take("messages"));
    let system = system.iter().filter_map(Json::as_str).map(|text| format!("system:\n{text}"));
    let texts = std::iter::once(format!("{shown:#}")).chain(system);
    let texts = texts.chain(messages.iter().map(|message| format!("{message:#}")));
    texts.collect::<Vec<_>>().join("\n")
}

fn pretty(payload: &[u8]) -> String {
    let parsed: Result<Json, _> = serde_json::from_slice(payload);
    parsed
        .map_or_else(|_| String::from_utf8_lossy(payload).into_owned(), |json| format!("{json:#}"))
}

/// Requests of one run, each kept by what it adds to the one before in its turn.
#[derive(Default)]
pub(crate) struct Chain(BTreeMap<(Path, &'static str), String>);

impl Chain {
    pub(crate) fn pack(&mut self, path: &[String], intent: &Intent, text: String) -> Sent {
        let before = self.0.entry((path.to_vec(), kind(intent))).or_default();
        let same = shared(before, &text);
        let sent = Sent {
            sha256: record::digest(text.as_bytes()),
            bytes: text.len(),
            same,
            text: text[same..].to_owned(),
        };
        *before = text;
        sent
    }

    /// The whole text. An edited file may name more of the request before than there is.
    pub(crate) fn unpack(&mut self, path: &[String], intent: &Intent, sent: &Sent) -> String {
        let before = self.0.entry((path.to_vec(), kind(intent))).or_default();
        let same = before.get(..sent.same).unwrap_or_default();
        *before = format!("{same}{}", sent.text);
        before.clone()
    }
}

/// Who gets it.
pub(crate) fn kind(intent: &Intent) -> &'static str {
    match intent {
        Intent::AskModel(_) => "model",
        Intent::Parse(_) => "parser",
        Intent::Call(_) => "tool",
    }
}

/// Bytes of whole lines with which both begin; not worth naming where they are few.
fn shared(a: &str, b: &str) -> usize {
    const FEW: usize = 200;
    let equal = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let lines =
        b.as_bytes()[..equal].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if lines < FEW { 0 } else { lines }
}
