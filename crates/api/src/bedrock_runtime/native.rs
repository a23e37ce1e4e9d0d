//! Fields of a model's native answer that a request asks for by JSON Pointer.
//!
//! A provider finds them in what it was sent. The stop sequence that ended the words is known here
//! also where a provider says only that one was met; Vercel's AI SDK asks for it of each Anthropic
//! model.

use serde_json::{Map, Value as Json, json};
use wire::converse::StopReason;
use wire::fault::Fault;

/// Where Anthropic's answer has the sequence: in a document, and in an event of a stream.
const STOP_SEQUENCE: [&str; 2] = ["/stop_sequence", "/delta/stop_sequence"];

/// What a request asked for.
pub(super) struct NativeFields {
    /// Those of [`STOP_SEQUENCE`] among the pointers.
    stop_paths: Vec<&'static str>,
    stop_sequence: Option<String>,
}

impl NativeFields {
    pub(super) fn asked(paths: &[String], stop_sequences: &[String]) -> Result<Self, Fault> {
        paths.iter().try_for_each(|path| check(path))?;
        let asked = |known: &&str| paths.iter().any(|path| path == known);
        let stop_paths = STOP_SEQUENCE.into_iter().filter(asked).collect();
        let stop_sequence = match stop_sequences {
            [only] => Some(only.clone()),
            _ => None,
        };
        Ok(NativeFields { stop_paths, stop_sequence })
    }

    // AWS: a field that is not in the model's answer is passed over (API reference, `Converse`)
    /// `found` is what the provider found, at its places.
    pub(super) fn of(&self, reason: StopReason, mut found: Json) -> Option<Json> {
        let met = self.stop_sequence.as_ref().filter(|_| reason == StopReason::StopSequence);
        if let Some(met) = met {
            for path in &self.stop_paths {
                let place = match *path {
                    "/stop_sequence" => Some(&mut found),
                    _ => {
                        members(&mut found).map(|found| found.entry("delta").or_insert(Json::Null))
                    }
                };
                if let Some(place) = place.and_then(members) {
                    let said = place.entry("stop_sequence").or_insert(Json::Null);
                    if said.is_null() {
                        *said = json!(met);
                    }
                }
            }
        }
        Some(found).filter(|found| !found.is_null())
    }
}

/// Of what is an object or nothing yet; a provider may have sent anything else there.
fn members(json: &mut Json) -> Option<&mut Map<String, Json>> {
    if json.is_null() {
        *json = json!({});
    }
    json.as_object_mut()
}

fn check(path: &str) -> Result<(), Fault> {
    let is_pointer =
        path.starts_with('/') && path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if is_pointer {
        return Ok(());
    }
    // AWS: an empty or malformed JSON Pointer is a 400 (API reference, `Converse`)
    let text = format!("additionalModelResponseFieldPaths: {path:?} is no JSON Pointer");
    Err(Fault::validation(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(paths: &[&str], stops: &[&str], reason: StopReason, found: Json) -> String {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        match NativeFields::asked(&owned(paths), &owned(stops)) {
            Ok(native) => {
                let fields = native.of(reason, found);
                fields.map_or("nothing".to_owned(), |json| json.to_string())
            }
            Err(fault) => fault.message().to_owned(),
        }
    }

    #[test]
    fn the_stop_sequence_is_told_where_it_is_known_and_asked_for() {
        let (met, none) = (StopReason::StopSequence, || Json::Null);
        let [whole, delta] = STOP_SEQUENCE;
        assert_eq!(told(&[whole], &["END"], met, none()), r#"{"stop_sequence":"END"}"#);
        let both = r#"{"delta":{"stop_sequence":"END"},"stop_sequence":"END"}"#;
        assert_eq!(told(&[delta, whole], &["END"], met, none()), both);
        assert_eq!(told(&[delta], &["END"], StopReason::EndTurn, none()), "nothing");
        assert_eq!(told(&[delta], &["END", "STOP"], met, none()), "nothing");
        assert_eq!(told(&[], &["END"], met, none()), "nothing");
    }

    #[test]
    fn what_the_provider_found_goes_before_what_is_known_here() {
        let met = StopReason::StopSequence;
        let found = json!({"id": "x", "stop_sequence": "two"});
        assert_eq!(told(&["/stop_sequence"], &["one"], met, found.clone()), found.to_string());
        let unsaid = json!({"delta": {"stop_sequence": null, "n": 1}});
        let filled = r#"{"delta":{"n":1,"stop_sequence":"one"}}"#;
        assert_eq!(told(&["/delta/stop_sequence"], &["one"], met, unsaid), filled);
        assert_eq!(told(&["/id"], &[], StopReason::EndTurn, json!({"id": 1})), r#"{"id":1}"#);
        for odd in [json!({"delta": "x"}), json!({"delta": [1]}), json!("x"), json!([1])] {
            let fields = told(&["/delta/stop_sequence"], &["one"], met, odd.clone());
            assert_eq!(fields, odd.to_string());
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused_as_such() {
        for path in ["", "stop_sequence", "/a~2"] {
            let said = told(&["/id", path], &[], StopReason::EndTurn, Json::Null);
            assert!(said.contains(&format!("{path:?} is no JSON Pointer")), "{said}");
        }
    }
}
