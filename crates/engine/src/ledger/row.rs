//! A row of the ledger, as it is stored and shown.

use craton_core::agent::event::{Call, Ruling};
use craton_core::agent::tool::{self, Effect};
use serde::{Deserialize, Serialize};
use store::Record;

use crate::record::digest;

/// Bytes of a call's arguments that its row has; the journal has all of them, and the row their
/// digest. Ours: a list of a hundred rows stays small.
const ARGUMENTS: usize = 2_048;
/// The same of what was said about it.
const MESSAGE: usize = 512;

/// One call that may change something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRow {
    /// The idempotency key, which every attempt carries.
    pub key: String,
    pub run: String,
    pub agent_id: String,
    pub session_id: String,
    /// The collaborators that lead to the one whose call it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The model call that asked for it, and its place among the tool uses of that reply.
    pub step: u32,
    pub ordinal: u32,
    pub tool: String,
    /// The function that took it: the tool's, by its ARN, or the fallback.
    pub function: String,
    /// Canonical JSON, cut after some length.
    pub arguments: String,
    /// SHA-256 of all of it.
    pub arguments_digest: String,
    pub effect: Effect,
    pub state: State,
    /// How often it was sent, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it was decided.
    pub at: i64,
    /// It was not to be sent after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_by: Option<i64>,
    /// When the row last changed.
    pub changed_at: i64,
    /// Why it is not known to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who found out what became of it, where its reply was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// What an operator brought as its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

/// What is known of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is about to be sent, or under way.
    Intended,
    /// The tool answered.
    Done,
    /// It was not sent, or the tool answered with an error.
    Failed,
    /// The reply was lost: it may have taken effect or not.
    Ambiguous,
    /// The reply was lost, and somebody found out.
    Resolved,
    /// It took effect and was taken back.
    Undone,
}

impl State {
    pub const WORDS: [&str; 6] = ["intended", "done", "failed", "ambiguous", "resolved", "undone"];

    pub fn word(self) -> &'static str {
        match self {
            State::Intended => "intended",
            State::Done => "done",
            State::Failed => "failed",
            State::Ambiguous => "ambiguous",
            State::Resolved => "resolved",
            State::Undone => "undone",
        }
    }
}

/// The call that takes another one back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undo {
    /// Its own idempotency key, which follows from the key of what it takes back.
    pub key: String,
    pub tool: String,
    /// Who asked for it.
    pub by: String,
    pub state: UndoState,
    pub at: i64,
    /// What the tool answered, or why it is not known to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UndoState {
    Intended,
    Done,
    Failed,
    Ambiguous,
}

impl Record for LedgerRow {
    const KIND: &'static str = store::BESIDE_JOURNAL;
    const VERSION: u32 = 1;
}

impl LedgerRow {
    /// In the order of the run's calls.
    pub(crate) fn id(&self) -> String {
        format!("{}{:05}-{:03}/{}", Self::of_run(&self.run), self.step, self.ordinal, self.key)
    }

    /// What the ids of a run's rows begin with.
    pub(crate) fn of_run(run: &str) -> String {
        format!("{run}/")
    }

    pub(crate) fn is_being_undone(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.state == UndoState::Intended)
    }

    /// Whether the call is known to have taken effect, and to stand.
    pub(crate) fn stands(&self) -> bool {
        match self.state {
            State::Done => true,
            State::Resolved => self.ruling.as_ref().is_some_and(|ruling| ruling.done == Some(true)),
            State::Intended | State::Failed | State::Ambiguous | State::Undone => false,
        }
    }
}

/// The arguments as a row has them: text, and digest.
pub(super) fn arguments(call: &Call) -> (String, String) {
    let text = tool::canonical(&call.input);
    (cut(&text, ARGUMENTS), digest(text.as_bytes()))
}

pub(super) fn short(text: &str) -> String {
    cut(text, MESSAGE)
}

fn cut(text: &str, most: usize) -> String {
    match text.len() > most {
        true => format!("{}…", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    }
}
