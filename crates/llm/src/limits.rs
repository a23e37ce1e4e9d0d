//! Bounds of calls to models, each with its reason.

use std::time::Duration;

/// A call's time limit where `timeout_seconds` is not set. Reasoning models think for minutes; the
/// SDKs of OpenAI give up after ten.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(600);

/// One whole response, and all deltas of one reply. The largest output windows (128k tokens) stay
/// below 1 MB of text; JSON escapes and per-token framing come on top.
pub(crate) const REPLY_BYTES: usize = 16 << 20;

/// Blocks of one reply: text, reasoning and tool uses. Providers allow 128 parallel tool calls.
pub(crate) const REPLY_BLOCKS: usize = 512;

/// One event of a stream; an event carries a token, or a whole tool call where servers do not split.
pub(crate) const EVENT_BYTES: usize = 4 << 20;

/// The provider's own words in an error message.
pub(crate) const ERROR_TEXT: usize = 400;

/// An error body that is read for its message.
pub(crate) const ERROR_BODY: usize = 64 << 10;

/// A tool use's id. AWS: `toolUseId` has 1 to 64 characters of `[a-zA-Z0-9_.:-]` (Converse's model).
pub(crate) const TOOL_USE_ID: usize = 64;

/// A script's file.
pub(crate) const SCRIPT_BYTES: u64 = 4 << 20;
