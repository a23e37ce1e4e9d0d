//! Amazon Bedrock Runtime: Converse, InvokeModel, their streams and CountTokens, over the providers
//! that agents use.
//!
//! `asked` reads a request into the inner tongue: a managed prompt is filled in, `media` fetches and
//! measures what is not text, `message`, `tools` and `conversation` translate and check what AWS
//! checks. The two operations ask the provider and give its answer back whole or as events;
//! `choice` says who answered. `invoke` has the native
//! bodies of InvokeModel. No journal is kept: a client that calls a model directly has no run.

mod asked;
mod choice;
mod conversation;
pub(crate) mod converse;
pub(crate) mod converse_stream;
pub(crate) mod count_tokens;
pub(crate) mod invoke;
mod limits;
mod media;
mod message;
mod native;
#[cfg(test)]
mod tests;
mod tools;
