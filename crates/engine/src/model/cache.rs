//! Answers of deterministic calls, kept for equal ones: `[cache] answers = true`.
//!
//! Kept are whole answers at temperature 0 to calls without tools, under the account, the model that
//! would be asked, whether the data is restricted, and everything that a provider is told. A hit asks nobody
//! and costs nothing.

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
    answers: HashMap<Key, Entry>,
    /// In the order of keeping.
    order: VecDeque<Key>,
    bytes: usize,
}

struct Entry {
    kept: Kept,
    until: i64,
    size: usize,
}

/// What tells one call from another.
#[derive(Serialize)]
struct Asked<'a> {
    account: &'a str,
    region: &'a str,
    model: &'a str,
    restricted: bool,
    system: &'a [String],
    messages: &'a [wire::converse::Message],
    inference: &'a wire::converse::Inference,
    additional: &'a serde_json::Value,
    output: &'a Option<serde_json::Value>,
    paths: &'a [String],
    tier: &'a Option<String>,
    latency: &'a Option<String>,
}

impl Answers {
    pub(crate) fn new(set: config::Cache) -> Answers {
        Answers { set, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the call's answer is kept under, if it is one that is kept.
    pub(crate) fn key(&self, tenant: &Tenant, restricted: bool, call: &Call) -> Option<Key> {
        let cold = call.inference.temperature == Some(0.0);
        if !self.set.answers || !cold || !call.tools.is_empty() {
            return None;
        }
        let asked = Asked {
            account: tenant.account(),
            region: tenant.region(),
            model: &call.model,
            restricted,
            system: &call.system,
            messages: &call.messages,
            inference: &call.inference,
            additional: &call.additional,
            output: &call.options.output,
            paths: &call.options.response_paths,
            tier: &call.options.service_tier,
            latency: &call.options.latency,
        };
        let json = serde_json::to_vec(&asked).expect("its maps have string keys");
        Some(Sha256::digest(json).into())
    }

    pub(crate) fn find(&self, key: &Key, now: i64) -> Option<Kept> {
        let held = self.held();
        let entry = held.answers.get(key)?;
        (now < entry.until).then(|| entry.kept.clone())
    }

    pub(crate) fn keep(&self, key: Key, kept: Kept, now: i64) {
        let content = serde_json::to_vec(&kept.reply).map_or(usize::MAX, |json| json.len());
        let size = content.saturating_add(256);
        if size > self.set.bytes {
            return;
        }
        let millis = i64::try_from(self.set.seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let mut held = self.held();
        let entry = Entry { kept, until: now.saturating_add(millis), size };
        held.bytes += size;
        // One that is there already keeps its place in the order.
        match held.answers.insert(key, entry) {
            Some(before) => held.bytes -= before.size,
            None => held.order.push_back(key),
        }
        while held.bytes > self.set.bytes {
            let Some(oldest) = held.order.pop_front() else { return };
            held.bytes -= held.answers.remove(&oldest).map_or(0, |entry| entry.size);
        }
    }
}
