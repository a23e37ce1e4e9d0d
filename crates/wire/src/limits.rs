//! Bounds of the codecs, each with its source. What is beyond them is refused, never cut short.

/// Nesting of a JSON body. `serde_json` refuses deeper text by itself; a test holds the two equal.
pub const JSON_DEPTH: usize = 128;

/// Parts of a form parameter's dotted name; those of sts and iam have at most five.
pub const FORM_DEPTH: usize = 32;

/// Parameters of one form or query string. IAM's longest list, 50 tags, takes a hundred.
pub const FORM_PARAMETERS: usize = 10_000;

/// Violations written out in one message; the count in front of them stays true.
pub const SHOWN_VIOLATIONS: usize = 50;

/// Characters of a refused value that a message repeats.
pub const SHOWN_VALUE: usize = 1024;

/// One event-stream frame: 16 MiB of payload, 128 KiB of headers and 16 bytes around them.
/// AWS: the maximum of `application/vnd.amazon.eventstream` (Smithy, Amazon Event Stream format).
pub const FRAME: usize = 16 * 1024 * 1024 + 128 * 1024 + 16;

/// A pattern's compiled size: the default of `regex`, in which all of the tables' fit (a test).
pub const PATTERN_SIZE: usize = 10 * 1024 * 1024;

/// Steps a pattern with look-around may go back before its value is refused.
pub const PATTERN_BACKTRACKS: usize = 100_000;
