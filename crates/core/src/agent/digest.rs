//! The digest of what a model was sent, by which a prompt that is made again is proven to be the same.
//!
//! A journal holds what a prompt is made from and never the prompt, so that a long session does not
//! store itself again at each step.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value as Json, json};
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

/// The same call for views, with the members that the digest is made over. Blobs of files stand as
/// their size and SHA-256: each call of a run has them all again.
pub fn shown(call: &Call) -> Json {
    let mut shown = serde_json::to_value(Sent::of(call)).expect("its maps have string keys");
    let messages = shown["messages"].as_array_mut().into_iter().flatten();
    for block in messages.flat_map(blocks) {
        shorten(block);
        let results = block.pointer_mut("/toolResult/content").and_then(Json::as_array_mut);
        results.into_iter().flatten().for_each(shorten);
    }
    shown
}

fn blocks(message: &mut Json) -> impl Iterator<Item = &mut Json> {
    message["content"].as_array_mut().into_iter().flatten()
}

/// What is no base64 was never sent to anybody and stays as it is.
fn shorten(block: &mut Json) {
    for kind in ["image", "document", "video"] {
        let Some(source) = block.get_mut(kind).and_then(|file| file.get_mut("source")) else {
            continue;
        };
        let bytes = source["bytes"].as_str().and_then(|text| STANDARD.decode(text).ok());
        if let Some(bytes) = bytes {
            let sha256 = super::tool::hex(&Sha256::digest(&bytes));
            *source = json!({ "bytes": bytes.len(), "sha256": sha256 });
        }
    }
}
