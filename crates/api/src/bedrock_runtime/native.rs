//! Fields of a model's native answer that a request asks for by JSON Pointer.
//!
//! The inner tongue keeps one of them, the stop sequence that ended the words; Vercel's AI SDK asks
//! for it of each Anthropic model. Any other pointer is refused by name, for the field may well be in
//! the provider's answer.

use serde_json::{Value as Json, json};
use wire::converse::StopReason;
use wire::fault::Fault;

use crate::bedrock_agent::feature::refused;

/// Where Anthropic's answer has the sequence: in a document, and in an event of a stream.
const STOP_SEQUENCE: [&str; 2] = ["/stop_sequence", "/delta/stop_sequence"];

/// What a request asked for.
pub(super) struct NativeFields {
    paths: Vec<String>,
    stop_sequence: Option<String>,
}

impl NativeFields {
    pub(super) fn asked(paths: Vec<String>, stop_sequences: &[String]) -> Result<Self, Fault> {
        for path in &paths {
            check(path)?;
        }
        // Providers say that a sequence was met, and not which.
        let stop_sequence = match stop_sequences {
            [only] => Some(only.clone()),
            _ => None,
        };
        Ok(NativeFields { paths, stop_sequence })
    }

    // AWS: a field that is not in the model's answer is passed over (API reference, `Converse`)
    pub(super) fn of(&self, reason: StopReason) -> Option<Json> {
        let met = self.stop_sequence.as_ref().filter(|_| reason == StopReason::StopSequence)?;
        let mut fields = json!({});
        for path in &self.paths {
            match path.as_str() {
                "/stop_sequence" => fields["stop_sequence"] = json!(met),
                _ => fields["delta"] = json!({ "stop_sequence": met }),
            }
        }
        (!self.paths.is_empty()).then_some(fields)
    }
}

fn check(path: &str) -> Result<(), Fault> {
    let is_pointer =
        path.starts_with('/') && path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !is_pointer {
        // AWS: an empty or malformed JSON Pointer is a 400 (API reference, `Converse`)
        let text = format!("additionalModelResponseFieldPaths: {path:?} is no JSON Pointer");
        return Err(Fault::validation(text));
    }
    if STOP_SEQUENCE.contains(&path) {
        return Ok(());
    }
    let feature = "fields of a model's native answer but for its stop sequence";
    Err(refused("additionalModelResponseFieldPaths", path, feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(paths: &[&str], stops: &[&str], reason: StopReason) -> String {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        match NativeFields::asked(owned(paths), &owned(stops)) {
            Ok(native) => native.of(reason).map_or("nothing".to_owned(), |json| json.to_string()),
            Err(fault) => fault.message().to_owned(),
        }
    }

    #[test]
    fn the_stop_sequence_is_told_where_it_is_known_and_asked_for() {
        let met = StopReason::StopSequence;
        let [whole, delta] = STOP_SEQUENCE;
        assert_eq!(told(&[whole], &["END"], met), r#"{"stop_sequence":"END"}"#);
        let both = r#"{"delta":{"stop_sequence":"END"},"stop_sequence":"END"}"#;
        assert_eq!(told(&[delta, whole], &["END"], met), both);
        assert_eq!(told(&[delta], &["END"], StopReason::EndTurn), "nothing");
        assert_eq!(told(&[delta], &["END", "STOP"], met), "nothing");
        assert_eq!(told(&[], &["END"], met), "nothing");
    }

    #[test]
    fn other_fields_are_refused_by_name_and_what_is_no_pointer_as_such() {
        for (path, words) in [
            ("/id", "does not support value '/id' at 'additionalModelResponseFieldPaths' yet"),
            ("", r#"additionalModelResponseFieldPaths: "" is no JSON Pointer"#),
            ("stop_sequence", "is no JSON Pointer"),
            ("/a~2", "is no JSON Pointer"),
        ] {
            let said = told(&["/delta/stop_sequence", path], &[], StopReason::EndTurn);
            assert!(said.contains(words), "{said}");
        }
    }
}
