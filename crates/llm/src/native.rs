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
                match place(into, &piece) {
                    Some(at) => merge(&mut into[at], piece, member),
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

/// Elements that are looked at for one of the same index, the last. More are never under way at once,
/// and a stream of new ones is not compared with all before it.
const UNDER_WAY: usize = 128;

/// The element that a piece goes on with: nearly always it stands where its index says.
fn place(known: &[Json], piece: &Json) -> Option<usize> {
    let index = usize::try_from(piece.get("index")?.as_u64()?).ok()?;
    if known.get(index).is_some_and(|known| same_index(known, piece)) {
        return Some(index);
    }
    let last = known.len().saturating_sub(UNDER_WAY)..known.len();
    last.rev().find(|at| same_index(&known[*at], piece))
}

fn same_index(one: &Json, other: &Json) -> bool {
    one.get("index").is_some_and(|index| index.is_u64() && Some(index) == other.get("index"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements whose index is not their place, as hostile streams have them by the million.
    fn strange(count: usize) -> Vec<Json> {
        (0..count).map(|at| serde_json::json!({"index": count * 2 - at, "n": at})).collect()
    }

    #[test]
    fn a_piece_is_laid_over_the_element_of_its_index_and_few_are_looked_at() {
        let known = strange(10_000);
        assert_eq!(place(&known, &known[9_999]), Some(9_999));
        assert_eq!(place(&known, &known[10_000 - UNDER_WAY]), Some(10_000 - UNDER_WAY));
        assert_eq!(place(&known, &known[0]), None, "as far back nothing is looked for");
        let plain: Vec<Json> = (0..1_000).map(|at| serde_json::json!({"index": at})).collect();
        assert_eq!(place(&plain, &plain[3]), Some(3), "where the index says, however far back");
        let mut answer = Native { paths: Vec::new(), answer: Json::Null };
        for (index, text) in [(1, "a"), (0, "b"), (1, "c"), (0, "d")] {
            answer.merge(serde_json::json!({"choices": [{"index": index, "text": text}]}));
        }
        let told = serde_json::json!({"choices": [
            {"index": 1, "text": "ac"}, {"index": 0, "text": "bd"},
        ]});
        assert_eq!(answer.answer, told);
    }
}
