//! Amazon Bedrock Runtime: Converse and ConverseStream over the providers that agents use.
//!
//! `message` reads a request into the inner tongue and checks what AWS checks of a conversation;
//! the two operations ask the provider and give its answer back whole or as events. No journal is
//! kept: a client that calls a model directly has no run.

pub(crate) mod converse;
pub(crate) mod converse_stream;
mod message;
mod native;
#[cfg(test)]
mod tests;
