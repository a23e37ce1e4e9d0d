//! The answer as it would have come in one piece, put together from the chunks of its stream.
//!
//! Each chunk is a whole response: what it says of the answer holds in place of what was said before,
//! and only the parts of a candidate go on.

use serde_json::{Map, Value as Json};

pub(super) fn absorb(answer: &mut Json, chunk: &[u8]) {
    let Ok(Json::Object(members)) = serde_json::from_slice(chunk) else { return };
    for (name, value) in members {
        match value {
            Json::Array(candidates) if name == "candidates" => {
                candidates.into_iter().for_each(|said| candidate(&mut answer[&name], said));
            }
            value => answer[name] = value,
        }
    }
}

/// A chunk leaves out the number of the first.
fn candidate(known: &mut Json, said: Json) {
    let number = |candidate: &Json| candidate["index"].as_u64().unwrap_or(0);
    if !said.is_object() {
        return;
    }
    if !known.is_array() {
        *known = Json::Array(Vec::new());
    }
    let known = known.as_array_mut().expect("made one above");
    match known.iter_mut().find(|one| number(one) == number(&said)) {
        Some(one) => lay(one, said),
        None => known.push(said),
    }
}

fn lay(candidate: &mut Json, said: Json) {
    let Json::Object(said) = said else { return };
    for (name, mut value) in said {
        if value.is_null() || (name == "content" && !value.is_object()) {
            continue;
        }
        if name == "content"
            && let Some(Json::Array(known)) =
                candidate.pointer_mut("/content/parts").map(Json::take)
        {
            value["parts"] = Json::Array(joined(known, value["parts"].take()));
        }
        candidate[name] = value;
    }
}

fn joined(mut known: Vec<Json>, more: Json) -> Vec<Json> {
    let Json::Array(more) = more else { return known };
    for part in more {
        match known.last_mut().and_then(Json::as_object_mut) {
            Some(last) if goes_on(last, &part) => {
                if let Some(Json::String(text)) = last.get_mut("text") {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
            _ => known.push(part),
        }
    }
    known
}

/// Words after words, or thoughts after thoughts, with nothing else about them.
fn goes_on(last: &Map<String, Json>, part: &Json) -> bool {
    let plain = |part: &Map<String, Json>| {
        part.contains_key("text") && part.keys().all(|name| name == "text" || name == "thought")
    };
    part.as_object().is_some_and(|part| {
        plain(last) && plain(part) && last.get("thought") == part.get("thought")
    })
}
