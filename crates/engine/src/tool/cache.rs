//! Answers of tools that change nothing, kept for as long as their policy says.
//!
//! An answer is found again by account, agent, function, tool as it is now, arguments and the
//! attributes that the tool was shown, and never by the session or the input: sessions of equal
//! attributes share answers, so a tool that answers by the session's id must not be cached. An answer
//! whose time is over is kept a while longer, for when the tool's breaker is open.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use craton_core::agent::event::{Call, Outcome};
use craton_core::agent::tool::{self, Tool};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::ToolCall;
use super::breakers::ToolKey;
use crate::limits;

pub(crate) type AnswerKey = [u8; 32];

/// Bounded by bytes; the oldest answers leave first.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<AnswerKey, Answer>,
    /// In the order of keeping; a key that was kept again stands there twice.
    order: VecDeque<(AnswerKey, i64)>,
    bytes: usize,
}

struct Answer {
    outcome: Outcome,
    at: i64,
    until: i64,
}

/// An answer from earlier.
pub(crate) struct Found {
    pub(crate) outcome: Outcome,
    pub(crate) age_seconds: u64,
    pub(crate) fresh: bool,
}

/// What a call's answer is kept under.
pub(crate) fn answer_key(key: &ToolKey, tool: &Tool, call: &Call, request: &ToolCall) -> AnswerKey {
    let event: Json = serde_json::from_slice(&request.payload).unwrap_or_default();
    let shown = ["agent", "sessionAttributes", "promptSessionAttributes"];
    let shown = shown.map(|name| tool::canonical(&event[name]));
    // Never stored, so it is enough that equal ones are spelled alike.
    let target = format!("{:?}", tool.target);
    let arguments = tool::canonical(&call.input);
    let tenant = format!("{}/{}", key.tenant.account(), key.tenant.region());
    let mut hash = Sha256::new();
    let own = [&tenant, &key.function, &key.tool, &target, &arguments];
    for part in own.into_iter().chain(&shown) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, key: &AnswerKey, now: i64) -> Option<Found> {
        let kept = self.kept();
        let answer = kept.answers.get(key)?;
        let fresh = now < answer.until;
        let useful = fresh || now < answer.until.saturating_add(limits::STALE_ANSWER_MILLIS);
        useful.then(|| Found {
            outcome: answer.outcome.clone(),
            age_seconds: u64::try_from((now - answer.at) / 1000).unwrap_or(0),
            fresh,
        })
    }

    pub(crate) fn keep(&self, key: AnswerKey, outcome: &Outcome, seconds: u64, now: i64) {
        let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let (outcome, until) = (outcome.clone(), now.saturating_add(millis));
        let mut kept = self.kept();
        kept.bytes += size(&outcome);
        if let Some(earlier) = kept.answers.insert(key, Answer { outcome, at: now, until }) {
            kept.bytes -= size(&earlier.outcome);
        }
        kept.order.push_back((key, now));
        while kept.bytes > limits::CACHED_ANSWER_BYTES || kept.order.len() > limits::CACHED_ANSWERS
        {
            let Some((oldest, at)) = kept.order.pop_front() else { return };
            if kept.answers.get(&oldest).is_some_and(|answer| answer.at == at)
                && let Some(gone) = kept.answers.remove(&oldest)
            {
                kept.bytes -= size(&gone.outcome);
            }
        }
    }
}

/// About what it takes in memory.
fn size(outcome: &Outcome) -> usize {
    outcome.text().len() + 256
}
