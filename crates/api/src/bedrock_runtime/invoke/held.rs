//! What a native body is held to before anybody is asked: its images, and how its tool uses and results
//! belong together.
//!
//! The rules are those of the body's own vendor. Where they are Converse's, its checks do it. What a
//! vendor says nothing of is left to the model's provider.

use base64::prelude::BASE64_STANDARD;
use base64::{DecodeError, Engine as _};
use serde_json::Value as Json;
use wire::converse::{Block, Call, Message, ResultBlock};
use wire::fault::Fault;

use super::family::Text;
use crate::bedrock_runtime::conversation::{self, Unpaired, unpaired};
use crate::bedrock_runtime::limits::{
    CLAUDE_IMAGES, ENCODED_IMAGE_BYTES, IMAGE_PIXELS, MANY_IMAGE_PIXELS, MANY_IMAGES,
};
use crate::bedrock_runtime::media;

/// A call that a body of this family has become.
pub(super) fn check(family: Text, call: &Call) -> Result<(), Fault> {
    match family {
        Text::Nova => conversation::check(&call.messages, true),
        // Who speaks first is free in these.
        Text::Anthropic => {
            conversation::check_roles(&call.messages)?;
            check_pairs(&call.messages, ["`tool_use`", "`tool_result` blocks"])?;
            check_number(&call.messages)
        }
        Text::Mistral | Text::DeepSeek | Text::Chat => {
            conversation::check_roles(&call.messages)?;
            check_pairs(&call.messages, ["`tool_calls`", "`tool` messages"])
        }
        Text::Titan | Text::Llama | Text::Command | Text::CommandR => Ok(()),
    }
}

/// In the form's own names. Neighbours of one role have become one message, so the ids say where it is.
fn check_pairs(messages: &[Message], [asked, result]: [&str; 2]) -> Result<(), Fault> {
    match unpaired(messages) {
        None => Ok(()),
        Some(Unpaired::Missing { ids, .. }) => {
            let ids = ids.join(", ");
            Err(said("messages", &format!("{asked} ids without {result} right after them: {ids}")))
        }
        Some(Unpaired::Unasked { ids, .. }) => {
            let ids = ids.join(", ");
            let why = format!("{result} that no {asked} of the message before asked for: {ids}");
            Err(said("messages", &why))
        }
    }
}

/// How many images there are, and that many are smaller.
fn check_number(messages: &[Message]) -> Result<(), Fault> {
    let all: Vec<&Json> = messages.iter().flat_map(|one| &one.content).flat_map(images).collect();
    if all.len() > CLAUDE_IMAGES {
        let why = format!("{} images, more than the {CLAUDE_IMAGES} of a request", all.len());
        return Err(said("messages", &why));
    }
    if all.len() > MANY_IMAGES && all.into_iter().any(is_large) {
        // AWS: these words
        // (aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws pull
        // request 998, anthropics/claude-code issue 15730)
        let why = format!(
            "At least one of the image dimensions exceed max allowed size for many-image requests: \
             {MANY_IMAGE_PIXELS} pixels"
        );
        return Err(said("messages", &why));
    }
    Ok(())
}

fn is_large(image: &Json) -> bool {
    let data = image["source"]["bytes"].as_str().unwrap_or_default();
    let bytes = decode(data).unwrap_or_default();
    longest(&bytes) > MANY_IMAGE_PIXELS
}

/// The longer side of an image; a header that is not understood is left to the model.
fn longest(bytes: &[u8]) -> usize {
    imagesize::blob_size(bytes).map_or(0, |size| size.width.max(size.height))
}

/// The images of a block, a tool's result among them.
pub(super) fn images(block: &Block) -> Vec<&Json> {
    match block {
        Block::Image(image) => vec![image],
        Block::ToolResult(result) => result.content.iter().filter_map(returned).collect(),
        _ => Vec::new(),
    }
}

fn returned(inner: &ResultBlock) -> Option<&Json> {
    match inner {
        ResultBlock::Image(image) => Some(image),
        _ => None,
    }
}

/// One image in the body of a Claude; `place` is that of its data.
pub(super) fn check_image(place: &str, format: &str, data: &str) -> Result<(), Fault> {
    let place = dotted(place);
    // AWS: these words, and it is the text that is measured
    // (aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws issue 778)
    if data.len() > ENCODED_IMAGE_BYTES {
        let why = format!(
            "image exceeds 5 MB maximum: {} bytes > {ENCODED_IMAGE_BYTES} bytes",
            data.len()
        );
        return Err(said(&place, &why));
    }
    let bytes = decoded(&place, data)?;
    media::check_format(&|| place.clone(), format, &bytes)?;
    if longest(&bytes) > IMAGE_PIXELS {
        // AWS: as for many images
        let why = format!(
            "At least one of the image dimensions exceed max allowed size: {IMAGE_PIXELS} pixels"
        );
        return Err(said(&place, &why));
    }
    Ok(())
}

/// One image of Nova's, whose formats are Converse's.
pub(super) fn check_nova_image(place: &str, image: &Json) -> Result<(), Fault> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let bytes = decoded(place, &text(&image["source"]["bytes"]))?;
    let format = text(&image["format"]);
    let format = if format == "jpg" { "jpeg" } else { &format };
    media::check_format(&|| place.to_owned(), format, &bytes)
}

/// One image of a chat: vendors state no limits that all have, and most look at the bytes alone.
pub(super) fn check_picture(place: &str, format: &str, data: &str) -> Result<(), Fault> {
    const KNOWN: [&str; 5] = ["gif", "jpeg", "jpg", "png", "webp"];
    let place = dotted(place);
    let bytes = decoded(&place, data)?;
    match media::kind(&bytes) {
        None if KNOWN.contains(&format) => media::check_format(&|| place.clone(), format, &bytes),
        _ => Ok(()),
    }
}

fn decoded(place: &str, data: &str) -> Result<Vec<u8>, Fault> {
    decode(data).map_err(|error| said(place, "invalid base64 data").because(error))
}

/// Lines of base64, as mail has them, are no mistake.
fn decode(data: &str) -> Result<Vec<u8>, DecodeError> {
    BASE64_STANDARD.decode(data).or_else(|error| {
        let whole: String = data.split_ascii_whitespace().collect();
        if whole.len() == data.len() { Err(error) } else { BASE64_STANDARD.decode(whole) }
    })
}

/// A place of a body as models write it.
fn dotted(place: &str) -> String {
    place.trim_start_matches("#/").replace('/', ".")
}

// AWS: a model's own refusal (aws-samples/amazon-bedrock-client-for-mac issue 130)
fn said(place: &str, why: &str) -> Fault {
    Fault::validation(format!("The model returned the following errors: {place}: {why}"))
}
