//! What a client asks of a provider's native answer, by JSON Pointer.
//!
//! An answer in one piece is looked into as it came. One that is streamed is first put together from
//! its events, but only if anything was asked of it. What is not there is left out.

use serde_json::{Map, Value as Json};
use wire::converse::{Call, Delta};

/// The pointers of one call, and the answer as far as it has come.
pub(crate) struct Native {
    paths: Vec<String>,
    pub(crate) answer: Json,
}

impl Native {
    pub(crate) fn of(call: &Call) -> Native {
        Native { paths: call.options.response_paths.clone(), answer: Json::Null }
    }

    /// Whether the answer has to be kept at all.
    pub(crate) fn wanted(&self) -> bool {
        !self.paths.is_empty()
    }

    /// What was found, once the answer is whole.
    pub(crate) fn found(&mut self) -> Option<Delta> {
        let answer = self.answer.take();
        let mut found = Json::Null;
        for path in &self.paths {
            if let Some(value) = answer.pointer(path) {
                put(&mut found, path, value.clone());
            }
        }
        (!found.is_null()).then_some(Delta::Native(found))
    }

    /// Lays the next event over the answer. Words are continued, elements with an `index` found again
    /// by it, others put behind, and what comes as null is passed over.
    pub(crate) fn merge(&mut self, event: Json) {
        merge(&mut self.answer, event, "");
    }
}

/// AWS: a field stands where its pointer says, as members within members: `/delta/stop_sequence` is
/// `{"delta": {"stop_sequence": …}}` (the AI SDK of Vercel reads both of Anthropic's places).
fn put(into: &mut Json, path: &str, value: Json) {
    let mut place = into;
    for name in path.split('/').skip(1) {
        if !place.is_object() {
            *place = Json::Object(Map::new());
        }
        let name = name.replace("~1", "/").replace("~0", "~");
        place = place.as_object_mut().expect("made one above").entry(name).or_insert(Json::Null);
    }
    *place = value;
}

/// Members of a chunk whose text is a piece of the whole.
const PIECES: [&str; 6] =
    ["content", "refusal", "reasoning", "reasoning_content", "arguments", "text"];

fn merge(into: &mut Json, piece: Json, member: &str) {
    match (into, piece) {
        (_, Json::Null) => {}
        (Json::Object(into), Json::Object(piece)) => {
            for (name, value) in piece {
                let place = into.entry(name.clone()).or_insert(Json::Null);
                merge(place, value, &name);
            }
        }
        (Json::Array(into), Json::Array(pieces)) => {
            for piece in pieces {
                match into.iter_mut().find(|known| same_index(known, &piece)) {
                    Some(known) => merge(known, piece, member),
                    None => into.push(piece),
                }
            }
        }
        (Json::String(into), Json::String(piece)) if PIECES.contains(&member) => {
            into.push_str(&piece);
        }
        (into, piece) => *into = piece,
    }
}

fn same_index(one: &Json, other: &Json) -> bool {
    one.get("index").is_some_and(|index| index.is_u64() && Some(index) == other.get("index"))
}
