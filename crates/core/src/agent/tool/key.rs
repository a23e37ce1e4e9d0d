//! The canonical text of arguments, and the key under which a tool's effect is recognised again.
//!
//! The same call of the same run gives the same key in every process and version, so a tool that
//! remembers keys takes effect once however often it is asked.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Number, Value as Json};
use sha2::{Digest, Sha256};

/// JSON with sorted member names, no spaces, and one spelling per number (`8.0` is `8`).
pub fn canonical(input: &Json) -> String {
    let mut out = String::new();
    write_canonical(input, &mut out);
    out
}

/// Hex SHA-256 over length-prefixed parts, so that no two lists of parts spell the same bytes:
/// `account/region`, the run, the model call that asked (`step`), the place among its tool uses.
#[expect(clippy::too_many_arguments, reason = "the parts of the key, each named once")]
pub fn idempotency_key(
    tenant: &str,
    run: &str,
    step: u32,
    ordinal: u32,
    tool: &str,
    arguments: &Json,
) -> String {
    let (step, ordinal) = (step.to_string(), ordinal.to_string());
    let arguments = canonical(arguments);
    let mut hash = Sha256::new();
    for part in [tenant, run, &step, &ordinal, tool, &arguments] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// Lower case.
pub(in crate::agent) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn write_canonical(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&normal(number).to_string()),
        Json::String(text) => write_text(text, out),
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                separate(place, out);
                write_canonical(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            let sorted: BTreeMap<_, _> = members.iter().collect();
            for (place, (name, member)) in sorted.into_iter().enumerate() {
                separate(place, out);
                write_text(name, out);
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
    }
}

fn separate(place: usize, out: &mut String) {
    if place > 0 {
        out.push(',');
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&Json::from(text).to_string());
}

/// A whole number is an integer however it was spelled; 2^53 bounds what a double holds exactly.
pub(super) fn normal(number: &Number) -> Number {
    match number.as_f64() {
        Some(float)
            if number.is_f64()
                && float.fract() == 0.0
                && float.abs() < 9.007_199_254_740_992e15 =>
        {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}
