//! An agent's memory across sessions: `memoryConfiguration`.

use craton_core::agent::config::MemoryConfig;
use wire::bedrock_agent::types::{MemoryConfiguration, MemoryType, SessionSummaryConfiguration};

/// AWS: what an agent remembers lasts 30 days, and a session is told of 20 others, where the client
/// does not say (user guide, "Enable agent memory"; API reference, `SessionSummaryConfiguration`).
const STORAGE_DAYS: u32 = 30;
const RECENT_SESSIONS: u32 = 20;

/// What is asked for. The one type of memory that the model knows is asked for by being named.
pub(crate) fn read(asked: Option<&MemoryConfiguration>) -> Option<MemoryConfig> {
    let asked = asked.filter(|a| a.enabled_memory_types.contains(&MemoryType::SessionSummary))?;
    let recent = asked.session_summary_configuration.as_ref().and_then(|s| s.max_recent_sessions);
    Some(MemoryConfig {
        storage_days: number(asked.storage_days).unwrap_or(STORAGE_DAYS),
        max_recent_sessions: number(recent).unwrap_or(RECENT_SESSIONS),
    })
}

/// The model bounds it from below.
fn number(asked: Option<i64>) -> Option<u32> {
    asked.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(crate) fn shown(memory: &MemoryConfig) -> MemoryConfiguration {
    MemoryConfiguration {
        enabled_memory_types: vec![MemoryType::SessionSummary],
        storage_days: Some(i64::from(memory.storage_days)),
        session_summary_configuration: Some(SessionSummaryConfiguration {
            max_recent_sessions: Some(i64::from(memory.max_recent_sessions)),
        }),
    }
}
