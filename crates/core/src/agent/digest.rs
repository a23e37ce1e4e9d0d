//! The digest of what a model was sent, by which a prompt that is made again is proven to be the same.
//!
//! A journal holds what a prompt is made from and never the prompt, so that a long session does not
//! store itself again at each step.

use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use wire::converse::{CachePoints, Call, Inference, Message, Tool, ToolChoice};

/// All that decides what a provider is sent. Whether somebody reads along is not part of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    model: &'a str,
    system: &'a [String],
    messages: &'a [Message],
    tools: &'a [Tool],
    tool_choice: &'a ToolChoice,
    inference: &'a Inference,
    cache: &'a CachePoints,
    additional: &'a Json,
}

impl<'a> Sent<'a> {
    fn of(call: &'a Call) -> Self {
        Sent {
            model: &call.model,
            system: &call.system,
            messages: &call.messages,
            tools: &call.tools,
            tool_choice: &call.tool_choice,
            inference: &call.inference,
            cache: &call.cache,
            additional: &call.additional,
        }
    }
}

/// Hex SHA-256 over the call's JSON, members in the order above and those of objects by name.
pub fn of_call(call: &Call) -> String {
    let bytes = serde_json::to_vec(&Sent::of(call)).expect("its maps have string keys");
    super::tool::hex(&Sha256::digest(bytes))
}

/// The same call for views, with the members that the digest is made over.
pub fn shown(call: &Call) -> Json {
    serde_json::to_value(Sent::of(call)).expect("its maps have string keys")
}
