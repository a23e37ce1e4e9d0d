//! The bounds on everything an agent may be, say or receive, each with its source.
//!
//! AWS's number where AWS has one; ours, said so, where it has none.

/// API operations of one action group (AWS: an action group holds up to 11; Bedrock user guide,
/// "Configure Lambda functions"). Functions are held to the same number.
pub const ACTIONS_PER_GROUP: usize = 11;

/// Characters of a tool's name as models accept it (AWS: `^[a-zA-Z0-9_-]{1,64}$`, the message
/// of a refused schema).
pub const TOOL_NAME: usize = 64;

/// Bytes of one OpenAPI document (ours; AWS's model leaves a payload's length open).
pub const SCHEMA_BYTES: usize = 250_000;

/// Nodes of one YAML document, aliases counted as often as they are used (ours).
pub const SCHEMA_DOCUMENT_NODES: usize = 100_000;

/// Schema nodes of one tool once every `$ref` stands expanded (ours: references that fan out
/// would otherwise grow a small document without end).
pub const SCHEMA_NODES: usize = 5_000;

/// How deep one tool's schema nests (ours).
pub const SCHEMA_DEPTH: usize = 48;

/// Bytes of a tool's answer (AWS: 25 KB; Bedrock user guide, "Configure Lambda functions").
pub const TOOL_ANSWER_BYTES: usize = 25 * 1024;

/// Characters of the token under which a tool brings a pending result (ours).
pub const TOKEN: usize = 256;

/// Characters of a tool's error that reach the model (ours).
pub const TOOL_ERROR_CHARS: usize = 1_000;

/// Violations told to the model for one call (ours: a repair needs the first few).
pub const VIOLATIONS: usize = 8;

/// Media types that an HTTP API is asked to answer in (ours).
pub const ANSWER_MEDIA_TYPES: usize = 8;
