//! Agents for Amazon Bedrock, run time: InvokeAgent.
//!
//! A request is checked and turned into the engine's terms (`session_state`), the engine begins or
//! continues a turn (`invoke_agent`), and what the turn says goes out as events
//! (`response_stream`).

pub(crate) mod invoke_agent;
mod response_stream;
mod session_state;
