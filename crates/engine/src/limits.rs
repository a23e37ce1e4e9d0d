//! Caps of the engine. Each number is a default that `craton.toml` may change.

use craton_core::agent::config::Retention;
use serde::{Deserialize, Serialize};

/// What sessions keep unless `[sessions]` or an agent's tags say otherwise. Requirement G4: 30 days. The
/// tokens are ours, well within what models read today.
pub const SESSIONS: Retention =
    Retention { exchanges: None, tokens: Some(60_000), hours: None, days: Some(30) };

/// Tools that a process counts for, and what it keeps of their answers (ours).
pub(crate) const KNOWN_TOOLS: usize = 10_000;
/// How many of them may be one tenant's.
pub(crate) const KNOWN_TOOLS_OF_TENANT: usize = 1_000;
pub(crate) const CACHED_ANSWERS: usize = 20_000;
pub(crate) const CACHED_ANSWER_BYTES: usize = 16 << 20;

/// How long after its time an answer may still stand in for a tool whose breaker is open (ours).
pub(crate) const STALE_ANSWER_MILLIS: i64 = 3_600_000;

/// How long a call of a function waits for its turn, as long as one over the network may take.
pub(crate) const PLACE_PATIENCE: std::time::Duration =
    std::time::Duration::from_secs(craton_core::limits::HTTP_TIMEOUT_SECONDS);

/// How long sums of spending are kept. AWS: Cost Explorer shows thirteen months.
pub(crate) const SPENDING_DAYS: i64 = 400;
/// The same of a session whose turns are its client's own (requirement G4: sessions are kept 30 days).
pub(crate) const SESSION_SPENDING_DAYS: i64 = 30;
/// Turns from whose journals the next are foreseen (ours).
pub(crate) const TURNS_FORESEEN: usize = 200;
/// Bytes of a question that is foreseen and not given (ours: a page of text).
pub(crate) const QUESTION_FORESEEN: u64 = 4_000;
/// What a model reads in one call where its entry has no `context_tokens`: the most that any of the
/// price file is sold with (Gemini API, "Models": 1,048,576), and a call of more is refused unpaid.
pub(crate) const READ_TOKENS: u64 = 1_048_576;
/// What a reply holds where nobody set a cap: the most of any model of the price file (OpenAI,
/// "Models": 128,000 of the GPT-5 family).
pub(crate) const REPLY_TOKENS: u64 = 128_000;
/// Bytes of a token in the mean of a whole text, at most (ours: long words of English have eight).
pub(crate) const LONG_TOKEN_BYTES: u64 = 8;
/// The longest that a function runs. AWS: 15 minutes (Lambda quotas, "Function timeout").
pub(crate) const FUNCTION_SECONDS: u64 = 900;
/// How fast a model is taken to be where time is foreseen: until it begins, and tokens a second after
/// that (ours: about what hosted models of the middle class do).
pub(crate) const FIRST_TOKEN_MILLIS: u64 = 1_000;
pub(crate) const TOKENS_PER_SECOND: u64 = 60;
/// What a tool is taken to need (ours).
pub(crate) const TOOL_MILLIS: u64 = 500;
/// Rows that one report of spending looks at (ours).
pub(crate) const SPENDING_ROWS: usize = 200_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Turns that wait for their session; one more is a conflict. Ours.
    pub waiting_per_session: usize,
    /// Runs under way in one process, waiting ones included; one more is throttled. Ours.
    pub runs: usize,
    /// How long a repeated request finds its run. AWS: SDKs repeat within minutes.
    pub repeat_millis: i64,
    /// How long a lease lasts without renewal. At least 3,000: upkeep looks once a second.
    pub lease_millis: i64,
    /// How long a hand-off waits for its results before the turn is called off. Requirement G4:
    /// sessions are kept 30 days.
    pub parked_millis: i64,
    /// How long a call that is pending waits for its result, unless its tool wants less. Ours.
    pub pending_millis: i64,
    /// Asynchronous invocations of one account and region that wait or run; one more is throttled.
    /// Ours: AWS names no number.
    pub waiting_events: i64,
    /// How long a new session waits for what its memory is to know of those that are over. Ours.
    pub memory_wait_millis: u64,
    /// Compiled configurations kept in memory.
    pub cached_agents: usize,
    /// Bytes of conversations kept in memory, so that a session in use is not read again. Ours.
    pub cached_history_bytes: usize,
    /// Journal entries read at once; 1 to 10,000, the store's largest page.
    pub journal_page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            waiting_per_session: 100,
            runs: 10_000,
            repeat_millis: 3_600_000,
            lease_millis: 30_000,
            parked_millis: 30 * 24 * 3_600_000,
            pending_millis: 24 * 3_600_000,
            waiting_events: 10_000,
            memory_wait_millis: 30_000,
            cached_agents: 1_000,
            cached_history_bytes: 16 << 20,
            journal_page: 500,
        }
    }
}

impl Limits {
    /// What the engine could not work with, as a sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if self.lease_millis < 3_000 {
            return Err(format!(
                "limits.engine.lease_millis is {}; leases are renewed by upkeep, set at least 3000",
                self.lease_millis
            ));
        }
        if !(1..=10_000).contains(&self.journal_page) {
            let page = self.journal_page;
            return Err(format!("limits.engine.journal_page is {page}; set 1 to 10000"));
        }
        Ok(())
    }
}

/// Tenants, agents and users whose calls of models are counted at once (ours; beyond it a further one is
/// let through uncounted).
pub(crate) const KNOWN_PAYERS: usize = 10_000;
