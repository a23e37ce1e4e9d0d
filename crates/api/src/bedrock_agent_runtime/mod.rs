//! Agents for Amazon Bedrock, run time: InvokeAgent, InvokeInlineAgent, and memories.
//!
//! A request is checked and turned into the engine's terms (`session_state`), the engine begins or
//! continues a turn (`invoke_agent`), and what the turn says goes out as events
//! (`response_stream`). An inline agent comes with its request (`inline_agent`), and so may its
//! collaborators (`inline_team`); they are pinned as prepared ones are and take the same way
//! (`invoke_inline_agent`). What agents remember of sessions that are over is read and deleted in
//! `agent_memory`.

pub(crate) mod agent_memory;
mod file;
mod inline_agent;
mod inline_team;
pub(crate) mod invoke_agent;
pub(crate) mod invoke_inline_agent;
mod response_stream;
mod session_state;
mod team;
#[cfg(test)]
mod tests;
