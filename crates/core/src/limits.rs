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

/// Brackets of a YAML document that may be open at once: as many levels as the YAML crate reads.
pub const YAML_BRACKETS: usize = 128;

/// Nodes of one YAML document, aliases counted as often as they are used (ours).
pub const SCHEMA_DOCUMENT_NODES: usize = 100_000;

/// Schema nodes of one tool once every `$ref` stands expanded (ours: references that fan out
/// would otherwise grow a small document without end).
pub const SCHEMA_NODES: usize = 5_000;

/// How deep one tool's schema nests (ours).
pub const SCHEMA_DEPTH: usize = 48;

/// Bytes of a tool's answer, unless an operator allows more (AWS: 25 KB; Bedrock user guide,
/// "Configure Lambda functions").
pub const TOOL_ANSWER_BYTES: usize = 25 * 1024;

/// Tools of an action group that an MCP server performs (ours: more would fill a prompt).
pub const MCP_TOOLS: usize = 128;

/// Characters of a tool's name at an MCP server (MCP specification 2025-11-25, "Tool names": up to 128).
pub const MCP_NAME_CHARS: usize = 128;

/// Characters of one description that an MCP server gives, of a tool or in its schema (ours).
pub const MCP_DESCRIPTION_CHARS: usize = 2_000;

/// Bytes of the schema of one tool of an MCP server (ours).
pub const MCP_SCHEMA_BYTES: usize = 32 * 1024;

/// Characters by which content that is no text is named to the model (ours).
pub(crate) const MCP_NOTE_CHARS: usize = 200;

/// Characters of the token under which a tool brings a pending result (ours).
pub const TOKEN: usize = 256;

/// Characters of a tool's error that reach the model (ours).
pub const TOOL_ERROR_CHARS: usize = 1_000;

/// Violations told to the model for one call (ours: a repair needs the first few).
pub const VIOLATIONS: usize = 8;

/// Media types that an HTTP API is asked to answer in (ours).
pub const ANSWER_MEDIA_TYPES: usize = 8;

/// The longest that an open breaker waits before one call may try, unless its own cooldown is longer
/// (ours: doubling without end would forget the tool).
pub const BREAKER_COOLDOWN_SECONDS: u64 = 900;

/// Durations of a tool that its adaptive time-out is made of; half of them have to be there (ours).
pub const RECENT_DURATIONS: usize = 100;

/// How many times its 99th percentile a tool may take (ours), and what it may take at least.
pub const ADAPTIVE_FACTOR: u32 = 3;
pub const ADAPTIVE_FLOOR: core::time::Duration = core::time::Duration::from_millis(500);

/// What a call over the network may take where nothing else is set (requirement D11: under 3 s).
pub const HTTP_TIMEOUT_SECONDS: u64 = 3;

/// Calls of a turn that its loop detector remembers (ours: loops are short).
pub const LOOP_ROWS: usize = 32;

/// Characters of a condition, and how deep it nests (ours).
pub const CONDITION_CHARS: usize = 1_000;
pub const CONDITION_DEPTH: usize = 32;

/// How deep arguments are looked into, texts that hold JSON included (ours; deeper ones are
/// refused where a policy has to see all).
pub const ARGUMENT_DEPTH: usize = 64;

/// Attempts of one call, and seconds of a pause between two, that a policy may set (ours).
pub const ATTEMPTS: u32 = 20;
pub const PAUSE_SECONDS: f64 = 600.0;

/// Tokens of one call where budgets are enabled and none is set (requirement H7).
pub const CALL_TOKENS: u64 = 4_000;

/// Dollars of one session where budgets are enabled and none are set (requirement H7).
pub const SESSION_DOLLARS: f64 = 10.0;

/// The most dollars that a cap may be (ours: what picodollars in 64 bits count to, less some room).
pub const MOST_DOLLARS: f64 = 9_000_000.0;

/// The output of a call under a budget that sets no `maxTokens` itself (requirement H7).
pub const OUTPUT_TOKENS: u32 = 4_000;

/// What a model needs to say at least where it was stopped (ours). A budget with less room has none.
pub const LEAST_OUTPUT_TOKENS: u32 = 256;

/// From so many percent of a budget on the model is told to come to an end (ours).
pub const NEAR_PERCENT: u32 = 80;
