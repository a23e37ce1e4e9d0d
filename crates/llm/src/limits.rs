//! Bounds of calls to models, each with its reason.

use std::time::Duration;

/// A call's time limit where `timeout_seconds` is not set. Reasoning models think for minutes; the
/// SDKs of OpenAI give up after ten.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Between two pieces of an answer. Models that think send nothing for minutes, and what stands
/// between cuts connections that are idle for longer (350 s on AWS's load balancers).
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

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

/// Tokens that a provider may say one call had, of any kind; what is more cannot be meant. A hundred
/// times the largest context window.
pub(crate) const TOKENS: u64 = 1_000_000_000;

/// A script's file.
pub(crate) const SCRIPT_BYTES: u64 = 4 << 20;

/// Output tokens of a call without a limit to a server of the Messages API that demands one, where
/// the model's name says nothing. Every model of Anthropic's and common local ones can do as much.
pub(crate) const OUTPUT_TOKENS: u32 = 4096;

/// The least budget for thinking: of Claude's models (Claude documentation, "Extended thinking") and of
/// those that take Gemini's where it is no 0 (Gemini API, "Thinking": 512 of Flash-Lite is the most).
pub(crate) const LEAST_THINKING: u32 = 1024;
pub(crate) const LEAST_THINKING_OF_GEMINI: u32 = 512;

/// What of a capped answer is left for words at least, where a budget for thinking leaves less (ours).
pub(crate) const LEAST_ANSWER: u32 = 256;

/// The most tokens that a model reads in one picture (OpenAI, "Images and vision": a large one at
/// high detail is 48,169 for gpt-4o-mini, the most of any model there).
pub(crate) const PICTURE_TOKENS: u64 = 50_000;

/// The most that a page of a PDF counts for: up to 3,000 of text (Claude documentation, "PDF support")
/// and a picture of up to 4,784 (the same, "Vision").
pub(crate) const PAGE_TOKENS: u64 = 8_000;

/// What of a PDF's packed objects is looked through for pages. A thousand pages have some 200 KB.
pub(crate) const PDF_INFLATED_BYTES: u64 = 16 << 20;

/// So many of its streams are looked into. One has a hundred objects as a rule, a page takes two or three.
pub(crate) const PDF_OBJECT_STREAMS: usize = 4_096;

/// What a provider says of tools and of schemas in its own words (Claude documentation, "Tool use":
/// 346 tokens, 530 of older models).
pub(crate) const OWN_TOKENS: u64 = 600;

/// The most output tokens of a model by a part of its name; the first that fits. Anthropic's models
/// overview ("Max output"), with the newest families at what their smallest members allow.
pub(crate) const ANTHROPIC_OUTPUT_TOKENS: [(&str, u32); 5] = [
    ("claude-3-7-sonnet", 64_000),
    ("claude-3-5-", 8192),
    ("claude-3-", 4096),
    ("claude-sonnet-4", 64_000),
    ("claude-", 32_000),
];

/// Cache points of one request. AWS: four (Bedrock user guide, "Prompt caching"); so has Anthropic.
pub(crate) const CACHE_MARKS: usize = 4;

/// Bytes of a token, for an estimate of what is worth a cache point. English has four.
pub(crate) const BYTES_PER_TOKEN: usize = 4;

/// A shorter beginning is kept by no model of those below (Claude documentation, "Prompt caching").
pub(crate) const CACHE_LEAST_TOKENS: usize = 1024;

/// The shortest beginning that a model keeps, by a part of its name; the first that fits (Claude
/// documentation, "Prompt caching"; Bedrock user guide, the same).
pub(crate) const CACHE_TOKENS_BY_MODEL: [(&str, usize); 6] = [
    ("opus-4-5", 4096),
    ("opus-4-6", 4096),
    ("opus-4-7", 2048),
    ("haiku-4-5", 4096),
    ("3-5-haiku", 2048),
    ("3-haiku", 2048),
];

/// Stop sequences of one call to OpenAI (API reference, `stop`).
pub(crate) const OPENAI_STOPS: usize = 4;

/// Texts of one request for embeddings. OpenAI takes 2,048 of them with 300,000 tokens together (API
/// reference, "Create embeddings"); so many of the longest passages that are indexed fit in that.
pub(crate) const OPENAI_TEXTS: usize = 128;

/// One text to be made into a vector. Titan reads 50,000 characters, Cohere's fourth version 128,000
/// tokens; what is longer is no passage.
pub(crate) const EMBED_TEXT_BYTES: usize = 1 << 20;

/// Texts of one call to an embedder of this machine, as many as OpenAI takes.
pub(crate) const EMBED_TEXTS: usize = 2048;

/// A sentence-transformer's files. Models of the families read have up to 560 million weights of four
/// bytes; vocabularies of 250,000 pieces take 17 MB.
pub(crate) const WEIGHTS_BYTES: u64 = 4 << 30;
/// What stands before the weights. The library reads 100 MB; models of hundreds of tensors have 50 KB.
pub(crate) const WEIGHTS_HEADER_BYTES: u64 = 8 << 20;
pub(crate) const VOCABULARY_BYTES: u64 = 64 << 20;
pub(crate) const SETTINGS_BYTES: u64 = 1 << 20;

/// Tokens that go through a sentence-transformer at once: enough for its matrices to be worth their
/// reading, and few enough for cores to share a call.
pub(crate) const TOKENS_AT_ONCE: usize = 1024;
