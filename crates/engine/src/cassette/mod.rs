//! A run with its whole outside world in one file, and the same run played again from it.
//!
//! A cassette is an export of journals: what clients asked, what models, tools and people answered,
//! when, under which ids, with everything by value that the run pinned (configurations,
//! limits, the conversation before it) and the text of each request that went out. [`record`]
//! makes one, [`mask`] takes secrets out of it, [`text`] is its form on disk. [`replay`] performs the
//! run again: what came from outside is taken from the cassette, everything that is decided is decided anew
//! and must come out the same, and so must each request. [`stage`] answers clients from one.
//!
//! Nothing here asks a model, calls a tool, reads a clock or opens a socket.

pub(crate) mod frames;
pub mod mask;
pub mod record;
pub mod replay;
pub(crate) mod request;
pub mod stage;
mod text;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use craton_core::agent::config::AgentConfig;
use craton_core::agent::event::Event;
use craton_core::agent::history::{Exchange, Past};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::agent::turn::Agent;
use serde::{Deserialize, Serialize};

pub use self::frames::Digests;
pub use self::record::Recorded;
pub use self::replay::{Parted, Replayed};
use crate::record::RunRecord;

/// The form of the file. A craton reads all up to its own.
pub(crate) const FORM: u32 = 1;
/// Bytes of a cassette at most, written and read. Ours: a long session with files is a tenth of it.
pub const MOST_BYTES: usize = 64 << 20;
/// Runs of one cassette at most, the last of a session. As many as a session remembers.
pub(crate) const MOST_RUNS: usize = 50;
/// How deep collaborators stand below each other at most, so that a file cannot name a circle.
const MOST_LEVELS: u32 = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cassette {
    /// [`FORM`].
    pub cassette: u32,
    /// The version of Craton that recorded it.
    pub craton: String,
    pub recorded_at: i64,
    /// What the recording summed up to. A file that was edited since sums up to something else.
    pub digests: Digests,
    /// Who answered, such as `rules`.
    pub providers: Vec<String>,
    /// What stands in the place of secrets, and in how many places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masked: BTreeMap<String, usize>,
    pub limits: TurnLimits,
    /// How many tokens models read, where their map says it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<String, usize>,
    /// The pinned configurations, by the digests that runs and supervisors name them by.
    pub agents: BTreeMap<String, AgentConfig>,
    /// What was said in the session before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Said>,
    pub runs: Vec<RecordedRun>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub thread: String,
    pub number: u32,
    pub exchange: Arc<Exchange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRun {
    pub record: RunRecord,
    pub events: Vec<RecordedEvent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedEvent {
    pub at: i64,
    pub event: Event,
    /// What went out, of an event that asks for an effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<request::Sent>,
}

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    #[error("it has {0} bytes of at most {MOST_BYTES}; record fewer runs (CR0039)")]
    TooLarge(usize),
    #[error(
        "its form is {0} and this craton reads up to {FORM}; replay it with the craton that \
         recorded it, or a later one (CR0039)"
    )]
    Newer(u64),
    #[error("it is no cassette: {0}; `craton record` makes one (CR0039)")]
    Malformed(String),
    #[error("run {run} cannot be replayed: {why} (CR0039)")]
    Unfit { run: String, why: String },
}

impl Cassette {
    /// The agent of a run with its collaborators.
    pub(crate) fn agent(&self, digest: &str) -> Result<Arc<Agent>, String> {
        self.member(digest, 0, &mut BTreeMap::new())
    }

    /// Each configuration is compiled once, however many places of a team it has: a file of a few lines
    /// could name more places than there is memory for.
    fn member(
        &self,
        digest: &str,
        level: u32,
        known: &mut BTreeMap<String, Arc<Agent>>,
    ) -> Result<Arc<Agent>, String> {
        if let Some(agent) = known.get(digest) {
            return Ok(agent.clone());
        }
        let config = self.agents.get(digest);
        let config = config.ok_or_else(|| format!("agents has no configuration {digest}"))?;
        if level > MOST_LEVELS {
            return Err(format!("configuration {digest} is its own collaborator"));
        }
        let mut members = BTreeMap::new();
        for one in config.collaborators.iter().filter(|one| !one.config.is_empty()) {
            // One that could not be reached then cannot be reached now.
            if self.agents.contains_key(&one.config) {
                let member = self.member(&one.config, level + 1, known)?;
                members.insert(one.name.clone(), member);
            }
        }
        let agent = Agent::with_members(config.clone(), members);
        let agent = Arc::new(agent.map_err(|problem| problem.to_string())?);
        known.insert(digest.to_owned(), agent.clone());
        Ok(agent)
    }

    /// Fills in the text that an event's turn reads of its session.
    pub(crate) fn fill(&self, event: &mut Event) {
        let Some(started) = event.started_mut() else { return };
        for past in started.pasts_mut() {
            past.exchanges = self.exchanges_of(past);
        }
    }

    fn exchanges_of(&self, past: &Past) -> Vec<Arc<Exchange>> {
        let of = |number| {
            let found =
                self.exchanges.iter().find(|s| s.thread == past.thread && s.number == number);
            found.map_or_else(|| Arc::new(Exchange::deleted()), |said| said.exchange.clone())
        };
        // A recording has each that it names; an edited one may name more than there is memory for.
        (past.first..past.end).take(self.exchanges.len()).map(of).collect()
    }

    /// Models that a run may ask, by the ids of its configurations.
    pub(crate) fn models(&self) -> BTreeSet<&str> {
        self.agents.values().flat_map(AgentConfig::models).collect()
    }
}
