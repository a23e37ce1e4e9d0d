//! The answer as it would have come in one piece, put together from the events of its stream.

use serde_json::{Map, Value as Json};

/// `stream`: the client reads events too, and may name members of the one that ends the message.
pub(super) fn absorb(answer: &mut Json, event: &Json, stream: bool) {
    match event["type"].as_str().unwrap_or_default() {
        // Nothing is laid over what is no object, whatever the server sends.
        "message_start" if event["message"].is_object() => *answer = event["message"].clone(),
        "content_block_start" if event["content_block"].is_object() => {
            if let Some(content) = answer.get_mut("content").and_then(Json::as_array_mut) {
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
            let answer = members(answer);
            lay(answer.entry("usage").or_insert(Json::Null), &event["usage"]);
            if stream {
                // AWS: in a stream the pointers look into its events (the AI SDK of Vercel asks for
                // `/delta/stop_sequence`).
                answer.insert("delta".to_owned(), event["delta"].clone());
            }
        }
        _ => {}
    }
}

type Members = Map<String, Json>;

/// What a server sends in place of an object is none of its words.
fn members(json: &mut Json) -> &mut Members {
    if !json.is_object() {
        *json = Json::Object(Map::new());
    }
    json.as_object_mut().expect("made one above")
}

fn block<'a>(answer: &'a mut Json, event: &Json) -> Option<&'a mut Members> {
    let place = usize::try_from(event["index"].as_u64()?).ok()?;
    answer.get_mut("content")?.get_mut(place)?.as_object_mut()
}

fn piece(block: &mut Members, delta: &Json) {
    let (member, more) = match delta["type"].as_str().unwrap_or_default() {
        "text_delta" => ("text", &delta["text"]),
        "thinking_delta" => ("thinking", &delta["thinking"]),
        "signature_delta" => ("signature", &delta["signature"]),
        "input_json_delta" => ("input", &delta["partial_json"]),
        "citations_delta" => {
            let cited = delta["citation"].clone();
            match block.entry("citations").or_insert(Json::Null) {
                Json::Array(known) => known.push(cited),
                empty => *empty = Json::Array(vec![cited]),
            }
            return;
        }
        _ => return,
    };
    let more = more.as_str().unwrap_or_default();
    match block.entry(member).or_insert(Json::Null) {
        Json::String(known) => known.push_str(more),
        empty => *empty = Json::String(more.to_owned()),
    }
}

/// The input of a tool came as the pieces of its JSON.
fn settle(block: &mut Members) {
    if let Some(input @ Json::String(_)) = block.get_mut("input") {
        let read = serde_json::from_str(input.as_str().unwrap_or_default());
        *input = read.unwrap_or_else(|_| serde_json::json!({}));
    }
}

fn lay(into: &mut Json, over: &Json) {
    for (name, value) in over.as_object().into_iter().flatten() {
        members(into).insert(name.clone(), value.clone());
    }
}
