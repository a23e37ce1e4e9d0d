//! Whose thoughts are whose.
//!
//! A provider that takes its model's thoughts back wants a proof that they are its own, and refuses
//! another's. Converse has one place for the proof. Anthropic's stands there bare; everybody else's
//! begins with the provider's kind, so that a conversation that changes its provider goes on without
//! the thoughts of the first.

/// What no proof of Anthropic's holds, which is base64.
const SEPARATOR: char = ':';

pub(crate) fn of(kind: &str, proof: &str) -> String {
    format!("{kind}{SEPARATOR}{proof}")
}

/// The proof, if it is one of `kind`.
pub(crate) fn own<'a>(kind: &str, signature: &'a str) -> Option<&'a str> {
    signature.strip_prefix(kind)?.strip_prefix(SEPARATOR)
}

pub(crate) fn is_bare(signature: &str) -> bool {
    !signature.contains(SEPARATOR)
}
