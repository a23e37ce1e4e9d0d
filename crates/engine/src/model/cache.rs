//! Answers of deterministic calls, kept for equal ones: `[cache] answers = true`.
//!
//! Kept are whole answers at temperature 0 to calls without tools, under the account, the model that
//! would be asked, and everything that the call says. A hit asks nobody and costs nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::Tenant;
use wire::converse::{Call, Reply};

use super::config;

pub(crate) type Key = [u8; 32];

#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) reply: Reply,
}

/// Bounded by bytes; the oldest answers leave first.
pub(crate) struct Answers {
    set: config::Cache,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    answers: HashMap<Key, (Kept, i64)>,
    /// In the order of keeping, with the size of each.
    order: VecDeque<(Key, usize)>,
    bytes: usize,
}

/// What tells one call from another.
#[derive(Serialize)]
struct Asked<'a> {
    account: &'a str,
    region: &'a str,
    model: &'a str,
    system: &'a [String],
    messages: &'a [wire::converse::Message],
    inference: &'a wire::converse::Inference,
    additional: &'a serde_json::Value,
    output: &'a Option<serde_json::Value>,
    paths: &'a [String],
    tier: &'a Option<String>,
}

impl Answers {
    pub(crate) fn new(set: config::Cache) -> Answers {
        Answers { set, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the call's answer is kept under, if it is one that is kept.
    pub(crate) fn key(&self, tenant: &Tenant, model: &str, call: &Call) -> Option<Key> {
        let cold = call.inference.temperature == Some(0.0);
        if !self.set.answers || !cold || !call.tools.is_empty() {
            return None;
        }
        let asked = Asked {
            account: tenant.account(),
            region: tenant.region(),
            model,
            system: &call.system,
            messages: &call.messages,
            inference: &call.inference,
            additional: &call.additional,
            output: &call.options.output,
            paths: &call.options.response_paths,
            tier: &call.options.service_tier,
        };
        let json = serde_json::to_vec(&asked).expect("its maps have string keys");
        Some(Sha256::digest(json).into())
    }

    pub(crate) fn find(&self, key: &Key, now: i64) -> Option<Kept> {
        let held = self.held();
        let (kept, until) = held.answers.get(key)?;
        (now < *until).then(|| kept.clone())
    }

    pub(crate) fn keep(&self, key: Key, kept: Kept, now: i64) {
        let content = serde_json::to_vec(&kept.reply).map_or(usize::MAX, |json| json.len());
        let size = content.saturating_add(256);
        if size > self.set.bytes {
            return;
        }
        let millis = i64::try_from(self.set.seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let mut held = self.held();
        // One that is there already keeps its place in the order.
        if held.answers.insert(key, (kept, now.saturating_add(millis))).is_none() {
            held.order.push_back((key, size));
            held.bytes += size;
        }
        while held.bytes > self.set.bytes {
            let Some((oldest, size)) = held.order.pop_front() else { return };
            held.answers.remove(&oldest);
            held.bytes -= size;
        }
    }
}
