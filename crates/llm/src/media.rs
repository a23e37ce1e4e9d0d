//! Images, documents and recordings of a call, as far as providers read them in the same way.
//!
//! What comes from here as an error is the block's name in Converse and why it cannot be carried.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

/// A document in a form that providers take.
pub(crate) enum Paper<'a> {
    Text(String),
    /// Base64.
    Pdf(&'a str),
}

/// The text of a text document, or a PDF as it is; other formats have no place anywhere.
pub(crate) fn paper(document: &Json) -> Result<Paper<'_>, String> {
    if let Some(text) = document["source"]["text"].as_str() {
        return Ok(Paper::Text(text.to_owned()));
    }
    if document["source"].get("content").is_some() {
        return Ok(Paper::Text(texts(&document["source"]["content"]).join("\n")));
    }
    let name = name(document);
    match document["format"].as_str().unwrap_or("txt") {
        "txt" | "md" | "csv" | "html" => {
            let bytes = BASE64_STANDARD.decode(bytes_of(document, "document")?);
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Paper::Text).ok_or_else(|| format!("document: {name:?} is not UTF-8 text"))
        }
        "pdf" => Ok(Paper::Pdf(bytes_of(document, "document")?)),
        other => Err(format!("document: it takes no {other} ({name:?}); send text or PDF")),
    }
}

pub(crate) fn name(document: &Json) -> &str {
    document["name"].as_str().unwrap_or("document")
}

pub(crate) fn wants_citations(block: &Json) -> bool {
    block["citations"]["enabled"] == true
}

/// The refusal of citations by a provider that gives none.
pub(crate) fn no_citations(block: &Json, kind: &str) -> Result<(), String> {
    match wants_citations(block) {
        true => Err(format!("{kind}.citations: it gives no citations")),
        false => Ok(()),
    }
}

/// A search result for a provider that has no such thing: its words under title and source.
pub(crate) fn search_result(result: &Json) -> Result<String, String> {
    no_citations(result, "searchResult")?;
    let text = |name: &str| result[name].as_str().unwrap_or_default();
    let words = texts(&result["content"]).join("\n");
    Ok(format!("{} ({}):\n{words}", text("title"), text("source")))
}

/// What an earlier answer said, without what it rested on.
pub(crate) fn cited_words(content: &Json) -> String {
    texts(&content["content"]).concat()
}

/// The `text` of each block of a list.
pub(crate) fn texts(blocks: &Json) -> Vec<&str> {
    blocks.as_array().into_iter().flatten().filter_map(|block| block["text"].as_str()).collect()
}

pub(crate) fn guarded(content: &Json) -> Result<&str, String> {
    content["text"]["text"].as_str().ok_or_else(|| "guardContent: it has no text".to_owned())
}

pub(crate) fn picture_url(image: &Json) -> Result<String, String> {
    let format = format_of(image, "image")?;
    Ok(format!("data:image/{format};base64,{}", bytes_of(image, "image")?))
}

pub(crate) fn format_of<'a>(block: &'a Json, kind: &str) -> Result<&'a str, String> {
    block["format"].as_str().ok_or_else(|| format!("{kind}: it has no format"))
}

pub(crate) fn bytes_of<'a>(block: &'a Json, kind: &str) -> Result<&'a str, String> {
    block["source"]["bytes"]
        .as_str()
        .ok_or_else(|| format!("{kind}.source: it takes bytes and cannot fetch from elsewhere"))
}
