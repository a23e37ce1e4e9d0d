//! Model providers: a Converse call goes in, a stream of deltas comes out.
//!
//! [`Models`] is the map of `craton.toml`: it finds the provider for the model id that a client asked
//! for. Each provider translates Converse to its native protocol and back; nothing else in Craton
//! does. [`Collect`] folds the deltas into the one reply that the journal keeps.
//!
//! Nothing here repeats a call: whether a failure is worth another try is the engine's to decide, by
//! [`ModelErrorKind`].

mod anthropic;
mod bedrock;
mod cache;
mod ceiling;
mod clumsy;
mod collect;
mod embed;
mod embedded;
mod gemini;
mod headers;
mod ids;
mod limits;
pub mod measure;
mod media;
mod models;
mod native;
mod openai;
mod options;
mod provider;
mod remote;
mod responses;
mod rules;
mod scripted;
mod sentence;
mod signature;
pub mod tokens;

pub use anthropic::Config as AnthropicConfig;
pub use bedrock::Config as BedrockConfig;
pub use cache::{CacheMode, least_tokens as cache_least_tokens};
pub use collect::{Collect, deltas};
pub use embed::hashing::HashingConfig;
pub use embed::{EmbedCall, EmbedRole, Embedded, Truncate};
pub use embedded::{CLUMSY, Clumsy, ClumsyConfig, HASHING, RULES, RULES_MODEL, is_embedded};
pub use gemini::Config as GeminiConfig;
pub use models::{
    Common, Config, ConfigError, ModelRule, Models, ProviderConfig, ProviderEntry, Resolved, Size,
    bare_id, matches,
};
pub use openai::{
    Config as OpenAiConfig, Differs as OpenAiDiffers, MaxTokensField, Name as DialectName,
};
pub use provider::{BoxFuture, Deltas, ModelError, ModelErrorKind, Provider};
pub use scripted::{Scripted, Step};
pub use sentence::Config as SentenceConfig;
