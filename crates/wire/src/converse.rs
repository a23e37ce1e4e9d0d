//! The inner tongue: messages, tools and usage in the shape of Bedrock's Converse.
//!
//! The structs serialise to canonical JSON with Converse's member names, so what stands in the
//! journal reads like the wire. They are ours and versioned with the journal, never generated.
//! Blobs inside of images, documents and videos are base64 strings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Assistant,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: Vec<Block>,
}

/// One content block, externally tagged as on the wire: `{"text": …}`, `{"toolUse": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Block {
    Text(String),
    ToolUse(ToolUse),
    ToolResult(ToolResult),
    ReasoningContent(Json),
    Image(Json),
    Document(Json),
    Video(Json),
    Audio(Json),
    SearchResult(Json),
    CitationsContent(Json),
    GuardContent(Json),
    CachePoint(Json),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse {
    pub tool_use_id: String,
    pub name: String,
    pub input: Json,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    pub tool_use_id: String,
    pub content: Vec<ResultBlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ToolStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResultBlock {
    Text(String),
    Json(Json),
    Image(Json),
    Document(Json),
    Video(Json),
    SearchResult(Json),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolStatus {
    Success,
    Error,
}

/// A tool as the model sees it; `schema` is the JSON Schema of its input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    pub name: String,
    pub description: String,
    pub schema: Json,
    /// The model's input must fit the schema, where the provider can hold it to that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice {
    #[default]
    Auto,
    Any,
    Tool(String),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
}

/// One call to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The id the client asked for: a Bedrock model id, ARN or inference profile.
    pub model: String,
    #[serde(default)]
    pub system: Vec<String>,
    pub messages: Vec<Message>,
    #[serde(default)]
    /// Shared: an agent offers the same tools at every step of every turn.
    pub tools: Arc<[Tool]>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    #[serde(default)]
    pub inference: Inference,
    /// Converse's `cachePoint`s among `system` and `tools`; those of messages are blocks.
    #[serde(default)]
    pub cache: CachePoints,
    /// Converse's `additionalModelRequestFields`, merged into a provider's native request.
    #[serde(default)]
    pub additional: Json,
    #[serde(default, skip_serializing_if = "Options::is_default")]
    pub options: Options,
    /// Whether somebody reads the text while it is made; a provider may answer in one piece if not.
    #[serde(default)]
    pub stream: bool,
}

/// What else a client may ask of one call. A provider carries what its protocol has a place for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// `serviceTier.type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// `performanceConfig.latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
    /// `outputConfig`, in Converse's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// `additionalModelResponseFieldPaths`: JSON Pointers into the provider's native answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_paths: Vec<String>,
    /// The model may use one tool in a reply, not several side by side.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_tool_use: bool,
    /// The most tokens that the answer may have, whatever [`Call::additional`] says: what a budget
    /// holds back for it. None where no budget applies.
    #[serde(skip)]
    pub ceiling: Option<u32>,
    /// `requestMetadata`. It stays here, and never reaches a provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Options {
    fn is_default(&self) -> bool {
        *self == Options { ceiling: self.ceiling, ..Options::default() }
    }
}

/// What the client would have a provider cache: each `cachePoint` by the place of what it follows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CachePoints {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<usize, Json>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<usize, Json>,
}

/// What a model streams. Indices number the blocks of the one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    Text {
        index: usize,
        text: String,
    },
    Reasoning {
        index: usize,
        text: String,
    },
    /// A piece of the provider's proof that the reasoning of this block is its own.
    Signature {
        index: usize,
        signature: String,
    },
    /// Reasoning that only its provider can read, as base64. It is a block of its own.
    Redacted {
        index: usize,
        data: String,
    },
    ToolUseStart {
        index: usize,
        id: String,
        name: String,
    },
    /// A piece of the tool input's JSON text.
    ToolUseInput {
        index: usize,
        json: String,
    },
    /// A source of the text of this block, as Converse's `Citation`. It makes the block
    /// `citationsContent`.
    Citation {
        index: usize,
        citation: Json,
    },
    BlockStop {
        index: usize,
    },
    /// What [`Options::response_paths`] found in the provider's native answer.
    Native(Json),
    Stop(StopReason),
    Usage(Usage),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    EndTurn,
    ToolUse,
    MaxTokens,
    StopSequence,
    ContentFiltered,
    GuardrailIntervened,
    ModelContextWindowExceeded,
    /// The model wrote what is no answer.
    MalformedModelOutput,
    /// The model wrote a tool use that is none.
    MalformedToolUse,
}

impl StopReason {
    /// The model itself failed.
    pub fn is_malformed(self) -> bool {
        matches!(self, StopReason::MalformedModelOutput | StopReason::MalformedToolUse)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_input_tokens: u64,
    /// Of `cache_write_input_tokens`, those that were written for an hour, at a price of their own.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_hour_input_tokens: u64,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Usage {
    /// What was read, from caches too.
    // AWS: `inputTokens` leaves out what was read from a cache or written to it (user guide, "Prompt
    // caching").
    pub fn all_input(&self) -> u64 {
        let cached = self.cache_read_input_tokens.saturating_add(self.cache_write_input_tokens);
        self.input_tokens.saturating_add(cached)
    }

    /// Whether somebody counted. No call is without input, so one that has none was not counted, whatever
    /// is said of its output.
    pub fn is_counted(&self) -> bool {
        self.all_input() > 0
    }

    /// All tokens, in and out.
    pub fn tokens(&self) -> u64 {
        self.all_input().saturating_add(self.output_tokens)
    }
}

impl core::ops::AddAssign for Usage {
    fn add_assign(&mut self, more: Usage) {
        // A provider may count whatever it likes.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input_tokens, more.input_tokens);
        add(&mut self.output_tokens, more.output_tokens);
        add(&mut self.cache_read_input_tokens, more.cache_read_input_tokens);
        add(&mut self.cache_write_input_tokens, more.cache_write_input_tokens);
        add(&mut self.cache_write_hour_input_tokens, more.cache_write_hour_input_tokens);
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A finished reply: what all deltas of one call add up to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    pub content: Vec<Block>,
    pub stop_reason: StopReason,
    pub usage: Usage,
    /// What [`Options::response_paths`] found in the provider's native answer.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub native: Json,
}

impl Reply {
    pub fn asks_for_tools(&self) -> bool {
        self.content.iter().any(|block| matches!(block, Block::ToolUse(_)))
    }
}
