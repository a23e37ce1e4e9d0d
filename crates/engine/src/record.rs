//! The engine's own documents: pinned configurations, sessions, runs and repeated requests.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use craton_core::agent::config::AgentConfig;
use craton_core::agent::event::{Attributes, Lineage, UnknownEffect};
use craton_core::agent::history::Past;
use craton_core::agent::origin::Utterance;
use craton_core::agent::state::Turn;
use craton_core::cost::Bill;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::Record;
use wire::converse::Usage;

use crate::spend;

/// A configuration that runs may pin; its id is the hash of its content, so it never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pinned {
    pub config: AgentConfig,
}

impl Record for Pinned {
    const KIND: &'static str = "agent-config";
    const VERSION: u32 = 1;
}

impl Pinned {
    /// The hash of the configuration's canonical JSON, in hex.
    pub fn digest(&self) -> String {
        digest(&serde_json::to_vec(&self.config).expect("a configuration is plain data"))
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A conversation: what the next turn starts from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub agent_id: String,
    pub alias_id: String,
    pub session_id: String,
    #[serde(default)]
    pub began_at: i64,
    /// The memory that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<String>,
    pub attributes: Attributes,
    /// Which exchanges the next turn may read.
    #[serde(default)]
    pub past: Past,
    /// The same of collaborators, by the paths of their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub threads: BTreeMap<String, Past>,
    /// What was said before exchanges were documents of their own; the next turn makes them such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Utterance>,
    /// The collaborator that a routing supervisor chose last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownEffect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<ParkedRun>,
    /// The last runs, oldest first, at most [`Session::RUNS`].
    pub runs: Vec<String>,
    /// When the session lapses; `None` while a turn is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedRun {
    pub run: String,
    pub invocation_id: String,
    /// The run's epoch when it was parked.
    pub epoch: u64,
}

impl ParkedRun {
    /// Nobody's hand-off: a call of the run is pending.
    pub(crate) fn waits_for_a_tool(&self) -> bool {
        self.invocation_id.is_empty()
    }
}

impl Record for Session {
    const KIND: &'static str = "session";
    const VERSION: u32 = 1;
}

impl Session {
    const RUNS: usize = 50;

    /// The session id stands first so that an operator finds a session by it alone.
    pub(crate) fn key(agent_id: &str, alias_id: &str, session_id: &str) -> String {
        format!("{session_id}/{agent_id}/{alias_id}")
    }

    pub(crate) fn remember(&mut self, run: &str) {
        if self.runs.iter().any(|known| known == run) {
            return;
        }
        if self.runs.len() >= Self::RUNS {
            self.runs.remove(0);
        }
        self.runs.push(run.to_owned());
    }

    pub(crate) fn lapsed(&self, now: i64) -> bool {
        self.lapses_at.is_some_and(|at| at <= now)
    }
}

/// One run as lists show it; the journal has the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    pub run: String,
    pub lineage: Lineage,
    pub agent_id: String,
    pub agent_version: String,
    pub alias_id: String,
    pub session_id: String,
    /// The pinned configuration's digest.
    pub config: String,
    pub status: RunStatus,
    pub begun_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    #[serde(default)]
    pub usage: Usage,
    #[serde(default)]
    pub model_calls: u32,
    /// Providers that answered: `rules` says that no language model spoke.
    #[serde(default)]
    pub providers: Vec<String>,
    /// What it has cost, by the prices of their times, in picodollars.
    #[serde(default)]
    pub bill: Bill,
    /// Whom it was for, as its client names him, and whose user that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Since when an operator holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<i64>,
}

impl Record for RunRecord {
    const KIND: &'static str = "run";
    const VERSION: u32 = 1;
    const LABEL: &'static str = store::JOURNALED;
}

impl RunRecord {
    pub(crate) fn session_key(&self) -> String {
        Session::key(&self.agent_id, &self.alias_id, &self.session_id)
    }

    /// The record of the run as its turn stands.
    pub(crate) fn of(&self, turn: &Turn, status: RunStatus, ended_at: Option<i64>) -> RunRecord {
        let mut record = RunRecord { status, ended_at, ..self.clone() };
        if ended_at.is_some() {
            record.paused_at = None;
        }
        record.bill = turn.total_bill();
        record.user = spend::named(spend::USER, turn);
        record.customer = spend::named(spend::CUSTOMER, turn);
        record.usage = turn.total_usage();
        record.model_calls = turn.total_model_calls();
        let mut providers = Vec::new();
        turn.walk(&mut |_, turn| providers.extend(turn.providers.iter().cloned()));
        let mut seen = BTreeSet::new();
        providers.retain(|provider| seen.insert(provider.clone()));
        if !providers.is_empty() {
            record.providers = providers;
        }
        record
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunStatus {
    Running,
    Parked,
    Answered,
    GaveUp,
    Failed,
    Cancelled,
}

impl RunStatus {
    pub fn word(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Parked => "parked",
            RunStatus::Answered => "answered",
            RunStatus::GaveUp => "gaveUp",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
        }
    }
}

/// A client's request as its SDK names it across retries; lives for an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeat {
    pub run: String,
    /// The first request that carried the id; it names the part of the run to answer with.
    pub request: String,
    /// Digest of what it asked: another request under the same id is not a repeat.
    #[serde(default)]
    pub asked: String,
    /// What it was answered, where no run was needed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    pub expires_at: i64,
}

impl Record for Repeat {
    const KIND: &'static str = "repeat";
    const VERSION: u32 = 1;
}

/// A request id that continued an older run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestAlias {
    pub run: String,
}

impl Record for RequestAlias {
    const KIND: &'static str = "request";
    const VERSION: u32 = 1;
}
