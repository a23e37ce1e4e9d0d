//! The answer as it would have come in one piece, put together from the events of its stream.

use serde_json::Value as Json;

/// `stream`: the client reads events too, and may name members of the one that ends the message.
pub(super) fn absorb(answer: &mut Json, event: &Json, stream: bool) {
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => *answer = event["message"].clone(),
        "content_block_start" => {
            if let Some(content) = answer["content"].as_array_mut() {
                content.push(event["content_block"].clone());
            }
        }
        "content_block_delta" => {
            if let Some(block) = block(answer, event) {
                piece(block, &event["delta"]);
            }
        }
        "content_block_stop" => {
            if let Some(block) = block(answer, event) {
                settle(block);
            }
        }
        "message_delta" => {
            lay(answer, &event["delta"]);
            lay(&mut answer["usage"], &event["usage"]);
            if stream {
                // AWS: in a stream the pointers look into its events (the AI SDK of Vercel asks for
                // `/delta/stop_sequence`).
                answer["delta"] = event["delta"].clone();
            }
        }
        _ => {}
    }
}

fn block<'a>(answer: &'a mut Json, event: &Json) -> Option<&'a mut Json> {
    let place = usize::try_from(event["index"].as_u64()?).ok()?;
    answer["content"].get_mut(place)
}

fn piece(block: &mut Json, delta: &Json) {
    let (member, more) = match delta["type"].as_str().unwrap_or_default() {
        "text_delta" => ("text", &delta["text"]),
        "thinking_delta" => ("thinking", &delta["thinking"]),
        "signature_delta" => ("signature", &delta["signature"]),
        "input_json_delta" => ("input", &delta["partial_json"]),
        "citations_delta" => {
            match block["citations"].as_array_mut() {
                Some(known) => known.push(delta["citation"].clone()),
                None => block["citations"] = Json::Array(vec![delta["citation"].clone()]),
            }
            return;
        }
        _ => return,
    };
    let more = more.as_str().unwrap_or_default();
    match &mut block[member] {
        Json::String(known) => known.push_str(more),
        empty => *empty = Json::String(more.to_owned()),
    }
}

/// The input of a tool came as the pieces of its JSON.
fn settle(block: &mut Json) {
    if let Json::String(text) = &block["input"] {
        block["input"] = serde_json::from_str(text).unwrap_or_else(|_| serde_json::json!({}));
    }
}

fn lay(into: &mut Json, over: &Json) {
    for (name, value) in over.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}
