//! Thoughts and their signatures, there and back.
//!
//! Gemini signs parts of its answer, and a tool loop whose first call comes back without its
//! signature is refused (Gemini API, "Thought signatures"). Converse has a signature on reasoning
//! alone, so there it says whose it is: of the thought itself, of the part after it, of the one before.
//! The prefix also tells another provider's signatures from these.

use serde_json::{Value as Json, json};

/// Of this very thought.
pub(super) const OWN: &str = "gemini:";
/// Of the tool use that follows.
pub(super) const NEXT: &str = "gemini-next:";
/// Of the words before.
pub(super) const LAST: &str = "gemini-last:";

/// What Google names for calls that its model never signed, such as another provider's
/// (Gemini API, "Thought signatures", FAQ).
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The parts of one message of the model.
#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<Json>,
    next: Option<String>,
    signed_call: bool,
}

impl Parts {
    pub(super) fn push(&mut self, mut part: Json) {
        if let Some(signature) = self.next.take() {
            part["thoughtSignature"] = Json::String(signature);
            self.signed_call |= part.get("functionCall").is_some();
        }
        self.parts.push(part);
    }

    /// What is not signed by Gemini is left out: it reads nothing from it.
    pub(super) fn thought(&mut self, thought: &Json) {
        let said = &thought["reasoningText"];
        let Some(signature) = said["signature"].as_str() else { return };
        if let Some(own) = signature.strip_prefix(OWN) {
            let text = said["text"].as_str().unwrap_or_default();
            self.parts.push(json!({ "text": text, "thought": true, "thoughtSignature": own }));
        } else if let Some(next) = signature.strip_prefix(NEXT) {
            self.next = Some(next.to_owned());
        } else if let Some(last) = signature.strip_prefix(LAST) {
            self.last(last);
        }
    }

    fn last(&mut self, signature: &str) {
        match self.parts.last_mut().filter(|part| part["thought"] != true) {
            Some(part) => part["thoughtSignature"] = json!(signature),
            None => self.parts.push(json!({ "text": "", "thoughtSignature": signature })),
        }
    }

    /// A newer model wants the first call of a message signed.
    pub(super) fn finish(mut self, model: &str) -> Vec<Json> {
        let mut calls = self.parts.iter_mut().filter(|part| part.get("functionCall").is_some());
        if let Some(first) = calls.next().filter(|_| !self.signed_call && wants_signatures(model)) {
            first["thoughtSignature"] = json!(UNSIGNED);
        }
        self.parts
    }
}

/// Gemini 3 and later refuse unsigned calls; those before never did.
fn wants_signatures(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-") && !name.starts_with("gemini-1") && !name.starts_with("gemini-2")
}
