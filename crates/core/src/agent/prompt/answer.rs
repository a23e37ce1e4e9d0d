//! Reads what a prompt asked a model to write: the answer, the reason for a call, a verdict.
//!
//! Tags are asked for and never relied on: a reply without any is taken as a whole.

pub(super) const OPEN: &str = "<answer>";
pub(super) const CLOSE: &str = "</answer>";

/// The answer in a final reply: what stands between the tags, or the whole text without any.
pub fn answer(text: &str) -> String {
    match tagged(text, "answer") {
        Some(inside) => inside.to_owned(),
        None => text.trim().to_owned(),
    }
}

/// The text before a tool call, as the trace shows it: without tags, `None` if nothing was said.
pub fn rationale(text: &str) -> Option<String> {
    let mut plain = text.to_owned();
    for tag in [OPEN, CLOSE, "<thinking>", "</thinking>"] {
        plain = plain.replace(tag, "");
    }
    let plain = plain.trim();
    (!plain.is_empty()).then(|| plain.to_owned())
}

/// What stands in a tag, trimmed; up to the end where a stop sequence took the closing tag.
pub(crate) fn tagged<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inside = &text[text.find(&open)? + open.len()..];
    Some(inside.split(close.as_str()).next().unwrap_or(inside).trim())
}

/// The verdict of pre-processing: whether the input is worked on, and the model's reasons.
///
/// AWS: the categories D and E are valid, every other is not; the reasons stand in `thinking`
/// (user guide, "Write a custom parser Lambda function", the pre-processing example).
pub fn judgement(text: &str) -> (bool, Option<String>) {
    let valid = matches!(category(text), Some('D' | 'E'));
    let before = text.split("<category>").next().unwrap_or(text);
    let reasons = tagged(text, "thinking").map(str::to_owned).or_else(|| rationale(before));
    (valid, reasons)
}

/// The letter in its tag, or after the word where a model left the tag out.
fn category(text: &str) -> Option<char> {
    let named = tagged(text, "category").or_else(|| {
        let lower = text.to_ascii_lowercase();
        lower.rfind("category ").map(|at| &text[at + "category ".len()..])
    });
    let letter = named.unwrap_or(text).trim().chars().next()?.to_ascii_uppercase();
    let alone = named.is_some() || text.trim().len() == 1;
    alone.then_some(letter)
}

/// The answer as post-processing leaves it.
pub fn final_response(text: &str) -> String {
    match tagged(text, "final_response") {
        Some(inside) => inside.to_owned(),
        None => answer(text),
    }
}
