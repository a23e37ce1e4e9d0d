//! Percent-encoding, by where a text goes.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986: all but unreserved characters.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// RFC 6570, reserved expansion, without what has a meaning in a query: `&`, `+`, `#`, `[`, `]`
/// (OpenAPI 3.1, `allowReserved`).
const RESERVED: &AsciiSet = &STRICT
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// RFC 3986: what cannot stand in a path as its template wrote it. An escape that is there stays.
const LITERAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// WHATWG URL, application/x-www-form-urlencoded; its space is a plus.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    Strict,
    Reserved,
    Form,
    /// Where nothing is encoded: headers and parts.
    Raw,
}

impl Encoder {
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Encoder::Strict => utf8_percent_encode(text, STRICT).to_string(),
            Encoder::Reserved => reserved(text),
            Encoder::Form => utf8_percent_encode(text, FORM).to_string().replace("%20", "+"),
            Encoder::Raw => text.to_owned(),
        }
    }
}

/// As reserved expansion has it: escapes that the value brings pass, other `%` do not.
fn reserved(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        out.extend(utf8_percent_encode(before, RESERVED));
        let is_escape = after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit());
        out.push_str(if is_escape { "%" } else { "%25" });
        rest = after;
    }
    out.extend(utf8_percent_encode(rest, RESERVED));
    out
}

/// A part of a path's template that is no expression.
pub(super) fn literal(text: &str) -> String {
    utf8_percent_encode(text, LITERAL).to_string()
}
