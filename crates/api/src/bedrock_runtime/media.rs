//! Images, documents, videos and audio of a request: what lies in a bucket is fetched, and all of it
//! is held to AWS's limits. Whether a model takes a kind is its provider's to say.

use std::collections::BTreeSet;

use bytes::Bytes;
use imagesize::ImageType;
use wire::bedrock_runtime::types::{
    AudioSource, ContentBlock, ConversationRole, DocumentSource, GuardrailConverseContentBlock,
    GuardrailConverseImageSource, ImageFormat, ImageSource, Message, S3Location,
    ToolResultContentBlock, VideoSource,
};
use wire::fault::Fault;

use super::limits::{
    DOCUMENT_BYTES, DOCUMENTS, FETCHED_BYTES, IMAGE_BYTES, IMAGE_PIXELS, IMAGES, RECORDING_BYTES,
};
use crate::cx::Cx;

/// After this every source is what the request brought or what its bucket had.
pub(super) async fn settle(cx: &Cx, model: &str, messages: &mut [Message]) -> Result<(), Fault> {
    let (mut names, mut room) = (BTreeSet::new(), FETCHED_BYTES);
    for (at, message) in messages.iter_mut().enumerate() {
        check_message(at, message, model)?;
        for (n, block) in message.content.iter_mut().enumerate() {
            for (kind, source, name) in sources(block) {
                let place = || format!("messages.{at}.content.{n}.{kind}");
                if let Some(name) = name {
                    check_name(name, &mut names)?;
                }
                settle_one(cx, model, &place, source, &mut room).await?;
            }
        }
    }
    Ok(())
}

/// What AWS says of a message's images and documents together.
fn check_message(at: usize, message: &Message, model: &str) -> Result<(), Fault> {
    let count = |is: fn(&&ContentBlock) -> bool| message.content.iter().filter(is).count();
    let images = count(|block| {
        let guarded = |inner: &_| matches!(inner, GuardrailConverseContentBlock::Image(_));
        match block {
            ContentBlock::Image(_) => true,
            ContentBlock::GuardContent(inner) => guarded(inner),
            _ => false,
        }
    });
    let documents = count(|block| matches!(block, ContentBlock::Document(_)));
    if images + documents == 0 {
        return Ok(());
    }
    let refused = |text: String| Err(Fault::validation(text));
    if message.role != ConversationRole::User {
        // AWS: images and documents come from the user (API reference, `Message`)
        return refused(format!(
            "messages.{at}.content has images or documents, which only a message of the user may \
             have; its role is {}",
            message.role.as_str()
        ));
    }
    if images > IMAGES {
        return refused(format!(
            "messages.{at}.content has {images} image blocks, more than the {IMAGES} of a message to \
             {model}"
        ));
    }
    // AWS: a document does not come without words (API reference, `Message`)
    if documents > 0 && count(|block| matches!(block, ContentBlock::Text(_))) == 0 {
        return refused(format!(
            "messages.{at}.content has a document block and no text block; add a text block that \
             says what to do with it"
        ));
    }
    Ok(())
}

type Found<'a> = (&'static str, Source<'a>, Option<&'a str>);

/// The sources of a block, with their kind, and their name if it is a document's.
fn sources(block: &mut ContentBlock) -> Vec<Found<'_>> {
    match block {
        ContentBlock::Image(image) => {
            vec![("image", Source::Image(image.format, &mut image.source), None)]
        }
        ContentBlock::GuardContent(GuardrailConverseContentBlock::Image(image)) => {
            let source = Source::Guarded(image.format.as_str(), &image.source);
            vec![("guardContent.image", source, None)]
        }
        ContentBlock::Document(document) => {
            vec![("document", Source::Document(&mut document.source), Some(&document.name))]
        }
        ContentBlock::Video(video) => vec![("video", Source::Video(&mut video.source), None)],
        ContentBlock::Audio(audio) => vec![("audio", Source::Audio(&mut audio.source), None)],
        ContentBlock::ToolResult(result) => {
            result.content.iter_mut().filter_map(returned).collect()
        }
        _ => Vec::new(),
    }
}

fn returned(block: &mut ToolResultContentBlock) -> Option<Found<'_>> {
    match block {
        ToolResultContentBlock::Image(image) => {
            Some(("toolResult.image", Source::Image(image.format, &mut image.source), None))
        }
        ToolResultContentBlock::Document(document) => {
            let source = Source::Document(&mut document.source);
            Some(("toolResult.document", source, Some(&document.name)))
        }
        ToolResultContentBlock::Video(video) => {
            Some(("toolResult.video", Source::Video(&mut video.source), None))
        }
        _ => None,
    }
}

/// Where the bytes of one block are.
enum Source<'a> {
    Image(ImageFormat, &'a mut ImageSource),
    Guarded(&'static str, &'a GuardrailConverseImageSource),
    Document(&'a mut DocumentSource),
    Video(&'a mut VideoSource),
    Audio(&'a mut AudioSource),
}

impl Source<'_> {
    fn location(&self) -> Option<&S3Location> {
        match self {
            Source::Image(_, ImageSource::S3Location(location))
            | Source::Document(DocumentSource::S3Location(location))
            | Source::Video(VideoSource::S3Location(location))
            | Source::Audio(AudioSource::S3Location(location)) => Some(location),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<&Bytes> {
        match self {
            Source::Image(_, ImageSource::Bytes(bytes))
            | Source::Guarded(_, GuardrailConverseImageSource::Bytes(bytes))
            | Source::Document(DocumentSource::Bytes(bytes))
            | Source::Video(VideoSource::Bytes(bytes))
            | Source::Audio(AudioSource::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    fn put(&mut self, bytes: Bytes) {
        match self {
            Source::Image(_, source) => **source = ImageSource::Bytes(bytes),
            // It is never anywhere else.
            Source::Guarded(..) => {}
            Source::Document(source) => **source = DocumentSource::Bytes(bytes),
            Source::Video(source) => **source = VideoSource::Bytes(bytes),
            Source::Audio(source) => **source = AudioSource::Bytes(bytes),
        }
    }

    fn most(&self) -> usize {
        match self {
            Source::Image(..) | Source::Guarded(..) => IMAGE_BYTES,
            Source::Document(_) => DOCUMENT_BYTES,
            Source::Video(_) | Source::Audio(_) => RECORDING_BYTES,
        }
    }
}

/// `room` is what may still be fetched.
async fn settle_one(
    cx: &Cx,
    model: &str,
    place: &impl Fn() -> String,
    mut source: Source<'_>,
    room: &mut usize,
) -> Result<(), Fault> {
    if let Some(location) = source.location() {
        let bytes = object(cx, &place(), location, source.most()).await?;
        let left = room.checked_sub(bytes.len());
        *room = left.ok_or_else(|| {
            let place = place();
            Fault::validation(format!(
                "with {place} the objects in S3 of this request have more than {FETCHED_BYTES} bytes"
            ))
        })?;
        source.put(bytes);
    }
    let Some(bytes) = source.bytes() else { return Ok(()) };
    if bytes.len() > source.most() {
        return Err(Fault::validation(format!(
            "{} has {} bytes, more than the {} that {model} is given",
            place(),
            bytes.len(),
            source.most()
        )));
    }
    match source {
        Source::Image(format, _) => {
            check_format(&source_of(place), format.as_str(), bytes)?;
            check_pixels(model, place, bytes)
        }
        Source::Guarded(format, _) => {
            check_format(&source_of(place), format, bytes)?;
            check_pixels(model, place, bytes)
        }
        Source::Document(_) | Source::Video(_) | Source::Audio(_) => Ok(()),
    }
}

async fn object(cx: &Cx, place: &str, from: &S3Location, most: usize) -> Result<Bytes, Fault> {
    let uri = &from.uri;
    let field = format!("{place}.source.s3Location");
    // The folders that are buckets belong to nobody else.
    if let Some(owner) = from.bucket_owner.as_ref().filter(|owner| **owner != cx.caller.account) {
        return Err(Fault::access_denied(format!(
            "'{field}': {uri} is no bucket of account {owner}; leave bucketOwner out"
        )));
    }
    let path = uri.strip_prefix("s3://").unwrap_or_default();
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    cx.authorize_object(bucket, key)?;
    let read = cx.engine.buckets().read(bucket, key, most as u64).await;
    read.map_err(|error| {
        Fault::validation(format!("Value '{uri}' at '{field}' cannot be read: {error}"))
    })
}

fn source_of(place: &impl Fn() -> String) -> impl Fn() -> String {
    move || format!("{}.source.bytes", place())
}

/// By the first bytes, whether an image is of the format that it is said to be of.
pub(super) fn check_format(
    place: &impl Fn() -> String,
    format: &str,
    bytes: &[u8],
) -> Result<(), Fault> {
    // AWS: these words (aws-samples/amazon-bedrock-client-for-mac issue 130; of bytes that are no
    // image anthropics/claude-code issue 53228)
    let why = match kind(bytes) {
        Some(kind) if kind == format => return Ok(()),
        Some(kind) => format!(
            "The image was specified using the image/{format} media type, but the image appears to \
             be a image/{kind} image"
        ),
        None => "Could not process image".to_owned(),
    };
    let place = place();
    Err(Fault::validation(format!("The model returned the following errors: {place}: {why}")))
}

/// One of the formats that models take.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    match imagesize::image_type(bytes).ok()? {
        ImageType::Gif => Some("gif"),
        ImageType::Jpeg => Some("jpeg"),
        ImageType::Png => Some("png"),
        ImageType::Webp => Some("webp"),
        _ => None,
    }
}

/// A header that is not understood is left to the model.
fn check_pixels(model: &str, place: &impl Fn() -> String, bytes: &[u8]) -> Result<(), Fault> {
    match imagesize::blob_size(bytes) {
        Ok(size) if size.width.max(size.height) > IMAGE_PIXELS => Err(Fault::validation(format!(
            "{} is {} by {} pixels; {model} is given at most {IMAGE_PIXELS} of either",
            place(),
            size.width,
            size.height
        ))),
        _ => Ok(()),
    }
}

/// AWS: these words (vercel/ai pull request 20366, simonw/llm-bedrock issue 8); an underscore passes
/// and a space other than U+0020 does not (aws-samples/generative-ai-use-cases issue 1671).
fn check_name(name: &str, names: &mut BTreeSet<String>) -> Result<(), Fault> {
    let fits = |sign: char| sign.is_ascii_alphanumeric() || " -_()[]".contains(sign);
    if !name.chars().all(fits) || name.contains("  ") {
        return Err(Fault::validation(
            "The document file name can only contain alphanumeric characters, whitespace \
             characters, hyphens, parentheses, and square brackets. The name can't contain more \
             than one consecutive whitespace character. Check that the file name conforms to these \
             restrictions and retry your request.",
        ));
    }
    // AWS: these words (maximhq/bifrost issue 7003)
    if !names.insert(name.to_owned()) {
        return Err(Fault::validation(
            "Messages can't contain duplicate document names. Rename the document and retry your \
             request.",
        ));
    }
    if names.len() > DOCUMENTS {
        let text = format!("You can't include more than {DOCUMENTS} documents in a request.");
        return Err(Fault::validation(text));
    }
    Ok(())
}
