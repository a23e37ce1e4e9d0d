//! Caps of bedrock-agent's resources.

/// AWS: action groups per agent (quota page of Amazon Bedrock).
pub(crate) const ACTION_GROUPS: usize = 20;
/// AWS: collaborators of one supervisor (user guide, "Create multi-agent collaboration").
pub(crate) const COLLABORATORS: usize = 10;
/// Collaborators that one request describes, of all its supervisors. Ours: AWS names no number.
pub(crate) const INLINE_COLLABORATORS: usize = 100;
/// Aliases per agent, the built-in one included. Ours: AWS's 10 is adjustable.
pub(crate) const ALIASES: usize = 100;
/// The model's pattern gives a version at most five digits.
pub(crate) const VERSIONS: u32 = 99_999;
/// AWS: history events of an alias (API reference, `AgentAlias`).
pub(crate) const HISTORY: usize = 10;
/// AWS: tags per resource (API reference, `TagResource`).
pub(crate) const TAGS: usize = 50;
/// Seconds. AWS: what GetAgent shows of agents whose makers did not say (prints of it in public
/// repositories).
pub(crate) const IDLE_SESSION_TTL: u32 = 600;

/// Ours: a schema in a bucket; AWS names no number for it.
pub(super) const SCHEMA_BYTES: u64 = 1024 * 1024;
