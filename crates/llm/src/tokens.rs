//! An estimate of how many tokens a call has, for models whose provider does not count.
//!
//! Words are cut by the vocabulary of OpenAI's newer models (`o200k_base`); a model's own cuts a few
//! per cent finer or coarser. Tools count as the JSON that describes them, pictures by their size,
//! PDFs by their pages. Pure, but for the vocabulary that the first use reads into memory.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;
use wire::converse::{Block, Call, Message, ResultBlock, ToolResult};

use crate::measure;
use crate::provider::{ModelError, ModelErrorKind};

/// What stands around each message, and around the call, in the templates of chat models. OpenAI's
/// cookbook, "How to count tokens with tiktoken".
const PER_MESSAGE: u64 = 3;
const PER_CALL: u64 = 3;

/// Pixels of a token, the longest edge that a picture is shrunk to, and the tokens of a picture that
/// is as large as it may be. Anthropic's guide, "Vision": width × height / 750.
const PIXELS_PER_TOKEN: u64 = 750;
const LONGEST_EDGE: u64 = 1568;
const LARGEST_PICTURE: u64 = 1600;

/// Tokens of a page of a PDF, which is read as text and as a picture. Anthropic's guide, "PDF
/// support": 1,500 to 3,000.
pub(crate) const PER_PAGE: u64 = 2250;

/// Texts are cut so, because the time for one stretch without a space grows faster than its length.
const STRETCH: usize = 4096;

/// The tokens of everything that a model would read.
pub fn estimate(call: &Call) -> Result<u64, ModelError> {
    let system: u64 = call.system.iter().map(|text| of_text(text) + PER_MESSAGE).sum();
    let tools: u64 = call.tools.iter().map(|tool| of_json(&serde_json::json!(tool))).sum();
    let mut tokens = PER_CALL + system + tools;
    for message in &call.messages {
        tokens += PER_MESSAGE + of_message(message)?;
    }
    Ok(tokens)
}

/// The tokens of a text by itself.
pub fn of_text(text: &str) -> u64 {
    let vocabulary = tiktoken_rs::o200k_base_singleton();
    stretches(text).map(|text| vocabulary.encode_ordinary(text).len() as u64).sum()
}

fn stretches(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = text.len().min(STRETCH);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (stretch, rest) = text.split_at(end);
        text = rest;
        (!stretch.is_empty()).then_some(stretch)
    })
}

fn of_json(json: &Json) -> u64 {
    of_text(&json.to_string())
}

fn of_message(message: &Message) -> Result<u64, ModelError> {
    message.content.iter().map(of_block).sum()
}

fn of_block(block: &Block) -> Result<u64, ModelError> {
    match block {
        Block::Text(text) => Ok(of_text(text)),
        Block::ToolUse(asked) => Ok(of_text(&asked.name) + of_json(&asked.input)),
        Block::ToolResult(result) => of_result(result),
        Block::ReasoningContent(thought) => {
            Ok(thought["reasoningText"]["text"].as_str().map_or(0, of_text))
        }
        Block::Image(image) => Ok(of_picture(image)),
        Block::Document(document) => Ok(of_document(document)),
        Block::SearchResult(json) | Block::CitationsContent(json) | Block::GuardContent(json) => {
            Ok(texts(json))
        }
        Block::CachePoint(_) => Ok(0),
        Block::Video(_) => Err(uncounted("video")),
        Block::Audio(_) => Err(uncounted("audio")),
    }
}

fn of_result(result: &ToolResult) -> Result<u64, ModelError> {
    let tokens = result.content.iter().map(|block| match block {
        ResultBlock::Text(text) => Ok(of_text(text)),
        ResultBlock::Json(json) => Ok(of_json(json)),
        ResultBlock::Image(image) => Ok(of_picture(image)),
        ResultBlock::Document(document) => Ok(of_document(document)),
        ResultBlock::SearchResult(json) => Ok(texts(json)),
        ResultBlock::Video(_) => Err(uncounted("video")),
    });
    tokens.sum()
}

fn uncounted(block: &str) -> ModelError {
    let message = format!(
        "tokens of a {block} block are known to its model's provider alone, which does not count"
    );
    ModelError::new(ModelErrorKind::Unsupported, message)
}

/// All words somewhere below.
fn texts(json: &Json) -> u64 {
    match json {
        Json::String(text) => of_text(text),
        Json::Array(items) => items.iter().map(texts).sum(),
        Json::Object(members) => members.values().map(texts).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

/// A picture whose size cannot be read counts as the largest.
pub(crate) fn of_picture(image: &Json) -> u64 {
    let bytes = bytes(image);
    let size = bytes.and_then(|bytes| imagesize::blob_size(&bytes).ok());
    let Some(size) = size else { return LARGEST_PICTURE };
    let (width, height) = (size.width as u64, size.height as u64);
    let longest = width.max(height).max(1);
    let (width, height) = match longest > LONGEST_EDGE {
        true => (width * LONGEST_EDGE / longest, height * LONGEST_EDGE / longest),
        false => (width, height),
    };
    (width * height).div_ceil(PIXELS_PER_TOKEN).clamp(1, LARGEST_PICTURE)
}

fn of_document(document: &Json) -> u64 {
    let title = document["name"].as_str().map_or(0, of_text);
    let context = document["context"].as_str().map_or(0, of_text);
    title + context + of_source(document)
}

fn of_source(document: &Json) -> u64 {
    let source = &document["source"];
    if source.get("bytes").is_none() {
        return texts(source);
    }
    let Some(bytes) = bytes(document) else { return 0 };
    match std::str::from_utf8(&bytes) {
        Ok(text) if document["format"] != "pdf" => of_text(text),
        _ => measure::pages(&bytes).max(1) * PER_PAGE,
    }
}

fn bytes(media: &Json) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(media["source"]["bytes"].as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counted(content: &Json) -> Result<u64, String> {
        let call = json!({
            "model": "m", "system": ["Be brief."],
            "messages": [{"role": "user", "content": content}],
            "tools": [{"name": "look", "description": "", "schema": {"type": "object"}}],
        });
        let call: Call = serde_json::from_value(call).unwrap();
        let bare = Call { messages: Vec::new(), ..call.clone() };
        let rest = estimate(&bare).unwrap() + PER_MESSAGE;
        estimate(&call).map(|tokens| tokens - rest).map_err(|error| error.message)
    }

    #[test]
    fn texts_count_by_the_vocabulary_and_tools_and_system_count_too() {
        assert_eq!(of_text("hello world"), 2);
        assert_eq!(of_text(""), 0);
        assert_eq!(counted(&json!([{"text": "hello world"}])), Ok(2));
        let call = json!({"model": "m", "messages": []});
        let mut call: Call = serde_json::from_value(call).unwrap();
        assert_eq!(estimate(&call).unwrap(), PER_CALL);
        call.system.push("hello world".to_owned());
        assert_eq!(estimate(&call).unwrap(), PER_CALL + PER_MESSAGE + 2);
        let used =
            json!([{"toolUse": {"toolUseId": "t", "name": "look", "input": {"at": "hello"}}}]);
        assert_eq!(counted(&used), Ok(of_text("look") + of_text(r#"{"at":"hello"}"#)));
    }

    #[test]
    fn a_long_stretch_is_cut_and_counts_nearly_as_one() {
        let word = "word ".repeat(5000);
        let whole = tiktoken_rs::o200k_base_singleton().encode_ordinary(&word).len() as u64;
        assert!(of_text(&word).abs_diff(whole) <= 2 * (word.len() / STRETCH) as u64);
        assert!(of_text(&"字".repeat(5000)) >= 5000 / 2);
    }

    #[test]
    fn pictures_count_by_their_size_and_pdfs_by_their_pages() {
        let picture = |width: u32, height: u32| {
            let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
            png.extend(width.to_be_bytes().into_iter().chain(height.to_be_bytes()));
            png.extend([8, 2, 0, 0, 0]);
            json!([{"image": {"format": "png", "source": {"bytes": BASE64_STANDARD.encode(png)}}}])
        };
        assert_eq!(counted(&picture(1000, 1000)), Ok(1334));
        assert_eq!(counted(&picture(200, 200)), Ok(54));
        assert_eq!(counted(&picture(8000, 8000)), Ok(1600));
        let odd = json!([{"image": {"format": "png", "source": {"bytes": "AAAA"}}}]);
        assert_eq!(counted(&odd), Ok(1600));
        let pdf = BASE64_STANDARD.encode("/Type /Pages /Type /Page /Type/Page >>");
        let pdf = json!([{"document": {"format": "pdf", "name": "", "source": {"bytes": pdf}}}]);
        assert_eq!(counted(&pdf), Ok(2 * PER_PAGE));
    }

    #[test]
    fn what_nobody_can_estimate_is_refused() {
        let video = json!([{"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}]);
        assert!(counted(&video).unwrap_err().contains("a video block"));
    }
}
