//! Anthropic's Messages API, as Claude models take it on Bedrock.

mod answer;
mod citation;
mod request;

pub(super) use request::read;
